-- key: margin_rate
-- number: 31
-- label_ru: Маржинальность
-- label_en: Margin rate
-- unit: ratio
-- group: money
-- evidence_class: hard
-- event_time: payment date
-- credit: owner_at_payment
-- additivity: ratio
-- entities: manager, team, company
-- facets: crm, money
-- requires: costs
-- rules: match_days, paid_threshold
-- counts_until: period
-- description_ru: Маржинальная прибыль к поступлениям тех же сделок: тех, чья себестоимость известна.
-- description_en: Gross margin over the payments of the same deals: those whose cost is known.

SELECT
    d.period,
    'payment' AS record_type,
    m.source,
    m.payment_id AS record_id,
    m.occurred_at,
    m.person_id,
    m.team,
    m.credit_precision,
    m.amount - m.cost AS num,
    m.amount AS den,
    CASE WHEN m.cost IS NULL THEN 'no_cost' END AS excluded_by
FROM calc.margins AS m
JOIN period_days AS d ON d.day = m.local_date
