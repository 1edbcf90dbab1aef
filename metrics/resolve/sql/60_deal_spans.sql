-- When a deal was open and in which pipeline, and which phones it could be reached by: what links calls and duplicates.

-- Without stages.csv the source's own word on won and lost decides whether a deal is open.
CREATE OR REPLACE TEMP TABLE deal_spans AS
WITH stated AS (
    SELECT
        moment.source,
        moment.deal_id,
        moment.moment_at,
        moment.moment,
        entry.pipeline_id,
        coalesce(entry.kind, stage.system_kind, '') NOT IN ('won', 'lost') AS is_open_stage
    FROM deal_moments AS moment
    LEFT JOIN next_stage_events AS entry
        ON entry.source = moment.source AND entry.deal_id = moment.deal_id AND entry.entered_at = moment.moment_at
    LEFT JOIN core.pipeline_stages AS stage
        ON stage.source = entry.source AND stage.pipeline_id = entry.pipeline_id AND stage.stage_id = entry.stage_id
    UNION ALL
    -- A deal whose stage nobody knows is open from its creation.
    SELECT origin.source, origin.deal_id, origin.created_at, 'created', coalesce(origin.current_pipeline_id, ''), TRUE
    FROM deal_origins AS origin
    ANTI JOIN next_stage_events AS entry ON entry.source = origin.source AND entry.deal_id = origin.deal_id
    WHERE origin.created_at IS NOT NULL
),

carried AS (
    SELECT
        source,
        deal_id,
        moment_at,
        last_value(pipeline_id IGNORE NULLS) OVER deal AS pipeline_id,
        moment NOT IN ('deleted', 'merged') AND coalesce(
            last_value(CASE WHEN moment = 'stage' THEN is_open_stage END IGNORE NULLS) OVER deal, TRUE
        ) AS is_open
    FROM stated
    WINDOW deal AS (PARTITION BY source, deal_id ORDER BY moment_at)
),

changed AS (
    SELECT *
    FROM carried
    WHERE pipeline_id IS NOT NULL
    WINDOW deal AS (PARTITION BY source, deal_id ORDER BY moment_at)
    QUALIFY row_number() OVER deal = 1
        OR (pipeline_id, is_open) IS DISTINCT FROM (lag(pipeline_id) OVER deal, lag(is_open) OVER deal)
)

SELECT
    source,
    deal_id,
    pipeline_id,
    is_open,
    row_number() OVER deal AS ordinal,
    moment_at AS from_at,
    coalesce(lead(moment_at) OVER deal, 'infinity'::TIMESTAMPTZ) AS to_at
FROM changed
WINDOW deal AS (PARTITION BY source, deal_id ORDER BY moment_at);

CREATE OR REPLACE TEMP TABLE deal_phones AS
SELECT link.source, link.deal_id, phone.phone, min(phone.first_seen_at) AS first_seen_at
FROM core.deal_contacts AS link
JOIN core.contact_phones AS phone ON phone.source = link.source AND phone.contact_id = link.contact_id
WHERE phone.phone IS NOT NULL AND phone.first_seen_at IS NOT NULL
GROUP BY link.source, link.deal_id, phone.phone;

CREATE OR REPLACE TEMP TABLE deal_emails AS
SELECT link.source, link.deal_id, email.email, min(email.first_seen_at) AS first_seen_at
FROM core.deal_contacts AS link
JOIN (
    SELECT source, contact_id, lower(unnest(emails)) AS email, coalesce(created_at, updated_at) AS first_seen_at
    FROM core.contacts
) AS email ON email.source = link.source AND email.contact_id = link.contact_id
WHERE email.email IS NOT NULL AND email.first_seen_at IS NOT NULL
GROUP BY link.source, link.deal_id, email.email;
