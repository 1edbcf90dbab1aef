-- The first pass of each stage: an entry to it or to any later non-lost stage (metrics.md 2.6), before paid is added.

-- Within one version of the map only an entry beyond all earlier ones passes anything, and only the stages between.
CREATE OR REPLACE TEMP TABLE advances AS
SELECT
    deal_no, ordinal, map_no, position,
    max(position) OVER (
        PARTITION BY deal_no, map_no ORDER BY ordinal ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS reached_position
FROM next_stage_events
WHERE kind <> 'lost' AND position IS NOT NULL
QUALIFY position > coalesce(reached_position, -1e18::BIGINT);

CREATE OR REPLACE TEMP TABLE stage_touches AS
SELECT deal_no, pipeline_id, stage_id, min(entered_at) AS touched_at
FROM next_stage_events
GROUP BY deal_no, pipeline_id, stage_id;

CREATE OR REPLACE TEMP TABLE first_passes AS
WITH passes AS (
    SELECT entry.deal_no, entry.ordinal, stage.stage_no, stage.stage_id, stage.kind, stage.position
    FROM advances AS entry
    JOIN stage_spans AS stage
        ON stage.map_no = entry.map_no
        AND stage.kind <> 'lost'
        AND stage.position <= entry.position
        AND stage.position > coalesce(entry.reached_position, -1e18::BIGINT)
    QUALIFY row_number() OVER (PARTITION BY entry.deal_no, stage.stage_no ORDER BY entry.ordinal) = 1
)

SELECT
    entry.deal_no,
    entry.source,
    entry.deal_id,
    entry.pipeline_id,
    pass.stage_id,
    pass.kind,
    pass.position,
    entry.entered_at AS passed_at,
    entry.local_date,
    touch.touched_at,
    entry.person_id,
    entry.team,
    entry.credit_precision
FROM passes AS pass
JOIN next_stage_events AS entry ON entry.deal_no = pass.deal_no AND entry.ordinal = pass.ordinal
LEFT JOIN stage_touches AS touch
    ON touch.deal_no = entry.deal_no AND touch.pipeline_id = entry.pipeline_id AND touch.stage_id = pass.stage_id;

-- Responsible at the entry to a pipeline's base, frozen for its cohorts; a pipeline entered without a mapped base
-- counts from its first entry.
CREATE OR REPLACE TEMP TABLE pipeline_entries AS
WITH bases AS (
    SELECT deal_no, pipeline_id, passed_at AS entered_at, person_id, team, credit_precision
    FROM first_passes
    WHERE kind = 'base'
    QUALIFY row_number() OVER (PARTITION BY deal_no, pipeline_id ORDER BY position) = 1
)

SELECT * FROM bases
UNION ALL
SELECT deal_no, pipeline_id, entered_at, person_id, team, credit_precision
FROM next_stage_events
ANTI JOIN bases USING (deal_no, pipeline_id)
QUALIFY row_number() OVER (PARTITION BY deal_no, pipeline_id ORDER BY ordinal) = 1;
