-- How fast a lead was answered, in working time of its team (metrics.md 4.1).
CREATE OR REPLACE TEMP TABLE lead_clocks AS
SELECT
    lead.source,
    lead.deal_id,
    lead.pipeline_id,
    coalesce(lead.team, '') AS team,
    worked_until(lead.created_at, opened.opens_at, opened.closes_at, opened.minutes_before) AS created,
    worked_until(lead.first_action_at, acted.opens_at, acted.closes_at, acted.minutes_before) AS acted,
    worked_until(lead.first_success_at, talked.opens_at, talked.closes_at, talked.minutes_before) AS talked
FROM next_leads AS lead
ASOF LEFT JOIN next_working_days AS opened
    ON opened.team = coalesce(lead.team, '') AND opened.opens_at <= lead.created_at
ASOF LEFT JOIN next_working_days AS acted
    ON acted.team = coalesce(lead.team, '') AND acted.opens_at <= lead.first_action_at
ASOF LEFT JOIN next_working_days AS talked
    ON talked.team = coalesce(lead.team, '') AND talked.opens_at <= lead.first_success_at;

-- A norm used up exactly at closing runs out at the next opening: until then no working minute is lost.
CREATE OR REPLACE TEMP TABLE lead_norms AS
SELECT
    clock.source,
    clock.deal_id,
    clock.pipeline_id,
    (clock.acted - clock.created) / 60000000 AS action_minutes,
    (clock.talked - clock.created) / 60000000 AS success_minutes,
    due.opens_at + to_microseconds(clock.due - due.minutes_before * 60000000) AS sla_ends_at
FROM (SELECT *, created + CAST(getvariable('sla_minutes') AS BIGINT) * 60000000 AS due FROM lead_clocks) AS clock
ASOF LEFT JOIN next_working_days AS due
    ON due.team = clock.team AND due.minutes_before <= clock.due // 60000000;

CREATE OR REPLACE TEMP TABLE next_leads AS
SELECT lead.*, norm.action_minutes, norm.success_minutes, norm.sla_ends_at
FROM next_leads AS lead
LEFT JOIN lead_norms AS norm
    ON norm.source = lead.source AND norm.deal_id = lead.deal_id AND norm.pipeline_id = lead.pipeline_id;
