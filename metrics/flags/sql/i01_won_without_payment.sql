-- key: I-01
-- label_ru: «Успешно» без оплаты
-- label_en: Won without payment
-- rule_ru: Сделка выиграна больше grace_days рабочих дней назад, а деньги в учёте её не покрывают.
-- rule_en: A deal was won more than grace_days working days ago, and the money in accounting does not cover it.
-- detail_ru: Выиграна {won_on}, оплачено {paid} из {due}.
-- detail_en: Won on {won_on}, {paid} of {due} paid.
-- facets: crm, money
-- requires: stage:won, calendar
-- rules: grace_days, paid_threshold, match_days
-- counts_until: as_of

WITH won AS (
    SELECT d.period, d.as_of, t.*
    FROM calc.terminal_events AS t
    JOIN period_days AS d ON d.day = t.local_date AND t.occurred_at < d.as_of
    WHERE t.outcome = 'won' AND t.excluded_by IS DISTINCT FROM 'exclusion'
    QUALIFY row_number() OVER (PARTITION BY d.period, t.source, t.deal_id ORDER BY t.occurred_at DESC) = 1
),

paid AS (
    SELECT w.period, w.source, w.deal_id, arg_max(p.sign, p.ordinal) = 1 AS is_paid
    FROM won AS w
    JOIN calc.paid_deals AS p ON p.source = w.source AND p.deal_id = w.deal_id AND p.occurred_at < w.as_of
    GROUP BY w.period, w.source, w.deal_id
),

money AS (
    SELECT w.period, w.source, w.deal_id, sum(m.amount) AS paid
    FROM won AS w
    JOIN calc.payments AS m ON m.deal_source = w.source AND m.deal_id = w.deal_id AND m.occurred_at < w.as_of
    WHERE m.excluded_by IS NULL
    GROUP BY w.period, w.source, w.deal_id
)

SELECT
    w.period,
    'deal' AS record_type,
    w.source,
    w.deal_id AS record_id,
    w.occurred_at,
    w.person_id,
    w.source AS deal_source,
    w.deal_id,
    w.local_date AS won_on,
    coalesce(m.paid, 0)::DECIMAL(18, 2) AS paid,
    s.due
FROM won AS w
LEFT JOIN paid AS p ON p.period = w.period AND p.source = w.source AND p.deal_id = w.deal_id
LEFT JOIN money AS m ON m.period = w.period AND m.source = w.source AND m.deal_id = w.deal_id
LEFT JOIN facts.deal_payments AS s ON s.source = w.source AND s.deal_id = w.deal_id
WHERE p.is_paid IS NOT TRUE AND NOT coalesce(w.grace_ends_at > w.as_of, FALSE)
