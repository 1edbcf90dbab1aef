-- key: meetings_held
-- number: 13
-- label_ru: Проведённые встречи
-- label_en: Meetings held
-- unit: deals
-- group: activity
-- evidence_class: logged
-- event_time: first touch of the stage
-- credit: owner_at_event
-- additivity: additive
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm
-- requires: stage:meeting
-- rules: dup_days
-- counts_until: period
-- description_ru: Сделки, впервые вошедшие в этап встречи по журналу CRM. Возврат не повторяет зачёт, пропущенный этап его не даёт.
-- description_en: Deals that first entered a stage of kind meeting by the CRM log. A re-entry does not count again, a skipped stage gives none.

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
    1 AS num,
    k.excluded_by
FROM calc.kind_touches AS k
JOIN period_days AS d ON d.day = k.local_date
WHERE k.kind = 'meeting'
