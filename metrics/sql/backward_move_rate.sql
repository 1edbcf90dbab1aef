-- key: backward_move_rate
-- number: 24
-- label_ru: Откаты назад
-- label_en: Backward moves
-- unit: ratio
-- group: discipline
-- evidence_class: logged
-- event_time: move
-- credit: owner_at_event
-- additivity: ratio
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm
-- requires: stages
-- direction: down
-- counts_until: period
-- description_ru: Ходы на этап с меньшим порядком или из проигранных ко всем ходам. Создание, проигрыш и переход в другую воронку — не ходы.
-- description_en: Moves to a stage of lower order, or out of lost, over all moves. Creation, loss and a change of pipeline are no moves.

SELECT
    d.period,
    'deal' AS record_type,
    e.source,
    e.deal_id AS record_id,
    e.pipeline_id,
    e.entered_at AS occurred_at,
    e.person_id,
    e.team,
    e.credit_precision,
    CASE WHEN e.position < e.from_position OR e.from_kind = 'lost' THEN 1 ELSE 0 END AS num,
    1 AS den
FROM calc.stage_events AS e
JOIN period_days AS d ON d.day = e.local_date
WHERE e.from_pipeline_id = e.pipeline_id
    AND e.from_stage_id IS NOT NULL
    AND e.kind <> 'lost'
