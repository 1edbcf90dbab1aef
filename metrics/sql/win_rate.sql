-- key: win_rate
-- number: 22
-- label_ru: Доля выигранных
-- label_en: Win rate
-- unit: ratio
-- group: conversion
-- evidence_class: logged
-- event_time: terminal event
-- credit: owner_at_event
-- additivity: ratio
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm, money
-- requires: stage:won, stage:lost
-- rules: paid_threshold, dup_days, match_days
-- counts_until: as_of
-- description_ru: Выигранные и оплаченные к сделкам, завершённым в периоде: выигранным, проигранным, удалённым или слитым открытыми.
--   От сделки — последнее завершение внутри периода, и один выигрыш, пока её не потеряли; выигранная без оплаты остаётся в знаменателе.
-- description_en: Won and paid deals over deals that ended in the period: won, lost, deleted or merged away while open.
--   A deal gives its last ending inside the period, and one win until it is lost; won but unpaid stays in the denominator.

WITH ended AS (
    SELECT
        d.period,
        d.as_of,
        t.*,
        row_number() OVER (
            PARTITION BY d.period, t.source, t.deal_id, t.occurred_at < d.as_of, t.is_again ORDER BY t.occurred_at DESC
        ) = 1 AS is_last
    FROM calc.terminal_events AS t
    JOIN period_days AS d ON d.day = t.local_date
),

paid AS (
    SELECT e.period, e.source, e.deal_id, arg_max(p.sign, p.ordinal) = 1 AS is_paid
    FROM ended AS e
    JOIN calc.paid_deals AS p ON p.source = e.source AND p.deal_id = e.deal_id AND p.occurred_at < e.as_of
    GROUP BY e.period, e.source, e.deal_id
)

SELECT
    e.period,
    'deal' AS record_type,
    e.source,
    e.deal_id AS record_id,
    e.pipeline_id,
    e.occurred_at,
    e.person_id,
    e.team,
    e.credit_precision,
    CASE WHEN e.outcome = 'won' AND p.is_paid THEN 1 ELSE 0 END AS num,
    1 AS den,
    coalesce(
        e.excluded_by,
        CASE WHEN e.is_again THEN 'won_again' WHEN NOT e.is_last THEN 'later_outcome' END
    ) AS excluded_by
FROM ended AS e
LEFT JOIN paid AS p ON p.period = e.period AND p.source = e.source AND p.deal_id = e.deal_id
