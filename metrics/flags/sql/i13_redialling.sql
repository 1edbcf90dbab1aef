-- key: I-13
-- label_ru: Дозвоны на один номер без сделки
-- label_en: Redialling without a deal
-- rule_ru: Больше redial_count исходящих попыток за день на один номер, по которому нет открытой сделки.
-- rule_en: More than redial_count outbound attempts in a day to one number that has no open deal.
-- detail_ru: Попыток на один номер за {day}: {count}; сделки по нему нет. Звонки: {calls}.
-- detail_en: Attempts to one number on {day}: {count}; no deal behind it. Calls: {calls}.
-- facets: crm, calls
-- rules: redial_count
-- counts_until: period

SELECT
    d.period,
    'call' AS record_type,
    arg_min(c.source, (c.started_at, c.call_id)) AS source,
    arg_min(c.call_id, (c.started_at, c.call_id)) AS record_id,
    min(c.started_at) AS occurred_at,
    c.person_id,
    c.local_date AS day,
    count(*) AS count,
    list(c.call_id ORDER BY c.started_at, c.call_id) AS calls
FROM calc.calls AS c
JOIN period_days AS d ON d.day = c.local_date AND c.started_at < d.as_of
CROSS JOIN limits AS l
WHERE c.excluded_by IS NULL AND c.is_attempt AND c.deal_id IS NULL AND c.external_number IS NOT NULL
GROUP BY d.period, c.person_id, c.local_date, c.external_number
HAVING count(*) > any_value(l.redial_count)
