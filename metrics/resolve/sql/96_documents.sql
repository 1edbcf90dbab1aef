-- What accounting says beside payments: shipments, costs, debts (metrics.md 4.5).
CREATE OR REPLACE TEMP MACRO day_end(day) AS
    timezone(getvariable('zone'), CAST(day AS TIMESTAMP) + INTERVAL '23:59:59');

-- An amount in the company's currency by the rate of its day; NULL without a rate.
CREATE OR REPLACE TEMP MACRO converted(amount, currency, rate) AS
    CASE
        WHEN coalesce(currency, getvariable('currency')) = getvariable('currency') THEN amount
        ELSE CAST(round(amount * CAST(rate AS DECIMAL(18, 8)), 2) AS DECIMAL(18, 2))
    END;

-- The deal of a shipment: as accounting was told, else that of the order it was made from.
CREATE OR REPLACE TEMP TABLE shipments AS
SELECT
    shipment.* EXCLUDE (deal_source, deal_id),
    CASE WHEN shipment.deal_id IS NULL THEN ordered.deal_source ELSE shipment.deal_source END AS deal_source,
    coalesce(shipment.deal_id, ordered.deal_id) AS deal_id,
    keys.number_key
FROM core.sales_documents AS shipment
LEFT JOIN (
    SELECT * FROM next_order_deals QUALIFY count(*) OVER (PARTITION BY source, order_id) = 1
) AS ordered ON ordered.source = shipment.source AND ordered.order_id = shipment.order_id
LEFT JOIN calc.number_keys AS keys ON keys.number = shipment.number;

-- A cost names the shipment or the order it is of by its printed number, which restarts every year.
CREATE OR REPLACE TEMP TABLE costs AS
WITH numbered AS (
    SELECT number_key, year(issued_on) AS year, deal_source, deal_id, 1 AS choice
    FROM shipments
    WHERE deal_id IS NOT NULL
    UNION
    SELECT number_key, year(issued_on), deal_source, deal_id, 2 FROM next_order_deals
),

named AS (
    SELECT * FROM numbered
    QUALIFY count(*) OVER (PARTITION BY number_key, year, choice) = 1
),

chosen AS (
    SELECT * FROM named QUALIFY row_number() OVER (PARTITION BY number_key, year ORDER BY choice) = 1
)

SELECT
    cost.* EXCLUDE (deal_source, deal_id),
    CASE WHEN cost.deal_id IS NULL THEN named.deal_source ELSE cost.deal_source END AS deal_source,
    coalesce(cost.deal_id, named.deal_id) AS deal_id
FROM core.costs AS cost
LEFT JOIN calc.number_keys AS keys ON keys.number = cost.number
LEFT JOIN chosen AS named ON named.number_key = keys.number_key AND named.year = year(cost.issued_on);

CREATE OR REPLACE TEMP TABLE dated_documents AS
SELECT 'shipment' AS document, source, document_id AS id, deal_source, deal_id, issued_on AS dated_on, amount, currency,
    coalesce(is_deleted, FALSE) AS is_deleted, NULL::DATE AS due_on
FROM shipments
UNION ALL
SELECT 'receivable', source, receivable_id, deal_source, deal_id, as_of, amount, currency, FALSE, due_on
FROM core.receivables;

CREATE OR REPLACE TEMP TABLE credited_documents AS
SELECT
    document.*,
    day_end(document.dated_on) AS occurred_at,
    converted(document.amount, document.currency, rate.rate) AS converted_amount,
    credit.person_id,
    credit.team,
    credit.credit_precision
FROM dated_documents AS document
LEFT JOIN core.rates AS rate ON rate.rate_on = document.dated_on AND rate.currency = document.currency
LEFT JOIN deal_credits AS credit
    ON credit.source = document.deal_source
    AND credit.deal_id = document.deal_id
    AND credit.from_at <= day_end(document.dated_on)
    AND credit.to_at > day_end(document.dated_on)
WHERE document.dated_on IS NOT NULL;

CREATE OR REPLACE TEMP TABLE next_shipments AS
SELECT
    source,
    id AS document_id,
    deal_source,
    deal_id,
    dated_on AS local_date,
    occurred_at,
    converted_amount AS amount,
    person_id,
    team,
    credit_precision,
    CASE WHEN is_deleted THEN 'deleted' WHEN converted_amount IS NULL THEN 'no_rate' END AS excluded_by
FROM credited_documents
WHERE document = 'shipment';

CREATE OR REPLACE TEMP TABLE next_receivables AS
SELECT
    source,
    id AS receivable_id,
    dated_on AS local_date,
    occurred_at,
    converted_amount AS amount,
    CASE WHEN due_on < dated_on THEN converted_amount ELSE 0 END AS overdue,
    person_id,
    team,
    credit_precision,
    CASE WHEN converted_amount IS NULL THEN 'no_rate' END AS excluded_by
FROM credited_documents
WHERE document = 'receivable';

-- One cost without a rate leaves the deal's whole cost unknown.
CREATE OR REPLACE TEMP TABLE deal_costs AS
SELECT
    cost.deal_source,
    cost.deal_id,
    CASE WHEN bool_and(converted(cost.amount, cost.currency, rate.rate) IS NOT NULL)
        THEN CAST(sum(converted(cost.amount, cost.currency, rate.rate)) AS DECIMAL(18, 2))
    END AS cost
FROM costs AS cost
LEFT JOIN core.rates AS rate ON rate.rate_on = cost.issued_on AND rate.currency = cost.currency
WHERE cost.deal_id IS NOT NULL
GROUP BY cost.deal_source, cost.deal_id;

-- A part's cost is the difference of running shares in whole kopecks: when the deal is paid, its parts add up to the
-- cost exactly, and no float is on the way (DuckDB divides decimals as floats). What is overpaid costs nothing more.
CREATE OR REPLACE TEMP MACRO kopecks(amount) AS CAST(CAST(amount AS DECIMAL(18, 2)) * 100 AS HUGEINT);
CREATE OR REPLACE TEMP MACRO cost_until(cost, paid, due) AS
    kopecks(cost) * kopecks(greatest(least(paid, due), 0)) // kopecks(due);

CREATE OR REPLACE TEMP TABLE next_margins AS
WITH parts AS (
    SELECT
        part.*,
        cost.cost,
        status.due,
        -- What is due has VAT in it: so has the part it is compared with.
        coalesce(CASE WHEN payment.currency = getvariable('currency') THEN booked.amount END, part.amount) AS gross
    FROM next_payments AS part
    JOIN core.payments AS payment ON payment.source = part.source AND payment.payment_id = part.payment_id
    LEFT JOIN next_payment_allocations AS booked
        ON booked.source = part.source
        AND booked.payment_id = part.payment_id
        AND booked.deal_source = part.deal_source
        AND booked.deal_id = part.deal_id
    LEFT JOIN deal_costs AS cost ON cost.deal_source = part.deal_source AND cost.deal_id = part.deal_id
    LEFT JOIN next_deal_payments AS status ON status.source = part.deal_source AND status.deal_id = part.deal_id
    WHERE part.deal_id <> '' AND part.excluded_by IS NULL
),

running AS (
    SELECT *, sum(gross) OVER (
        PARTITION BY deal_source, deal_id ORDER BY local_date, source, payment_id
    ) AS through
    FROM parts
)

SELECT
    source,
    payment_id,
    deal_source,
    deal_id,
    local_date,
    occurred_at,
    amount,
    CASE WHEN due > 0 AND cost IS NOT NULL
        THEN CAST(CAST(cost_until(cost, through, due) - cost_until(cost, through - gross, due) AS DECIMAL(20, 0)) * 0.01
            AS DECIMAL(18, 2))
    END AS cost,
    person_id,
    team,
    credit_precision
FROM running;
