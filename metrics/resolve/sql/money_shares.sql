-- What each payment's targets ask of it. Refunds wait for the payment they return (money_refunds.sql), unless a person
-- decided. In: money_targets, money_named, money_manual, money_matchable. Out: money_shares, money_parts (the simple
-- ones), money_ledger (everything the split of the others depends on, in order).

CREATE OR REPLACE TEMP TABLE money_shares AS
WITH named AS (
    SELECT source, payment_id, count(*) AS named_count
    FROM money_named WHERE role IN ('invoice', 'order') GROUP BY ALL
),
deals AS (
    SELECT source, payment_id, rule, deal_source, deal_id, min(ordinal) AS ordinal, count(*) AS resolved_count
    FROM money_targets GROUP BY ALL
),
-- Accounting's own division; what it left undivided stands for no deal.
ordered AS (
    SELECT targets.source, targets.payment_id, targets.deal_source, targets.deal_id, sum(orders.amount) AS declared
    FROM money_targets AS targets
    JOIN money_ordered AS orders USING (source, payment_id, ordinal)
    WHERE targets.rule = 'order_id' AND orders.amount IS NOT NULL
    GROUP BY ALL
)
SELECT deals.source, deals.payment_id, deals.rule, deals.deal_source, deals.deal_id, deals.ordinal,
    coalesce(manual.declared, ordered.declared) AS declared,
    payments.paid_on, payments.ends_at, payments.amount, payments.gross, payments.is_refund,
    -- Something named stands for no deal we know: what is left over belongs there, not to the deals we do know.
    CASE deals.rule
        WHEN 'manual' THEN count(manual.declared) OVER one = count(*) OVER one
        WHEN 'order_id' THEN coalesce(sum(ordered.declared) OVER one < abs(payments.amount), FALSE)
        WHEN 'invoice_number' THEN sum(deals.resolved_count) OVER one < coalesce(named.named_count, 0)
        ELSE FALSE
    END AS is_partial,
    count(*) OVER one AS deal_count
FROM deals
JOIN money_matchable AS payments USING (source, payment_id)
LEFT JOIN named USING (source, payment_id)
LEFT JOIN money_manual AS manual
    ON deals.rule = 'manual' AND manual.source = deals.source AND manual.payment_id = deals.payment_id
    AND manual.deal_source = deals.deal_source AND manual.deal_id = deals.deal_id
LEFT JOIN ordered
    ON deals.rule = 'order_id' AND ordered.source = deals.source AND ordered.payment_id = deals.payment_id
    AND ordered.deal_source = deals.deal_source AND ordered.deal_id = deals.deal_id
WHERE NOT payments.is_refund OR deals.rule = 'manual'
WINDOW one AS (PARTITION BY deals.source, deals.payment_id);

CREATE OR REPLACE TEMP TABLE money_parts AS
SELECT source, payment_id, deal_source, deal_id, amount, rule,
    CAST(NULL AS VARCHAR) AS of_source, CAST(NULL AS VARCHAR) AS of_payment_id
FROM money_shares
WHERE deal_count = 1 AND NOT is_partial;

-- Payments to split, with every other receipt of the deals they touch: what a deal still asks depends on the order.
-- (Refunds are not in it: they are tied after the receipts, and a re-paid deal's surplus stays on the last deal.)
CREATE OR REPLACE TEMP TABLE money_ledger AS
WITH touched AS (
    SELECT DISTINCT deal_source, deal_id FROM money_shares WHERE deal_count > 1 OR is_partial
),
as_stood AS (
    SELECT shares.*,
        CASE WHEN amounts.source IS NULL THEN deals.amount ELSE amounts.amount END AS crm_amount, deals.currency
    FROM money_shares AS shares
    SEMI JOIN touched ON touched.deal_source = shares.deal_source AND touched.deal_id = shares.deal_id
    JOIN money_deals AS deals ON deals.source = shares.deal_source AND deals.deal_id = shares.deal_id
    LEFT JOIN money_amounts AS amounts
        ON amounts.source = shares.deal_source AND amounts.deal_id = shares.deal_id
        AND amounts.valid_from <= shares.ends_at AND amounts.valid_to > shares.ends_at
)
SELECT as_stood.source, as_stood.payment_id, as_stood.rule, as_stood.deal_source, as_stood.deal_id,
    as_stood.amount, as_stood.gross, as_stood.declared, as_stood.is_partial,
    as_stood.deal_count > 1 OR as_stood.is_partial AS is_split,
    CASE WHEN orders.deal_id IS NOT NULL THEN orders.due
        WHEN as_stood.currency = settings.currency THEN as_stood.crm_amount
        ELSE CAST(round(as_stood.crm_amount * CAST(rates.rate AS DECIMAL(18, 8)), 2) AS DECIMAL(18, 2)) END AS due
FROM as_stood
CROSS JOIN money_settings AS settings
LEFT JOIN money_order_dues AS orders
    ON orders.deal_source = as_stood.deal_source AND orders.deal_id = as_stood.deal_id
LEFT JOIN core.rates AS rates ON rates.rate_on = as_stood.paid_on AND rates.currency = as_stood.currency
ORDER BY as_stood.paid_on, as_stood.source, as_stood.payment_id,
    as_stood.ordinal, as_stood.deal_source, as_stood.deal_id;
