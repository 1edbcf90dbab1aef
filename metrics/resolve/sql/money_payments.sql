-- Every payment with its amounts in the company's currency and the rule that keeps it out of the numbers.
-- In: money_settings (one row), money_priorities. Out: money_payments, money_evidence (of all copies of a payment).

-- Banks write ИНН=0 for private persons, spreadsheets lose leading zeros: compare what is left, or nothing.
CREATE OR REPLACE TEMP MACRO money_tax_key(value) AS nullif(ltrim(trim(value), '0'), '');

-- Accounting knows days only; a day counts as its last second on the company's clock (metrics.md 2.1).
CREATE OR REPLACE TEMP TABLE money_days AS
SELECT days.day, timezone(settings.zone, days.day + TIME '23:59:59') AS ends_at
FROM (SELECT DISTINCT paid_on AS day FROM core.payments WHERE paid_on IS NOT NULL) AS days
CROSS JOIN money_settings AS settings;

-- The same money through two channels: a bank file, OData, CommerceML and a sheet, of several sources or of one folder.
-- The n-th equal movement of one channel is the n-th of the other, because equal fees on one day are genuine. Without
-- an own account nothing proves that two rows are one.
CREATE OR REPLACE TEMP MACRO money_channel_rank(channel) AS
    CASE channel WHEN 'statement' THEN 1 WHEN 'odata' THEN 2 WHEN 'commerceml' THEN 3 WHEN 'sheet' THEN 4 ELSE 5 END;

CREATE OR REPLACE TEMP TABLE money_copies AS
WITH movements AS (
    SELECT source, payment_id, own_account, paid_on, amount, money_channel_rank(channel) AS channel_rank,
        ltrim(trim(coalesce(document_number, '')), '0') AS number
    FROM core.payments
    WHERE is_deleted IS NOT TRUE AND coalesce(own_account, '') <> ''
),
numbered AS (
    SELECT movements.*, coalesce(priorities.priority, 9223372036854775807) AS priority,
        row_number() OVER (
            PARTITION BY movements.source, channel_rank, own_account, paid_on, amount, number ORDER BY payment_id
        ) AS ordinal
    FROM movements
    LEFT JOIN money_priorities AS priorities ON priorities.source = movements.source
),
ranked AS (
    SELECT *,
        first_value(source) OVER channels AS same_as_source,
        first_value(payment_id) OVER channels AS same_as_payment_id
    FROM numbered
    WINDOW channels AS (
        PARTITION BY own_account, paid_on, amount, number, ordinal ORDER BY priority, source, channel_rank
    )
),
-- Accounting's tables name their own numbers, which no bank knows: such a movement has none here, and is the n-th
-- equal one of the account's day that its own channel doesn't have already.
heads AS (
    SELECT own_account, paid_on, amount, number, ordinal, same_as_source, same_as_payment_id,
        min_by((priority, source, channel_rank), (priority, source, channel_rank)) AS authority,
        list((source, channel_rank)) AS channels
    FROM ranked
    SEMI JOIN (
        SELECT own_account, paid_on, amount FROM numbered
        GROUP BY ALL HAVING bool_or(number = '') AND bool_or(number <> '')
    ) AS mixed USING (own_account, paid_on, amount)
    GROUP BY ALL
),
candidates AS (
    SELECT bare.same_as_source AS bare_source, bare.same_as_payment_id AS bare_id, bare.authority AS bare_authority,
        named.same_as_source AS named_source, named.same_as_payment_id AS named_id,
        named.authority AS named_authority,
        dense_rank() OVER (PARTITION BY own_account, paid_on, amount ORDER BY bare.ordinal) AS bare_place,
        row_number() OVER (
            PARTITION BY bare.same_as_source, bare.same_as_payment_id ORDER BY named.number, named.ordinal
        ) AS place
    FROM heads AS bare
    JOIN heads AS named USING (own_account, paid_on, amount)
    WHERE bare.number = '' AND named.number <> '' AND NOT list_has_any(bare.channels, named.channels)
),
links AS (
    SELECT * FROM candidates WHERE place = bare_place
    QUALIFY row_number() OVER (PARTITION BY named_source, named_id ORDER BY bare_source, bare_id) = 1
),
joined AS (
    SELECT ranked.source, ranked.payment_id,
        CASE WHEN named.named_authority < named.bare_authority THEN named.named_source
            WHEN bare.bare_authority < bare.named_authority THEN bare.bare_source
            ELSE ranked.same_as_source END AS same_as_source,
        CASE WHEN named.named_authority < named.bare_authority THEN named.named_id
            WHEN bare.bare_authority < bare.named_authority THEN bare.bare_id
            ELSE ranked.same_as_payment_id END AS same_as_payment_id
    FROM ranked
    LEFT JOIN links AS named
        ON named.bare_source = ranked.same_as_source AND named.bare_id = ranked.same_as_payment_id
    LEFT JOIN links AS bare
        ON bare.named_source = ranked.same_as_source AND bare.named_id = ranked.same_as_payment_id
)
SELECT * FROM joined WHERE (source, payment_id) <> (same_as_source, same_as_payment_id);

-- What any copy of the money says about it: a bank file has the money, accounting's own record knows the order.
CREATE OR REPLACE TEMP VIEW money_evidence AS
SELECT coalesce(copies.same_as_source, payments.source) AS source,
    coalesce(copies.same_as_payment_id, payments.payment_id) AS payment_id,
    nullif(trim(payments.order_id), '') AS order_id, payments.invoice_number, payments.contract_number
FROM core.payments AS payments
LEFT JOIN money_copies AS copies ON copies.source = payments.source AND copies.payment_id = payments.payment_id
WHERE payments.is_deleted IS NOT TRUE;

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
    converted.document_on,
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
