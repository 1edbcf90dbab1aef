-- Every payment with its amounts in the company's currency and the rule that keeps it out of the numbers.
-- In: money_settings (one row), money_priorities. Out: money_payments.

-- Banks write ИНН=0 for private persons, spreadsheets lose leading zeros: compare what is left, or nothing.
CREATE OR REPLACE TEMP MACRO money_tax_key(value) AS nullif(ltrim(trim(value), '0'), '');

-- Accounting knows days only; a day counts as its last second on the company's clock (metrics.md 2.1).
CREATE OR REPLACE TEMP TABLE money_days AS
SELECT days.day, timezone(settings.zone, days.day + TIME '23:59:59') AS ends_at
FROM (SELECT DISTINCT paid_on AS day FROM core.payments WHERE paid_on IS NOT NULL) AS days
CROSS JOIN money_settings AS settings;

-- The same money through two channels: the n-th equal movement of one source is the n-th of the other, because equal
-- fees on one day are genuine. Without an own account nothing proves that two rows are one.
CREATE OR REPLACE TEMP TABLE money_copies AS
WITH numbered AS (
    SELECT source, payment_id, own_account, paid_on, amount,
        ltrim(trim(coalesce(document_number, '')), '0') AS number,
        row_number() OVER (
            PARTITION BY source, own_account, paid_on, amount, ltrim(trim(coalesce(document_number, '')), '0')
            ORDER BY payment_id
        ) AS ordinal
    FROM core.payments
    WHERE is_deleted IS NOT TRUE AND coalesce(own_account, '') <> ''
),
ranked AS (
    SELECT numbered.source, numbered.payment_id,
        first_value(numbered.source) OVER channels AS same_as_source,
        first_value(numbered.payment_id) OVER channels AS same_as_payment_id
    FROM numbered
    LEFT JOIN money_priorities AS priorities ON priorities.source = numbered.source
    WINDOW channels AS (
        PARTITION BY own_account, paid_on, amount, number, ordinal
        ORDER BY priorities.priority NULLS LAST, numbered.source
    )
)
SELECT * FROM ranked WHERE source <> same_as_source;

-- A person's exclusion holds for the money, whichever channel's id it was written down with.
CREATE OR REPLACE TEMP TABLE money_exclusions AS
SELECT DISTINCT coalesce(copies.same_as_source, exclusions.source) AS source,
    coalesce(copies.same_as_payment_id, exclusions.record_id) AS payment_id
FROM core.exclusions AS exclusions
LEFT JOIN money_copies AS copies
    ON copies.source = exclusions.source AND copies.payment_id = exclusions.record_id
WHERE exclusions.record_type = 'payment';

CREATE OR REPLACE TEMP TABLE money_payments AS
WITH rated AS (
    SELECT payments.*,
        -- The rate is declared as DOUBLE; as a decimal of 8 places it is again what the bank published.
        CASE WHEN payments.currency = settings.currency THEN CAST(1 AS DECIMAL(18, 8))
            ELSE CAST(rates.rate AS DECIMAL(18, 8)) END AS exact_rate,
        settings.is_net
    FROM core.payments AS payments
    CROSS JOIN money_settings AS settings
    LEFT JOIN core.rates AS rates ON rates.rate_on = payments.paid_on AND rates.currency = payments.currency
),
converted AS (
    SELECT rated.*,
        CAST(round(amount * exact_rate, 2) AS DECIMAL(18, 2)) AS gross,
        CAST(round(CAST(CASE WHEN is_net
            THEN amount - sign(amount) * least(abs(coalesce(vat_amount, 0)), abs(amount))
            ELSE amount END AS DECIMAL(18, 2)) * exact_rate, 2) AS DECIMAL(18, 2)) AS counted
    FROM rated
)
SELECT converted.source, converted.payment_id, converted.paid_on, days.ends_at,
    converted.amount, converted.currency, converted.gross, converted.counted,
    converted.amount < 0 AS is_refund,
    money_tax_key(converted.payer_tax_id) AS tax_key,
    nullif(trim(converted.payer_account), '') AS account,
    nullif(upper(trim(converted.payer_name)), '') AS name,
    ltrim(trim(coalesce(converted.document_number, '')), '0') AS document_key,
    converted.document_on, nullif(trim(converted.order_id), '') AS order_id,
    copies.same_as_source, copies.same_as_payment_id,
    CASE
        WHEN converted.is_deleted THEN 'deleted'
        WHEN converted.kind = 'own_transfer' THEN 'own_transfer'
        WHEN converted.kind IS NULL OR converted.kind NOT IN ('customer', 'refund') THEN 'other'
        WHEN exclusions.payment_id IS NOT NULL THEN 'exclusion'
        WHEN copies.payment_id IS NOT NULL THEN 'other_channel'
        WHEN converted.gross IS NULL THEN 'no_rate'
    END AS excluded_by
FROM converted
LEFT JOIN money_days AS days ON days.day = converted.paid_on
LEFT JOIN money_copies AS copies ON copies.source = converted.source AND copies.payment_id = converted.payment_id
LEFT JOIN money_exclusions AS exclusions
    ON exclusions.source = converted.source AND exclusions.payment_id = converted.payment_id;

-- A payment without a rate still belongs to its deal; it only can't be counted in the company's currency yet.
CREATE OR REPLACE TEMP VIEW money_matchable AS
SELECT * FROM money_payments WHERE excluded_by IS NULL OR excluded_by = 'no_rate';
