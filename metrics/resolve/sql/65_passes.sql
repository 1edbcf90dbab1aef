-- The first pass of each stage: an entry to it or to any later non-lost stage (metrics.md 2.6), before paid is added.

-- Within one version of the map only an entry beyond all earlier ones passes anything, and only the stages between.
CREATE OR REPLACE TEMP TABLE advances AS
WITH versioned AS (
    SELECT entry.*, version.version
    FROM next_stage_events AS entry
    JOIN map_versions AS version
        ON version.source = entry.source
        AND version.pipeline_id = entry.pipeline_id
        AND version.from_at <= entry.entered_at
        AND version.to_at > entry.entered_at
    WHERE entry.kind <> 'lost' AND entry.position IS NOT NULL
)

SELECT
    *,
    max(position) OVER (
        PARTITION BY source, deal_id, pipeline_id, version
        ORDER BY ordinal
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS reached_position
FROM versioned
QUALIFY position > coalesce(reached_position, -1e18::BIGINT);

CREATE OR REPLACE TEMP TABLE stage_touches AS
SELECT source, deal_id, pipeline_id, stage_id, min(entered_at) AS touched_at
FROM next_stage_events
GROUP BY source, deal_id, pipeline_id, stage_id;

CREATE OR REPLACE TEMP TABLE first_passes AS
SELECT
    entry.source,
    entry.deal_id,
    entry.pipeline_id,
    stage.stage_id,
    stage.kind,
    stage.position,
    entry.entered_at AS passed_at,
    entry.local_date,
    touch.touched_at,
    entry.person_id,
    entry.team,
    entry.credit_precision
FROM advances AS entry
JOIN stage_maps AS stage
    ON stage.source = entry.source
    AND stage.pipeline_id = entry.pipeline_id
    AND stage.version = entry.version
    AND stage.kind <> 'lost'
    AND stage.position <= entry.position
    AND stage.position > coalesce(entry.reached_position, -1e18::BIGINT)
LEFT JOIN stage_touches AS touch
    ON touch.source = entry.source
    AND touch.deal_id = entry.deal_id
    AND touch.pipeline_id = entry.pipeline_id
    AND touch.stage_id = stage.stage_id
QUALIFY row_number() OVER (
    PARTITION BY entry.source, entry.deal_id, entry.pipeline_id, stage.stage_id ORDER BY entry.ordinal
) = 1;

-- Responsible at the entry to a pipeline's base, frozen for its cohorts; a pipeline entered without a mapped base
-- counts from its first entry.
CREATE OR REPLACE TEMP TABLE pipeline_entries AS
WITH candidates AS (
    SELECT source, deal_id, pipeline_id, passed_at AS entered_at, person_id, team, credit_precision, 1 AS choice, position
    FROM first_passes
    WHERE kind = 'base'
    UNION ALL
    SELECT source, deal_id, pipeline_id, entered_at, person_id, team, credit_precision, 2, ordinal
    FROM next_stage_events
)

SELECT source, deal_id, pipeline_id, entered_at, person_id, team, credit_precision
FROM candidates
QUALIFY row_number() OVER (PARTITION BY source, deal_id, pipeline_id ORDER BY choice, position) = 1;
