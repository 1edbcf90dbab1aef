-- key: missed_call_rate
-- number: 11
-- label_ru: Доля пропущенных
-- label_en: Missed calls
-- unit: ratio
-- group: calls
-- evidence_class: hard
-- event_time: call start
-- credit: team_of_line
-- additivity: ratio
-- entities: team, company
-- facets: calls
-- direction: down
-- counts_until: period
-- description_ru: Входящие внешние, на которые никто не ответил, ко всем входящим внешним. Отвечает команда линии: строк по менеджерам нет.
-- description_en: Inbound external calls no person answered, over all inbound external calls. The line's team answers: no manager rows.

SELECT
    d.period,
    'call' AS record_type,
    c.source,
    c.call_id AS record_id,
    c.started_at AS occurred_at,
    NULL AS person_id,
    c.line_team AS team,
    CASE WHEN c.is_missed THEN 1 ELSE 0 END AS num,
    1 AS den,
    c.excluded_by
FROM calc.calls AS c
JOIN period_days AS d ON d.day = c.local_date
WHERE c.direction = 'in'
