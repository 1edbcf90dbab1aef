-- Call notes of a CRM beside the telephony's calls (metrics.md 4.7). A deleted note stays: it was written.
CREATE OR REPLACE TEMP TABLE noted_calls AS
SELECT
    note.source,
    note.activity_id,
    -- Of several calls that fit, the nearest one.
    min({
        'gap': least(
            abs(epoch_us(call.started_at) - epoch_us(note.occurred_at)),
            abs(epoch_us(call.started_at) - epoch_us(note.occurred_at) + note.duration_seconds * 1000000)
        ),
        'source': call.source,
        'call_id': call.call_id
    }) AS call
FROM core.activities AS note
JOIN core.calls AS call
    ON call.external_number = note.phone
    -- A CRM stamps a note when the call began or when it was over.
    AND (
        call.started_at BETWEEN note.occurred_at - INTERVAL 5 MINUTE AND note.occurred_at + INTERVAL 5 MINUTE
        OR call.started_at + to_seconds(note.duration_seconds)
            BETWEEN note.occurred_at - INTERVAL 5 MINUTE AND note.occurred_at + INTERVAL 5 MINUTE
    )
    -- Some count the talk, some the ringing too.
    AND (
        abs(note.duration_seconds - call.talk_seconds) <= call.talk_seconds * 0.1
        OR abs(note.duration_seconds - call.duration_seconds) <= call.duration_seconds * 0.1
    )
WHERE note.activity_type = 'call_note'
GROUP BY note.source, note.activity_id;

CREATE OR REPLACE TEMP TABLE next_call_notes AS
SELECT
    note.source,
    note.activity_id,
    note.occurred_at,
    local_day(note.occurred_at) AS local_date,
    note.person_id,
    team.team,
    noted.call.source AS call_source,
    noted.call.call_id AS call_id
FROM core.activities AS note
LEFT JOIN noted_calls AS noted ON noted.source = note.source AND noted.activity_id = note.activity_id
LEFT JOIN team_spans AS team
    ON team.person_id = note.person_id AND team.from_at <= note.occurred_at AND team.to_at > note.occurred_at
WHERE note.activity_type = 'call_note' AND note.occurred_at IS NOT NULL;
