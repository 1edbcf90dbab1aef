-- Conversations with credit and verdicts (metrics.md 2.5).

-- Numbers by which an open deal can be reached, from when until when. The call that created the deal began up to
-- origin_minutes before it, on a number the contact had at the creation (metrics.md 2.4).
CREATE OR REPLACE TEMP TABLE number_spans AS
SELECT
    phone.phone,
    span.source,
    span.deal_id,
    span.pipeline_id,
    lead.seniority,
    CASE
        WHEN span.ordinal = 1 AND phone.first_seen_at <= lead.created_at
            THEN least(span.from_at, lead.created_at - to_minutes(getvariable('origin_minutes')))
        ELSE greatest(span.from_at, phone.first_seen_at)
    END AS from_at,
    span.to_at
FROM deal_phones AS phone
JOIN lead_origins AS lead ON lead.source = phone.source AND lead.deal_id = phone.deal_id
JOIN deal_spans AS span ON span.source = phone.source AND span.deal_id = phone.deal_id
WHERE span.is_open;

-- A call of several deals belongs to the open one created last.
CREATE OR REPLACE TEMP TABLE call_deals AS
WITH chosen AS (
    SELECT
        call.source,
        call.call_id,
        max({'seniority': span.seniority, 'source': span.source, 'deal': span.deal_id, 'pipeline': span.pipeline_id})
            AS deal
    FROM core.calls AS call
    JOIN number_spans AS span
        ON span.phone = call.external_number
        AND call.started_at >= span.from_at
        AND call.started_at < span.to_at
    WHERE call.direction <> 'internal'
    GROUP BY call.source, call.call_id
)

SELECT source, call_id, deal.source AS deal_source, deal.deal AS deal_id, deal.pipeline AS pipeline_id
FROM chosen;

CREATE OR REPLACE TEMP TABLE sorted_calls AS
SELECT
    call.source,
    call.call_id,
    call.started_at,
    call.local_date,
    call.direction,
    call.external_number,
    call.line,
    call.extension,
    call.person_id,
    call.talk_seconds,
    coalesce(call.is_answered, FALSE) AS is_answered,
    CASE
        WHEN call.direction = 'internal' THEN 'internal'
        WHEN call.direction = 'in' AND call.leg_count = 0 AND NOT coalesce(call.is_answered, FALSE) THEN 'ivr'
        WHEN test.phone IS NOT NULL THEN 'test_number'
        WHEN exclusion.record_id IS NOT NULL THEN 'exclusion'
    END AS excluded_by
FROM core.calls AS call
LEFT JOIN core.test_numbers AS test ON test.phone = call.external_number
LEFT JOIN (
    SELECT DISTINCT source, record_id FROM core.exclusions WHERE record_type = 'call'
) AS exclusion ON exclusion.source = call.source AND exclusion.record_id = call.call_id;

CREATE OR REPLACE TEMP TABLE first_conversations AS
SELECT external_number, min({'started_at': started_at, 'source': source, 'call_id': call_id}) AS first
FROM sorted_calls
WHERE excluded_by IS NULL AND external_number IS NOT NULL
GROUP BY external_number;

CREATE OR REPLACE TEMP TABLE next_calls AS
SELECT
    call.source,
    call.call_id,
    call.started_at,
    coalesce(call.local_date, local_day(call.started_at)) AS local_date,
    call.direction,
    call.external_number,
    call.extension,
    call.person_id,
    team.team,
    line.team AS line_team,
    call.talk_seconds,
    call.is_answered,
    call.direction = 'out' AS is_attempt,
    call.direction IN ('in', 'out')
        AND call.is_answered
        AND coalesce(call.talk_seconds, 0) > coalesce(exact.seconds, loose.seconds, getvariable('call_seconds'))
        AS is_successful,
    call.direction = 'in' AND NOT call.is_answered AS is_missed,
    coalesce(call.source = cold.first.source AND call.call_id = cold.first.call_id, FALSE) AS is_cold,
    deal.deal_source,
    deal.deal_id,
    deal.pipeline_id,
    call.excluded_by
FROM sorted_calls AS call
LEFT JOIN call_deals AS deal ON deal.source = call.source AND deal.call_id = call.call_id
LEFT JOIN call_limits AS exact ON exact.source = deal.deal_source AND exact.pipeline_id = deal.pipeline_id
LEFT JOIN call_limits AS loose ON loose.source = '' AND loose.pipeline_id = deal.pipeline_id
LEFT JOIN core.lines AS line ON line.source = call.source AND line.line = call.line
LEFT JOIN first_conversations AS cold ON cold.external_number = call.external_number
LEFT JOIN team_spans AS team
    ON team.person_id = call.person_id AND team.from_at <= call.started_at AND team.to_at > call.started_at;
