-- Entries into stages with the meaning in force at the event, and the stays between them (metrics.md 2.6).

-- Beside the relation's own columns: the deal's number, and that of the map's version.
CREATE OR REPLACE TEMP TABLE next_stage_events AS
SELECT
    entry.deal_no,
    deal.source,
    deal.deal_id,
    row_number() OVER (PARTITION BY entry.deal_no ORDER BY entry.moment_at) AS ordinal,
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
    credit.person_id,
    credit.team,
    credit.credit_precision,
    credit.owner_person_id,
    stage.map_no
FROM deal_moments AS entry
JOIN deal_numbers AS deal ON deal.deal_no = entry.deal_no
LEFT JOIN numbered_credits AS credit
    ON credit.deal_no = entry.deal_no
    AND credit.from_at <= entry.moment_at
    AND credit.to_at > entry.moment_at
LEFT JOIN stage_spans AS stage
    ON stage.source = deal.source
    AND stage.pipeline_id = entry.pipeline_id
    AND stage.stage_id = entry.stage_id
    AND stage.from_at <= entry.moment_at
    AND stage.to_at > entry.moment_at
-- The pipeline before may be another one, with versions of its own.
LEFT JOIN stage_spans AS before
    ON before.source = deal.source
    AND before.pipeline_id = entry.from_pipeline_id
    AND before.stage_id = entry.from_stage_id
    AND before.from_at <= entry.moment_at
    AND before.to_at > entry.moment_at
WHERE entry.moment = 'stage';

-- A deletion or merge ends a stay only when nothing happened afterwards: a restored deal stands where it stood.
CREATE OR REPLACE TEMP TABLE final_endings AS
SELECT ending.*
FROM credited_endings AS ending
LEFT JOIN (
    SELECT deal_no, max(moment_at) AS moment_at
    FROM deal_moments
    WHERE moment IN ('stage', 'restored')
    GROUP BY deal_no
) AS alive ON alive.deal_no = ending.deal_no
WHERE ending.moment IN ('deleted', 'merged') AND ending.moment_at > coalesce(alive.moment_at, '-infinity')
QUALIFY row_number() OVER (PARTITION BY ending.deal_no ORDER BY ending.moment_at) = 1;

-- Beside the relation's own columns: what the entry was, and who had the deal when it left.
CREATE OR REPLACE TEMP TABLE next_deal_stage_visits AS
WITH followed AS (
    SELECT
        *,
        lead(entered_at) OVER deal AS next_at,
        lead(pipeline_id) OVER deal AS next_pipeline_id,
        lead(stage_id) OVER deal AS next_stage_id,
        lead(kind) OVER deal AS next_kind,
        lead(position) OVER deal AS next_position,
        lead(person_id) OVER deal AS next_person_id,
        lead(team) OVER deal AS next_team,
        lead(credit_precision) OVER deal AS next_precision
    FROM (
        SELECT deal_no, source, deal_id, ordinal, entered_at, pipeline_id, stage_id, kind, position,
            owner_person_id, person_id, team, credit_precision
        FROM next_stage_events
    )
    WINDOW deal AS (PARTITION BY deal_no ORDER BY ordinal)
)

SELECT
    visit.deal_no,
    visit.source,
    visit.deal_id,
    visit.entered_at,
    visit.pipeline_id,
    visit.stage_id,
    visit.kind,
    visit.team AS entry_team,
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
    visit.owner_person_id AS person_id,
    coalesce(visit.next_person_id, ending.person_id) AS left_person_id,
    coalesce(visit.next_team, ending.team) AS left_team,
    coalesce(visit.next_precision, ending.credit_precision) AS left_precision
FROM followed AS visit
LEFT JOIN final_endings AS ending ON ending.deal_no = visit.deal_no AND visit.next_at IS NULL
LEFT JOIN core.pipeline_stages AS here
    ON here.source = visit.source AND here.pipeline_id = visit.pipeline_id AND here.stage_id = visit.stage_id
LEFT JOIN core.pipeline_stages AS after
    ON after.source = visit.source
    AND after.pipeline_id = visit.next_pipeline_id
    AND after.stage_id = visit.next_stage_id;
