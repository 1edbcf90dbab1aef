-- What happened to a deal, in order: entries into stages, deletions, merges, restorations; with credit.

CREATE OR REPLACE TEMP TABLE stage_moves AS
SELECT
    event.deal_no,
    event.event_no,
    event.event_id,
    event.user_id,
    event.occurred_at,
    coalesce(event.pipeline_id, origin.current_pipeline_id, '') AS pipeline_id,
    coalesce(event.stage_id, event.to_value) AS stage_id,
    CASE WHEN event.from_value IS NOT NULL
        THEN coalesce(event.from_pipeline_id, event.pipeline_id, origin.current_pipeline_id, '')
    END AS from_pipeline_id,
    event.from_value AS from_stage_id
FROM deal_log AS event
JOIN deal_origins AS origin ON origin.deal_no = event.deal_no
WHERE event.event_type = 'stage' AND coalesce(event.stage_id, event.to_value) IS NOT NULL;

-- The creation's own entry: the log rarely names its stage. It is where the first move came from; without a move,
-- the present one. A first move that names no stage before is itself the entry.
CREATE OR REPLACE TEMP TABLE creation_entries AS
WITH first_moves AS (
    SELECT move.*
    FROM stage_moves AS move
    SEMI JOIN (SELECT deal_no, min(event_no) AS event_no FROM stage_moves GROUP BY deal_no) AS first
        ON first.deal_no = move.deal_no AND first.event_no = move.event_no
)

SELECT
    origin.deal_no,
    origin.created_by AS user_id,
    least(origin.created_at, move.occurred_at) AS occurred_at,
    CASE
        WHEN origin.created_stage_id IS NOT NULL THEN coalesce(origin.created_pipeline_id, origin.current_pipeline_id)
        WHEN move.deal_no IS NOT NULL THEN move.from_pipeline_id
        ELSE origin.current_pipeline_id
    END AS pipeline_id,
    CASE
        WHEN origin.created_stage_id IS NOT NULL THEN origin.created_stage_id
        WHEN move.deal_no IS NOT NULL THEN move.from_stage_id
        ELSE origin.current_stage_id
    END AS stage_id
FROM deal_origins AS origin
LEFT JOIN first_moves AS move ON move.deal_no = origin.deal_no
WHERE origin.created_at IS NOT NULL;

CREATE OR REPLACE TEMP TABLE deal_endings AS
SELECT deal_no, event_no, event_id, user_id, occurred_at, event_type AS moment
FROM deal_log
WHERE event_type IN ('deleted', 'merged', 'restored');

-- A deletion found without a log entry (a sweep, a source that logs none) happened by the load that found it.
INSERT INTO deal_endings
SELECT origin.deal_no, NULL, NULL, NULL, make_timestamptz(origin.deletion_version), 'deleted'
FROM deal_origins AS origin
LEFT JOIN (
    SELECT deal_no, arg_max(moment, occurred_at) AS last_moment FROM deal_endings GROUP BY deal_no
) AS logged ON logged.deal_no = origin.deal_no
WHERE origin.is_deleted
    AND origin.deletion_version IS NOT NULL
    AND coalesce(logged.last_moment, 'restored') = 'restored';

CREATE OR REPLACE TEMP TABLE deal_moments AS
WITH entries AS (
    SELECT
        deal_no, NULL AS event_id, user_id, occurred_at, pipeline_id, stage_id,
        NULL AS from_pipeline_id, NULL AS from_stage_id, 0 AS event_no
    FROM creation_entries
    WHERE stage_id IS NOT NULL
    UNION ALL
    SELECT
        deal_no, event_id, user_id, occurred_at, pipeline_id, stage_id,
        from_pipeline_id, from_stage_id, event_no
    FROM stage_moves
),

told AS (
    SELECT
        * EXCLUDE (from_pipeline_id, from_stage_id),
        coalesce(from_pipeline_id, lag(pipeline_id) OVER deal) AS from_pipeline_id,
        coalesce(from_stage_id, lag(stage_id) OVER deal) AS from_stage_id
    FROM entries
    WINDOW deal AS (PARTITION BY deal_no ORDER BY event_no)
),

moments AS (
    SELECT
        deal_no, event_no, event_id, user_id, occurred_at, 'stage' AS moment, 0 AS turn,
        pipeline_id, stage_id, from_pipeline_id, from_stage_id
    FROM told
    -- `from = to` is noise (metrics.md 2.6).
    WHERE from_pipeline_id IS DISTINCT FROM pipeline_id OR from_stage_id IS DISTINCT FROM stage_id
    UNION ALL
    -- At one instant: entries first, and a merge before the deletion that comes with it.
    SELECT
        deal_no, event_no, event_id, user_id, occurred_at, moment,
        CASE moment WHEN 'merged' THEN 1 WHEN 'deleted' THEN 2 ELSE 3 END,
        NULL, NULL, NULL, NULL
    FROM deal_endings
)

SELECT
    * EXCLUDE (turn, event_no),
    -- CRMs log whole seconds: what shares one is told apart by a microsecond, so that an instant names one moment.
    make_timestamptz(epoch_us(occurred_at) + row_number() OVER (
        PARTITION BY deal_no, occurred_at ORDER BY turn, event_no
    ) - 1) AS moment_at
FROM moments;

CREATE OR REPLACE TEMP TABLE numbered_credits AS
SELECT deal.deal_no, credit.* EXCLUDE (source, deal_id)
FROM deal_credits AS credit
JOIN deal_numbers AS deal ON deal.source = credit.source AND deal.deal_id = credit.deal_id;

-- Entries into stages are credited in the next step.
CREATE OR REPLACE TEMP TABLE credited_endings AS
SELECT
    deal.source, deal.deal_id, moment.deal_no, moment.moment, moment.moment_at,
    credit.person_id, credit.team, credit.credit_precision
FROM deal_moments AS moment
JOIN deal_numbers AS deal ON deal.deal_no = moment.deal_no
LEFT JOIN numbered_credits AS credit
    ON credit.deal_no = moment.deal_no
    AND credit.from_at <= moment.moment_at
    AND credit.to_at > moment.moment_at
WHERE moment.moment <> 'stage';
