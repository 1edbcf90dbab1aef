-- key: I-02
-- label_ru: Платёж без сделки
-- label_en: Payment without a deal
-- rule_ru: Деньги покупателя, которые ни одно правило не привязало к сделке; в показателях они «не назначены».
-- rule_en: A customer's money that no rule tied to a deal; in the metrics it is unassigned.
-- detail_ru: {amount} от {paid_on} ни к одной сделке не привязаны. | candidates: {amount} от {paid_on} ни к одной сделке не привязаны;
--   подходящих сделок: {candidates} (voronka match).
-- detail_en: {amount} of {paid_on} belong to no deal. | candidates: {amount} of {paid_on} belong to no deal;
--   candidates: {candidates} (voronka match).
-- facets: crm, money
-- rules: match_days
-- counts_until: period

WITH candidates AS (
    SELECT source, payment_id, count(*) AS deals FROM calc.match_candidates GROUP BY source, payment_id
)

SELECT
    d.period,
    'payment' AS record_type,
    p.source,
    p.payment_id AS record_id,
    p.occurred_at,
    p.person_id,
    if(c.deals IS NULL, '', 'candidates') AS form,
    p.amount,
    p.local_date AS paid_on,
    c.deals AS candidates
FROM calc.payments AS p
JOIN period_days AS d ON d.day = p.local_date
LEFT JOIN candidates AS c ON c.source = p.source AND c.payment_id = p.payment_id
WHERE p.deal_id = '' AND p.excluded_by IS NULL
