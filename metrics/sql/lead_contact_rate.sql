-- key: lead_contact_rate
-- number: 3
-- label_ru: Доля лидов с разговором
-- label_en: Leads spoken to
-- unit: ratio
-- group: leads
-- evidence_class: logged
-- event_time: first successful call
-- credit: owner_at_entry
-- additivity: ratio
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm, calls
-- requires: stage:base
-- rules: dup_days, origin_minutes, successful_call_seconds, successful_call_seconds_by_pipeline
-- counts_until: as_of
-- description_ru: Доля лидов периода, с которыми состоялся успешный звонок после создания.
--   Звонки до создания не считаются, кроме звонка, из которого лид возник.
-- description_en: Share of the period's leads with a successful call after creation.
--   Calls before creation do not count, but the call that created the lead does.

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
    CASE WHEN l.first_success_at < d.as_of THEN 1 ELSE 0 END AS num,
    1 AS den,
    l.excluded_by
FROM calc.leads AS l
JOIN period_days AS d ON d.day = l.local_date
