-- key: new_customer_revenue
-- number: 33
-- label_ru: Выручка от новых клиентов
-- label_en: Revenue of new customers
-- unit: money
-- group: customers
-- evidence_class: hard
-- event_time: first-ever paid event
-- credit: owner_at_payment
-- additivity: additive
-- entities: manager, team, company
-- facets: crm, money
-- rules: paid_threshold, match_days
-- counts_until: as_of
-- description_ru: Оплаты за вычетом возвратов по сделкам, которыми клиенты впервые купили в периоде; вся сумма — за тем, кому зачтена оплата сделки.
-- description_en: Net payments of the deals with which customers first bought in the period; the whole sum is credited with the paid deal.

WITH bought AS (
    SELECT d.period, d.as_of, s.*
    FROM calc.sales AS s
    JOIN period_days AS d ON d.day = s.local_date
    -- Refunded and paid again: its money counts once.
    WHERE s.ordinal = 1
)

SELECT
    b.period,
    'payment' AS record_type,
    p.source,
    p.payment_id AS record_id,
    b.occurred_at,
    b.person_id,
    b.team,
    b.credit_precision,
    CASE b.due_origin WHEN 'order' THEN 'hard' ELSE 'logged' END AS evidence_class,
    p.amount AS num,
    coalesce(
        p.excluded_by,
        CASE WHEN NOT b.is_first THEN 'paid_before' WHEN p.occurred_at >= b.as_of THEN 'after_as_of' END
    ) AS excluded_by
FROM bought AS b
JOIN calc.payments AS p ON p.deal_source = b.source AND p.deal_id = b.deal_id
