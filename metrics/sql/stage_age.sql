-- key: stage_age
-- number: 25
-- label_ru: Возраст на этапе
-- label_en: Age in stage
-- unit: working hours
-- group: discipline
-- evidence_class: logged
-- event_time: as_of
-- credit: owner_at_event
-- additivity: distribution
-- entities: manager, team, company
-- facets: crm
-- requires: stages, calendar
-- rules: dup_days
-- direction: down
-- counts_until: period
-- description_ru: Сколько рабочих часов открытые сделки стоят на своём этапе к концу периода или к дате полноты данных, медиана: то, чего нет во
--   «времени на этапе». Считается от последнего входа. Без варианта — все этапы до «успешно», stage=… — один, p95 — 95-й процентиль.
-- description_en: Working hours that deals open at the period's end (or when the data ends) have stood in their stage, median: what time in
--   stage leaves out. Since the last entry. Plain: all stages before won, variant stage=… is one, p95 the 95th percentile.

WITH standing AS (
    SELECT p.period, p.as_of, o.*, concat('source=', o.source, ';stage=', o.stage_id) AS stage,
        coalesce(o.entry_team, '') AS clock
    FROM periods AS p
    JOIN calc.open_deals AS o ON o.valid_from < p.as_of AND o.valid_to >= p.as_of
    WHERE o.kind IN ('base', 'qualified', 'meeting', 'offer', 'invoice')
),
worked AS (
    SELECT *, minutes_before + date_diff('minute', opens_at, closes_at) AS minutes_after FROM calc.working_days
),
-- as_of is the end of a day: whole days are worked until then.
ends AS (
    SELECT p.period, w.team, max(w.minutes_after) AS minutes
    FROM periods AS p JOIN worked AS w ON w.closes_at <= p.as_of GROUP BY p.period, w.team
),
days AS (
    SELECT t.team, c.day, w.opens_at, w.closes_at,
        coalesce(w.minutes_before, max(w.minutes_after) OVER (PARTITION BY t.team ORDER BY c.day), 0) AS minutes
    FROM (SELECT DISTINCT team FROM calc.working_days) AS t
    CROSS JOIN core.calendar AS c LEFT JOIN worked AS w ON w.team = t.team AND w.day = c.day
)

SELECT
    s.period, unnest(['', 'p95', s.stage, concat(s.stage, ';p95')]) AS variant,
    unnest(['', '', s.pipeline_id, s.pipeline_id]) AS pipeline,
    'deal' AS record_type, s.source, s.deal_id AS record_id, s.entered_at AS occurred_at,
    s.person_id, s.team, s.credit_precision, s.excluded_by,
    (e.minutes - d.minutes) / 60 - coalesce(
        epoch(greatest(least(s.entered_at, d.closes_at), d.opens_at)) - epoch(d.opens_at), 0) / 3600 AS num
FROM standing AS s
JOIN ends AS e ON e.period = s.period AND e.team = s.clock
JOIN days AS d ON d.team = s.clock AND d.day = s.entered_on
