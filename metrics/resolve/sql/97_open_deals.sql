-- The pipeline as it stood at any moment (metrics.md 4.6): one scan answers for a past day as for the present one.

-- The CRM's amount over time: before the first logged change it was that change's old value.
CREATE OR REPLACE TEMP TABLE amount_spans AS
WITH changes AS (
    SELECT
        source,
        deal_id,
        occurred_at,
        TRY_CAST(from_value AS DECIMAL(18, 2)) AS before,
        TRY_CAST(to_value AS DECIMAL(18, 2)) AS amount,
        row_number() OVER deal AS ordinal,
        lead(occurred_at, 1, 'infinity'::TIMESTAMPTZ) OVER deal AS to_at
    FROM core.deal_events
    WHERE event_type = 'amount'
    WINDOW deal AS (PARTITION BY source, deal_id ORDER BY occurred_at, length(event_id), event_id)
)

SELECT source, deal_id, occurred_at AS from_at, to_at, amount FROM changes WHERE occurred_at < to_at
UNION ALL
SELECT source, deal_id, '-infinity'::TIMESTAMPTZ, occurred_at, before FROM changes WHERE ordinal = 1
UNION ALL
SELECT source, deal_id, '-infinity'::TIMESTAMPTZ, 'infinity'::TIMESTAMPTZ, amount
FROM core.deals
ANTI JOIN changes USING (source, deal_id);

CREATE OR REPLACE TEMP TABLE held_visits AS
SELECT
    visit.source,
    visit.deal_id,
    visit.pipeline_id,
    visit.stage_id,
    entry.kind,
    greatest(visit.entered_at, credit.from_at) AS from_at,
    least(coalesce(visit.left_at, 'infinity'), credit.to_at) AS to_at,
    credit.person_id,
    credit.team,
    credit.credit_precision
FROM next_deal_stage_visits AS visit
JOIN next_stage_events AS entry
    ON entry.source = visit.source AND entry.deal_id = visit.deal_id AND entry.entered_at = visit.entered_at
LEFT JOIN deal_credits AS credit
    ON credit.source = visit.source
    AND credit.deal_id = visit.deal_id
    AND credit.from_at < coalesce(visit.left_at, 'infinity')
    AND credit.to_at > visit.entered_at
WHERE entry.kind IS DISTINCT FROM 'lost';

CREATE OR REPLACE TEMP TABLE next_open_deals AS
WITH valued AS (
    SELECT
        held.*,
        amount.amount,
        greatest(held.from_at, amount.from_at, span.from_at) AS valid_from,
        least(held.to_at, amount.to_at, span.to_at) AS valid_to
    FROM held_visits AS held
    -- Deleted and restored in between: then it was not open.
    JOIN deal_spans AS span
        ON span.source = held.source
        AND span.deal_id = held.deal_id
        AND span.is_open
        AND span.from_at < held.to_at
        AND span.to_at > held.from_at
    LEFT JOIN amount_spans AS amount
        ON amount.source = held.source
        AND amount.deal_id = held.deal_id
        AND amount.from_at < held.to_at
        AND amount.to_at > held.from_at
    WHERE held.kind IS DISTINCT FROM 'won'
)

SELECT
    valued.source,
    valued.deal_id,
    valued.valid_from,
    valued.valid_to,
    valued.pipeline_id,
    valued.stage_id,
    valued.kind,
    converted(valued.amount, deal.currency, rate.rate) AS amount,
    valued.person_id,
    valued.team,
    valued.credit_precision,
    exclusion.excluded_by
FROM valued
LEFT JOIN core.deals AS deal ON deal.source = valued.source AND deal.deal_id = valued.deal_id
LEFT JOIN core.rates AS rate ON rate.rate_on = local_day(valued.valid_from) AND rate.currency = deal.currency
LEFT JOIN deal_exclusions AS exclusion ON exclusion.source = valued.source AND exclusion.deal_id = valued.deal_id
WHERE valued.valid_from < valued.valid_to;
