-- key: plan_attainment
-- number: 41
-- label_ru: Выполнение плана
-- label_en: Plan attainment
-- unit: ratio
-- group: plan
-- evidence_class: as_fact
-- event_time: as its fact
-- credit: as_fact
-- additivity: derived
-- of: plan
-- entities: manager, team, company
-- requires: plans
-- description_ru: Факт к плану, без округления: вариант metric=… называет показатель. Где меньше — лучше (скорость, просрочка), план к факту;
--   факта нет совсем — выполнено с любым превышением. План не больше нуля выполнения не даёт. На экране доля отбрасывается до 0,1 п. п., а не округляется.
--   План новичка с prorate = true берётся за его рабочие дни.
-- description_en: Fact over plan, not rounded; the variant metric=… names the metric. Where less is better (speed, overdue) it is plan over fact,
--   and a fact of zero reaches any cap. A plan that is not positive gives none. On screen the share is cut to 0.1 pp, never rounded up.
--   A newcomer's plan with prorate = true is taken for the days they worked.

SELECT
    metric,
    entity_type,
    entity_id,
    if(direction = 'down', plan, fact) AS num,
    if(direction = 'down', fact, plan) AS den,
    CASE
        WHEN plan <= 0 THEN NULL
        WHEN direction = 'down' AND fact = 0 THEN 'infinity'::DOUBLE
        WHEN direction = 'down' THEN plan / fact
        ELSE fact / plan
    END AS value
FROM planned
WHERE plan IS NOT NULL
