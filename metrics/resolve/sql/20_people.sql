-- Who did it, as a person, by the identities in force at the record's instant (metrics.md 2.2, `actor`). The tables
-- hold the records whose stored person is another one: comparing them here saves a join of all calls with themselves.
CREATE OR REPLACE TEMP TABLE call_people AS
SELECT
    call.source,
    call.call_id,
    -- The extension held the conversation; the telephony's own user id helps where it names no extension.
    coalesce(by_extension.person_id, by_user.person_id) AS person_id
FROM core.calls AS call
LEFT JOIN identity_spans AS by_extension
    ON by_extension.source = call.source
    AND by_extension.external_id = call.extension
    AND by_extension.from_at <= call.started_at
    AND by_extension.to_at > call.started_at
LEFT JOIN identity_spans AS by_user
    ON by_user.source = call.source
    AND by_user.external_id = call.user_id
    AND by_user.from_at <= call.started_at
    AND by_user.to_at > call.started_at
WHERE call.person_id IS DISTINCT FROM coalesce(by_extension.person_id, by_user.person_id);

CREATE OR REPLACE TEMP TABLE event_people AS
SELECT
    event.source,
    event.event_id,
    identity.person_id
FROM core.deal_events AS event
LEFT JOIN identity_spans AS identity
    ON identity.source = event.source
    AND identity.external_id = event.user_id
    AND identity.from_at <= event.occurred_at
    AND identity.to_at > event.occurred_at
WHERE event.person_id IS DISTINCT FROM identity.person_id;

CREATE OR REPLACE TEMP TABLE activity_people AS
SELECT
    activity.source,
    activity.activity_id,
    identity.person_id
FROM core.activities AS activity
LEFT JOIN identity_spans AS identity
    ON identity.source = activity.source
    AND identity.external_id = activity.user_id
    AND identity.from_at <= activity.occurred_at
    AND identity.to_at > activity.occurred_at
WHERE activity.person_id IS DISTINCT FROM identity.person_id;

-- A deal's person is who is responsible now.
CREATE OR REPLACE TEMP TABLE deal_people AS
SELECT deal.source, deal.deal_id, identity.person_id
FROM core.deals AS deal
LEFT JOIN identity_spans AS identity
    ON identity.source = deal.source
    AND identity.external_id = deal.owner_id
    AND identity.from_at <= getvariable('now')
    AND identity.to_at > getvariable('now')
WHERE deal.person_id IS DISTINCT FROM identity.person_id;
