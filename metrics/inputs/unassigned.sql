-- Whom and what the inputs leave unassigned. check_* hold the files as read; records are those of the warehouse.
WITH owned AS (
    SELECT source, deal_id, owner_id AS external_id, coalesce(updated_at, created_at) AS owned_at FROM core.deals
    UNION ALL
    SELECT source, deal_id, to_value, occurred_at FROM core.deal_events WHERE event_type = 'owner'
    UNION ALL
    SELECT source, deal_id, from_value, occurred_at FROM core.deal_events WHERE event_type = 'owner'
),

unowned AS (
    SELECT owned.source, owned.external_id, count(DISTINCT owned.deal_id) AS records
    FROM owned
    ANTI JOIN check_identities AS identity
        ON identity.source = owned.source
        AND identity.external_id = owned.external_id
        AND identity.valid_from <= CAST(timezone($zone, owned.owned_at) AS DATE)
        AND coalesce(identity.valid_to, 'infinity'::DATE) >= CAST(timezone($zone, owned.owned_at) AS DATE)
    -- User 0 is a robot, nobody's.
    WHERE owned.external_id IS NOT NULL AND owned.external_id <> '0'
    GROUP BY owned.source, owned.external_id
),

held AS (
    SELECT source, call_id, local_date, unnest([extension, user_id]) AS external_id
    FROM core.calls
    WHERE extension IS NOT NULL OR user_id IS NOT NULL
),

assigned AS (
    SELECT DISTINCT held.source, held.call_id
    FROM held
    JOIN check_identities AS identity
        ON identity.source = held.source
        AND identity.external_id = held.external_id
        AND identity.valid_from <= held.local_date
        AND coalesce(identity.valid_to, 'infinity'::DATE) >= held.local_date
),

unheld AS (
    SELECT call.source, coalesce(call.extension, call.user_id) AS external_id, count(*) AS records
    FROM core.calls AS call
    ANTI JOIN assigned ON assigned.source = call.source AND assigned.call_id = call.call_id
    WHERE call.extension IS NOT NULL OR call.user_id IS NOT NULL
    GROUP BY call.source, coalesce(call.extension, call.user_id)
),

seen_stages AS (
    SELECT source, pipeline_id, stage_id, count(*) AS records
    FROM (
        SELECT source, pipeline_id, stage_id FROM core.deal_events WHERE event_type = 'stage'
        UNION ALL
        SELECT source, pipeline_id, stage_id FROM core.deals
    )
    WHERE pipeline_id IS NOT NULL AND stage_id IS NOT NULL
    GROUP BY ALL
    UNION ALL
    SELECT source, pipeline_id, stage_id, 0 FROM core.pipeline_stages
),

unmapped AS (
    SELECT seen.source, seen.pipeline_id, seen.stage_id, sum(seen.records)::BIGINT AS records
    FROM seen_stages AS seen
    ANTI JOIN check_stages AS stage
        ON stage.source = seen.source AND stage.pipeline_id = seen.pipeline_id AND stage.stage_id = seen.stage_id
    GROUP BY ALL
),

unanswered AS (
    SELECT call.source, call.line, count(*) FILTER (NOT call.is_answered) AS records
    FROM core.calls AS call
    ANTI JOIN check_lines AS line ON line.source = call.source AND line.line = call.line AND line.team IS NOT NULL
    WHERE call.direction = 'in' AND call.line IS NOT NULL
    GROUP BY call.source, call.line
)

SELECT 'user' AS kind, unowned.source, unowned.external_id, users.name, unowned.records
FROM unowned
LEFT JOIN core.users AS users ON users.source = unowned.source AND users.external_id = unowned.external_id
UNION ALL
SELECT 'extension', unheld.source, unheld.external_id, max(users.name), max(unheld.records)
FROM unheld
LEFT JOIN core.users AS users
    ON users.source = unheld.source
    AND (users.extension = unheld.external_id OR users.external_id = unheld.external_id)
GROUP BY unheld.source, unheld.external_id
UNION ALL
SELECT 'stage', unmapped.source, unmapped.pipeline_id || '/' || unmapped.stage_id, stage.stage_name, unmapped.records
FROM unmapped
LEFT JOIN core.pipeline_stages AS stage
    ON stage.source = unmapped.source
    AND stage.pipeline_id = unmapped.pipeline_id
    AND stage.stage_id = unmapped.stage_id
UNION ALL
SELECT 'guess', source, pipeline_id || '/' || stage_id, concat_ws(' → ', name, kind), 0
FROM check_stages
WHERE is_guess
UNION ALL
SELECT 'line', source, line, NULL, records
FROM unanswered
UNION ALL
SELECT 'team', line.source, line.line, line.team, 0
FROM check_lines AS line
ANTI JOIN check_people AS person ON person.team = line.team
WHERE line.team IS NOT NULL
UNION ALL
SELECT DISTINCT 'person', '', person.person_id, person.name, 0
FROM check_people AS person
ANTI JOIN check_identities AS identity ON identity.person_id = person.person_id;
