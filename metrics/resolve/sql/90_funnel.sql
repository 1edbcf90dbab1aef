-- Passes with paid behind every stage, first touches of a kind, and terminal events (metrics.md 2.6).

CREATE OR REPLACE TEMP TABLE next_stage_passes AS
WITH first_paid AS (
    SELECT deal.deal_no, paid.*
    FROM next_paid_deals AS paid
    LEFT JOIN deal_numbers AS deal ON deal.source = paid.source AND deal.deal_id = paid.deal_id
    WHERE paid.sign = 1
    QUALIFY row_number() OVER (PARTITION BY paid.source, paid.deal_id ORDER BY paid.ordinal) = 1
),

passes AS (
    SELECT * FROM first_passes
    UNION ALL
    SELECT
        deal_no,
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
),

-- Within one map an earlier stage is passed no later than the ones behind it; a payment comes when it comes.
many_maps AS (
    SELECT source, pipeline_id FROM map_versions GROUP BY source, pipeline_id HAVING count(*) > 1
)

SELECT
    pass.deal_no,
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
    exclusion.excluded_by,
    pass.position = min(pass.position) OVER (PARTITION BY pass.deal_no, pass.pipeline_id, pass.kind)
        AS is_first_of_kind,
    pass.local_date < CASE
        WHEN many_maps.source IS NULL THEN greatest(
            max(pass.local_date) OVER (PARTITION BY pass.deal_no, pass.pipeline_id ORDER BY pass.position),
            max(pass.local_date) FILTER (pass.kind = 'base') OVER (PARTITION BY pass.deal_no, pass.pipeline_id)
        )
        ELSE max(pass.local_date) OVER (PARTITION BY pass.deal_no, pass.pipeline_id)
    END AS is_ahead
FROM passes AS pass
LEFT JOIN pipeline_entries AS entry ON entry.deal_no = pass.deal_no AND entry.pipeline_id = pass.pipeline_id
LEFT JOIN deal_exclusions AS exclusion ON exclusion.deal_no = pass.deal_no
LEFT JOIN many_maps ON many_maps.source = pass.source AND many_maps.pipeline_id = pass.pipeline_id;

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
SEMI JOIN (
    SELECT deal_no, min(ordinal) AS ordinal FROM next_stage_events WHERE kind IS NOT NULL GROUP BY deal_no, kind
) AS first ON first.deal_no = entry.deal_no AND first.ordinal = entry.ordinal
LEFT JOIN deal_exclusions AS exclusion ON exclusion.deal_no = entry.deal_no;

CREATE OR REPLACE TEMP TABLE next_terminal_events AS
WITH closings AS (
    SELECT
        deal_no, source, deal_id, entered_at AS occurred_at, pipeline_id, local_date, kind AS outcome,
        person_id, team, credit_precision
    FROM next_stage_events
    WHERE kind IN ('won', 'lost')
    UNION ALL
    -- Deleted or merged away while open: the deal's span until then was an open one.
    SELECT
        moment.deal_no, moment.source, moment.deal_id, moment.moment_at, span.pipeline_id, local_day(moment.moment_at),
        moment.moment, moment.person_id, moment.team, moment.credit_precision
    FROM credited_endings AS moment
    JOIN deal_spans AS span
        ON span.deal_no = moment.deal_no
        AND span.to_at = moment.moment_at
        AND span.is_open
    WHERE moment.moment IN ('deleted', 'merged')
)

SELECT closings.*, exclusion.excluded_by
FROM closings
LEFT JOIN deal_exclusions AS exclusion ON exclusion.deal_no = closings.deal_no;
