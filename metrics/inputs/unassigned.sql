-- Whom and what the inputs leave unassigned. check_* hold the files as read; records are those of the warehouse.
-- `recent` counts the records of the 90 days up to the newest one loaded.
WITH newest AS (
    SELECT
        greatest(
            (SELECT max(local_date) FROM core.calls),
            (SELECT max(CAST(timezone($zone, coalesce(updated_at, created_at)) AS DATE)) FROM core.deals)
        ) AS day
),

owned AS (
    SELECT source, deal_id, owner_id AS external_id, coalesce(updated_at, created_at) AS owned_at FROM core.deals
    UNION ALL
    SELECT source, deal_id, to_value, occurred_at FROM core.deal_events WHERE event_type = 'owner'
    UNION ALL
    SELECT source, deal_id, from_value, occurred_at FROM core.deal_events WHERE event_type = 'owner'
),

unowned AS (
    SELECT
        owned.source, owned.external_id,
        count(DISTINCT owned.deal_id) AS records,
        count(DISTINCT owned.deal_id) FILTER (
            CAST(timezone($zone, owned.owned_at) AS DATE) > (SELECT day - 90 FROM newest)
        ) AS recent
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
    SELECT
        call.source, coalesce(call.extension, call.user_id) AS external_id,
        count(*) AS records,
        count(*) FILTER (call.local_date > (SELECT day - 90 FROM newest)) AS recent
    FROM core.calls AS call
    ANTI JOIN assigned ON assigned.source = call.source AND assigned.call_id = call.call_id
    WHERE call.extension IS NOT NULL OR call.user_id IS NOT NULL
    GROUP BY call.source, coalesce(call.extension, call.user_id)
),

-- Who is listed at a source, has an account that works, and is nobody, though no record shows it yet.
listed AS (
    SELECT
        users.source,
        users.name,
        is_crm,
        CASE WHEN is_crm THEN users.external_id ELSE coalesce(users.extension, users.external_id) END AS external_id
    FROM (
        SELECT *, source IN (SELECT source FROM core.pipeline_stages) AS is_crm FROM core.users
    ) AS users
    ANTI JOIN check_identities AS identity
        ON identity.source = users.source
        AND (identity.external_id = users.external_id OR (NOT is_crm AND identity.external_id = users.extension))
    WHERE users.is_active IS DISTINCT FROM FALSE AND users.external_id <> '0'
),

silent AS (
    SELECT listed.*
    FROM listed
    ANTI JOIN unowned ON unowned.source = listed.source AND unowned.external_id = listed.external_id
    ANTI JOIN unheld ON unheld.source = listed.source AND unheld.external_id = listed.external_id
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

SELECT 'user' AS kind, unowned.source, unowned.external_id, users.name, unowned.records, unowned.recent
FROM unowned
LEFT JOIN core.users AS users ON users.source = unowned.source AND users.external_id = unowned.external_id
UNION ALL
SELECT 'extension', unheld.source, unheld.external_id, max(users.name), max(unheld.records), max(unheld.recent)
FROM unheld
LEFT JOIN core.users AS users
    ON users.source = unheld.source
    AND (users.extension = unheld.external_id OR users.external_id = unheld.external_id)
GROUP BY unheld.source, unheld.external_id
UNION ALL
SELECT CASE WHEN is_crm THEN 'user' ELSE 'extension' END, source, external_id, any_value(name), 0, 0
FROM silent
GROUP BY is_crm, source, external_id
UNION ALL
SELECT
    'stage', unmapped.source, unmapped.pipeline_id || '/' || unmapped.stage_id, stage.stage_name, unmapped.records,
    NULL
FROM unmapped
LEFT JOIN core.pipeline_stages AS stage
    ON stage.source = unmapped.source
    AND stage.pipeline_id = unmapped.pipeline_id
    AND stage.stage_id = unmapped.stage_id
UNION ALL
SELECT 'guess', source, pipeline_id || '/' || stage_id, concat_ws(' → ', name, kind), 0, NULL
FROM check_stages
WHERE is_guess
UNION ALL
SELECT 'line', source, line, NULL, records, NULL
FROM unanswered
UNION ALL
SELECT 'team', line.source, line.line, line.team, 0, NULL
FROM check_lines AS line
ANTI JOIN check_people AS person ON person.team = line.team
WHERE line.team IS NOT NULL
UNION ALL
SELECT DISTINCT 'person', '', person.person_id, person.name, 0, NULL
FROM check_people AS person
ANTI JOIN check_identities AS identity ON identity.person_id = person.person_id;
