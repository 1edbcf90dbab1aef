-- Points for long cycles (metrics.md 4.3). A deal deleted or merged away soon after is as lost as a lost one: otherwise
-- deleting it would keep the points.
CREATE OR REPLACE TEMP TABLE milestone_passes AS
SELECT pass.*, milestone.weight
FROM next_stage_passes AS pass
JOIN core.milestones AS milestone
    ON milestone.source = pass.source
    AND milestone.pipeline_id = pass.pipeline_id
    AND milestone.stage_id = pass.stage_id;

CREATE OR REPLACE TEMP TABLE next_milestones AS
WITH lost AS (
    SELECT pass.source, pass.deal_id, pass.pipeline_id, pass.stage_id, min(ending.occurred_at) AS lost_at
    FROM milestone_passes AS pass
    JOIN next_terminal_events AS ending
        ON ending.source = pass.source
        AND ending.deal_id = pass.deal_id
        AND ending.outcome <> 'won'
        AND ending.occurred_at >= pass.passed_at
        AND ending.occurred_at < pass.passed_at + to_days(getvariable('clawback_days'))
    GROUP BY pass.source, pass.deal_id, pass.pipeline_id, pass.stage_id
),

moments AS (
    SELECT *, 'pass' AS moment, passed_at AS occurred_at, weight AS points FROM milestone_passes
    UNION ALL
    SELECT pass.*, 'clawback', lost.lost_at, -pass.weight
    FROM milestone_passes AS pass
    JOIN lost USING (source, deal_id, pipeline_id, stage_id)
)

SELECT
    source,
    deal_id,
    pipeline_id,
    stage_id,
    moment,
    occurred_at,
    local_day(occurred_at) AS local_date,
    points,
    person_id,
    team,
    credit_precision,
    excluded_by
FROM moments;
