-- key: leads_new
-- number: 1
-- label_ru: Новые лиды
-- label_en: New leads
-- unit: leads
-- group: leads
-- evidence_class: logged
-- event_time: creation event
-- credit: owner_at_entry
-- additivity: additive
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm
-- requires: stage:base
-- rules: dup_days
-- counts_until: period
-- description_ru: Сделки, созданные в периоде, без дублей по правилу. Дата — из журнала CRM, а не из поля карточки.
--   Удаление, перенос или закрытие сделки не убирает её из базы.
-- description_en: Deals created in the period, minus rule duplicates. The date is the CRM log's, not the card's field.
--   Deleting, moving or closing a deal never takes it out of the base.

SELECT
    d.period,
    'deal' AS record_type,
    l.source,
    l.deal_id AS record_id,
    l.pipeline_id,
    l.created_at AS occurred_at,
    l.person_id,
    l.team,
    l.credit_precision,
    1 AS num,
    l.excluded_by
FROM calc.leads AS l
JOIN period_days AS d ON d.day = l.local_date
