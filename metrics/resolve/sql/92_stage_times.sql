-- Working time of stays in stages that are over, by the hours of the team that had the deal at entry (metrics.md 4.4).
CREATE OR REPLACE TEMP TABLE finished_visits AS
SELECT
    visit.source,
    visit.deal_id,
    visit.pipeline_id,
    visit.stage_id,
    visit.left_at,
    entry.kind,
    worked_until(visit.left_at, closed.opens_at, closed.closes_at, closed.before_us)
        - worked_until(visit.entered_at, opened.opens_at, opened.closes_at, opened.before_us) AS worked
FROM next_deal_stage_visits AS visit
JOIN next_stage_events AS entry
    ON entry.source = visit.source AND entry.deal_id = visit.deal_id AND entry.entered_at = visit.entered_at
LEFT JOIN clock_days AS opened
    ON opened.team = coalesce(entry.team, '') AND opened.day = clock_day(coalesce(entry.team, ''), visit.entered_at)
LEFT JOIN clock_days AS closed
    ON closed.team = coalesce(entry.team, '') AND closed.day = clock_day(coalesce(entry.team, ''), visit.left_at)
WHERE visit.left_at IS NOT NULL AND entry.kind IN ('base', 'qualified', 'meeting', 'offer', 'invoice');

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
        PARTITION BY visit.source, visit.deal_id, visit.pipeline_id, visit.stage_id ORDER BY visit.left_at
    ) / 3600000000 AS total_hours,
    credit.person_id,
    credit.team,
    credit.credit_precision,
    exclusion.excluded_by
FROM finished_visits AS visit
LEFT JOIN credited_moments AS credit
    ON credit.source = visit.source AND credit.deal_id = visit.deal_id AND credit.moment_at = visit.left_at
LEFT JOIN deal_exclusions AS exclusion ON exclusion.source = visit.source AND exclusion.deal_id = visit.deal_id;
