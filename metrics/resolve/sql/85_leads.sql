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

-- One call an instant and number, so that the nearest one is one.
CREATE OR REPLACE TEMP TABLE contact_actions AS
SELECT external_number, started_at, min({'source': source, 'call_id': call_id}) AS call
FROM next_calls
WHERE excluded_by IS NULL AND (is_attempt OR (direction = 'in' AND is_answered))
GROUP BY external_number, started_at;

CREATE OR REPLACE TEMP TABLE contact_successes AS
SELECT external_number, started_at, min({'source': source, 'call_id': call_id}) AS call
FROM next_calls
WHERE excluded_by IS NULL AND is_successful
GROUP BY external_number, started_at;

CREATE OR REPLACE TEMP TABLE first_actions AS
SELECT
    number.seniority,
    min({'at': greatest(action.started_at, number.created_at), 'started_at': action.started_at, 'call': action.call})
        AS first
FROM lead_numbers AS number
ASOF JOIN contact_actions AS action
    ON action.external_number = number.phone AND number.from_at <= action.started_at
GROUP BY number.seniority;

CREATE OR REPLACE TEMP TABLE first_successes AS
SELECT
    number.seniority,
    min({'at': greatest(success.started_at, number.created_at), 'started_at': success.started_at, 'call': success.call})
        AS first
FROM lead_numbers AS number
ASOF JOIN contact_successes AS success
    ON success.external_number = number.phone AND number.from_at <= success.started_at
GROUP BY number.seniority;

-- A deal with no known stage has no entry to be credited by: its owner at the creation has it.
CREATE OR REPLACE TEMP TABLE stageless_credits AS
WITH owned AS (
    SELECT lead.source, lead.deal_id, lead.created_at, owner.owner_id, owner.precision AS credit_precision
    FROM lead_origins AS lead
    ANTI JOIN next_stage_events AS entry ON entry.source = lead.source AND entry.deal_id = lead.deal_id
    ASOF LEFT JOIN next_deal_owners AS owner
        ON owner.source = lead.source AND owner.deal_id = lead.deal_id AND lead.created_at >= owner.valid_from
),

personal AS (
    SELECT owned.*, CASE WHEN owned.created_at < identity.to_at THEN identity.person_id END AS person_id
    FROM owned
    ASOF LEFT JOIN identity_spans AS identity
        ON identity.source = owned.source
        AND identity.external_id = owned.owner_id
        AND owned.created_at >= identity.from_at
)

SELECT personal.*, CASE WHEN personal.created_at < team.to_at THEN team.team END AS team
FROM personal
ASOF LEFT JOIN team_spans AS team
    ON team.person_id = personal.person_id AND personal.created_at >= team.from_at;

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
    action.first.at AS first_action_at,
    action.first.call.call_id AS first_action_call_id,
    success.first.at AS first_success_at,
    success.first.call.call_id AS first_success_call_id,
    action.first.call.source AS call_source,
    success.first.call.source AS success_call_source,
    exclusion.duplicate_of,
    exclusion.excluded_by
FROM lead_origins AS lead
LEFT JOIN pipeline_entries AS entry
    ON entry.source = lead.source AND entry.deal_id = lead.deal_id AND entry.pipeline_id = lead.pipeline_id
LEFT JOIN stageless_credits AS stageless ON stageless.source = lead.source AND stageless.deal_id = lead.deal_id
LEFT JOIN first_actions AS action ON action.seniority = lead.seniority
LEFT JOIN first_successes AS success ON success.seniority = lead.seniority
LEFT JOIN deal_exclusions AS exclusion ON exclusion.source = lead.source AND exclusion.deal_id = lead.deal_id;
