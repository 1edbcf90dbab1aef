-- Which deals a payment speaks of, by a person's decision or by documents, and the choice of each rule.
-- In: money_matchable, money_deals, money_orders, money_documents, calc.payment_numbers, core.matches.
-- Out: money_named, money_payers, money_ordered, money_pairs (every piece of evidence), money_targets (what books the
-- money).

CREATE OR REPLACE TEMP TABLE money_rules AS
SELECT * FROM (VALUES ('manual', 1), ('order_id', 2), ('invoice_number', 3), ('contract_number', 4),
    ('tax_id_amount', 5), ('tax_id_only', 6), ('amount_only', 7)) AS rules(rule, strength);

-- Numbers a payment names. What accounting itself wrote stands over the purpose, unless the purpose lists it among
-- others; an order's number counts only where no invoice is named (both stand for one document).
CREATE OR REPLACE TEMP TABLE money_named AS
WITH in_text AS (
    SELECT numbers.source, numbers.payment_id, min(numbers.ordinal) AS ordinal, numbers.role,
        numbers.number_key, any_value(numbers.short_key) AS short_key, max(numbers.issued_on) AS issued_on
    FROM calc.payment_numbers AS numbers
    SEMI JOIN money_matchable AS payments USING (source, payment_id)
    WHERE numbers.number_key IS NOT NULL
    GROUP BY numbers.source, numbers.payment_id, numbers.role, numbers.number_key
),
in_document AS (
    SELECT documents.source, documents.payment_id, CAST(0 AS BIGINT) AS ordinal, documents.role,
        keys.number_key, keys.short_key, CAST(NULL AS DATE) AS issued_on
    FROM (
        SELECT DISTINCT source, payment_id, 'invoice' AS role, invoice_number AS number FROM money_evidence
        UNION ALL
        SELECT DISTINCT source, payment_id, 'contract' AS role, contract_number AS number FROM money_evidence
    ) AS documents
    SEMI JOIN money_matchable AS payments USING (source, payment_id)
    JOIN calc.number_keys AS keys ON keys.number = documents.number
),
unlisted AS (
    SELECT * FROM in_document ANTI JOIN in_text USING (source, payment_id, role, number_key)
),
named AS (
    SELECT * FROM in_text ANTI JOIN unlisted USING (source, payment_id, role)
    UNION ALL
    SELECT * FROM unlisted
)
SELECT * FROM named WHERE role <> 'order'
UNION ALL
SELECT named.* FROM named
ANTI JOIN (SELECT source, payment_id FROM named WHERE role = 'invoice') AS invoiced USING (source, payment_id)
WHERE named.role = 'order';

-- Who pays, and for whom if the purpose says so ("за ООО … ИНН …").
CREATE OR REPLACE TEMP TABLE money_payers AS
SELECT payments.source, payments.payment_id,
    list_distinct(list_concat(
        CASE WHEN payments.tax_key IS NULL THEN CAST([] AS VARCHAR[]) ELSE [payments.tax_key] END,
        coalesce(quoted.tax_keys, CAST([] AS VARCHAR[]))
    )) AS tax_keys
FROM money_matchable AS payments
LEFT JOIN (
    SELECT source, payment_id, list(number_key) AS tax_keys
    FROM money_named WHERE role = 'tax_id' GROUP BY source, payment_id
) AS quoted ON quoted.source = payments.source AND quoted.payment_id = payments.payment_id;

-- A person's decision was taken on the money: it follows the counted copy when another channel became the authority.
-- A decision that names a deal or payment nobody knows is reported and waits.
CREATE OR REPLACE TEMP TABLE money_manual AS
SELECT coalesce(payments.same_as_source, payments.source) AS source,
    coalesce(payments.same_as_payment_id, payments.payment_id) AS payment_id,
    deals.source AS deal_source, deals.deal_id, max(matches.amount) AS declared
FROM core.matches AS matches
JOIN money_payments AS payments USING (source, payment_id)
JOIN money_deals AS deals ON deals.source = matches.deal_source AND deals.deal_id = matches.deal_id
GROUP BY ALL;

-- The orders a payment stands for in accounting, one an `ordinal`: as accounting itself divided it, else the one on it.
CREATE OR REPLACE TEMP TABLE money_ordered AS
WITH divided AS (
    SELECT coalesce(copies.same_as_source, parts.source) AS source,
        coalesce(copies.same_as_payment_id, parts.payment_id) AS payment_id,
        parts.order_id, max(abs(parts.amount)) AS amount
    FROM core.payment_parts AS parts
    LEFT JOIN money_copies AS copies ON copies.source = parts.source AND copies.payment_id = parts.payment_id
    GROUP BY ALL
),
whole AS (
    SELECT source, payment_id, min(order_id) AS order_id
    FROM money_evidence WHERE order_id IS NOT NULL GROUP BY source, payment_id
)
SELECT source, payment_id, order_id, amount,
    row_number() OVER (PARTITION BY source, payment_id ORDER BY order_id) - 1 AS ordinal
FROM (
    SELECT * FROM divided
    UNION ALL
    SELECT *, CAST(NULL AS DECIMAL(18, 2)) FROM whole
    ANTI JOIN divided USING (source, payment_id)
);

-- `tier` orders the evidence within a rule, the lower the surer; NULL = unconfirmed, for a person's eyes only.
CREATE OR REPLACE TEMP TABLE money_pairs AS
WITH manual AS (
    SELECT source, payment_id, 'manual' AS rule, CAST(0 AS BIGINT) AS ordinal, deal_source, deal_id, 1 AS tier
    FROM money_manual
),
order_id AS (
    SELECT ordered.source, ordered.payment_id, 'order_id' AS rule, ordered.ordinal,
        owed.deal_source, owed.deal_id, 1 AS tier
    FROM money_ordered AS ordered
    JOIN (
        SELECT source AS deal_source, deal_id, order_id FROM money_deals
        UNION
        SELECT deal_source, deal_id, order_id FROM money_orders
    ) AS owed ON owed.order_id = ordered.order_id
),
numbered AS (
    SELECT named.source, named.payment_id, named.ordinal, documents.deal_source, documents.deal_id,
        documents.number_key = named.number_key AS is_full,
        coalesce(documents.issued_on = named.issued_on, FALSE) AS is_dated,
        list_has_any(payers.tax_keys, deals.tax_keys)
            OR coalesce(list_contains(payers.tax_keys, documents.tax_key), FALSE) AS is_payer,
        year(coalesce(named.issued_on, payments.paid_on)) AS named_year,
        named.issued_on IS NULL AS is_undated, documents.first_year, documents.last_year
    FROM money_named AS named
    JOIN money_documents AS documents ON documents.short_key = named.short_key
    JOIN money_matchable AS payments ON payments.source = named.source AND payments.payment_id = named.payment_id
    JOIN money_payers AS payers ON payers.source = named.source AND payers.payment_id = named.payment_id
    JOIN money_deals AS deals ON deals.source = documents.deal_source AND deals.deal_id = documents.deal_id
    WHERE named.role = 'invoice' OR (named.role = 'order' AND documents.is_accounting)
),
in_year AS (
    SELECT *,
        named_year BETWEEN coalesce(first_year, named_year) AND coalesce(last_year, named_year) AS is_year,
        -- A number without a date, paid in January, may well be December's.
        is_undated AND named_year - 1 BETWEEN coalesce(first_year, named_year - 1)
            AND coalesce(last_year, named_year - 1) AS is_last_year
    FROM numbered
),
invoice_number AS (
    SELECT source, payment_id, 'invoice_number' AS rule, ordinal, deal_source, deal_id,
        CASE
            WHEN is_payer AND is_dated THEN 1
            WHEN is_payer AND is_year AND is_full THEN 2
            WHEN is_payer AND is_year THEN 3
            WHEN is_dated AND is_full THEN 4
            WHEN is_dated THEN 5
            WHEN is_full AND is_year THEN 6
            WHEN is_full AND is_last_year THEN 7
            WHEN is_payer AND is_full THEN 8
            WHEN is_payer THEN 9
        END AS tier
    FROM in_year
),
contract_number AS (
    SELECT named.source, named.payment_id, 'contract_number' AS rule, CAST(0 AS BIGINT) AS ordinal,
        deals.source AS deal_source, deals.deal_id,
        CASE WHEN list_has_any(payers.tax_keys, deals.tax_keys) THEN 1
            WHEN deals.contract_key = named.number_key THEN 2 END AS tier
    FROM money_named AS named
    JOIN money_deals AS deals ON deals.contract_short = named.short_key
    JOIN money_payers AS payers ON payers.source = named.source AND payers.payment_id = named.payment_id
    WHERE named.role = 'contract'
        AND (len(payers.tax_keys) = 0 OR len(deals.tax_keys) = 0 OR list_has_any(payers.tax_keys, deals.tax_keys))
)
SELECT pairs.source, pairs.payment_id, pairs.rule, any_value(rules.strength) AS strength, pairs.ordinal,
    pairs.deal_source, pairs.deal_id, min(pairs.tier) AS tier, any_value(deals.is_deleted) AS is_deleted
FROM (
    SELECT * FROM manual UNION ALL SELECT * FROM order_id
    UNION ALL SELECT * FROM invoice_number UNION ALL SELECT * FROM contract_number
) AS pairs
JOIN money_rules AS rules ON rules.rule = pairs.rule
JOIN money_deals AS deals ON deals.source = pairs.deal_source AND deals.deal_id = pairs.deal_id
SEMI JOIN money_matchable AS payments
    ON payments.source = pairs.source AND payments.payment_id = pairs.payment_id
GROUP BY pairs.source, pairs.payment_id, pairs.rule, pairs.ordinal, pairs.deal_source, pairs.deal_id;

-- A rule decides where its surest evidence names one deal; of a merged pair the one that still stands. A weaker rule
-- may only choose among what stronger evidence left open, never against it.
CREATE OR REPLACE TEMP TABLE money_targets AS
WITH surest AS (
    SELECT * FROM money_pairs WHERE tier IS NOT NULL
    QUALIFY rank() OVER (
        PARTITION BY source, payment_id, rule, ordinal
        ORDER BY tier, CASE WHEN rule = 'manual' THEN FALSE ELSE is_deleted END
    ) = 1
),
decided AS (
    SELECT * FROM surest
    QUALIFY rule = 'manual' OR count(*) OVER (PARTITION BY source, payment_id, rule, ordinal) = 1
),
allowed AS (
    SELECT decided.* FROM decided
    LEFT JOIN (
        SELECT source, payment_id, deal_source, deal_id, min(strength) AS strength FROM money_pairs
        WHERE tier IS NOT NULL GROUP BY ALL
    ) AS known USING (source, payment_id, deal_source, deal_id)
    JOIN (
        SELECT source, payment_id, min(strength) AS strength FROM money_pairs
        WHERE tier IS NOT NULL GROUP BY ALL
    ) AS strongest USING (source, payment_id)
    WHERE known.strength = strongest.strength OR decided.strength = strongest.strength
)
SELECT source, payment_id, rule, ordinal, deal_source, deal_id FROM allowed
QUALIFY strength = min(strength) OVER (PARTITION BY source, payment_id);
