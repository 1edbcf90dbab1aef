-- Deals with their creation by the log, and who was responsible when (metrics.md 2.2).

-- A deal the CRM no longer lists may still be known from its log: it stays a deal.
CREATE OR REPLACE TEMP TABLE deal_origins AS
WITH logged AS (
    SELECT
        source,
        deal_id,
        min(occurred_at) FILTER (event_type = 'created') AS created_at,
        arg_min(user_id, occurred_at) FILTER (event_type = 'created') AS created_by,
        arg_min(pipeline_id, occurred_at) FILTER (event_type = 'created') AS pipeline_id,
        arg_min(stage_id, occurred_at) FILTER (event_type = 'created') AS stage_id
    FROM core.deal_events
    GROUP BY source, deal_id
)
SELECT
    source,
    deal_id,
    coalesce(logged.created_at, deal.created_at) AS created_at,
    logged.created_by,
    logged.pipeline_id AS created_pipeline_id,
    logged.stage_id AS created_stage_id,
    deal.pipeline_id AS current_pipeline_id,
    deal.stage_id AS current_stage_id,
    deal.owner_id AS current_owner_id,
    deal.is_deleted,
    deal.deletion_version
FROM core.deals AS deal
FULL JOIN logged USING (source, deal_id);

CREATE OR REPLACE TEMP TABLE owner_changes AS
SELECT
    source,
    deal_id,
    occurred_at,
    from_value,
    to_value,
    coalesce(precision, 'log') AS precision,
    -- Ids are ULIDs or growing numbers: a shorter one is the smaller one.
    row_number() OVER (PARTITION BY source, deal_id ORDER BY occurred_at, length(event_id), event_id) AS ordinal
FROM core.deal_events
WHERE event_type = 'owner';

-- Loads are compared from the first one on; before it nothing is known but the present owner.
CREATE OR REPLACE TEMP TABLE go_lives AS
SELECT source, min(started_at) AS live_at
FROM meta.sync_runs
GROUP BY source;

CREATE OR REPLACE TEMP TABLE first_owners AS
SELECT
    origin.source,
    origin.deal_id,
    origin.created_at,
    CASE WHEN change.deal_id IS NULL THEN origin.current_owner_id ELSE change.from_value END AS owner_id,
    change.occurred_at AS until_at,
    go_live.live_at,
    -- Where the source logs changes, no change on record means the present owner has been it from the start.
    (source_log.source IS NOT NULL OR coalesce(change.precision = 'log', FALSE)) AS is_logged
FROM deal_origins AS origin
LEFT JOIN owner_changes AS change
    ON change.source = origin.source AND change.deal_id = origin.deal_id AND change.ordinal = 1
LEFT JOIN owner_log_sources AS source_log ON source_log.source = origin.source
LEFT JOIN go_lives AS go_live ON go_live.source = origin.source
WHERE origin.created_at IS NOT NULL AND origin.created_at <= coalesce(change.occurred_at, 'infinity');

CREATE OR REPLACE TEMP TABLE next_deal_owners AS
WITH points AS (
    SELECT
        source,
        deal_id,
        created_at AS valid_from,
        owner_id,
        CASE WHEN is_logged THEN 'log' WHEN created_at >= live_at THEN 'load_interval' ELSE 'current_owner' END
            AS precision,
        -1 AS ordinal
    FROM first_owners
    UNION ALL
    SELECT source, deal_id, live_at, owner_id, 'load_interval', 0
    FROM first_owners
    WHERE NOT is_logged AND created_at < live_at AND live_at < coalesce(until_at, 'infinity')
    UNION ALL
    SELECT source, deal_id, occurred_at, to_value, precision, ordinal
    FROM owner_changes
),

-- Several changes at one instant: the last one holds from then on.
instants AS (
    SELECT *
    FROM points
    QUALIFY row_number() OVER (PARTITION BY source, deal_id, valid_from ORDER BY ordinal DESC) = 1
),

changed AS (
    SELECT *
    FROM instants
    WINDOW deal AS (PARTITION BY source, deal_id ORDER BY valid_from)
    QUALIFY row_number() OVER deal = 1
        OR owner_id IS DISTINCT FROM lag(owner_id) OVER deal
        OR precision IS DISTINCT FROM lag(precision) OVER deal
),

owned AS (
    SELECT
        *,
        lead(valid_from) OVER (PARTITION BY source, deal_id ORDER BY valid_from) AS valid_to
    FROM changed
)

SELECT
    owned.source,
    owned.deal_id,
    owned.valid_from,
    owned.valid_to,
    owned.owner_id,
    identity.person_id,
    owned.precision
FROM owned
LEFT JOIN identity_spans AS identity
    ON identity.source = owned.source
    AND identity.external_id = owned.owner_id
    AND identity.from_at <= owned.valid_from
    AND identity.to_at > owned.valid_from;
