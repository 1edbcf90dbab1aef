-- key: I-03
-- label_ru: Разговора нет в CRM
-- label_en: Call not in the CRM
-- rule_ru: Успешный внешний звонок на номер, которого и через сутки нет ни у одного контакта, компании или сделки в CRM.
-- rule_en: A successful external call with a number that even a day later belongs to no contact, company or deal in the CRM.
-- detail_ru: Разговор {talk_seconds} с {started_at}: карточки с этим номером в CRM нет.
-- detail_en: A talk of {talk_seconds} s at {started_at}: the CRM has no card with this number.
-- facets: crm, calls
-- rules: successful_call_seconds, successful_call_seconds_by_pipeline
-- counts_until: as_of

WITH companies AS (
    SELECT unnest(phones) AS phone, created_at FROM core.companies
)

SELECT
    d.period,
    'call' AS record_type,
    c.source,
    c.call_id AS record_id,
    c.started_at AS occurred_at,
    c.person_id,
    c.talk_seconds,
    c.started_at
FROM calc.calls AS c
JOIN period_days AS d ON d.day = c.local_date
ANTI JOIN core.contact_phones AS p
    ON p.phone = c.external_number AND coalesce(p.first_seen_at, '-infinity') < c.started_at + INTERVAL 1 DAY
ANTI JOIN companies AS f
    ON f.phone = c.external_number AND coalesce(f.created_at, '-infinity') < c.started_at + INTERVAL 1 DAY
WHERE c.is_successful
    AND c.excluded_by IS NULL
    AND c.external_number IS NOT NULL
    AND c.deal_id IS NULL
    AND c.started_at + INTERVAL 1 DAY <= d.as_of
