-- key: new_customers
-- number: 33
-- label_ru: Новые клиенты
-- label_en: New customers
-- unit: customers
-- group: customers
-- evidence_class: hard
-- event_time: first-ever paid event
-- credit: owner_at_payment
-- additivity: additive
-- entities: manager, team, company
-- facets: crm, money
-- rules: paid_threshold, match_days
-- counts_until: period
-- description_ru: Клиенты, чья первая оплаченная сделка оплачена в периоде; её полный возврат вычитается. Клиент — по ИНН, иначе по плательщику, иначе по телефону.
--   До первой сделки в CRM историю даёт учёт: кто платил раньше, тот не новый; без неё новый — значит новый с начала учёта.
-- description_en: Customers whose first paid deal was paid in the period; its full refund is taken off. A customer is a taxpayer, else a payer, else a phone.
--   Before the CRM's first deal history comes from accounting: who paid then is not new; without it, new means new since go-live.

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
    s.sign AS num,
    CASE WHEN NOT s.is_first THEN 'paid_before' END AS excluded_by
FROM calc.sales AS s
JOIN period_days AS d ON d.day = s.local_date
