-- key: leads_processed
-- number: 2
-- label_ru: Обработанные лиды
-- label_en: Processed leads
-- unit: leads
-- group: leads
-- evidence_class: logged
-- event_time: first attempt
-- credit: owner_at_entry
-- additivity: additive
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm, calls
-- requires: stage:base
-- rules: dup_days, origin_minutes
-- counts_until: as_of
-- description_ru: Лиды периода, с которыми после создания был контакт: исходящая попытка или принятый входящий звонок.
--   Задачи, примечания и движение по этапам обработкой не считаются.
-- description_en: The period's leads with a contact after creation: an outbound attempt or an answered inbound call.
--   Tasks, notes and stage moves are not processing.

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
    coalesce(
        l.excluded_by,
        CASE WHEN l.first_action_at IS NULL OR l.first_action_at >= d.as_of THEN 'no_contact_action' END
    ) AS excluded_by
FROM calc.leads AS l
JOIN period_days AS d ON d.day = l.local_date
