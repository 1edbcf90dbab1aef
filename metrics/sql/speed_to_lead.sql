-- key: speed_to_lead
-- number: 5
-- label_ru: Скорость реакции на лид
-- label_en: Speed to lead
-- unit: working minutes
-- group: leads
-- evidence_class: logged
-- event_time: first attempt
-- credit: owner_at_entry
-- additivity: distribution
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm, calls
-- requires: stage:base, calendar
-- rules: dup_days, origin_minutes, successful_call_seconds, successful_call_seconds_by_pipeline
-- direction: down
-- counts_until: as_of
-- description_ru: Рабочих минут от создания лида до исходящей попытки или принятого входящего, медиана; вне рабочих часов часы стоят.
--   Вариант target=contact — до первого успешного звонка; p95 и target=contact;p95 — 95-й процентиль. Лиды без попытки не в медиане.
-- description_en: Working minutes from a lead's creation to an outbound attempt or answered inbound call, median; out of hours the clock stands.
--   Variant target=contact: to the first successful call; p95 and target=contact;p95: the 95th percentile. Leads without an attempt are not in it.

SELECT
    d.period,
    t.variant,
    'deal' AS record_type,
    l.source,
    l.deal_id AS record_id,
    l.pipeline_id,
    l.created_at AS occurred_at,
    l.person_id,
    l.team,
    l.credit_precision,
    if(t.is_contact, l.success_minutes, l.action_minutes) AS num,
    coalesce(
        l.excluded_by,
        CASE
            WHEN t.is_contact AND coalesce(l.first_success_at >= d.as_of, TRUE) THEN 'no_successful_call'
            WHEN NOT t.is_contact AND coalesce(l.first_action_at >= d.as_of, TRUE) THEN 'no_contact_action'
        END
    ) AS excluded_by
FROM calc.leads AS l
JOIN period_days AS d ON d.day = l.local_date
CROSS JOIN (
    VALUES ('', FALSE), ('p95', FALSE), ('target=contact', TRUE), ('target=contact;p95', TRUE)
) AS t (variant, is_contact)
