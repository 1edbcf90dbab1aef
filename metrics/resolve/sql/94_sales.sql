-- Paid events with the customer's history and the deal's beginning, and who looks after a customer (metrics.md 4.5).

-- Before the CRM's first deal only accounting knows who bought.
CREATE OR REPLACE TEMP TABLE earlier_customers AS
SELECT DISTINCT customer_id
FROM next_customer_payments
WHERE deal_id = '' AND local_date < (SELECT min(local_date) FROM next_leads);

CREATE OR REPLACE TEMP TABLE first_sales AS
SELECT
    customer.customer_id,
    min({'on': paid.local_date, 'source': paid.source, 'length': length(paid.deal_id), 'deal_id': paid.deal_id}) AS first
FROM next_paid_deals AS paid
JOIN next_deal_customers AS customer ON customer.source = paid.source AND customer.deal_id = paid.deal_id
ANTI JOIN earlier_customers AS earlier ON earlier.customer_id = customer.customer_id
WHERE paid.sign = 1 AND customer.customer_id IS NOT NULL
GROUP BY customer.customer_id;

CREATE OR REPLACE TEMP TABLE next_sales AS
SELECT
    paid.source,
    paid.deal_id,
    paid.ordinal,
    customer.customer_id,
    paid.local_date,
    paid.occurred_at,
    paid.sign,
    paid.due_origin,
    -- Nobody known is nobody's second purchase.
    customer.customer_id IS NULL OR sale.first IS NOT NULL AS is_first,
    least(lead.local_date, local_day(call.started_at)) AS started_on,
    paid.person_id,
    paid.team,
    paid.credit_precision
FROM next_paid_deals AS paid
LEFT JOIN next_deal_customers AS customer ON customer.source = paid.source AND customer.deal_id = paid.deal_id
LEFT JOIN first_sales AS sale
    ON sale.customer_id = customer.customer_id
    AND sale.first.source = paid.source
    AND sale.first.deal_id = paid.deal_id
LEFT JOIN next_leads AS lead ON lead.source = paid.source AND lead.deal_id = paid.deal_id
-- Only the call that created the deal may be earlier than the deal (metrics.md 2.4).
LEFT JOIN next_calls AS call
    ON call.source = lead.success_call_source AND call.call_id = lead.first_success_call_id;

CREATE OR REPLACE TEMP TABLE paying_customers AS
SELECT customer_id, min(occurred_at) AS first_paid_at
FROM next_customer_payments
GROUP BY customer_id;

CREATE OR REPLACE TEMP TABLE next_customer_owners AS
WITH led AS (
    SELECT
        customer.customer_id,
        paying.first_paid_at,
        lead.source,
        lead.deal_id,
        lead.created_at AS from_at,
        lead(lead.created_at, 1, 'infinity'::TIMESTAMPTZ) OVER (
            PARTITION BY customer.customer_id ORDER BY lead.created_at, lead.source, length(lead.deal_id), lead.deal_id
        ) AS to_at
    FROM next_deal_customers AS customer
    JOIN next_leads AS lead ON lead.source = customer.source AND lead.deal_id = customer.deal_id
    JOIN paying_customers AS paying ON paying.customer_id = customer.customer_id
)

SELECT
    led.customer_id,
    greatest(led.from_at, credit.from_at) AS valid_from,
    nullif(least(led.to_at, credit.to_at), 'infinity'::TIMESTAMPTZ) AS valid_to,
    led.source,
    led.deal_id,
    led.first_paid_at,
    credit.person_id,
    credit.credit_precision
FROM led
JOIN deal_credits AS credit
    ON credit.source = led.source
    AND credit.deal_id = led.deal_id
    AND credit.from_at < led.to_at
    AND credit.to_at > led.from_at
WHERE led.from_at < led.to_at;

CREATE OR REPLACE TEMP TABLE next_customer_phones AS
SELECT customer.customer_id, phone.phone, min(phone.first_seen_at) AS first_seen_at
FROM next_deal_customers AS customer
SEMI JOIN paying_customers AS paying ON paying.customer_id = customer.customer_id
JOIN deal_numbers AS deal ON deal.source = customer.source AND deal.deal_id = customer.deal_id
JOIN deal_phones AS phone ON phone.deal_no = deal.deal_no
GROUP BY customer.customer_id, phone.phone;
