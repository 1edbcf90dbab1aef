-- How fast a lead was answered, in working time of its team (metrics.md 4.1).
CREATE OR REPLACE TEMP TABLE lead_clocks AS
SELECT
    lead.deal_no,
    coalesce(lead.team, '') AS team,
    worked_until(lead.created_at, opened.opens_at, opened.closes_at, opened.before_us) AS created,
    worked_until(lead.first_action_at, acted.opens_at, acted.closes_at, acted.before_us) AS acted,
    worked_until(lead.first_success_at, talked.opens_at, talked.closes_at, talked.before_us) AS talked
FROM next_leads AS lead
LEFT JOIN clock_parts AS opened
    ON opened.team = coalesce(lead.team, '') AND opened.utc_day = utc_day(lead.created_at)
    AND opened.from_at <= lead.created_at AND opened.to_at > lead.created_at
LEFT JOIN clock_parts AS acted
    ON acted.team = coalesce(lead.team, '') AND acted.utc_day = utc_day(lead.first_action_at)
    AND acted.from_at <= lead.first_action_at AND acted.to_at > lead.first_action_at
LEFT JOIN clock_parts AS talked
    ON talked.team = coalesce(lead.team, '') AND talked.utc_day = utc_day(lead.first_success_at)
    AND talked.from_at <= lead.first_success_at AND talked.to_at > lead.first_success_at;

-- A norm used up exactly at closing runs out at the next opening: until then no working minute is lost.
CREATE OR REPLACE TEMP TABLE lead_norms AS
SELECT
    clock.deal_no,
    (clock.acted - clock.created) / 60000000 AS action_minutes,
    (clock.talked - clock.created) / 60000000 AS success_minutes,
    due.opens_at + to_microseconds(clock.due - due.before_us) AS sla_ends_at
FROM (SELECT *, created + CAST(getvariable('sla_minutes') AS BIGINT) * 60000000 AS due FROM lead_clocks) AS clock
LEFT JOIN clock_hours AS due
    ON due.team = clock.team
    AND due.hour = clock.due // 3600000000
    AND clock.due >= due.before_us
    AND clock.due < due.after_us;

CREATE OR REPLACE TEMP TABLE next_leads AS
SELECT lead.*, norm.action_minutes, norm.success_minutes, norm.sla_ends_at
FROM next_leads AS lead
LEFT JOIN lead_norms AS norm ON norm.deal_no = lead.deal_no;
