-- Entries into stages with the meaning in force at the event, and the stays between them (metrics.md 2.6).

CREATE OR REPLACE TEMP TABLE next_stage_events AS
SELECT
    entry.source,
    entry.deal_id,
    row_number() OVER (PARTITION BY entry.source, entry.deal_id ORDER BY entry.moment_at) AS ordinal,
    entry.moment_at AS entered_at,
    local_day(entry.moment_at) AS local_date,
    entry.pipeline_id,
    entry.stage_id,
    stage.kind,
    stage.position,
    entry.from_pipeline_id,
    entry.from_stage_id,
    before.kind AS from_kind,
    before.position AS from_position,
    entry.user_id,
    entry.event_id,
    entry.person_id,
    entry.team,
    entry.credit_precision,
    entry.owner_person_id
FROM credited_moments AS entry
LEFT JOIN map_versions AS version
    ON version.source = entry.source
    AND version.pipeline_id = entry.pipeline_id
    AND version.from_at <= entry.moment_at
    AND version.to_at > entry.moment_at
LEFT JOIN stage_maps AS stage
    ON stage.source = entry.source
    AND stage.pipeline_id = entry.pipeline_id
    AND stage.version = version.version
    AND stage.stage_id = entry.stage_id
-- The pipeline before may be another one, with versions of its own.
LEFT JOIN map_versions AS from_version
    ON from_version.source = entry.source
    AND from_version.pipeline_id = entry.from_pipeline_id
    AND from_version.from_at <= entry.moment_at
    AND from_version.to_at > entry.moment_at
LEFT JOIN stage_maps AS before
    ON before.source = entry.source
    AND before.pipeline_id = entry.from_pipeline_id
    AND before.version = from_version.version
    AND before.stage_id = entry.from_stage_id
WHERE entry.moment = 'stage';

-- A deletion or merge ends a stay only when nothing happened afterwards: a restored deal stands where it stood.
CREATE OR REPLACE TEMP TABLE final_endings AS
WITH marked AS (
    SELECT
        source,
        deal_id,
        moment,
        moment_at,
        max(moment_at) FILTER (moment IN ('stage', 'restored')) OVER (PARTITION BY source, deal_id) AS last_alive_at
    FROM credited_moments
)

SELECT source, deal_id, moment, moment_at
FROM marked
WHERE moment IN ('deleted', 'merged') AND moment_at > coalesce(last_alive_at, '-infinity')
QUALIFY row_number() OVER (PARTITION BY source, deal_id ORDER BY moment_at) = 1;

CREATE OR REPLACE TEMP TABLE next_deal_stage_visits AS
WITH followed AS (
    SELECT
        *,
        lead(entered_at) OVER deal AS next_at,
        lead(pipeline_id) OVER deal AS next_pipeline_id,
        lead(stage_id) OVER deal AS next_stage_id,
        lead(kind) OVER deal AS next_kind,
        lead(position) OVER deal AS next_position
    FROM next_stage_events
    WINDOW deal AS (PARTITION BY source, deal_id ORDER BY ordinal)
)

SELECT
    visit.source,
    visit.deal_id,
    visit.entered_at,
    visit.pipeline_id,
    visit.stage_id,
    coalesce(visit.next_at, ending.moment_at) AS left_at,
    CASE
        WHEN visit.next_at IS NULL THEN coalesce(ending.moment, 'open')
        WHEN visit.next_pipeline_id <> visit.pipeline_id THEN 'handed_off'
        WHEN coalesce(visit.next_kind, after.system_kind) = 'lost' THEN 'lost'
        -- Back from lost is back into work, wherever the map draws the lost stage.
        WHEN coalesce(visit.kind, here.system_kind) = 'lost' THEN 'moved_back'
        -- A stage the map doesn't know yet is ordered as its source orders it; one nobody orders is not a step back.
        WHEN coalesce(visit.next_position < visit.position, after.position < here.position, FALSE) THEN 'moved_back'
        ELSE 'advanced'
    END AS outcome,
    visit.owner_person_id AS person_id
FROM followed AS visit
LEFT JOIN final_endings AS ending
    ON ending.source = visit.source AND ending.deal_id = visit.deal_id AND visit.next_at IS NULL
LEFT JOIN core.pipeline_stages AS here
    ON here.source = visit.source AND here.pipeline_id = visit.pipeline_id AND here.stage_id = visit.stage_id
LEFT JOIN core.pipeline_stages AS after
    ON after.source = visit.source
    AND after.pipeline_id = visit.next_pipeline_id
    AND after.stage_id = visit.next_stage_id;
