-- key: calls_attempted
-- number: 7
-- label_ru: Попытки исходящих
-- label_en: Outbound attempts
-- unit: calls
-- group: calls
-- evidence_class: hard
-- event_time: call start
-- credit: actor
-- additivity: additive
-- entities: manager, team, company
-- facets: calls
-- counts_until: period
-- description_ru: Исходящие внешние разговоры по журналу телефонии, принятые или нет. Несколько плеч одного звонка — одна попытка.
-- description_en: Outbound external conversations in the telephony's log, answered or not. Several legs of a call are one attempt.

SELECT
    d.period,
    'call' AS record_type,
    c.source,
    c.call_id AS record_id,
    c.started_at AS occurred_at,
    c.person_id,
    c.team,
    1 AS num,
    coalesce(c.excluded_by, CASE WHEN c.is_attempt IS NOT TRUE THEN 'not_an_attempt' END) AS excluded_by
FROM calc.calls AS c
JOIN period_days AS d ON d.day = c.local_date
WHERE c.direction IS DISTINCT FROM 'in'
