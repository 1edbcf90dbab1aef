-- Won and paid in part: between two payments the remainder stands still.
CREATE OR REPLACE TEMP TABLE next_part_paid_deals AS
WITH balances AS (
    SELECT
        part.deal_source AS source,
        part.deal_id,
        part.occurred_at AS from_at,
        lead(part.occurred_at, 1, 'infinity'::TIMESTAMPTZ) OVER deal AS to_at,
        sum(part.amount) OVER deal AS paid
    FROM (
        SELECT deal_source, deal_id, occurred_at, sum(amount) AS amount
        FROM next_payments
        WHERE deal_id <> '' AND excluded_by IS NULL
        GROUP BY deal_source, deal_id, occurred_at
    ) AS part
    WINDOW deal AS (PARTITION BY part.deal_source, part.deal_id ORDER BY part.occurred_at)
)

SELECT
    balance.source,
    balance.deal_id,
    greatest(balance.from_at, held.from_at) AS valid_from,
    least(balance.to_at, held.to_at) AS valid_to,
    CAST(status.due - balance.paid AS DECIMAL(18, 2)) AS remaining,
    held.person_id,
    held.team,
    held.credit_precision
FROM balances AS balance
JOIN next_deal_payments AS status
    ON status.source = balance.source AND status.deal_id = balance.deal_id AND status.due > balance.paid
JOIN held_visits AS held
    ON held.source = balance.source
    AND held.deal_id = balance.deal_id
    AND held.kind = 'won'
    AND held.from_at < balance.to_at
    AND held.to_at > balance.from_at
WHERE balance.paid > 0;
