-- The pipeline as it stood at any moment (metrics.md 4.6): one scan answers for a past day as for the present one.

-- The CRM's amount over time: before the first logged change it was that change's old value.
CREATE OR REPLACE TEMP TABLE amount_spans AS
SELECT deal_no, occurred_at AS from_at, to_at, amount FROM amount_changes WHERE occurred_at < to_at
UNION ALL
SELECT deal_no, '-infinity'::TIMESTAMPTZ, occurred_at, before FROM amount_changes WHERE ordinal = 1
UNION ALL
SELECT number.deal_no, '-infinity'::TIMESTAMPTZ, 'infinity'::TIMESTAMPTZ, deal.amount
FROM core.deals AS deal
JOIN deal_numbers AS number ON number.source = deal.source AND number.deal_id = deal.deal_id
ANTI JOIN amount_changes AS changed ON changed.deal_no = number.deal_no;

CREATE OR REPLACE TEMP TABLE held_visits AS
SELECT
    visit.deal_no,
    visit.source,
    visit.deal_id,
    visit.pipeline_id,
    visit.stage_id,
    visit.kind,
    visit.entered_at,
    visit.entry_team,
    greatest(visit.entered_at, credit.from_at) AS from_at,
    least(coalesce(visit.left_at, 'infinity'), credit.to_at) AS to_at,
    credit.person_id,
    credit.team,
    credit.credit_precision
FROM next_deal_stage_visits AS visit
LEFT JOIN numbered_credits AS credit
    ON credit.deal_no = visit.deal_no
    AND credit.from_at < coalesce(visit.left_at, 'infinity')
    AND credit.to_at > visit.entered_at
WHERE visit.kind IS DISTINCT FROM 'lost';

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
        ON span.deal_no = held.deal_no
        AND span.is_open
        AND span.from_at < held.to_at
        AND span.to_at > held.from_at
    LEFT JOIN amount_spans AS amount
        ON amount.deal_no = held.deal_no
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
    valued.entered_at,
    local_day(valued.entered_at) AS entered_on,
    valued.entry_team,
    converted(valued.amount, deal.currency, rate.rate) AS amount,
    valued.person_id,
    valued.team,
    valued.credit_precision,
    exclusion.excluded_by
FROM valued
LEFT JOIN core.deals AS deal ON deal.source = valued.source AND deal.deal_id = valued.deal_id
LEFT JOIN core.rates AS rate ON rate.rate_on = local_day(valued.valid_from) AND rate.currency = deal.currency
LEFT JOIN deal_exclusions AS exclusion ON exclusion.deal_no = valued.deal_no
WHERE valued.valid_from < valued.valid_to;
