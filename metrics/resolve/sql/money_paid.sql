-- When a deal became paid, and where it stands. Amounts with VAT in the company's currency: what is due is gross.
-- In: money_rows, money_deals, money_order_dues, money_amounts. Out: next_paid_deals, next_deal_payments.

-- What had to be reached: accounting's documents, else the CRM's amount as it stood at the first payment.
CREATE OR REPLACE TEMP TABLE money_dues AS
WITH firsts AS (
    SELECT deal_source, deal_id, min(local_date) AS first_paid_on, min(occurred_at) AS first_paid_at
    FROM money_rows
    WHERE deal_id <> '' AND excluded_by IS NULL AND gross > 0
    GROUP BY deal_source, deal_id
),
deals AS (
    SELECT deals.source, deals.deal_id, deals.amount, deals.currency, deals.created_on,
        firsts.first_paid_on, firsts.first_paid_at
    FROM money_deals AS deals
    LEFT JOIN firsts ON firsts.deal_source = deals.source AND firsts.deal_id = deals.deal_id
),
as_stood AS (
    SELECT deals.*, amounts.source IS NOT NULL AS is_logged,
        CASE WHEN amounts.source IS NOT NULL THEN amounts.amount ELSE deals.amount END AS crm_amount
    FROM deals
    -- A deal nobody has paid yet asks what it asks now.
    LEFT JOIN money_amounts AS amounts
        ON amounts.source = deals.source AND amounts.deal_id = deals.deal_id
        AND amounts.valid_from <= deals.first_paid_at AND amounts.valid_to > deals.first_paid_at
)
SELECT as_stood.source, as_stood.deal_id, as_stood.first_paid_on,
    CASE WHEN orders.deal_id IS NOT NULL THEN orders.due
        WHEN as_stood.currency = settings.currency THEN as_stood.crm_amount
        ELSE CAST(round(as_stood.crm_amount * CAST(rates.rate AS DECIMAL(18, 8)), 2) AS DECIMAL(18, 2)) END AS due,
    CASE WHEN orders.deal_id IS NOT NULL THEN 'order' WHEN as_stood.is_logged THEN 'deal_log' ELSE 'deal' END
        AS due_origin
FROM as_stood
CROSS JOIN money_settings AS settings
LEFT JOIN money_order_dues AS orders
    ON orders.deal_source = as_stood.source AND orders.deal_id = as_stood.deal_id
LEFT JOIN core.rates AS rates
    ON rates.rate_on = coalesce(as_stood.first_paid_on, as_stood.created_on) AND rates.currency = as_stood.currency;

CREATE OR REPLACE TEMP TABLE money_running AS
SELECT rows.*, dues.due, dues.due_origin,
    sum(rows.gross) OVER (
        PARTITION BY rows.deal_source, rows.deal_id ORDER BY rows.local_date, rows.source, rows.payment_id
    ) AS net
FROM money_rows AS rows
JOIN money_dues AS dues ON dues.source = rows.deal_source AND dues.deal_id = rows.deal_id
WHERE rows.excluded_by IS NULL;

-- Turns: reaching the due books +1; nothing left books -1, and takes the deal from whoever had got it. In between (a
-- partial refund) nothing happens. An unknown or zero due can't be reached: a field left empty must not make a deal.
CREATE OR REPLACE TEMP TABLE next_paid_deals AS
WITH reached AS (
    SELECT running.*, CASE WHEN net <= 0 THEN -1 ELSE 1 END AS sign
    FROM money_running AS running
    CROSS JOIN money_settings AS settings
    WHERE running.due > 0 AND (running.net <= 0 OR running.net >= running.due * settings.paid_threshold)
),
turns AS (
    SELECT * FROM reached
    QUALIFY sign <> lag(sign, 1, -1) OVER (
        PARTITION BY deal_source, deal_id ORDER BY local_date, source, payment_id
    )
)
SELECT deal_source AS source, deal_id, row_number() OVER turn AS ordinal, local_date, occurred_at, sign,
    source AS payment_source, payment_id, due, due_origin,
    CASE WHEN sign = 1 THEN pipeline_id ELSE lag(pipeline_id) OVER turn END AS pipeline_id,
    CASE WHEN sign = 1 THEN person_id ELSE lag(person_id) OVER turn END AS person_id,
    CASE WHEN sign = 1 THEN team ELSE lag(team) OVER turn END AS team,
    CASE WHEN sign = 1 THEN credit_precision ELSE lag(credit_precision) OVER turn END AS credit_precision
FROM turns
WINDOW turn AS (PARTITION BY deal_source, deal_id ORDER BY local_date, source, payment_id);

CREATE OR REPLACE TEMP TABLE next_deal_payments AS
WITH sums AS (
    SELECT deal_source AS source, deal_id, CAST(sum(gross) AS DECIMAL(18, 2)) AS paid
    FROM money_running GROUP BY ALL
),
turns AS (
    SELECT source, deal_id, arg_max(sign, ordinal) AS sign, arg_max(local_date, ordinal) AS turned_on
    FROM next_paid_deals GROUP BY ALL
)
SELECT dues.source, dues.deal_id, dues.due, coalesce(sums.paid, 0) AS paid,
    CASE WHEN dues.due IS NOT NULL THEN CAST(greatest(dues.due - coalesce(sums.paid, 0), 0) AS DECIMAL(18, 2)) END
        AS remaining,
    CASE WHEN turns.sign = 1 THEN 'paid'
        WHEN sums.paid > 0 THEN 'partial'
        WHEN dues.first_paid_on IS NOT NULL THEN 'refunded'
        ELSE 'unpaid' END AS status,
    dues.first_paid_on,
    CASE WHEN turns.sign = 1 THEN turns.turned_on END AS paid_on,
    dues.due_origin, settings.currency
FROM money_dues AS dues
CROSS JOIN money_settings AS settings
LEFT JOIN sums USING (source, deal_id)
LEFT JOIN turns USING (source, deal_id);
