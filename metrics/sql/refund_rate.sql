-- key: refund_rate
-- number: 32
-- label_ru: Доля возвратов
-- label_en: Refund rate
-- unit: ratio
-- group: money
-- evidence_class: hard
-- event_time: refund date
-- credit: owner_at_payment
-- additivity: ratio
-- entities: manager, team, company
-- by: pipeline
-- facets: money
-- rules: match_days
-- direction: down
-- counts_until: period
-- description_ru: Возвраты покупателям к поступлениям до вычета возвратов. Возврат ложится на того, кому зачтён возвращённый платёж.
-- description_en: Refunds over gross receipts. A refund falls on whoever was credited with the payment it returns.

SELECT
    d.period,
    'payment' AS record_type,
    p.source,
    p.payment_id AS record_id,
    p.pipeline_id,
    p.occurred_at,
    p.person_id,
    p.team,
    p.credit_precision,
    CASE WHEN p.is_refund THEN -p.amount ELSE 0 END AS num,
    CASE WHEN p.is_refund THEN 0 ELSE p.amount END AS den,
    p.excluded_by
FROM calc.payments AS p
JOIN period_days AS d ON d.day = p.local_date
