-- key: deals_paid
-- number: 29
-- label_ru: Оплаченные сделки
-- label_en: Paid deals
-- unit: deals
-- group: money
-- evidence_class: hard
-- event_time: paid event
-- credit: owner_at_payment
-- additivity: additive
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm, money
-- rules: paid_threshold, match_days
-- counts_until: period
-- description_ru: Сделки, чьи оплаты за вычетом возвратов достигли суммы заказа в учёте; нет заказа — суммы сделки на момент первой оплаты.
--   Полный возврат даёт −1 в своём периоде. Статус «успешно» в CRM ничего не меняет.
-- description_en: Deals whose net payments reached the order's amount in accounting; without an order, the CRM amount at the first payment.
--   A full refund books -1 in its own period. The CRM status "won" has no effect.

SELECT
    d.period,
    'deal' AS record_type,
    p.source,
    p.deal_id AS record_id,
    p.pipeline_id,
    p.occurred_at,
    p.person_id,
    p.team,
    p.credit_precision,
    -- The amount due comes from accounting only when there is an order document.
    CASE p.due_origin WHEN 'order' THEN 'hard' ELSE 'logged' END AS evidence_class,
    p.sign AS num
FROM calc.paid_deals AS p
JOIN period_days AS d ON d.day = p.local_date
