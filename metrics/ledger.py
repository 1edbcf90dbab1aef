"""The ledger of stages (metrics.md 2.7): whatever entered a stage has one of seven outcomes, and they must add up.

Entries are counted from the log's events, outcomes from the stays made of it: a stay that was lost, doubled or ended in
a way nobody knows makes them differ, and the recompute fails (metrics/invariants.py).
"""

from __future__ import annotations

import duckdb

from metrics.availability import Availability

LEDGER = "temp.fresh_ledger"
# The log alone, to the period's end.
BASIS = "crm until period"
OUTCOMES = ("advanced", "lost", "moved_back", "handed_off", "merged", "deleted", "still_there")


def stage_ledger(connection: duckdb.DuckDBPyConnection, availability: Availability) -> None:
    """Compute one period's rows of `facts.stage_ledger` into `LEDGER`; none where the CRM is not loaded."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {LEDGER} AS FROM facts.stage_ledger LIMIT 0")
    bounds = availability.bounds.get(BASIS)
    if bounds is None:
        return
    connection.execute(
        _ROWS.format(ledger=LEDGER),
        {
            "period": bounds.period.name,
            "starts_at": bounds.starts_at,
            "ends_at": min(bounds.ends_at, bounds.as_of),
            "as_of": bounds.as_of,
            "ends_on": bounds.period.ends_on,
        },
    )


_ROWS = """
INSERT INTO {ledger} BY NAME
WITH entered AS (
    SELECT source, pipeline_id, stage_id, count(*) AS entries
    FROM calc.stage_events
    WHERE entered_at >= $starts_at AND entered_at < $ends_at
    GROUP BY source, pipeline_id, stage_id
),
stays AS (
    -- What ended a stay after the records end has not happened yet.
    SELECT source, pipeline_id, stage_id, if(left_at < $as_of, outcome, 'open') AS outcome
    FROM core.deal_stage_visits
    WHERE entered_at >= $starts_at AND entered_at < $ends_at
),
ended AS (
    SELECT source, pipeline_id, stage_id,
        count_if(outcome = 'advanced') AS advanced,
        count_if(outcome = 'lost') AS lost,
        count_if(outcome = 'moved_back') AS moved_back,
        count_if(outcome = 'handed_off') AS handed_off,
        count_if(outcome = 'merged') AS merged,
        count_if(outcome = 'deleted') AS deleted,
        count_if(outcome = 'open') AS still_there
    FROM stays
    GROUP BY source, pipeline_id, stage_id
),
names AS (
    SELECT source, pipeline_id, stage_id, arg_max(name, valid_from) AS name
    FROM core.stages WHERE valid_from < $ends_on GROUP BY source, pipeline_id, stage_id
)
SELECT
    $period AS period, source, pipeline_id, stage_id, coalesce(n.name, stage_id) AS stage_name,
    coalesce(e.entries, 0) AS entries,
    coalesce(s.advanced, 0) AS advanced, coalesce(s.lost, 0) AS lost, coalesce(s.moved_back, 0) AS moved_back,
    coalesce(s.handed_off, 0) AS handed_off, coalesce(s.merged, 0) AS merged, coalesce(s.deleted, 0) AS deleted,
    coalesce(s.still_there, 0) AS still_there, $as_of AS as_of
FROM entered AS e
FULL JOIN ended AS s USING (source, pipeline_id, stage_id)
LEFT JOIN names AS n USING (source, pipeline_id, stage_id)
"""
