-- Leads with what was first done about them (metrics.md 4.1).

-- From when a call on a number is about the lead: since its creation, or since the number is known if that is later;
-- the originating call counts as after creation.
CREATE OR REPLACE TEMP TABLE lead_numbers AS
SELECT
    lead.seniority,
    lead.created_at,
    phone.phone,
    CASE
        WHEN phone.first_seen_at <= lead.created_at
            THEN lead.created_at - to_minutes(getvariable('origin_minutes'))
        ELSE phone.first_seen_at
    END AS from_at
FROM lead_origins AS lead
JOIN deal_phones AS phone ON phone.source = lead.source AND phone.deal_id = lead.deal_id;

-- Each number's leads and calls in one line, latest first: the call last met is the nearest one after the lead. One
-- pass, however many leads and calls share a number.
CREATE OR REPLACE TEMP TABLE first_calls AS
WITH timeline AS (
    SELECT phone, from_at AS moment_at, 1 AS turn, seniority, created_at,
        NULL::BOOLEAN AS is_successful, NULL AS call
    FROM lead_numbers
    UNION ALL
    SELECT call.external_number, call.started_at, 0, NULL, NULL, call.is_successful,
        {'started_at': call.started_at, 'source': call.source, 'call_id': call.call_id}
    FROM next_calls AS call
    SEMI JOIN lead_numbers AS number ON number.phone = call.external_number
    WHERE call.excluded_by IS NULL AND (call.is_attempt OR (call.direction = 'in' AND call.is_answered))
),

nearest AS (
    SELECT
        turn,
        seniority,
        created_at,
        last_value(call IGNORE NULLS) OVER following AS action,
        last_value(CASE WHEN is_successful THEN call END IGNORE NULLS) OVER following AS success
    FROM timeline
    WINDOW following AS (
        PARTITION BY phone
        -- A call in the lead's own second counts; of calls in one second the first id is met last.
        ORDER BY moment_at DESC, turn, call.source DESC, call.call_id DESC
        ROWS UNBOUNDED PRECEDING
    )
)

SELECT
    seniority,
    min(action) AS action,
    min(success) AS success,
    -- The originating call counts at 0 minutes.
    greatest(any_value(created_at), min(action).started_at) AS action_at,
    greatest(any_value(created_at), min(success).started_at) AS success_at
FROM nearest
WHERE turn = 1
GROUP BY seniority;

-- A deal with no known stage has no entry to be credited by: its owner at the creation has it.
CREATE OR REPLACE TEMP TABLE stageless_credits AS
SELECT lead.source, lead.deal_id, credit.person_id, credit.team, credit.credit_precision
FROM lead_origins AS lead
ANTI JOIN next_stage_events AS entry ON entry.source = lead.source AND entry.deal_id = lead.deal_id
LEFT JOIN deal_credits AS credit
    ON credit.source = lead.source
    AND credit.deal_id = lead.deal_id
    AND credit.from_at <= lead.created_at
    AND credit.to_at > lead.created_at;

CREATE OR REPLACE TEMP TABLE next_leads AS
SELECT
    lead.source,
    lead.deal_id,
    lead.pipeline_id,
    lead.created_at,
    local_day(lead.created_at) AS local_date,
    CASE WHEN entry.deal_id IS NULL THEN stageless.person_id ELSE entry.person_id END AS person_id,
    CASE WHEN entry.deal_id IS NULL THEN stageless.team ELSE entry.team END AS team,
    coalesce(entry.credit_precision, stageless.credit_precision) AS credit_precision,
    CASE WHEN first.action IS NOT NULL THEN first.action_at END AS first_action_at,
    first.action.call_id AS first_action_call_id,
    CASE WHEN first.success IS NOT NULL THEN first.success_at END AS first_success_at,
    first.success.call_id AS first_success_call_id,
    first.action.source AS call_source,
    first.success.source AS success_call_source,
    exclusion.duplicate_of,
    exclusion.excluded_by
FROM lead_origins AS lead
LEFT JOIN pipeline_entries AS entry
    ON entry.source = lead.source AND entry.deal_id = lead.deal_id AND entry.pipeline_id = lead.pipeline_id
LEFT JOIN stageless_credits AS stageless ON stageless.source = lead.source AND stageless.deal_id = lead.deal_id
LEFT JOIN first_calls AS first ON first.seniority = lead.seniority
LEFT JOIN deal_exclusions AS exclusion ON exclusion.source = lead.source AND exclusion.deal_id = lead.deal_id;
