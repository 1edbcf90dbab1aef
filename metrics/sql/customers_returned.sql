-- key: customers_returned
-- number: 36
-- label_ru: Возвращённые клиенты
-- label_en: Customers returned
-- unit: customers
-- group: customers
-- evidence_class: hard
-- event_time: payment
-- credit: owner_at_payment
-- additivity: additive
-- entities: manager, team, company
-- facets: money
-- requires: payment_history
-- rules: match_days, dormant_days
-- counts_until: period
-- description_ru: Клиенты, заплатившие после dormant_days и более дней без оплат. Засчитан первый платёж после перерыва.
-- description_en: Customers who paid after dormant_days or more without a payment. The first payment after the pause is counted.

SELECT
    d.period,
    'payment' AS record_type,
    p.source,
    p.payment_id AS record_id,
    p.customer_id AS key,
    p.occurred_at,
    p.person_id,
    p.team,
    p.credit_precision,
    1 AS num,
    CASE
        WHEN p.previous_paid_on IS NULL THEN 'first_payment'
        WHEN NOT p.is_return THEN 'not_dormant'
    END AS excluded_by
FROM calc.customer_payments AS p
JOIN period_days AS d ON d.day = p.local_date
