-- key: revenue_cash
-- number: 27
-- label_ru: Выручка (поступления)
-- label_en: Revenue (cash)
-- unit: money
-- group: money
-- evidence_class: hard
-- event_time: payment date
-- credit: owner_at_payment
-- additivity: additive
-- entities: manager, team, company
-- by: pipeline
-- facets: money
-- rules: match_days
-- counts_until: period
-- description_ru: Проведённые поступления от покупателей за вычетом возвратов, по дате зачисления; частичные оплаты — по мере прихода.
--   Переводы между своими счетами не выручка; платёж без сделки — в строке «не назначено».
-- description_en: Posted customer payments minus refunds, by date of posting; partial payments count as they arrive.
--   Transfers between own accounts are not revenue; a payment without a deal is under unassigned.

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
    p.amount AS num,
    p.excluded_by
FROM calc.payments AS p
JOIN period_days AS d ON d.day = p.local_date
