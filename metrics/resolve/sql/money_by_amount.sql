-- Payments no document decided: payer's taxpayer id and exact amount, while the deal is open or near its invoice or win.
-- In: money_matchable, money_deals, money_payers, money_pairs, money_targets, next_stage_events.
-- Out: money_weak_pairs; adds to money_targets.

CREATE OR REPLACE TEMP TABLE money_open AS
SELECT payments.source, payments.payment_id, payments.paid_on, payments.ends_at,
    payments.currency || ' ' || payments.amount AS asked, payers.tax_keys
FROM money_matchable AS payments
JOIN money_payers AS payers USING (source, payment_id)
ANTI JOIN money_targets AS targets USING (source, payment_id)
WHERE NOT payments.is_refund AND payments.paid_on IS NOT NULL;

-- What accounting asks for a deal: each of its documents, or all together. Only without documents the CRM's amount.
CREATE OR REPLACE TEMP TABLE money_asked AS
SELECT deal_source, deal_id, currency || ' ' || amount AS asked
FROM money_orders WHERE amount > 0
UNION
SELECT deal_source, deal_id, currency || ' ' || CAST(sum(amount) AS DECIMAL(18, 2)) AS asked
FROM money_counted_orders WHERE amount > 0 GROUP BY deal_source, deal_id, currency;

CREATE OR REPLACE TEMP TABLE money_tax_suspects AS
SELECT DISTINCT taxed.tax_key, taxed.source AS deal_source, taxed.deal_id
FROM (SELECT source, deal_id, unnest(tax_keys) AS tax_key FROM money_deals) AS taxed
SEMI JOIN (SELECT unnest(tax_keys) AS tax_key FROM money_open) AS payers ON payers.tax_key = taxed.tax_key;

-- An amount that many deals share (a price list's) points at none of them, and listing them all would be quadratic.
CREATE OR REPLACE TEMP TABLE money_amount_suspects AS
WITH amounts AS (
    SELECT source AS deal_source, deal_id, currency || ' ' || amount AS asked FROM money_deals
    ANTI JOIN money_order_dues AS dues ON dues.deal_source = money_deals.source AND dues.deal_id = money_deals.deal_id
    WHERE amount > 0
    UNION
    SELECT deal_source, deal_id, asked FROM money_asked
)
SELECT amounts.* FROM amounts
SEMI JOIN money_open AS payments ON payments.asked = amounts.asked
QUALIFY count(*) OVER (PARTITION BY amounts.asked) <= 50;

-- Turns of a suspect deal between open and closed, by the log; by the editable times only where the log has nothing.
CREATE OR REPLACE TEMP TABLE money_turns AS
WITH suspects AS (
    SELECT deal_source AS source, deal_id FROM money_tax_suspects
    UNION
    SELECT deal_source, deal_id FROM money_amount_suspects
),
staged AS (
    SELECT events.source, events.deal_id, events.entered_at AS occurred_at, events.local_date,
        events.ordinal AS place, coalesce(events.kind, stages.system_kind, '') AS kind
    FROM next_stage_events AS events
    SEMI JOIN suspects ON suspects.source = events.source AND suspects.deal_id = events.deal_id
    LEFT JOIN core.pipeline_stages AS stages
        ON stages.source = events.source AND stages.pipeline_id = events.pipeline_id
        AND stages.stage_id = events.stage_id
),
unlogged AS (
    SELECT deals.source, deals.deal_id, deals.created_at AS occurred_at, deals.created_on AS local_date,
        1 AS place, '' AS kind, TRUE AS is_open
    FROM money_deals AS deals
    WHERE deals.created_at IS NOT NULL
    UNION ALL
    SELECT deals.source, deals.deal_id, deals.closed_at, deals.closed_on, 2 AS place,
        coalesce(stages.system_kind, '') AS kind, FALSE AS is_open
    FROM money_deals AS deals
    LEFT JOIN core.pipeline_stages AS stages
        ON stages.source = deals.source AND stages.pipeline_id = deals.pipeline_id
        AND stages.stage_id = deals.stage_id
    WHERE deals.closed_at IS NOT NULL
),
turns AS (
    SELECT *, kind NOT IN ('won', 'lost') AS is_open, TRUE AS is_alive FROM staged
    UNION ALL
    SELECT unlogged.*, TRUE AS is_alive FROM unlogged
    SEMI JOIN suspects USING (source, deal_id)
    ANTI JOIN staged USING (source, deal_id)
    UNION ALL
    SELECT events.source, events.deal_id, events.occurred_at,
        CAST(timezone(settings.zone, events.occurred_at) AS DATE) AS local_date,
        1000000 AS place, '' AS kind, CAST(NULL AS BOOLEAN) AS is_open, events.event_type = 'restored' AS is_alive
    FROM core.deal_events AS events
    SEMI JOIN suspects ON suspects.source = events.source AND suspects.deal_id = events.deal_id
    CROSS JOIN money_settings AS settings
    WHERE events.event_type IN ('deleted', 'restored', 'merged')
)
-- A restored deal stands where it stood.
SELECT source, deal_id, occurred_at, local_date, place, kind,
    is_alive AND coalesce(last_value(is_open IGNORE NULLS) OVER deal, TRUE) AS is_open
FROM turns
WINDOW deal AS (
    PARTITION BY source, deal_id ORDER BY occurred_at, place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
);

-- Days on which a payment may belong to the deal. A day counts as its end, so the closing day itself is closed.
CREATE OR REPLACE TEMP TABLE money_windows AS
WITH spans AS (
    SELECT source, deal_id, is_open, local_date AS from_on,
        coalesce(lead(local_date) OVER turns - 1, DATE '9999-12-31') AS to_on
    FROM money_turns
    WINDOW turns AS (PARTITION BY source, deal_id ORDER BY occurred_at, place)
),
marks AS (
    SELECT source, deal_id, local_date AS marked_on FROM money_turns WHERE kind = 'won'
    UNION
    SELECT deal_source, deal_id, issued_on FROM money_orders WHERE issued_on IS NOT NULL
    UNION
    SELECT source, deal_id, min(local_date) FROM money_turns
    ANTI JOIN money_orders AS orders
        ON orders.deal_source = money_turns.source AND orders.deal_id = money_turns.deal_id
        AND orders.issued_on IS NOT NULL
    WHERE kind = 'invoice' GROUP BY source, deal_id
)
SELECT source AS deal_source, deal_id, from_on, to_on FROM spans WHERE is_open AND from_on <= to_on
UNION
SELECT source, deal_id, marked_on - settings.match_days, marked_on + settings.match_days
FROM marks CROSS JOIN money_settings AS settings;

CREATE OR REPLACE TEMP TABLE money_weak_pairs AS
WITH by_tax AS (
    SELECT DISTINCT payments.source, payments.payment_id, payments.ends_at, payments.asked,
        suspects.deal_source, suspects.deal_id
    FROM (SELECT * EXCLUDE (tax_keys), unnest(tax_keys) AS tax_key FROM money_open) AS payments
    JOIN money_tax_suspects AS suspects ON suspects.tax_key = payments.tax_key
    SEMI JOIN money_windows AS windows
        ON windows.deal_source = suspects.deal_source AND windows.deal_id = suspects.deal_id
        AND payments.paid_on BETWEEN windows.from_on AND windows.to_on
),
as_stood AS (
    SELECT by_tax.*, deals.currency || ' ' || CASE WHEN amounts.source IS NULL THEN deals.amount
        ELSE amounts.amount END AS crm_asked
    FROM by_tax
    JOIN money_deals AS deals ON deals.source = by_tax.deal_source AND deals.deal_id = by_tax.deal_id
    LEFT JOIN money_amounts AS amounts
        ON amounts.source = by_tax.deal_source AND amounts.deal_id = by_tax.deal_id
        AND amounts.valid_from <= by_tax.ends_at AND amounts.valid_to > by_tax.ends_at
),
exact AS (
    SELECT as_stood.source, as_stood.payment_id, as_stood.deal_source, as_stood.deal_id,
        coalesce(CASE WHEN asked.amounts IS NULL THEN as_stood.crm_asked = as_stood.asked
            ELSE list_contains(asked.amounts, as_stood.asked) END, FALSE) AS is_exact
    FROM as_stood
    LEFT JOIN (SELECT deal_source, deal_id, list(asked) AS amounts FROM money_asked GROUP BY ALL) AS asked
        USING (deal_source, deal_id)
),
by_amount AS (
    SELECT DISTINCT payments.source, payments.payment_id, suspects.deal_source, suspects.deal_id
    FROM money_open AS payments
    JOIN money_amount_suspects AS suspects ON suspects.asked = payments.asked
    SEMI JOIN money_windows AS windows
        ON windows.deal_source = suspects.deal_source AND windows.deal_id = suspects.deal_id
        AND payments.paid_on BETWEEN windows.from_on AND windows.to_on
    ANTI JOIN exact ON exact.source = payments.source AND exact.payment_id = payments.payment_id
        AND exact.deal_source = suspects.deal_source AND exact.deal_id = suspects.deal_id
)
SELECT source, payment_id, CASE WHEN is_exact THEN 'tax_id_amount' ELSE 'tax_id_only' END AS rule,
    CASE WHEN is_exact THEN 1 END AS tier, deal_source, deal_id
FROM exact
UNION ALL
SELECT source, payment_id, 'amount_only' AS rule, CAST(NULL AS INTEGER) AS tier, deal_source, deal_id FROM by_amount;

-- Exactly one candidate; and where documents named several deals, one of those.
INSERT INTO money_targets
WITH sole AS (
    SELECT pairs.* FROM money_weak_pairs AS pairs
    JOIN money_deals AS deals ON deals.source = pairs.deal_source AND deals.deal_id = pairs.deal_id
    WHERE pairs.rule = 'tax_id_amount'
    QUALIFY rank() OVER (PARTITION BY pairs.source, pairs.payment_id ORDER BY deals.is_deleted) = 1
)
SELECT sole.source, sole.payment_id, sole.rule, 0 AS ordinal, sole.deal_source, sole.deal_id
FROM (SELECT * FROM sole QUALIFY count(*) OVER (PARTITION BY source, payment_id) = 1) AS sole
LEFT JOIN (SELECT source, payment_id, min(strength) AS strength FROM money_pairs WHERE tier IS NOT NULL GROUP BY ALL)
    AS strongest ON strongest.source = sole.source AND strongest.payment_id = sole.payment_id
LEFT JOIN money_pairs AS pairs
    ON pairs.source = sole.source AND pairs.payment_id = sole.payment_id AND pairs.strength = strongest.strength
    AND pairs.deal_source = sole.deal_source AND pairs.deal_id = sole.deal_id AND pairs.tier IS NOT NULL
WHERE strongest.strength IS NULL OR pairs.deal_id IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY sole.source, sole.payment_id ORDER BY pairs.ordinal) = 1;
