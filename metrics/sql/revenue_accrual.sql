-- key: revenue_accrual
-- number: 28
-- label_ru: Выручка (отгрузка)
-- label_en: Revenue (accrual)
-- unit: money
-- group: money
-- evidence_class: hard
-- event_time: date of the sales document
-- credit: owner_at_event
-- additivity: additive
-- entities: manager, team, company
-- facets: money
-- requires: sales_documents
-- counts_until: period
-- description_ru: Документы реализации минус возвраты, по дате документа; зачёт — ответственному за сделку на эту дату. Документ без сделки — «не назначено».
-- description_en: Sales documents minus returns, by the document's date; credited to whoever was responsible for the deal then. Without a deal: unassigned.

SELECT
    d.period,
    'document' AS record_type,
    s.source,
    s.document_id AS record_id,
    s.occurred_at,
    s.person_id,
    s.team,
    s.credit_precision,
    s.amount AS num,
    s.excluded_by
FROM calc.shipments AS s
JOIN period_days AS d ON d.day = s.local_date
