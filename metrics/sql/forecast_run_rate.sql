-- key: forecast_run_rate
-- number: 42
-- label_ru: Прогноз по темпу
-- label_en: Run-rate forecast
-- unit: as_fact
-- group: plan
-- evidence_class: as_fact
-- event_time: as its fact
-- credit: as_fact
-- additivity: derived
-- of: plan
-- entities: manager, team, company
-- description_ru: Факт × рабочие дни периода / прошедшие рабочие дни; вариант metric=… называет показатель. После конца периода прогноз равен факту.
--   Доли и медианы не растут со временем: их прогноз — текущее значение. У состояний на дату и числа разных прогноза нет.
--   Отпуск из absences.csv меняет дни только этого сотрудника.
-- description_en: Fact × the period's working days / those elapsed; the variant metric=… names the metric. Past the period's end it is the fact.
--   Ratios and medians don't grow with time: their forecast is the present value. States at a date and distinct counts have none.
--   An absence of absences.csv shifts the days of that person alone.

SELECT
    metric,
    entity_type,
    entity_id,
    NULL AS num,
    NULL AS den,
    CASE
        WHEN additivity IN ('ratio', 'distribution') THEN fact
        WHEN additivity <> 'additive' THEN NULL
        WHEN is_over THEN fact
        WHEN days_elapsed > 0 THEN fact * days_total / days_elapsed
    END AS value
FROM planned
WHERE plan IS NOT NULL OR additivity = 'additive'
