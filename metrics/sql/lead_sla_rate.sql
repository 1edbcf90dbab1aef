-- key: lead_sla_rate
-- number: 6
-- label_ru: Доля лидов в нормативе
-- label_en: Leads answered in time
-- unit: ratio
-- group: leads
-- evidence_class: logged
-- event_time: first attempt
-- credit: owner_at_entry
-- additivity: ratio
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm, calls
-- requires: stage:base, calendar
-- rules: dup_days, origin_minutes, sla_minutes
-- counts_until: as_of
-- description_ru: Лиды, по которым до исходящей попытки или принятого входящего прошло не больше sla_minutes рабочих минут, ко всем лидам,
--   и к тем, кому не звонили. Лид, у которого срок ещё не вышел, не в счёте.
-- description_en: Leads with an outbound attempt or answered inbound call within sla_minutes of working time, over all leads,
--   never-called ones included. A lead whose time is not over yet is in neither.

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
    CASE WHEN l.first_action_at <= l.sla_ends_at THEN 1 ELSE 0 END AS num,
    1 AS den,
    coalesce(l.excluded_by, CASE WHEN l.sla_ends_at >= d.as_of THEN 'pending' END) AS excluded_by
FROM calc.leads AS l
JOIN period_days AS d ON d.day = l.local_date
