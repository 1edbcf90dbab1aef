-- What deals and accounting's documents can be recognised by.
-- In: money_settings, calc.number_keys. core.invoices.
-- Out: money_deals, money_orders, money_order_dues, money_documents, money_amounts.

-- A deal's taxpayer is its own field, else its company's, else its contacts'.
CREATE OR REPLACE TEMP TABLE money_deals AS
WITH of_contacts AS (
    SELECT links.source, links.deal_id, list(DISTINCT money_tax_key(contacts.tax_id)) AS tax_keys
    FROM core.deal_contacts AS links
    JOIN core.contacts AS contacts ON contacts.source = links.source AND contacts.contact_id = links.contact_id
    WHERE money_tax_key(contacts.tax_id) IS NOT NULL
    GROUP BY ALL
)
SELECT deals.source, deals.deal_id, deals.pipeline_id, deals.amount,
    coalesce(deals.currency, settings.currency) AS currency,
    deals.created_at, deals.closed_at, deals.stage_id, nullif(trim(deals.order_id), '') AS order_id,
    coalesce(deals.is_deleted, FALSE) AS is_deleted,
    CAST(timezone(settings.zone, deals.created_at) AS DATE) AS created_on,
    CAST(timezone(settings.zone, deals.closed_at) AS DATE) AS closed_on,
    CASE
        WHEN money_tax_key(deals.tax_id) IS NOT NULL THEN [money_tax_key(deals.tax_id)]
        WHEN money_tax_key(companies.tax_id) IS NOT NULL THEN [money_tax_key(companies.tax_id)]
        ELSE coalesce(of_contacts.tax_keys, CAST([] AS VARCHAR[]))
    END AS tax_keys,
    invoices.number_key AS invoice_key, invoices.short_key AS invoice_short,
    contracts.number_key AS contract_key, contracts.short_key AS contract_short
FROM core.deals AS deals
CROSS JOIN money_settings AS settings
LEFT JOIN core.companies AS companies
    ON companies.source = deals.source AND companies.company_id = deals.company_id
LEFT JOIN of_contacts ON of_contacts.source = deals.source AND of_contacts.deal_id = deals.deal_id
LEFT JOIN calc.number_keys AS invoices ON invoices.number = deals.invoice_number
LEFT JOIN calc.number_keys AS contracts ON contracts.number = deals.contract_number;

-- Orders and invoices of accounting with their deal: as accounting was told, by the id both systems store, or by a
-- printed number that fits exactly one deal and one document.
CREATE OR REPLACE TEMP TABLE money_orders AS
WITH documents AS (
    SELECT orders.source, orders.order_id, orders.based_on_order_id, orders.channel, orders.deal_source, orders.deal_id,
        orders.issued_on, orders.amount,
        coalesce(orders.currency, settings.currency) AS currency, money_tax_key(orders.customer_tax_id) AS tax_key,
        keys.number_key, keys.short_key
    FROM core.orders AS orders
    CROSS JOIN money_settings AS settings
    LEFT JOIN calc.number_keys AS keys ON keys.number = orders.number
    WHERE orders.is_deleted IS NOT TRUE
),
stated AS (
    SELECT documents.source, documents.order_id, deals.source AS deal_source, deals.deal_id
    FROM documents JOIN money_deals AS deals
        ON deals.source = documents.deal_source AND deals.deal_id = documents.deal_id
),
by_id AS (
    SELECT documents.source, documents.order_id, deals.source AS deal_source, deals.deal_id
    FROM documents JOIN money_deals AS deals ON deals.order_id = documents.order_id
    WHERE documents.deal_id IS NULL
    QUALIFY count(*) OVER (PARTITION BY documents.source, documents.order_id) = 1
),
by_number AS (
    SELECT documents.source, documents.order_id, deals.source AS deal_source, deals.deal_id
    FROM documents JOIN money_deals AS deals ON deals.invoice_key = documents.number_key
    ANTI JOIN by_id ON by_id.source = documents.source AND by_id.order_id = documents.order_id
    WHERE documents.deal_id IS NULL
        AND (documents.tax_key IS NULL OR len(deals.tax_keys) = 0 OR list_contains(deals.tax_keys, documents.tax_key))
        AND (documents.issued_on IS NULL OR year(documents.issued_on)
            BETWEEN year(coalesce(deals.created_on, documents.issued_on))
                AND year(coalesce(deals.closed_on, documents.issued_on)))
    QUALIFY count(*) OVER (PARTITION BY documents.source, documents.order_id) = 1
        AND count(*) OVER (PARTITION BY deals.source, deals.deal_id) = 1
),
known AS (
    SELECT * FROM stated UNION ALL SELECT * FROM by_id UNION ALL SELECT * FROM by_number
),
-- An invoice belongs to the deal of the order it was made from.
linked AS (
    SELECT * FROM known
    UNION ALL
    SELECT documents.source, documents.order_id, known.deal_source, known.deal_id
    FROM documents
    JOIN known ON known.source = documents.source AND known.order_id = documents.based_on_order_id
    ANTI JOIN known AS own ON own.source = documents.source AND own.order_id = documents.order_id
)
SELECT linked.*, documents.channel, documents.based_on_order_id, documents.issued_on,
    documents.amount, documents.currency, documents.tax_key,
    documents.number_key, documents.short_key,
    CASE WHEN documents.currency = settings.currency THEN documents.amount
        ELSE CAST(round(documents.amount * CAST(rates.rate AS DECIMAL(18, 8)), 2) AS DECIMAL(18, 2))
    END AS gross
FROM linked
JOIN documents ON documents.source = linked.source AND documents.order_id = linked.order_id
CROSS JOIN money_settings AS settings
LEFT JOIN core.rates AS rates ON rates.rate_on = documents.issued_on AND rates.currency = documents.currency;

CREATE OR REPLACE TEMP TABLE next_order_deals AS
SELECT DISTINCT source, order_id, deal_source, deal_id, number_key, issued_on FROM money_orders;

-- The documents that add up to what a deal owes: of an order and the invoice made from it, the order; of one document
-- through two channels, one.
CREATE OR REPLACE TEMP TABLE money_counted_orders AS
WITH standing AS (
    SELECT orders.* FROM money_orders AS orders
    ANTI JOIN money_orders AS bases
        ON bases.source = orders.source AND bases.order_id = orders.based_on_order_id
        AND bases.deal_source = orders.deal_source AND bases.deal_id = orders.deal_id
),
numbered AS (
    SELECT *, coalesce(number_key, order_id) AS printed,
        row_number() OVER (
            PARTITION BY deal_source, deal_id, source, channel, number_key, issued_on, amount, currency ORDER BY order_id
        ) AS twin
    FROM standing
)
SELECT * EXCLUDE (printed, twin) FROM numbered
QUALIFY row_number() OVER (
    PARTITION BY deal_source, deal_id, printed, issued_on, amount, currency, twin ORDER BY source, channel, order_id
) = 1;

-- What the deal owes by accounting: all its documents; one that can't be converted leaves the whole unknown.
CREATE OR REPLACE TEMP TABLE money_order_dues AS
SELECT deal_source, deal_id,
    CASE WHEN count(gross) = count(*) THEN CAST(sum(gross) AS DECIMAL(18, 2)) END AS due
FROM money_counted_orders
GROUP BY deal_source, deal_id
HAVING coalesce(sum(amount), 0) > 0;

-- Printed numbers of invoices. The CRM stores no date beside its number: the deal's lifetime bounds the year.
CREATE OR REPLACE TEMP TABLE money_documents AS
WITH dated AS (
    SELECT deal_source, deal_id, number_key, short_key, issued_on, tax_key,
        year(issued_on) AS first_year, year(issued_on) AS last_year, TRUE AS is_accounting
    FROM money_orders WHERE number_key IS NOT NULL
),
-- A CRM's invoice is edited by whoever is paid by it: it may say whose a number is, never what is due.
declared AS (
    SELECT invoices.deal_source, invoices.deal_id, keys.number_key, keys.short_key, invoices.issued_on,
        money_tax_key(invoices.customer_tax_id) AS tax_key,
        coalesce(year(invoices.issued_on), year(deals.created_on)) AS first_year,
        coalesce(year(invoices.issued_on), year(deals.closed_on)) AS last_year, FALSE AS is_accounting
    FROM core.invoices AS invoices
    JOIN calc.number_keys AS keys ON keys.number = invoices.number
    JOIN money_deals AS deals ON deals.source = invoices.deal_source AND deals.deal_id = invoices.deal_id
    WHERE invoices.is_deleted IS NOT TRUE AND keys.number_key IS NOT NULL
),
undated AS (
    SELECT source AS deal_source, deal_id, invoice_key AS number_key, invoice_short AS short_key,
        CAST(NULL AS DATE) AS issued_on, CAST(NULL AS VARCHAR) AS tax_key,
        year(created_on) AS first_year, year(closed_on) AS last_year, FALSE AS is_accounting
    FROM money_deals WHERE invoice_key IS NOT NULL
),
numbers AS (
    SELECT * FROM dated
    UNION ALL
    SELECT * FROM declared ANTI JOIN dated USING (deal_source, deal_id, number_key)
)
SELECT * FROM numbers
UNION ALL
SELECT * FROM undated
ANTI JOIN numbers USING (deal_source, deal_id, number_key);

-- The CRM's amount of a deal over time, from its log, as half-open spans. Before the first change it was that change's
-- old value; of several at one instant the last holds (ids are ULIDs or growing numbers: a shorter one is the smaller).
CREATE OR REPLACE TEMP TABLE money_amounts AS
WITH changes AS (
    SELECT source, deal_id, occurred_at,
        TRY_CAST(from_value AS DECIMAL(18, 2)) AS before, TRY_CAST(to_value AS DECIMAL(18, 2)) AS amount,
        row_number() OVER deal AS ordinal,
        lead(occurred_at, 1, 'infinity'::TIMESTAMPTZ) OVER deal AS valid_to
    FROM core.deal_events
    WHERE event_type = 'amount' AND occurred_at IS NOT NULL
    WINDOW deal AS (PARTITION BY source, deal_id ORDER BY occurred_at, length(event_id), event_id)
)
SELECT source, deal_id, occurred_at AS valid_from, valid_to, amount FROM changes WHERE occurred_at < valid_to
UNION ALL
SELECT source, deal_id, '-infinity'::TIMESTAMPTZ, occurred_at, before FROM changes WHERE ordinal = 1;
