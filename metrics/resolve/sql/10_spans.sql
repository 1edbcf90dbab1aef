-- The dated inputs as half-open spans of UTC instants: an event is looked up by its instant, no local day is needed.
-- Spans of one thing don't overlap, so a plain join on thing and span finds one at most. (An ASOF JOIN says the same,
-- but took milliseconds for each distinct key: hours for a million deals.)
CREATE OR REPLACE TEMP MACRO local_day(moment) AS CAST(timezone(getvariable('zone'), moment) AS DATE);
CREATE OR REPLACE TEMP MACRO day_start(day) AS timezone(getvariable('zone'), CAST(day AS TIMESTAMP));

CREATE OR REPLACE TEMP TABLE identity_spans AS
SELECT
    source,
    external_id,
    person_id,
    day_start(valid_from) AS from_at,
    coalesce(day_start(valid_to + 1), 'infinity'::TIMESTAMPTZ) AS to_at
FROM core.identities;

CREATE OR REPLACE TEMP TABLE team_spans AS
SELECT
    person_id,
    team,
    day_start(valid_from) AS from_at,
    coalesce(day_start(valid_to + 1), 'infinity'::TIMESTAMPTZ) AS to_at
FROM core.people;

-- A pipeline's map as a whole, for every day on which any of its stages changed: orders compare within one version.
CREATE OR REPLACE TEMP TABLE map_versions AS
SELECT
    source,
    pipeline_id,
    valid_from AS version,
    day_start(valid_from) AS from_at,
    coalesce(
        day_start(lead(valid_from) OVER (PARTITION BY source, pipeline_id ORDER BY valid_from)), 'infinity'::TIMESTAMPTZ
    ) AS to_at
FROM (SELECT DISTINCT source, pipeline_id, valid_from FROM core.stages);

CREATE OR REPLACE TEMP TABLE stage_maps AS
SELECT version.source, version.pipeline_id, version.version, stage.stage_id, stage.kind, stage.position
FROM map_versions AS version
JOIN core.stages AS stage
    ON stage.source = version.source
    AND stage.pipeline_id = version.pipeline_id
    AND stage.valid_from <= version.version
QUALIFY row_number() OVER (
    PARTITION BY version.source, version.pipeline_id, version.version, stage.stage_id
    ORDER BY stage.valid_from DESC
) = 1;

-- The same with the instants, and with numbers to join and sort by: map_no is a version of a pipeline's map, stage_no a
-- stage in any of them.
CREATE OR REPLACE TEMP TABLE stage_spans AS
SELECT
    stage.*,
    version.from_at,
    version.to_at,
    dense_rank() OVER (ORDER BY source, pipeline_id, version) AS map_no,
    dense_rank() OVER (ORDER BY source, pipeline_id, stage_id) AS stage_no
FROM stage_maps AS stage
JOIN map_versions AS version USING (source, pipeline_id, version);
