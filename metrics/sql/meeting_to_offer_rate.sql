-- key: meeting_to_offer_rate
-- number: 17
-- label_ru: Встреча → КП
-- label_en: Meeting to offer
-- unit: ratio
-- group: conversion
-- evidence_class: logged
-- event_time: first touch of each stage
-- credit: owner_at_event
-- additivity: ratio
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm
-- requires: stage:meeting, stage:offer
-- rules: dup_days
-- counts_until: period
-- description_ru: Отправленные КП периода к проведённым встречам периода, каких бы сделок они ни были. Бывает выше 100 % и не обрезается.
-- description_en: The period's offers sent over its meetings held, whatever their deals. May exceed 100 % and is not clipped.

SELECT
    d.period,
    'deal' AS record_type,
    k.source,
    k.deal_id AS record_id,
    k.pipeline_id,
    k.touched_at AS occurred_at,
    k.person_id,
    k.team,
    k.credit_precision,
    CASE k.kind WHEN 'offer' THEN 1 ELSE 0 END AS num,
    CASE k.kind WHEN 'meeting' THEN 1 ELSE 0 END AS den,
    k.excluded_by
FROM calc.kind_touches AS k
JOIN period_days AS d ON d.day = k.local_date
WHERE k.kind IN ('meeting', 'offer')
