-- key: pipeline_weighted
-- number: 39
-- label_ru: Взвешенная сумма сделок в работе
-- label_en: Weighted amount of open deals
-- unit: money
-- group: pipeline
-- evidence_class: declared
-- event_time: as_of
-- credit: owner_at_event
-- additivity: snapshot
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm, money
-- requires: stages, odds
-- rules: dup_days, paid_threshold, match_days
-- counts_until: period
-- description_ru: Суммы открытых сделок, умноженные на вероятность оплаты с их этапа: своя история за 12 месяцев до месяца, если закрыто 30 сделок и больше,
--   иначе probabilities.csv. Варианты odds=own и odds=configured — сколько держится на той и на другой.
-- description_en: Amounts of open deals times the odds of being paid from their stage: own history of the 12 months before the month where 30 deals closed,
--   else probabilities.csv. Variants odds=own and odds=configured: how much stands on either.

SELECT
    p.period,
    unnest(['', concat('odds=', w.origin)]) AS variant,
    'deal' AS record_type,
    o.source,
    o.deal_id AS record_id,
    o.pipeline_id,
    o.valid_from AS occurred_at,
    o.person_id,
    o.team,
    o.credit_precision,
    o.amount * w.probability AS num,
    coalesce(o.excluded_by, CASE WHEN w.probability IS NULL THEN 'no_odds' END) AS excluded_by
FROM periods AS p
JOIN calc.open_deals AS o ON o.valid_from < p.as_of AND o.valid_to >= p.as_of
LEFT JOIN calc.stage_odds AS w
    ON w.source = o.source AND w.pipeline_id = o.pipeline_id AND w.stage_id = o.stage_id
    -- The month that ends with as_of, not the one that begins there.
    AND w.valid_from < p.as_of AND w.valid_to >= p.as_of
