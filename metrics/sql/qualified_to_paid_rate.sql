-- key: qualified_to_paid_rate
-- number: 21
-- label_ru: Квалифицированный лид → оплата
-- label_en: Qualified lead to payment
-- unit: ratio
-- group: conversion
-- evidence_class: logged
-- event_time: first pass of the stage qualified
-- credit: owner_at_entry
-- additivity: ratio
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm, money
-- requires: stage:qualified
-- rules: dup_days, paid_threshold, match_days
-- counts_until: as_of
-- description_ru: Доля сделок, впервые прошедших квалификацию в периоде, которые потом оплачены. Вариант within=60 — оплаченные за 60 дней:
--   в нём только сделки, у которых эти дни прошли, поэтому кварталы сравнимы.
-- description_en: Share of the deals first qualified in the period that were then paid. Variant within=60: paid within 60 days;
--   it holds only deals whose 60 days are over, so that quarters compare.

SELECT
    d.period,
    v.variant,
    'deal' AS record_type,
    b.source,
    b.deal_id AS record_id,
    b.pipeline_id,
    b.passed_at AS occurred_at,
    b.entry_person_id AS person_id,
    b.entry_team AS team,
    b.entry_credit_precision AS credit_precision,
    CASE WHEN t.passed_at < least(d.as_of, b.passed_at + v.horizon) THEN 1 ELSE 0 END AS num,
    1 AS den,
    coalesce(b.excluded_by, CASE WHEN v.variant <> '' AND b.passed_at + v.horizon > d.as_of THEN 'pending' END)
        AS excluded_by
FROM calc.stage_passes AS b
JOIN period_days AS d ON d.day = b.local_date
CROSS JOIN (VALUES ('', INTERVAL 1000 YEAR), ('within=60', INTERVAL 60 DAY)) AS v (variant, horizon)
LEFT JOIN later_passes AS t
    ON t.source = b.source AND t.deal_id = b.deal_id AND t.pipeline_id = b.pipeline_id
    AND t.stage_id = 'paid'
-- Of several stages of the kind the first one counts.
WHERE b.kind = 'qualified' AND b.is_first_of_kind
