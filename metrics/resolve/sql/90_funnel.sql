-- Passes with paid behind every stage, first touches of a kind, and terminal events (metrics.md 2.6).

CREATE OR REPLACE TEMP TABLE next_stage_passes AS
WITH first_paid AS (
    SELECT *
    FROM next_paid_deals
    WHERE sign = 1
    QUALIFY row_number() OVER (PARTITION BY source, deal_id ORDER BY ordinal) = 1
),

passes AS (
    SELECT * FROM first_passes
    UNION ALL
    SELECT
        source,
        deal_id,
        coalesce(pipeline_id, ''),
        'paid',
        'paid',
        -- Behind every stage any map can hold.
        1000000000,
        occurred_at,
        local_date,
        occurred_at,
        person_id,
        team,
        credit_precision
    FROM first_paid
)

SELECT
    pass.source,
    pass.deal_id,
    pass.pipeline_id,
    pass.stage_id,
    pass.kind,
    pass.position,
    pass.passed_at,
    pass.local_date,
    pass.touched_at,
    pass.person_id,
    pass.team,
    entry.person_id AS entry_person_id,
    entry.team AS entry_team,
    entry.credit_precision AS entry_credit_precision,
    pass.credit_precision,
    exclusion.excluded_by
FROM passes AS pass
LEFT JOIN pipeline_entries AS entry
    ON entry.source = pass.source AND entry.deal_id = pass.deal_id AND entry.pipeline_id = pass.pipeline_id
LEFT JOIN deal_exclusions AS exclusion ON exclusion.source = pass.source AND exclusion.deal_id = pass.deal_id;

CREATE OR REPLACE TEMP TABLE next_kind_touches AS
SELECT
    entry.source,
    entry.deal_id,
    entry.kind,
    entry.pipeline_id,
    entry.entered_at AS touched_at,
    entry.local_date,
    entry.person_id,
    entry.team,
    entry.credit_precision,
    exclusion.excluded_by
FROM next_stage_events AS entry
LEFT JOIN deal_exclusions AS exclusion ON exclusion.source = entry.source AND exclusion.deal_id = entry.deal_id
WHERE entry.kind IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY entry.source, entry.deal_id, entry.kind ORDER BY entry.ordinal) = 1;

CREATE OR REPLACE TEMP TABLE next_terminal_events AS
WITH closings AS (
    SELECT
        source, deal_id, entered_at AS occurred_at, pipeline_id, local_date, kind AS outcome,
        person_id, team, credit_precision
    FROM next_stage_events
    WHERE kind IN ('won', 'lost')
    UNION ALL
    -- Deleted or merged away while open: the deal's span until then was an open one.
    SELECT
        moment.source, moment.deal_id, moment.moment_at, span.pipeline_id, local_day(moment.moment_at), moment.moment,
        moment.person_id, moment.team, moment.credit_precision
    FROM credited_moments AS moment
    JOIN deal_spans AS span
        ON span.source = moment.source
        AND span.deal_id = moment.deal_id
        AND span.to_at = moment.moment_at
        AND span.is_open
    WHERE moment.moment IN ('deleted', 'merged')
)

SELECT closings.*, exclusion.excluded_by
FROM closings
LEFT JOIN deal_exclusions AS exclusion ON exclusion.source = closings.source AND exclusion.deal_id = closings.deal_id;
