-- Conversations with credit and verdicts (metrics.md 2.5).

-- Numbers by which an open deal can be reached, from when until when. The call that created the deal began up to
-- origin_minutes before it, on a number the contact had at the creation (metrics.md 2.4).
CREATE OR REPLACE TEMP TABLE number_spans AS
SELECT
    row_number() OVER () AS span_no,
    phone.phone,
    lead.source,
    lead.deal_id,
    span.pipeline_id,
    lead.seniority,
    CASE
        WHEN span.ordinal = 1 AND phone.first_seen_at <= lead.created_at
            THEN least(span.from_at, lead.created_at - to_minutes(getvariable('origin_minutes')))
        ELSE greatest(span.from_at, phone.first_seen_at)
    END AS from_at,
    span.to_at
FROM deal_phones AS phone
JOIN lead_origins AS lead ON lead.deal_no = phone.deal_no
JOIN deal_spans AS span ON span.deal_no = phone.deal_no
WHERE span.is_open;

-- Calls that share an instant go by source and id.
CREATE OR REPLACE TEMP TABLE tied_calls AS
SELECT source, call_id, row_number() OVER (PARTITION BY started_at ORDER BY source, call_id) - 1 AS place
FROM core.calls
SEMI JOIN (SELECT started_at FROM core.calls GROUP BY started_at HAVING count(*) > 1) AS shared
    ON shared.started_at IS NOT DISTINCT FROM calls.started_at;

-- Of two calls the one with the smaller call_no was first, whatever is asked of them later. (Sorting a million calls to
-- number them costs more than all that is asked; a thousand calls of one microsecond there are not.)
CREATE OR REPLACE TEMP TABLE sorted_calls AS
SELECT
    coalesce(epoch_us(call.started_at), 9e15::BIGINT) * 1000 + coalesce(tied.place, 0) AS call_no,
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
) AS exclusion ON exclusion.source = call.source AND exclusion.record_id = call.call_id
LEFT JOIN tied_calls AS tied ON tied.source = call.source AND tied.call_id = call.call_id;

-- A call of several deals belongs to the open one created last.
CREATE OR REPLACE TEMP TABLE call_spans AS
SELECT call.call_no, arg_max(span.span_no, span.seniority) AS span_no
FROM sorted_calls AS call
JOIN number_spans AS span
    ON span.phone = call.external_number
    AND call.started_at >= span.from_at
    AND call.started_at < span.to_at
WHERE call.direction <> 'internal'
GROUP BY call.call_no;

CREATE OR REPLACE TEMP TABLE first_conversations AS
SELECT min(call_no) AS call_no
FROM sorted_calls
WHERE excluded_by IS NULL AND external_number IS NOT NULL
GROUP BY external_number;

-- Beside the relation's own columns: the call's number.
CREATE OR REPLACE TEMP TABLE next_calls AS
SELECT
    call.call_no,
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
    cold.call_no IS NOT NULL AS is_cold,
    deal.source AS deal_source,
    deal.deal_id,
    deal.pipeline_id,
    call.excluded_by
FROM sorted_calls AS call
LEFT JOIN call_spans AS chosen ON chosen.call_no = call.call_no
LEFT JOIN number_spans AS deal ON deal.span_no = chosen.span_no
LEFT JOIN call_limits AS exact ON exact.source = deal.source AND exact.pipeline_id = deal.pipeline_id
LEFT JOIN call_limits AS loose ON loose.source = '' AND loose.pipeline_id = deal.pipeline_id
LEFT JOIN core.lines AS line ON line.source = call.source AND line.line = call.line
LEFT JOIN first_conversations AS cold ON cold.call_no = call.call_no
LEFT JOIN team_spans AS team
    ON team.person_id = call.person_id AND team.from_at <= call.started_at AND team.to_at > call.started_at;
