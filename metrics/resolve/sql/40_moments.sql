-- What happened to a deal, in order: entries into stages, deletions, merges, restorations; with credit.

CREATE OR REPLACE TEMP TABLE stage_moves AS
SELECT
    event.source,
    event.deal_id,
    event.event_id,
    event.user_id,
    event.occurred_at,
    coalesce(event.pipeline_id, origin.current_pipeline_id, '') AS pipeline_id,
    coalesce(event.stage_id, event.to_value) AS stage_id,
    CASE WHEN event.from_value IS NOT NULL
        THEN coalesce(event.from_pipeline_id, event.pipeline_id, origin.current_pipeline_id, '')
    END AS from_pipeline_id,
    event.from_value AS from_stage_id,
    row_number() OVER (
        PARTITION BY event.source, event.deal_id ORDER BY event.occurred_at, length(event.event_id), event.event_id
    ) AS ordinal
FROM core.deal_events AS event
JOIN deal_origins AS origin ON origin.source = event.source AND origin.deal_id = event.deal_id
WHERE event.event_type = 'stage' AND coalesce(event.stage_id, event.to_value) IS NOT NULL;

-- The creation's own entry: the log rarely names its stage. It is where the first move came from; without a move,
-- the present one. A first move that names no stage before is itself the entry.
CREATE OR REPLACE TEMP TABLE creation_entries AS
SELECT
    origin.source,
    origin.deal_id,
    origin.created_by AS user_id,
    least(origin.created_at, move.occurred_at) AS occurred_at,
    CASE
        WHEN origin.created_stage_id IS NOT NULL THEN coalesce(origin.created_pipeline_id, origin.current_pipeline_id)
        WHEN move.deal_id IS NOT NULL THEN move.from_pipeline_id
        ELSE origin.current_pipeline_id
    END AS pipeline_id,
    CASE
        WHEN origin.created_stage_id IS NOT NULL THEN origin.created_stage_id
        WHEN move.deal_id IS NOT NULL THEN move.from_stage_id
        ELSE origin.current_stage_id
    END AS stage_id
FROM deal_origins AS origin
LEFT JOIN stage_moves AS move
    ON move.source = origin.source AND move.deal_id = origin.deal_id AND move.ordinal = 1
WHERE origin.created_at IS NOT NULL;

CREATE OR REPLACE TEMP TABLE deal_endings AS
SELECT source, deal_id, event_id, user_id, occurred_at, event_type AS moment
FROM core.deal_events
WHERE event_type IN ('deleted', 'merged', 'restored');

-- A deletion found without a log entry (a sweep, a source that logs none) happened by the load that found it.
INSERT INTO deal_endings
SELECT origin.source, origin.deal_id, NULL, NULL, make_timestamptz(origin.deletion_version), 'deleted'
FROM deal_origins AS origin
LEFT JOIN (
    SELECT source, deal_id, arg_max(moment, occurred_at) AS last_moment
    FROM deal_endings
    GROUP BY source, deal_id
) AS logged ON logged.source = origin.source AND logged.deal_id = origin.deal_id
WHERE origin.is_deleted
    AND origin.deletion_version IS NOT NULL
    AND coalesce(logged.last_moment, 'restored') = 'restored';

CREATE OR REPLACE TEMP TABLE deal_moments AS
WITH entries AS (
    SELECT
        source, deal_id, NULL AS event_id, user_id, occurred_at, pipeline_id, stage_id,
        NULL AS from_pipeline_id, NULL AS from_stage_id, 0 AS ordinal
    FROM creation_entries
    WHERE stage_id IS NOT NULL
    UNION ALL
    SELECT
        source, deal_id, event_id, user_id, occurred_at, pipeline_id, stage_id,
        from_pipeline_id, from_stage_id, ordinal
    FROM stage_moves
),

told AS (
    SELECT
        * EXCLUDE (from_pipeline_id, from_stage_id),
        coalesce(from_pipeline_id, lag(pipeline_id) OVER deal) AS from_pipeline_id,
        coalesce(from_stage_id, lag(stage_id) OVER deal) AS from_stage_id
    FROM entries
    WINDOW deal AS (PARTITION BY source, deal_id ORDER BY ordinal)
),

moments AS (
    SELECT
        source, deal_id, event_id, user_id, occurred_at, 'stage' AS moment, ordinal,
        pipeline_id, stage_id, from_pipeline_id, from_stage_id
    FROM told
    -- `from = to` is noise (metrics.md 2.6).
    WHERE (from_pipeline_id, from_stage_id) IS DISTINCT FROM (pipeline_id, stage_id)
    UNION ALL
    -- At one instant: entries first, and a merge before the deletion that comes with it.
    SELECT
        source, deal_id, event_id, user_id, occurred_at, moment,
        1e9::BIGINT + CASE moment WHEN 'merged' THEN 1 WHEN 'deleted' THEN 2 ELSE 3 END,
        NULL, NULL, NULL, NULL
    FROM deal_endings
)

SELECT
    * EXCLUDE (ordinal),
    -- CRMs log whole seconds: what shares one is told apart by a microsecond, so that an instant names one moment.
    occurred_at + to_microseconds(
        row_number() OVER (
            PARTITION BY source, deal_id, occurred_at ORDER BY ordinal, length(event_id), event_id
        ) - 1
    ) AS moment_at
FROM moments;

CREATE OR REPLACE TEMP TABLE credited_moments AS
SELECT moment.*, credit.person_id, credit.team, credit.credit_precision, credit.owner_person_id
FROM deal_moments AS moment
LEFT JOIN deal_credits AS credit
    ON credit.source = moment.source
    AND credit.deal_id = moment.deal_id
    AND credit.from_at <= moment.moment_at
    AND credit.to_at > moment.moment_at;
