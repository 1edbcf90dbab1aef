-- When a deal was open and in which pipeline, and which phones it could be reached by: what links calls and duplicates.

-- Without stages.csv the source's own word on won and lost decides whether a deal is open.
CREATE OR REPLACE TEMP TABLE deal_spans AS
WITH stated AS (
    SELECT
        entry.deal_no,
        entry.entered_at AS moment_at,
        TRUE AS is_alive,
        entry.pipeline_id,
        coalesce(entry.kind, stage.system_kind, '') NOT IN ('won', 'lost') AS is_open_stage
    FROM next_stage_events AS entry
    LEFT JOIN core.pipeline_stages AS stage
        ON stage.source = entry.source AND stage.pipeline_id = entry.pipeline_id AND stage.stage_id = entry.stage_id
    UNION ALL
    SELECT deal_no, moment_at, moment = 'restored', NULL, NULL
    FROM deal_moments
    WHERE moment <> 'stage'
    UNION ALL
    -- A deal whose stage nobody knows is open from its creation.
    SELECT origin.deal_no, origin.created_at, TRUE, coalesce(origin.current_pipeline_id, ''), NULL
    FROM deal_origins AS origin
    ANTI JOIN next_stage_events AS entry ON entry.deal_no = origin.deal_no
    WHERE origin.created_at IS NOT NULL
),

carried AS (
    SELECT
        deal_no,
        moment_at,
        last_value(pipeline_id IGNORE NULLS) OVER deal AS pipeline_id,
        is_alive AND coalesce(last_value(is_open_stage IGNORE NULLS) OVER deal, TRUE) AS is_open
    FROM stated
    WINDOW deal AS (PARTITION BY deal_no ORDER BY moment_at)
),

changed AS (
    SELECT *
    FROM carried
    WHERE pipeline_id IS NOT NULL
    WINDOW deal AS (PARTITION BY deal_no ORDER BY moment_at)
    QUALIFY row_number() OVER deal = 1
        OR pipeline_id IS DISTINCT FROM lag(pipeline_id) OVER deal
        OR is_open IS DISTINCT FROM lag(is_open) OVER deal
),

spans AS (
    SELECT
        *,
        row_number() OVER deal AS ordinal,
        coalesce(lead(moment_at) OVER deal, 'infinity'::TIMESTAMPTZ) AS to_at
    FROM changed
    WINDOW deal AS (PARTITION BY deal_no ORDER BY moment_at)
)

SELECT span.deal_no, deal.source, deal.deal_id, span.pipeline_id, span.is_open, span.ordinal,
    span.moment_at AS from_at, span.to_at
FROM spans AS span
JOIN deal_numbers AS deal ON deal.deal_no = span.deal_no;

CREATE OR REPLACE TEMP TABLE deal_phones AS
SELECT deal.deal_no, phone.phone, min(phone.first_seen_at) AS first_seen_at
FROM core.deal_contacts AS link
JOIN deal_numbers AS deal ON deal.source = link.source AND deal.deal_id = link.deal_id
JOIN core.contact_phones AS phone ON phone.source = link.source AND phone.contact_id = link.contact_id
WHERE phone.phone IS NOT NULL AND phone.first_seen_at IS NOT NULL
GROUP BY deal.deal_no, phone.phone;

CREATE OR REPLACE TEMP TABLE deal_emails AS
SELECT deal.deal_no, email.email, min(email.first_seen_at) AS first_seen_at
FROM core.deal_contacts AS link
JOIN deal_numbers AS deal ON deal.source = link.source AND deal.deal_id = link.deal_id
JOIN (
    SELECT source, contact_id, lower(unnest(emails)) AS email, coalesce(created_at, updated_at) AS first_seen_at
    FROM core.contacts
) AS email ON email.source = link.source AND email.contact_id = link.contact_id
WHERE email.email IS NOT NULL AND email.first_seen_at IS NOT NULL
GROUP BY deal.deal_no, email.email;
