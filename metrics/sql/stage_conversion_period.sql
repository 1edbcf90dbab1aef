-- key: stage_conversion_period
-- number: 20
-- label_ru: Конверсия этапа (период)
-- label_en: Stage conversion (period)
-- unit: ratio
-- group: conversion
-- evidence_class: logged
-- event_time: first pass of each stage
-- credit: owner_at_event
-- additivity: ratio
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm, money?
-- requires: stages
-- rules: dup_days, paid_threshold, match_days
-- counts_until: period
-- description_ru: Первые прохождения более позднего этапа в периоде к первым прохождениям раннего, из какой бы когорты ни были сделки;
--   без варианта — оплаченные к вошедшим в базовый этап. Бывает выше 100 % и не обрезается.
-- description_en: First passes of a later stage in the period over first passes of an earlier one, whatever the cohort;
--   plain: paid over entered the base stage. May exceed 100 % and is not clipped.

WITH sides AS (
    SELECT *, from_stage AS stage_id, 0 AS num, 1 AS den FROM steps
    UNION ALL
    SELECT *, to_stage AS stage_id, 1 AS num, 0 AS den FROM steps
)

SELECT
    s.period,
    s.variant,
    s.pipeline,
    'deal' AS record_type,
    p.source,
    p.deal_id AS record_id,
    p.pipeline_id,
    p.passed_at AS occurred_at,
    p.person_id,
    p.team,
    p.credit_precision,
    s.num,
    s.den,
    p.excluded_by
FROM calc.stage_passes AS p
JOIN period_days AS d ON d.day = p.local_date
JOIN sides AS s
    ON s.period = d.period AND s.source = p.source AND s.pipeline_id = p.pipeline_id AND s.stage_id = p.stage_id
