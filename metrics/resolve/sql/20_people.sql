-- Who did it, as a person, by the identities in force at the record's instant (metrics.md 2.2, `actor`).
CREATE OR REPLACE TEMP TABLE call_people AS
SELECT
    call.source,
    call.call_id,
    -- The extension held the conversation; the telephony's own user id helps where it names no extension.
    coalesce(
        CASE WHEN call.started_at < by_extension.to_at THEN by_extension.person_id END,
        CASE WHEN call.started_at < by_user.to_at THEN by_user.person_id END
    ) AS person_id
FROM core.calls AS call
ASOF LEFT JOIN identity_spans AS by_extension
    ON by_extension.source = call.source
    AND by_extension.external_id = call.extension
    AND call.started_at >= by_extension.from_at
ASOF LEFT JOIN identity_spans AS by_user
    ON by_user.source = call.source
    AND by_user.external_id = call.user_id
    AND call.started_at >= by_user.from_at;

CREATE OR REPLACE TEMP TABLE event_people AS
SELECT
    event.source,
    event.event_id,
    CASE WHEN event.occurred_at < identity.to_at THEN identity.person_id END AS person_id
FROM core.deal_events AS event
ASOF LEFT JOIN identity_spans AS identity
    ON identity.source = event.source
    AND identity.external_id = event.user_id
    AND event.occurred_at >= identity.from_at;

CREATE OR REPLACE TEMP TABLE activity_people AS
SELECT
    activity.source,
    activity.activity_id,
    CASE WHEN activity.occurred_at < identity.to_at THEN identity.person_id END AS person_id
FROM core.activities AS activity
ASOF LEFT JOIN identity_spans AS identity
    ON identity.source = activity.source
    AND identity.external_id = activity.user_id
    AND activity.occurred_at >= identity.from_at;

-- A deal's person is who is responsible now.
CREATE OR REPLACE TEMP TABLE deal_people AS
SELECT deal.source, deal.deal_id, identity.person_id
FROM core.deals AS deal
LEFT JOIN identity_spans AS identity
    ON identity.source = deal.source
    AND identity.external_id = deal.owner_id
    AND identity.from_at <= getvariable('now')
    AND identity.to_at > getvariable('now');
