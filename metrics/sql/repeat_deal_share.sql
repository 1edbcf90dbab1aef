-- key: repeat_deal_share
-- number: 34
-- label_ru: Доля повторных продаж
-- label_en: Repeat sales
-- unit: ratio
-- group: customers
-- evidence_class: hard
-- event_time: paid event
-- credit: owner_at_payment
-- additivity: ratio
-- entities: manager, team, company
-- facets: crm, money
-- rules: paid_threshold, match_days
-- counts_until: period
-- description_ru: Оплаченные сделки клиентов, которые уже покупали, ко всем оплаченным; полный возврат вычитается там, где сделка стояла.
-- description_en: Paid deals of customers who had bought before, over all paid deals; a full refund is taken off where its deal stood.

SELECT
    d.period,
    'deal' AS record_type,
    s.source,
    s.deal_id AS record_id,
    s.occurred_at,
    s.person_id,
    s.team,
    s.credit_precision,
    CASE s.due_origin WHEN 'order' THEN 'hard' ELSE 'logged' END AS evidence_class,
    if(s.is_first, 0, s.sign) AS num,
    s.sign AS den
FROM calc.sales AS s
JOIN period_days AS d ON d.day = s.local_date
