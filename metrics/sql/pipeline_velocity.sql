-- key: pipeline_velocity
-- number: 40
-- label_ru: Скорость воронки
-- label_en: Pipeline velocity
-- unit: money
-- group: pipeline
-- evidence_class: declared
-- event_time: as_of
-- credit: owner_at_event
-- additivity: derived
-- formula: CASE variant WHEN 'factor=open' THEN coalesce(open, 0) WHEN 'factor=win_rate' THEN coalesce(won, 0) / nullif(ended, 0)
--   WHEN 'factor=avg_check' THEN money / nullif(paid, 0) WHEN 'factor=cycle' THEN days / nullif(cycles, 0)
--   ELSE coalesce(open, 0) * coalesce(won, 0) / nullif(ended, 0) * money / nullif(paid, 0) * cycles / nullif(days, 0) END
-- entities: manager, team, company
-- facets: crm, money
-- requires: stages, stage:won, stage:lost
-- rules: dup_days, paid_threshold, match_days, origin_minutes
-- counts_until: period
-- description_ru: Денег в день: открытые сделки от квалификации × доля выигранных × средний чек / средний цикл в днях, всё на один момент и за начало периода до него.
--   Варианты factor=open, factor=win_rate, factor=avg_check, factor=cycle — сами множители.
-- description_en: Money a day: open deals from qualified on × win rate × average check / mean cycle in days, all at one moment and over the period until it.
--   Variants factor=open, factor=win_rate, factor=avg_check, factor=cycle are the factors themselves.

WITH ended AS (
    SELECT d.period, d.as_of, t.*
    FROM calc.terminal_events AS t JOIN period_days AS d ON d.day = t.local_date AND t.occurred_at < d.as_of
    WHERE t.is_again IS NOT TRUE
    QUALIFY row_number() OVER (PARTITION BY d.period, t.source, t.deal_id ORDER BY t.occurred_at DESC) = 1
),
sold AS (SELECT d.period, d.as_of, s.* FROM calc.sales AS s JOIN period_days AS d ON d.day = s.local_date),
factors AS (
    SELECT p.period, [{'key': 'open', 'num': 1}] AS parts, o.source, o.deal_id, o.valid_from AS occurred_at,
        o.person_id, o.team, o.credit_precision, o.excluded_by
    FROM periods AS p JOIN calc.open_deals AS o ON o.valid_from < p.as_of AND o.valid_to >= p.as_of
    WHERE o.kind IN ('qualified', 'meeting', 'offer', 'invoice')
    UNION ALL BY NAME
    SELECT e.* EXCLUDE (as_of, outcome, pipeline_id, local_date, grace_ends_at, is_again), [{'key': 'ended', 'num': 1}, {'key': 'won',
        'num': if(e.outcome = 'won' AND (SELECT arg_max(p.sign, p.ordinal) FROM calc.paid_deals AS p
            WHERE p.source = e.source AND p.deal_id = e.deal_id AND p.occurred_at < e.as_of) = 1, 1, 0)}] AS parts
    FROM ended AS e
    UNION ALL BY NAME
    SELECT s.period, s.source, s.deal_id, s.occurred_at, s.person_id, s.team, s.credit_precision,
        [{'key': 'paid', 'num': s.sign}, {'key': 'cycles', 'num': if(s.ordinal = 1, 1, 0)},
            {'key': 'days', 'num': if(s.ordinal = 1, s.local_date - s.started_on, 0)}] AS parts
    FROM sold AS s
    UNION ALL BY NAME
    SELECT s.period, s.source, s.deal_id, s.occurred_at, s.person_id, s.team, s.credit_precision,
        [{'key': 'money', 'num': m.amount}] AS parts
    FROM sold AS s JOIN calc.payments AS m ON m.deal_source = s.source AND m.deal_id = s.deal_id
    WHERE s.ordinal = 1 AND m.excluded_by IS NULL AND m.occurred_at < s.as_of
)
SELECT f.* EXCLUDE (part, deal_id), 'deal' AS record_type, f.deal_id AS record_id, v.variant, part.key, part.num
FROM (SELECT * EXCLUDE (parts), unnest(parts) AS part FROM factors) AS f,
    (VALUES (''), ('factor=open'), ('factor=win_rate'), ('factor=avg_check'), ('factor=cycle')) AS v (variant)
