-- key: pipeline_open
-- number: 39
-- label_ru: Сделки в работе
-- label_en: Open deals
-- unit: deals
-- group: pipeline
-- evidence_class: declared
-- event_time: as_of
-- credit: owner_at_event
-- additivity: snapshot
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm
-- requires: stages
-- rules: dup_days
-- counts_until: period
-- description_ru: Открытые сделки на конец периода или на дату полноты данных, без дублей. Ответственный — на тот же момент.
-- description_en: Deals open at the period's end, or when the data ends, duplicates left out. The responsible person is that moment's.

SELECT
    p.period,
    'deal' AS record_type,
    o.source,
    o.deal_id AS record_id,
    o.pipeline_id,
    o.valid_from AS occurred_at,
    o.person_id,
    o.team,
    o.credit_precision,
    1 AS num,
    o.excluded_by AS excluded_by
FROM periods AS p
JOIN calc.open_deals AS o ON o.valid_from < p.as_of AND o.valid_to >= p.as_of
