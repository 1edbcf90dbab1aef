-- key: stage_skip_rate
-- number: 23
-- label_ru: Пропуск этапов
-- label_en: Skipped stages
-- unit: ratio
-- group: discipline
-- evidence_class: logged
-- event_time: first pass of the stage
-- credit: owner_at_event
-- additivity: ratio
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm
-- requires: stages
-- rules: dup_days
-- direction: down
-- counts_until: as_of
-- description_ru: По сделкам, впервые прошедшим базовый этап в периоде: пройденные этапы, в которые сделка сама не входила, ко всем пройденным
--   между базовым и «успешно». Вариант stage=… — один этап.
-- description_en: Of the deals that first passed the base stage in the period: stages passed without the deal ever standing in them, over all
--   stages passed between base and won. Variant stage=… is one stage.

WITH cohort AS (
    SELECT d.period, d.as_of, b.source, b.deal_id, b.pipeline_id
    FROM calc.stage_passes AS b
    JOIN period_days AS d ON d.day = b.local_date
    -- Of several base stages the first one makes the cohort.
    WHERE b.kind = 'base' AND b.is_first_of_kind
)

SELECT
    c.period,
    unnest(['', concat('source=', s.source, ';stage=', s.stage_id)]) AS variant,
    unnest(['', s.pipeline_id]) AS pipeline,
    'deal' AS record_type,
    s.source,
    s.deal_id AS record_id,
    s.pipeline_id,
    s.passed_at AS occurred_at,
    s.person_id,
    s.team,
    s.credit_precision,
    CASE WHEN s.touched_at < c.as_of THEN 0 ELSE 1 END AS num,
    1 AS den,
    s.excluded_by
FROM cohort AS c
JOIN later_passes AS s
    ON s.source = c.source AND s.deal_id = c.deal_id AND s.pipeline_id = c.pipeline_id
    AND s.kind NOT IN ('base', 'won', 'service', 'paid')
