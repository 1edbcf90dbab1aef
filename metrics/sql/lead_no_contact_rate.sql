-- key: lead_no_contact_rate
-- number: 4
-- label_ru: Лиды, до которых не дозвонились
-- label_en: Leads never spoken to
-- unit: ratio
-- group: leads
-- evidence_class: logged
-- event_time: as_of
-- credit: owner_at_entry
-- additivity: ratio
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm, calls
-- requires: stage:base
-- rules: dup_days, origin_minutes, successful_call_seconds, successful_call_seconds_by_pipeline
-- direction: down
-- counts_until: as_of
-- description_ru: Доля лидов периода без успешного звонка после создания. Вместе с долей лидов с разговором даёт единицу.
-- description_en: Share of the period's leads without a successful call after creation. With the share of leads spoken to it sums to one.

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
    CASE WHEN l.first_success_at < d.as_of THEN 0 ELSE 1 END AS num,
    1 AS den,
    l.excluded_by
FROM calc.leads AS l
JOIN period_days AS d ON d.day = l.local_date
