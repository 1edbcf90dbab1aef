-- Deals a person may choose from, for payments that are not wholly booked. At most ten a payment, surest first.
-- In: money_pairs, money_weak_pairs, money_rows. Out: next_match_candidates.

CREATE OR REPLACE TEMP TABLE next_match_candidates AS
WITH unbooked AS (
    SELECT source, payment_id FROM money_rows
    WHERE deal_id = '' AND (excluded_by IS NULL OR excluded_by = 'no_rate')
),
pairs AS (
    SELECT source, payment_id, deal_source, deal_id, rule, tier FROM money_pairs
    UNION ALL
    SELECT source, payment_id, deal_source, deal_id, rule, tier FROM money_weak_pairs
),
surest AS (
    SELECT pairs.source, pairs.payment_id, pairs.deal_source, pairs.deal_id,
        pairs.rule, rules.strength, coalesce(pairs.tier, 99) AS tier
    FROM pairs
    SEMI JOIN unbooked ON unbooked.source = pairs.source AND unbooked.payment_id = pairs.payment_id
    ANTI JOIN money_parts AS parts
        ON parts.source = pairs.source AND parts.payment_id = pairs.payment_id
        AND parts.deal_source = pairs.deal_source AND parts.deal_id = pairs.deal_id
    JOIN money_rules AS rules ON rules.rule = pairs.rule
    QUALIFY row_number() OVER (
        PARTITION BY pairs.source, pairs.payment_id, pairs.deal_source, pairs.deal_id
        ORDER BY rules.strength, coalesce(pairs.tier, 99)
    ) = 1
)
SELECT source, payment_id, deal_source, deal_id, rule FROM surest
QUALIFY row_number() OVER (
    PARTITION BY source, payment_id ORDER BY strength, tier, deal_source, deal_id
) <= 10;
