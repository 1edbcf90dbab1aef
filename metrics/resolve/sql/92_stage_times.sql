-- Working time of stays in stages that are over, by the hours of the team that had the deal at entry (metrics.md 4.4).
CREATE OR REPLACE TEMP TABLE finished_visits AS
SELECT
    visit.*,
    worked_until(visit.left_at, closed.opens_at, closed.closes_at, closed.before_us)
        - worked_until(visit.entered_at, opened.opens_at, opened.closes_at, opened.before_us) AS worked
FROM next_deal_stage_visits AS visit
LEFT JOIN clock_parts AS opened
    ON opened.team = coalesce(visit.entry_team, '') AND opened.utc_day = utc_day(visit.entered_at)
    AND opened.from_at <= visit.entered_at AND opened.to_at > visit.entered_at
LEFT JOIN clock_parts AS closed
    ON closed.team = coalesce(visit.entry_team, '') AND closed.utc_day = utc_day(visit.left_at)
    AND closed.from_at <= visit.left_at AND closed.to_at > visit.left_at
WHERE visit.left_at IS NOT NULL AND visit.kind IN ('base', 'qualified', 'meeting', 'offer', 'invoice');

CREATE OR REPLACE TEMP TABLE next_stage_times AS
SELECT
    visit.source,
    visit.deal_id,
    visit.left_at,
    local_day(visit.left_at) AS local_date,
    visit.pipeline_id,
    visit.stage_id,
    visit.kind,
    visit.worked / 3600000000 AS hours,
    sum(visit.worked) OVER (
        PARTITION BY visit.deal_no, visit.pipeline_id, visit.stage_id ORDER BY visit.left_at
    ) / 3600000000 AS total_hours,
    visit.left_person_id AS person_id,
    visit.left_team AS team,
    visit.left_precision AS credit_precision,
    -- Nobody left the stage: the deal is gone. Else deleting young deals would shorten everybody's stays.
    coalesce(exclusion.excluded_by, CASE WHEN visit.outcome IN ('deleted', 'merged') THEN 'gone' END) AS excluded_by
FROM finished_visits AS visit
LEFT JOIN deal_exclusions AS exclusion ON exclusion.deal_no = visit.deal_no;
