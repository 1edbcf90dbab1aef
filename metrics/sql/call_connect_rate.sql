-- key: call_connect_rate
-- number: 9
-- label_ru: Доля дозвонов
-- label_en: Connect rate
-- unit: ratio
-- group: calls
-- evidence_class: hard
-- event_time: call start
-- credit: actor
-- additivity: ratio
-- entities: manager, team, company
-- facets: calls
-- rules: successful_call_seconds, successful_call_seconds_by_pipeline
-- counts_until: period
-- description_ru: Успешные исходящие к попыткам исходящих.
-- description_en: Successful outbound calls over outbound attempts.

SELECT
    d.period,
    'call' AS record_type,
    c.source,
    c.call_id AS record_id,
    c.started_at AS occurred_at,
    c.person_id,
    c.team,
    CASE WHEN c.is_successful THEN 1 ELSE 0 END AS num,
    1 AS den,
    coalesce(c.excluded_by, CASE WHEN c.is_attempt IS NOT TRUE THEN 'not_an_attempt' END) AS excluded_by
FROM calc.calls AS c
JOIN period_days AS d ON d.day = c.local_date
WHERE c.direction IS DISTINCT FROM 'in'
