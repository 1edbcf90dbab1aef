-- key: client_coverage_rate
-- number: 37
-- label_ru: Покрытие клиентов
-- label_en: Client coverage
-- unit: ratio
-- group: customers
-- evidence_class: logged
-- event_time: successful call
-- credit: account_owner
-- additivity: ratio
-- entities: manager, team, company
-- facets: crm, calls, money
-- rules: match_days, successful_call_seconds, successful_call_seconds_by_pipeline
-- counts_until: period
-- description_ru: Клиенты, с которыми в периоде был успешный звонок, ко всем закреплённым на его начало. Закреплён — кто уже платил;
--   за кем — кто отвечал за его последнюю сделку в начале периода.
-- description_en: Customers with a successful call in the period, over all assigned at its start. Assigned is whoever has paid before,
--   to the person responsible for their latest deal when the period began.

WITH reached AS (
    SELECT DISTINCT d.period, p.customer_id
    FROM calc.calls AS c
    JOIN period_days AS d ON d.day = c.local_date
    JOIN calc.customer_phones AS p ON p.phone = c.external_number AND p.first_seen_at <= c.started_at
    WHERE c.is_successful AND c.excluded_by IS NULL AND c.started_at < d.as_of
)

SELECT
    p.period,
    'customer' AS record_type,
    o.source,
    o.customer_id AS record_id,
    p.starts_at AS occurred_at,
    o.person_id,
    t.team,
    o.credit_precision,
    if(r.customer_id IS NULL, 0, 1) AS num,
    1 AS den
FROM periods AS p
JOIN calc.customer_owners AS o
    ON o.valid_from <= p.starts_at AND coalesce(o.valid_to, 'infinity') > p.starts_at AND o.first_paid_at < p.starts_at
LEFT JOIN reached AS r ON r.period = p.period AND r.customer_id = o.customer_id
LEFT JOIN core.people AS t
    ON t.person_id = o.person_id AND t.valid_from <= p.starts_on AND coalesce(t.valid_to, 'infinity') >= p.starts_on
