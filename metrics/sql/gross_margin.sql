-- key: gross_margin
-- number: 31
-- label_ru: Маржинальная прибыль
-- label_en: Gross margin
-- unit: money
-- group: money
-- evidence_class: hard
-- event_time: payment date
-- credit: owner_at_payment
-- additivity: additive
-- entities: manager, team, company
-- facets: crm, money
-- requires: costs
-- rules: match_days, paid_threshold
-- counts_until: period
-- description_ru: Поступления по сделкам минус их себестоимость из учёта; при частичной оплате — её доля. Сделка без себестоимости в сумму не входит,
--   а где её нет ни у одной, показателя нет: норма прибыли не выдумывается.
-- description_en: Payments on deals minus their cost in accounting; a partial payment bears its share. A deal without a cost is not in the sum,
--   and where no deal has one there is no number: no rate is ever assumed.

SELECT
    d.period,
    'payment' AS record_type,
    m.source,
    m.payment_id AS record_id,
    m.occurred_at,
    m.person_id,
    m.team,
    m.credit_precision,
    -- NULL, not left out: whoever has payments but no costs has no margin, rather than none earned.
    m.amount - m.cost AS num
FROM calc.margins AS m
JOIN period_days AS d ON d.day = m.local_date
