-- Duplicate leads (metrics.md 2.4): an older deal of the same pipeline with the same phone or e-mail is open at the
-- creation, or was created less than dup_days before it.

CREATE OR REPLACE TEMP TABLE excluded_deals AS
SELECT DISTINCT source, record_id AS deal_id
FROM core.exclusions
WHERE record_type = 'deal';

CREATE OR REPLACE TEMP TABLE lead_origins AS
SELECT
    origin.deal_no,
    origin.source,
    origin.deal_id,
    origin.created_at,
    coalesce(first.pipeline_id, origin.current_pipeline_id, '') AS pipeline_id,
    -- Who is older, one order for all: creation, then id.
    row_number() OVER (ORDER BY origin.created_at, origin.source, length(origin.deal_id), origin.deal_id) AS seniority
FROM deal_origins AS origin
LEFT JOIN next_stage_events AS first ON first.deal_no = origin.deal_no AND first.ordinal = 1
WHERE origin.created_at IS NOT NULL;

-- Only what two deals share can make a duplicate; most phones and addresses belong to one.
CREATE OR REPLACE TEMP TABLE shared_identifiers AS
WITH identifiers AS (
    SELECT deal_no, phone AS identifier, first_seen_at FROM deal_phones
    UNION ALL
    SELECT deal_no, email, first_seen_at FROM deal_emails
),

shared AS (
    SELECT identifier FROM identifiers GROUP BY identifier HAVING count(*) > 1
)

SELECT * FROM identifiers SEMI JOIN shared USING (identifier);

-- Each deal blocks newer ones while it is open, and for dup_days after its creation whatever became of it. Sorting
-- creations among the blocks and keeping the furthest end so far is one pass, however many deals share a number.
CREATE OR REPLACE TEMP TABLE duplicate_parents AS
WITH blocks AS (
    SELECT
        lead.source,
        span.pipeline_id,
        shared.identifier,
        lead.seniority,
        -- A log may begin before the creation its deal tells: nobody blocks what is older than itself.
        greatest(span.from_at, shared.first_seen_at, lead.created_at) AS from_at,
        CASE
            WHEN span.is_open THEN span.to_at
            ELSE least(span.to_at, lead.created_at + to_days(getvariable('dup_days')))
        END AS to_at
    FROM lead_origins AS lead
    JOIN deal_spans AS span ON span.deal_no = lead.deal_no
    JOIN shared_identifiers AS shared ON shared.deal_no = lead.deal_no
    -- What a person ruled out as a lead is not the one that stays.
    ANTI JOIN excluded_deals AS excluded ON excluded.source = lead.source AND excluded.deal_id = lead.deal_id
),

timeline AS (
    SELECT source, pipeline_id, identifier, seniority, from_at AS moment_at, 1 AS turn,
        {'until': to_at, 'rank': -seniority} AS block
    FROM blocks
    WHERE from_at < to_at
    UNION ALL
    SELECT lead.source, lead.pipeline_id, shared.identifier, lead.seniority, lead.created_at, 0, NULL
    FROM lead_origins AS lead
    JOIN shared_identifiers AS shared ON shared.deal_no = lead.deal_no
    WHERE shared.first_seen_at <= lead.created_at
),

blocked AS (
    SELECT
        turn,
        seniority,
        moment_at,
        max(block) OVER (
            PARTITION BY source, pipeline_id, identifier
            -- At one instant the older deal goes first, and a creation before its own block.
            ORDER BY moment_at, seniority, turn
            ROWS UNBOUNDED PRECEDING
        ) AS furthest
    FROM timeline
)

SELECT seniority, min(-furthest.rank) AS parent
FROM blocked
WHERE turn = 0 AND furthest.until > moment_at
GROUP BY seniority;

-- A duplicate of a duplicate stands behind the one deal that stays.
CREATE OR REPLACE TEMP TABLE duplicates AS
WITH RECURSIVE ancestors AS (
    SELECT seniority, parent AS ancestor FROM duplicate_parents
    UNION ALL
    SELECT ancestors.seniority, duplicate_parents.parent
    FROM ancestors
    JOIN duplicate_parents ON duplicate_parents.seniority = ancestors.ancestor
),

roots AS (
    SELECT seniority, min(ancestor) AS root FROM ancestors GROUP BY seniority
)

SELECT newer.deal_no, older.deal_id AS duplicate_of
FROM roots
JOIN lead_origins AS newer ON newer.seniority = roots.seniority
JOIN lead_origins AS older ON older.seniority = roots.root;

-- What keeps a deal out of the bases; a person's decision is named before the rule's.
CREATE OR REPLACE TEMP TABLE deal_exclusions AS
SELECT
    origin.deal_no,
    duplicates.duplicate_of,
    CASE WHEN excluded.deal_id IS NOT NULL THEN 'exclusion' ELSE 'duplicate' END AS excluded_by
FROM deal_origins AS origin
LEFT JOIN duplicates ON duplicates.deal_no = origin.deal_no
LEFT JOIN excluded_deals AS excluded ON excluded.source = origin.source AND excluded.deal_id = origin.deal_id
WHERE excluded.deal_id IS NOT NULL OR duplicates.deal_no IS NOT NULL;
