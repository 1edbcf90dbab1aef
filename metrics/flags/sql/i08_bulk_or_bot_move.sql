-- key: I-08
-- label_ru: Массовый или автоматический перевод
-- label_en: Bulk or bot move
-- rule_ru: Сделку двигал робот; или один пользователь за quick_move_seconds перевёл bulk_move_deals сделок и больше;
--   или сделка за quick_move_seconds прошла quick_moves этапов и больше. Ход считается, зачёт — ответственному.
-- rule_en: A robot moved the deal; or one user moved bulk_move_deals deals or more within quick_move_seconds;
--   or the deal entered quick_moves stages or more within quick_move_seconds. The move counts, to the responsible person.
-- detail_ru: robot: Переведена роботом {moved_at}. | bulk: Переведена {moved_at} массово, сделок за минуту: {count}.
--   | quick: Этапов подряд за минуту: {count}, последний {moved_at}.
-- detail_en: robot: Moved by a robot at {moved_at}. | bulk: Moved in bulk at {moved_at}, deals within a minute: {count}.
--   | quick: Stages within a minute: {count}, the last at {moved_at}.
-- facets: crm
-- rules: bulk_move_deals, quick_moves, quick_move_seconds
-- counts_until: period

WITH moves AS (
    SELECT d.period, l.bulk_move_deals, l.quick_moves, e.*,
        count(*) OVER (PARTITION BY d.period, e.source, e.deal_id ORDER BY e.entered_at
            RANGE BETWEEN to_seconds(l.quick_move_seconds) PRECEDING AND CURRENT ROW) AS stages,
        count(DISTINCT e.deal_id) FILTER (e.from_stage_id IS NOT NULL)
            OVER (PARTITION BY d.period, e.source, e.user_id ORDER BY e.entered_at
            RANGE BETWEEN CURRENT ROW AND to_seconds(l.quick_move_seconds) FOLLOWING) AS deals,
        to_seconds(l.quick_move_seconds) AS window_length
    FROM calc.stage_events AS e
    JOIN period_days AS d ON d.day = e.local_date AND e.entered_at < d.as_of
    CROSS JOIN limits AS l
),

judged AS (
    SELECT *,
        -- The fullest window that began before the move holds it too.
        max(deals) OVER (PARTITION BY period, source, user_id ORDER BY entered_at
            RANGE BETWEEN window_length PRECEDING AND CURRENT ROW) AS together
    FROM moves
)

SELECT
    period, 'deal' AS record_type, source, deal_id AS record_id, entered_at AS occurred_at, person_id,
    source AS deal_source, deal_id, entered_at AS moved_at,
    CASE WHEN stages >= quick_moves THEN 'quick' WHEN user_id = '0' THEN 'robot' ELSE 'bulk' END AS form,
    if(stages >= quick_moves, stages, together) AS count
FROM judged
WHERE stages >= quick_moves
    OR from_stage_id IS NOT NULL AND (user_id = '0' OR user_id IS NOT NULL AND together >= bulk_move_deals)
QUALIFY row_number() OVER (PARTITION BY period, source, deal_id ORDER BY stages >= quick_moves DESC, entered_at DESC) = 1
