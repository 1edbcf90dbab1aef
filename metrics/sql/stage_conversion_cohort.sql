-- key: stage_conversion_cohort
-- number: 19
-- label_ru: Конверсия этапа (когорта)
-- label_en: Stage conversion (cohort)
-- unit: ratio
-- group: conversion
-- evidence_class: logged
-- event_time: first pass of the earlier stage
-- credit: owner_at_entry
-- additivity: ratio
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm, money?
-- requires: stages
-- rules: dup_days, paid_threshold, match_days
-- counts_until: as_of
-- description_ru: Доля сделок, впервые прошедших этап в периоде, которые потом прошли более поздний; без варианта — от базового этапа до оплаты.
--   Пропуск этапа конверсию не снижает. Не бывает выше 100 %.
-- description_en: Share of the deals that first passed a stage in the period and then passed a later one; plain: from the base stage to paid.
--   A skipped stage lowers nothing. Never above 100 %.

SELECT
    s.period,
    s.variant,
    s.pipeline,
    'deal' AS record_type,
    b.source,
    b.deal_id AS record_id,
    b.pipeline_id,
    b.passed_at AS occurred_at,
    b.entry_person_id AS person_id,
    b.entry_team AS team,
    b.credit_precision,
    CASE WHEN t.deal_id IS NULL THEN 0 ELSE 1 END AS num,
    1 AS den,
    b.excluded_by
FROM calc.stage_passes AS b
JOIN period_days AS d ON d.day = b.local_date
JOIN steps AS s
    ON s.period = d.period AND s.source = b.source AND s.pipeline_id = b.pipeline_id AND s.from_stage = b.stage_id
LEFT JOIN later_passes AS t
    ON t.source = b.source AND t.deal_id = b.deal_id AND t.pipeline_id = b.pipeline_id
    AND t.stage_id = s.to_stage AND t.passed_at < d.as_of
