-- key: forecast_weighted
-- number: 43
-- label_ru: Прогноз по воронке
-- label_en: Forecast by the pipeline
-- unit: money
-- group: pipeline
-- evidence_class: declared
-- event_time: as_of
-- credit: owner_at_event
-- additivity: snapshot
-- entities: manager, team, company
-- facets: crm, money
-- requires: stages, odds
-- rules: dup_days, paid_threshold, match_days
-- counts_until: period
-- description_ru: Поступления периода, взвешенная сумма открытых сделок и остаток по выигранным, оплаченным частью. Оплата по нему не начисляется.
-- description_en: The period's payments, the weighted amount of open deals, and what is still due on won deals paid in part. Never feeds pay.

SELECT
    d.period, 'payment' AS record_type, r.source, r.payment_id AS record_id, r.occurred_at, r.person_id, r.team,
    r.credit_precision, r.amount AS num, r.excluded_by
FROM calc.payments AS r
JOIN period_days AS d ON d.day = r.local_date
UNION ALL
SELECT
    p.period, 'deal', o.source, o.deal_id, o.valid_from, o.person_id, o.team,
    o.credit_precision, o.amount * w.probability,
    coalesce(o.excluded_by, CASE WHEN w.probability IS NULL THEN 'no_odds' END)
FROM periods AS p
JOIN calc.open_deals AS o ON o.valid_from < p.as_of AND o.valid_to >= p.as_of
LEFT JOIN calc.stage_odds AS w
    ON w.source = o.source AND w.pipeline_id = o.pipeline_id AND w.stage_id = o.stage_id
    AND w.valid_from < p.as_of AND w.valid_to >= p.as_of
UNION ALL
SELECT
    p.period, 'deal', h.source, h.deal_id, h.valid_from, h.person_id, h.team,
    h.credit_precision, h.remaining, NULL
FROM periods AS p
JOIN calc.part_paid_deals AS h ON h.valid_from < p.as_of AND h.valid_to >= p.as_of
