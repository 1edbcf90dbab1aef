-- Deals with their creation by the log, and who was responsible when (metrics.md 2.2).

-- A deal the CRM no longer lists may still be known from its log: it stays a deal. Steps join and sort by deal_no,
-- at half the cost of source and id; it means nothing outside this resolve.
CREATE OR REPLACE TEMP TABLE deal_numbers AS
SELECT source, deal_id, row_number() OVER () AS deal_no
FROM (SELECT source, deal_id FROM core.deals UNION SELECT source, deal_id FROM core.deal_events);

CREATE OR REPLACE TEMP TABLE deal_log AS
SELECT
    deal.deal_no,
    -- Ids are ULIDs or growing numbers: a shorter one is the smaller one.
    row_number() OVER (
        PARTITION BY deal.deal_no ORDER BY event.occurred_at, length(event.event_id), event.event_id
    ) AS event_no,
    event.event_id,
    event.event_type,
    event.occurred_at,
    event.user_id,
    event.from_value,
    event.to_value,
    event.from_pipeline_id,
    event.pipeline_id,
    event.stage_id,
    event.precision
FROM core.deal_events AS event
JOIN deal_numbers AS deal ON deal.source = event.source AND deal.deal_id = event.deal_id;

CREATE OR REPLACE TEMP TABLE deal_origins AS
WITH logged AS (
    SELECT
        deal_no,
        min(occurred_at) AS created_at,
        arg_min(user_id, occurred_at) AS created_by,
        arg_min(pipeline_id, occurred_at) AS pipeline_id,
        arg_min(stage_id, occurred_at) AS stage_id
    FROM deal_log
    WHERE event_type = 'created'
    GROUP BY deal_no
)
SELECT
    number.deal_no,
    number.source,
    number.deal_id,
    coalesce(logged.created_at, deal.created_at) AS created_at,
    logged.created_by,
    logged.pipeline_id AS created_pipeline_id,
    logged.stage_id AS created_stage_id,
    deal.pipeline_id AS current_pipeline_id,
    deal.stage_id AS current_stage_id,
    deal.owner_id AS current_owner_id,
    deal.is_deleted,
    deal.deletion_version
FROM deal_numbers AS number
LEFT JOIN logged ON logged.deal_no = number.deal_no
LEFT JOIN core.deals AS deal ON deal.source = number.source AND deal.deal_id = number.deal_id;

CREATE OR REPLACE TEMP TABLE amount_changes AS
SELECT
    deal_no,
    occurred_at,
    TRY_CAST(from_value AS DECIMAL(18, 2)) AS before,
    TRY_CAST(to_value AS DECIMAL(18, 2)) AS amount,
    row_number() OVER deal AS ordinal,
    lead(occurred_at, 1, 'infinity'::TIMESTAMPTZ) OVER deal AS to_at
FROM deal_log
WHERE event_type = 'amount'
WINDOW deal AS (PARTITION BY deal_no ORDER BY event_no);

CREATE OR REPLACE TEMP TABLE owner_changes AS
SELECT
    deal_no,
    occurred_at,
    from_value,
    to_value,
    coalesce(precision, 'log') AS precision,
    row_number() OVER (PARTITION BY deal_no ORDER BY event_no) AS ordinal
FROM deal_log
WHERE event_type = 'owner';

-- Loads are compared from the first one on; before it nothing is known but the present owner.
CREATE OR REPLACE TEMP TABLE go_lives AS
SELECT source, min(started_at) AS live_at
FROM meta.sync_runs
GROUP BY source;

CREATE OR REPLACE TEMP TABLE first_owners AS
SELECT
    origin.deal_no,
    origin.source,
    origin.created_at,
    CASE WHEN change.deal_no IS NULL THEN origin.current_owner_id ELSE change.from_value END AS owner_id,
    change.occurred_at AS until_at,
    go_live.live_at,
    -- Where the source logs changes, no change on record means the present owner has been it from the start.
    (source_log.source IS NOT NULL OR coalesce(change.precision = 'log', FALSE)) AS is_logged
FROM deal_origins AS origin
LEFT JOIN owner_changes AS change ON change.deal_no = origin.deal_no AND change.ordinal = 1
LEFT JOIN owner_log_sources AS source_log ON source_log.source = origin.source
LEFT JOIN go_lives AS go_live ON go_live.source = origin.source
WHERE origin.created_at IS NOT NULL AND origin.created_at <= coalesce(change.occurred_at, 'infinity');

CREATE OR REPLACE TEMP TABLE next_deal_owners AS
WITH points AS (
    SELECT
        deal_no,
        created_at AS valid_from,
        owner_id,
        CASE WHEN is_logged THEN 'log' WHEN created_at >= live_at THEN 'load_interval' ELSE 'current_owner' END
            AS precision,
        -1 AS ordinal
    FROM first_owners
    UNION ALL
    SELECT deal_no, live_at, owner_id, 'load_interval', 0
    FROM first_owners
    WHERE NOT is_logged AND created_at < live_at AND live_at < coalesce(until_at, 'infinity')
    UNION ALL
    SELECT deal_no, occurred_at, to_value, precision, ordinal
    FROM owner_changes
),

-- Several changes at one instant: the last one holds from then on.
instants AS (
    SELECT *
    FROM points
    QUALIFY row_number() OVER (PARTITION BY deal_no, valid_from ORDER BY ordinal DESC) = 1
),

changed AS (
    SELECT *
    FROM instants
    WINDOW deal AS (PARTITION BY deal_no ORDER BY valid_from)
    QUALIFY row_number() OVER deal = 1
        OR owner_id IS DISTINCT FROM lag(owner_id) OVER deal
        OR precision IS DISTINCT FROM lag(precision) OVER deal
),

owned AS (
    SELECT *, lead(valid_from) OVER (PARTITION BY deal_no ORDER BY valid_from) AS valid_to
    FROM changed
)

SELECT
    deal.source,
    deal.deal_id,
    owned.valid_from,
    owned.valid_to,
    owned.owner_id,
    identity.person_id,
    owned.precision
FROM owned
JOIN deal_numbers AS deal ON deal.deal_no = owned.deal_no
LEFT JOIN identity_spans AS identity
    ON identity.source = deal.source
    AND identity.external_id = owned.owner_id
    AND identity.from_at <= owned.valid_from
    AND identity.to_at > owned.valid_from;
