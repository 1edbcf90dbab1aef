-- Odds of a month stand on the twelve before it: they are the same all month, whatever happens in it.
CREATE OR REPLACE TEMP TABLE closed_deals AS
WITH closed AS (
    SELECT source, deal_id, max(local_date) AS closed_on
    FROM next_terminal_events
    WHERE excluded_by IS NULL
    GROUP BY source, deal_id
)

SELECT
    pass.source,
    pass.pipeline_id,
    pass.stage_id,
    date_trunc('month', closed.closed_on)::DATE AS closed_in,
    date_trunc('month', paid.local_date)::DATE AS paid_in,
    count(*) AS deals
FROM closed
JOIN next_stage_passes AS pass
    ON pass.source = closed.source AND pass.deal_id = closed.deal_id AND pass.kind NOT IN ('won', 'paid', 'service')
LEFT JOIN next_stage_passes AS paid
    ON paid.source = closed.source AND paid.deal_id = closed.deal_id
    AND paid.pipeline_id = pass.pipeline_id AND paid.stage_id = 'paid'
GROUP BY ALL;

CREATE OR REPLACE TEMP TABLE next_stage_odds AS
WITH months AS (
    SELECT unnest(generate_series(
        date_trunc('month', min(local_date)), date_trunc('month', local_day(getvariable('now'))) + INTERVAL 1 MONTH,
        INTERVAL 1 MONTH
    ))::DATE AS month
    FROM next_leads
),

stages AS (
    SELECT source, pipeline_id, stage_id FROM core.probabilities
    UNION
    SELECT source, pipeline_id, stage_id FROM closed_deals
),

counted AS (
    SELECT
        stage.source,
        stage.pipeline_id,
        stage.stage_id,
        months.month,
        CAST(coalesce(sum(closed.deals), 0) AS BIGINT) AS closed,
        CAST(coalesce(sum(closed.deals) FILTER (closed.paid_in < months.month), 0) AS BIGINT) AS paid
    FROM stages AS stage
    CROSS JOIN months
    LEFT JOIN closed_deals AS closed
        ON closed.source = stage.source
        AND closed.pipeline_id = stage.pipeline_id
        AND closed.stage_id = stage.stage_id
        AND closed.closed_in >= months.month - INTERVAL 12 MONTH
        AND closed.closed_in < months.month
    GROUP BY stage.source, stage.pipeline_id, stage.stage_id, months.month
)

SELECT
    counted.source,
    counted.pipeline_id,
    counted.stage_id,
    day_start(counted.month) AS valid_from,
    day_start(counted.month + INTERVAL 1 MONTH) AS valid_to,
    counted.closed,
    counted.paid,
    -- A few dozen deals tell more than a guess, fewer do not.
    CASE WHEN counted.closed >= 30 THEN counted.paid / counted.closed ELSE configured.probability END AS probability,
    CASE WHEN counted.closed >= 30 THEN 'own' WHEN configured.probability IS NOT NULL THEN 'configured' END AS origin
FROM counted
LEFT JOIN core.probabilities AS configured
    ON configured.source = counted.source
    AND configured.pipeline_id = counted.pipeline_id
    AND configured.stage_id = counted.stage_id;
