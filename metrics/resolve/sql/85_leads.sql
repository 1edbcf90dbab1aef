-- Leads with what was first done about them (metrics.md 4.1).

-- From when a call on a number is about the lead: since its creation, or since the number is known if that is later;
-- the originating call counts as after creation.
CREATE OR REPLACE TEMP TABLE lead_numbers AS
SELECT
    lead.seniority,
    phone.phone,
    dense_rank() OVER (ORDER BY phone.phone) AS phone_no,
    CASE
        WHEN phone.first_seen_at <= lead.created_at
            THEN lead.created_at - to_minutes(getvariable('origin_minutes'))
        ELSE phone.first_seen_at
    END AS from_at
FROM lead_origins AS lead
JOIN deal_phones AS phone ON phone.deal_no = lead.deal_no;

-- Each number's leads and calls in one line, latest first: the smallest call so far is the nearest one after the lead.
-- One pass, however many leads and calls share a number.
CREATE OR REPLACE TEMP TABLE nearest_calls AS
WITH timeline AS (
    SELECT phone_no, from_at AS moment_at, NULL AS call_no, NULL AS success_no, seniority
    FROM lead_numbers
    UNION ALL
    SELECT number.phone_no, call.started_at, call.call_no,
        CASE WHEN call.is_successful THEN call.call_no END, NULL
    FROM next_calls AS call
    JOIN (SELECT DISTINCT phone, phone_no FROM lead_numbers) AS number ON number.phone = call.external_number
    WHERE call.excluded_by IS NULL AND (call.is_attempt OR (call.direction = 'in' AND call.is_answered))
),

nearest AS (
    SELECT
        seniority,
        min(call_no) OVER following AS action_no,
        min(success_no) OVER following AS success_no
    FROM timeline
    -- A call in the lead's own second counts.
    WINDOW following AS (PARTITION BY phone_no ORDER BY moment_at DESC RANGE UNBOUNDED PRECEDING)
)

SELECT seniority, min(action_no) AS action_no, min(success_no) AS success_no
FROM nearest
WHERE seniority IS NOT NULL
GROUP BY seniority;

CREATE OR REPLACE TEMP TABLE first_calls AS
SELECT
    nearest.seniority,
    action.source AS action_source,
    action.call_id AS action_call_id,
    -- The originating call counts at 0 minutes.
    CASE WHEN action.call_no IS NOT NULL THEN greatest(lead.created_at, action.started_at) END AS action_at,
    success.source AS success_source,
    success.call_id AS success_call_id,
    CASE WHEN success.call_no IS NOT NULL THEN greatest(lead.created_at, success.started_at) END AS success_at
FROM nearest_calls AS nearest
JOIN lead_origins AS lead ON lead.seniority = nearest.seniority
LEFT JOIN next_calls AS action ON action.call_no = nearest.action_no
LEFT JOIN next_calls AS success ON success.call_no = nearest.success_no;

-- A deal with no known stage has no entry to be credited by: its owner at the creation has it.
CREATE OR REPLACE TEMP TABLE stageless_credits AS
SELECT lead.deal_no, credit.person_id, credit.team, credit.credit_precision
FROM lead_origins AS lead
ANTI JOIN next_stage_events AS entry ON entry.deal_no = lead.deal_no
LEFT JOIN deal_credits AS credit
    ON credit.source = lead.source
    AND credit.deal_id = lead.deal_id
    AND credit.from_at <= lead.created_at
    AND credit.to_at > lead.created_at;

CREATE OR REPLACE TEMP TABLE next_leads AS
SELECT
    lead.deal_no,
    lead.source,
    lead.deal_id,
    lead.pipeline_id,
    lead.created_at,
    local_day(lead.created_at) AS local_date,
    CASE WHEN entry.deal_no IS NULL THEN stageless.person_id ELSE entry.person_id END AS person_id,
    CASE WHEN entry.deal_no IS NULL THEN stageless.team ELSE entry.team END AS team,
    coalesce(entry.credit_precision, stageless.credit_precision) AS credit_precision,
    first.action_at AS first_action_at,
    first.action_call_id AS first_action_call_id,
    first.success_at AS first_success_at,
    first.success_call_id AS first_success_call_id,
    first.action_source AS call_source,
    first.success_source AS success_call_source,
    exclusion.duplicate_of,
    exclusion.excluded_by
FROM lead_origins AS lead
LEFT JOIN pipeline_entries AS entry ON entry.deal_no = lead.deal_no AND entry.pipeline_id = lead.pipeline_id
LEFT JOIN stageless_credits AS stageless ON stageless.deal_no = lead.deal_no
LEFT JOIN first_calls AS first ON first.seniority = lead.seniority
LEFT JOIN deal_exclusions AS exclusion ON exclusion.deal_no = lead.deal_no;
