-- key: time_in_stage
-- number: 25
-- label_ru: Время на этапе
-- label_en: Time in stage
-- unit: working hours
-- group: discipline
-- evidence_class: logged
-- event_time: exit
-- credit: owner_at_event
-- additivity: distribution
-- entities: manager, team, company
-- facets: crm
-- requires: stages, calendar
-- rules: dup_days
-- direction: down
-- counts_until: period
-- description_ru: Рабочих часов сделки на этапе за все заходы, медиана; считается в периоде последнего выхода. Без варианта — все этапы до «успешно»,
--   вариант stage=… — один, p95 — 95-й процентиль. Заход, который ещё длится, не входит: его показывает stage_age; заход, оборванный
--   удалением или слиянием сделки, не входит тоже. Медиана падает, если молодые сделки закрыть проигрышем: смотрите рядом с win_rate.
-- description_en: Working hours of a deal in a stage over all its visits, median; booked in the period of the last exit. Plain: all stages before won,
--   variant stage=… is one, p95 the 95th percentile. A stay that goes on is not in it (stage_age shows it), nor one that a deletion or
--   merge cut off. Losing young deals lowers the median: read it beside win_rate.

WITH exits AS (
    SELECT
        d.period,
        t.*,
        -- The last exit inside the period, as records stand at as_of.
        row_number() OVER (
            PARTITION BY d.period, t.source, t.deal_id, t.pipeline_id, t.stage_id, t.left_at < d.as_of, t.excluded_by IS NULL
            ORDER BY t.left_at DESC
        ) = 1 AS is_last,
        concat('source=', t.source, ';stage=', t.stage_id) AS stage
    FROM calc.stage_times AS t
    JOIN period_days AS d ON d.day = t.local_date
)

SELECT
    e.period,
    unnest(['', 'p95', e.stage, concat(e.stage, ';p95')]) AS variant,
    unnest(['', '', e.pipeline_id, e.pipeline_id]) AS pipeline,
    'deal' AS record_type,
    e.source,
    e.deal_id AS record_id,
    e.left_at AS occurred_at,
    e.person_id,
    e.team,
    e.credit_precision,
    e.total_hours AS num,
    coalesce(e.excluded_by, CASE WHEN NOT e.is_last THEN 'later_exit' END) AS excluded_by
FROM exits AS e
