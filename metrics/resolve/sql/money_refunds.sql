-- The payment each refund returns: by the named payment order of the same payer, else the latest earlier payment of the
-- named deal (the same payer's first), else that payer's latest earlier payment of a deal.
-- In: money_matchable, money_named, money_targets, money_parts. Out: adds the refunds to money_parts.

CREATE OR REPLACE TEMP TABLE money_payer_keys AS
SELECT source, payment_id, 't:' || tax_key AS payer, 1 AS rank FROM money_matchable WHERE tax_key IS NOT NULL
UNION ALL
SELECT source, payment_id, 'a:' || account AS payer, 2 AS rank FROM money_matchable WHERE account IS NOT NULL
UNION ALL
-- Names are shared by strangers: they count where nothing better is known of the refund's receiver.
SELECT source, payment_id, 'n:' || name AS payer, 3 AS rank FROM money_matchable
WHERE name IS NOT NULL AND (NOT is_refund OR (tax_key IS NULL AND account IS NULL));

-- The deal a refund names, if its documents or a person named one.
CREATE OR REPLACE TEMP TABLE money_refund_deals AS
SELECT targets.source, targets.payment_id, targets.rule, targets.deal_source, targets.deal_id
FROM money_targets AS targets
JOIN money_matchable AS payments USING (source, payment_id)
WHERE payments.is_refund
QUALIFY targets.rule = 'manual' OR row_number() OVER (
    PARTITION BY targets.source, targets.payment_id
    ORDER BY targets.ordinal, targets.deal_source, targets.deal_id
) = 1;

-- Where to look for the returned payment: keys to try, the surest first.
CREATE OR REPLACE TEMP TABLE money_tries AS
WITH refunds AS (
    SELECT source, payment_id, paid_on FROM money_matchable WHERE is_refund AND paid_on IS NOT NULL
),
ordered AS (
    SELECT refunds.*, named.number_key, named.issued_on, keys.payer, keys.rank, deals.deal_source, deals.deal_id
    FROM refunds
    JOIN money_named AS named USING (source, payment_id)
    JOIN money_payer_keys AS keys USING (source, payment_id)
    LEFT JOIN money_refund_deals AS deals USING (source, payment_id)
    WHERE named.role = 'payment_order' AND deals.rule IS DISTINCT FROM 'manual'
),
dealt AS (
    SELECT refunds.*, deals.deal_source, deals.deal_id
    FROM refunds
    JOIN money_refund_deals AS deals USING (source, payment_id)
)
SELECT source, payment_id, paid_on, 10 + rank AS place, deal_source, deal_id,
    concat_ws(chr(31), 'document', number_key, issued_on, payer) AS anchor
FROM ordered WHERE issued_on IS NOT NULL
UNION ALL
SELECT source, payment_id, paid_on, 20 + rank, deal_source, deal_id, concat_ws(chr(31), 'number', number_key, payer)
FROM ordered
UNION ALL
SELECT dealt.source, dealt.payment_id, dealt.paid_on, 30 + keys.rank, dealt.deal_source, dealt.deal_id,
    concat_ws(chr(31), 'deal', dealt.deal_source, dealt.deal_id, keys.payer)
FROM dealt
JOIN money_payer_keys AS keys USING (source, payment_id)
UNION ALL
SELECT source, payment_id, paid_on, 40, deal_source, deal_id, concat_ws(chr(31), 'deal', deal_source, deal_id)
FROM dealt
UNION ALL
SELECT refunds.source, refunds.payment_id, refunds.paid_on, 50 + keys.rank, NULL, NULL,
    concat_ws(chr(31), 'payer', keys.payer)
FROM refunds
JOIN money_payer_keys AS keys USING (source, payment_id)
ANTI JOIN money_refund_deals AS deals ON deals.source = refunds.source AND deals.payment_id = refunds.payment_id;

-- What a refund can be tied to: a key and a day, and the last payment of that day.
CREATE OR REPLACE TEMP TABLE money_anchors AS
WITH receipts AS (
    SELECT payments.source, payments.payment_id, payments.paid_on, payments.document_on, payments.document_key,
        keys.payer, parts.deal_source, parts.deal_id
    FROM money_matchable AS payments
    LEFT JOIN money_payer_keys AS keys USING (source, payment_id)
    LEFT JOIN money_parts AS parts USING (source, payment_id)
    WHERE NOT payments.is_refund AND payments.paid_on IS NOT NULL
),
anchors AS (
    SELECT concat_ws(chr(31), 'document', document_key, document_on, payer) AS anchor, paid_on, source, payment_id
    FROM receipts WHERE document_key <> '' AND payer IS NOT NULL AND document_on IS NOT NULL
    UNION ALL
    SELECT concat_ws(chr(31), 'document', document_key, paid_on, payer), paid_on, source, payment_id
    FROM receipts WHERE document_key <> '' AND payer IS NOT NULL
    UNION ALL
    SELECT concat_ws(chr(31), 'number', document_key, payer), paid_on, source, payment_id
    FROM receipts WHERE document_key <> '' AND payer IS NOT NULL
    UNION ALL
    SELECT concat_ws(chr(31), 'deal', deal_source, deal_id, payer), paid_on, source, payment_id
    FROM receipts WHERE deal_id IS NOT NULL AND payer IS NOT NULL
    UNION ALL
    SELECT concat_ws(chr(31), 'deal', deal_source, deal_id), paid_on, source, payment_id
    FROM receipts WHERE deal_id IS NOT NULL
    UNION ALL
    SELECT concat_ws(chr(31), 'payer', payer), paid_on, source, payment_id
    FROM receipts WHERE deal_id IS NOT NULL AND payer IS NOT NULL
)
SELECT anchor, paid_on, max(struct_pack(source := source, payment_id := payment_id)) AS returned
FROM anchors
SEMI JOIN money_tries AS tries ON tries.anchor = anchors.anchor
GROUP BY anchor, paid_on;

-- Receipts and refunds of a key in one line by day: the receipt last met is the one returned. One pass, however many
-- share the key (a join of each refund with every receipt of a large payer would be quadratic).
CREATE OR REPLACE TEMP TABLE money_returns AS
WITH timeline AS (
    SELECT anchor, paid_on, 0 AS turn, returned,
        NULL AS source, NULL AS payment_id, NULL AS place, NULL AS deal_source, NULL AS deal_id
    FROM money_anchors
    UNION ALL
    SELECT anchor, paid_on, 1, NULL, source, payment_id, place, deal_source, deal_id
    FROM money_tries
),
found AS (
    SELECT * EXCLUDE (returned),
        -- A receipt of the refund's own day counts as earlier.
        last_value(returned IGNORE NULLS) OVER (
            PARTITION BY anchor ORDER BY paid_on, turn ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS returned
    FROM timeline
)
SELECT found.source, found.payment_id, found.deal_source, found.deal_id,
    found.returned.source AS of_source, found.returned.payment_id AS of_payment_id
FROM found
LEFT JOIN (SELECT DISTINCT source, payment_id FROM money_manual) AS manual
    ON manual.source = found.source AND manual.payment_id = found.payment_id
WHERE found.turn = 1 AND found.returned IS NOT NULL
-- A decision over several deals finds the returned payment of each.
QUALIFY row_number() OVER (
    PARTITION BY found.source, found.payment_id,
        CASE WHEN manual.payment_id IS NOT NULL THEN concat_ws(chr(31), found.deal_source, found.deal_id) END
    ORDER BY found.place, found.anchor
) = 1;

-- A person said to which deal; which payment it returns is found here.
UPDATE money_parts SET of_source = returns.of_source, of_payment_id = returns.of_payment_id
FROM money_returns AS returns
WHERE money_parts.rule = 'manual'
    AND returns.source = money_parts.source AND returns.payment_id = money_parts.payment_id
    AND returns.deal_source = money_parts.deal_source AND returns.deal_id = money_parts.deal_id;

-- The refund follows the returned payment's deal: the named one, else each up to its part, the last taking the rest.
INSERT INTO money_parts
WITH onto AS (
    SELECT returns.source, returns.payment_id, returns.of_source, returns.of_payment_id, payments.amount,
        parts.deal_source, parts.deal_id, parts.amount AS part,
        parts.deal_source = returns.deal_source AND parts.deal_id = returns.deal_id AS is_named
    FROM money_returns AS returns
    JOIN money_matchable AS payments ON payments.source = returns.source AND payments.payment_id = returns.payment_id
    JOIN money_parts AS parts ON parts.source = returns.of_source AND parts.payment_id = returns.of_payment_id
    ANTI JOIN money_manual AS manual
        ON manual.source = returns.source AND manual.payment_id = returns.payment_id
),
chosen AS (
    SELECT * FROM onto
    QUALIFY coalesce(is_named, FALSE)
        OR NOT bool_or(coalesce(is_named, FALSE)) OVER (PARTITION BY source, payment_id)
),
filled AS (
    SELECT *,
        coalesce(sum(part) OVER (deals ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before,
        lead(deal_id) OVER deals IS NULL AS is_last
    FROM chosen
    WINDOW deals AS (PARTITION BY source, payment_id ORDER BY deal_source, deal_id)
)
SELECT source, payment_id, deal_source, deal_id,
    CAST(-greatest(CASE WHEN is_last THEN -amount - before ELSE least(-amount - before, part) END, 0)
        AS DECIMAL(18, 2)) AS amount,
    'refund' AS rule, of_source, of_payment_id
FROM filled
WHERE -amount - before > 0;
