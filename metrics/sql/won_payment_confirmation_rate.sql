-- key: won_payment_confirmation_rate
-- number: 44
-- label_ru: Подтверждённые «успешно»
-- label_en: Wins confirmed by payment
-- unit: ratio
-- group: discipline
-- evidence_class: logged
-- event_time: won event
-- credit: owner_at_event
-- additivity: ratio
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm, money
-- requires: stage:won, calendar
-- rules: dup_days, paid_threshold, match_days, grace_days
-- counts_until: as_of
-- description_ru: Сделки, выигранные в периоде и оплаченные, ко всем выигранным в нём. Выигранные меньше grace_days рабочих дней назад не в счёте, оплачены они или нет.
-- description_en: Deals won in the period that are paid, over all won in it. Deals won less than grace_days working days ago are in neither, paid or not.

WITH won AS (
    SELECT
        d.period,
        d.as_of,
        t.*,
        row_number() OVER (
            PARTITION BY d.period, t.source, t.deal_id, t.occurred_at < d.as_of, t.is_again ORDER BY t.occurred_at DESC
        ) = 1 AS is_last
    FROM calc.terminal_events AS t
    JOIN period_days AS d ON d.day = t.local_date
    WHERE t.outcome = 'won'
),

paid AS (
    SELECT w.period, w.source, w.deal_id, arg_max(p.sign, p.ordinal) = 1 AS is_paid
    FROM won AS w
    JOIN calc.paid_deals AS p ON p.source = w.source AND p.deal_id = w.deal_id AND p.occurred_at < w.as_of
    GROUP BY w.period, w.source, w.deal_id
)

SELECT
    w.period,
    'deal' AS record_type,
    w.source,
    w.deal_id AS record_id,
    w.pipeline_id,
    w.occurred_at,
    w.person_id,
    w.team,
    w.credit_precision,
    CASE WHEN p.is_paid THEN 1 ELSE 0 END AS num,
    1 AS den,
    coalesce(
        w.excluded_by,
        CASE WHEN w.is_again OR NOT w.is_last THEN 'won_again' WHEN w.grace_ends_at > w.as_of THEN 'pending' END
    ) AS excluded_by
FROM won AS w
LEFT JOIN paid AS p ON p.period = w.period AND p.source = w.source AND p.deal_id = w.deal_id
