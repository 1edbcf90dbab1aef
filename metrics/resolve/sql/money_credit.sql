-- Rows of calc.payments and of core.payment_allocations: parts and unmatched rests with amounts and credit.
-- In: money_payments, money_parts, deal_credits, next_stage_events. Out: money_rows, next_payments, next_payment_allocations.

-- A part's share of a converted total, as the difference of running shares in whole kopecks: the parts of a payment add
-- up to it exactly, and no float is on the way (DuckDB divides decimals as floats).
CREATE OR REPLACE TEMP MACRO money_kopecks(amount) AS CAST(CAST(amount AS DECIMAL(18, 2)) * 100 AS HUGEINT);
CREATE OR REPLACE TEMP MACRO money_share(total, whole, through, part) AS
    CASE WHEN whole = 0 THEN total ELSE CAST(CAST(
        money_kopecks(through) * money_kopecks(total) // money_kopecks(whole)
        - money_kopecks(through - part) * money_kopecks(total) // money_kopecks(whole)
    AS DECIMAL(20, 0)) * 0.01 AS DECIMAL(18, 2)) END;

CREATE OR REPLACE TEMP TABLE money_rows AS
WITH rests AS (
    SELECT payments.source, payments.payment_id, '' AS deal_source, '' AS deal_id,
        CAST(payments.amount - coalesce(booked.amount, 0) AS DECIMAL(18, 2)) AS part, CAST(NULL AS VARCHAR) AS rule,
        CAST(NULL AS VARCHAR) AS of_source, CAST(NULL AS VARCHAR) AS of_payment_id
    FROM money_payments AS payments
    LEFT JOIN (SELECT source, payment_id, sum(amount) AS amount FROM money_parts GROUP BY ALL) AS booked
        USING (source, payment_id)
    WHERE booked.amount IS NULL OR payments.amount <> booked.amount
),
parts AS (
    SELECT source, payment_id, deal_source, deal_id, amount AS part, rule, of_source, of_payment_id FROM money_parts
    UNION ALL
    SELECT * FROM rests
),
summed AS (
    SELECT parts.*, payments.* EXCLUDE (source, payment_id),
        sum(parts.part) OVER (
            PARTITION BY parts.source, parts.payment_id ORDER BY parts.deal_source, parts.deal_id
        ) AS through,
        -- A refund is credited as the payment it returns was.
        coalesce(originals.ends_at, payments.ends_at) AS credited_at
    FROM parts
    JOIN money_payments AS payments ON payments.source = parts.source AND payments.payment_id = parts.payment_id
    LEFT JOIN money_payments AS originals
        ON originals.source = parts.of_source AND originals.payment_id = parts.of_payment_id
),
shared AS (
    SELECT *, money_share(gross, amount, through, part) AS part_gross,
        money_share(counted, amount, through, part) AS part_counted
    FROM summed
),
-- Where a deal stood: money is the pipeline's the deal was in when it came, wherever the deal is moved later.
stood AS (
    SELECT source, deal_id, pipeline_id,
        CASE WHEN lag(entered_at) OVER deal IS NULL THEN '-infinity'::TIMESTAMPTZ ELSE entered_at END AS from_at,
        coalesce(lead(entered_at) OVER deal, 'infinity'::TIMESTAMPTZ) AS to_at
    FROM next_stage_events AS entries
    SEMI JOIN shared ON shared.deal_source = entries.source AND shared.deal_id = entries.deal_id
    WINDOW deal AS (PARTITION BY source, deal_id ORDER BY entered_at)
),
owned AS (
    SELECT shared.*, coalesce(stood.pipeline_id, deals.pipeline_id) AS pipeline_id,
        credits.person_id, credits.team, credits.credit_precision
    FROM shared
    LEFT JOIN stood
        ON stood.source = shared.deal_source AND stood.deal_id = shared.deal_id
        AND stood.from_at <= shared.credited_at AND stood.to_at > shared.credited_at
    LEFT JOIN money_deals AS deals ON deals.source = shared.deal_source AND deals.deal_id = shared.deal_id
    LEFT JOIN deal_credits AS credits
        ON credits.source = shared.deal_source AND credits.deal_id = shared.deal_id
        AND credits.from_at <= shared.credited_at AND credits.to_at > shared.credited_at
)
SELECT owned.source, owned.payment_id, owned.deal_source, owned.deal_id, owned.pipeline_id,
    owned.paid_on AS local_date, owned.ends_at AS occurred_at,
    owned.part_counted AS amount, owned.is_refund, owned.rule AS match_rule,
    owned.person_id, owned.team, owned.credit_precision, owned.excluded_by,
    owned.same_as_source, owned.same_as_payment_id,
    -- Beside calc.payments: the part in the payment's currency, and with VAT in the company's.
    owned.part, owned.part_gross AS gross,
    owned.of_source, owned.of_payment_id
FROM owned;

CREATE OR REPLACE TEMP TABLE next_payments AS
SELECT source, payment_id, deal_source, deal_id, pipeline_id, local_date, occurred_at, amount, is_refund, match_rule,
    person_id, team, credit_precision, excluded_by, same_as_source, same_as_payment_id
FROM money_rows;

CREATE OR REPLACE TEMP TABLE next_payment_allocations AS
SELECT source, payment_id, deal_source, deal_id, part AS amount, match_rule,
    of_payment_id AS refund_of_payment_id, of_source AS refund_of_source
FROM money_rows WHERE deal_id <> '';
