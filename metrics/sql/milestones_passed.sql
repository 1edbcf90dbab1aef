-- key: milestones_passed
-- number: 15
-- label_ru: Пройденные вехи
-- label_en: Milestones passed
-- unit: points
-- group: activity
-- evidence_class: logged
-- event_time: first pass of the stage
-- credit: owner_at_event
-- additivity: additive
-- entities: manager, team, company
-- facets: crm
-- requires: stages, milestones
-- rules: dup_days, clawback_days
-- counts_until: period
-- description_ru: Баллы milestones.csv за первое прохождение этапов. Сделка, проигранная, удалённая или слитая за clawback_days дней после, возвращает баллы:
--   минусом в периоде потери, тому же, кому они засчитаны.
-- description_en: Points of milestones.csv for first passes of stages. A deal lost, deleted or merged within clawback_days of a pass gives them back:
--   a minus in the period of the loss, to whoever was credited.

SELECT
    d.period,
    'deal' AS record_type,
    m.source,
    m.deal_id AS record_id,
    m.occurred_at,
    m.person_id,
    m.team,
    m.credit_precision,
    m.points AS num,
    m.excluded_by
FROM calc.milestones AS m
JOIN period_days AS d ON d.day = m.local_date
