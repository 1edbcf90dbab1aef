"""Plan against fact, and the run-rate forecast by working days (metrics.md 5)."""

from __future__ import annotations

import duckdb

from metrics.availability import Availability
from metrics.catalogue import Catalogue
from metrics.facts import KPI
from metrics.literals import values
from metrics.periods import Period

PLAN_FACT = "temp.fresh_plan_fact"

# A plan without a fact (the metric is absent, the person unknown) stays visible, with a NULL fact.
_ROWS = """
WITH declared (metric, additivity, direction, counted_to) AS ({declared}),
calendar AS (
    -- A calendar with holes gives no working days rather than wrong ones.
    SELECT day, hours > 0 AS is_working,
        count(*) OVER () = date_diff('day', $starts_on, $ends_on) AS is_whole
    FROM core.calendar WHERE day >= $starts_on AND day < $ends_on
),
rows AS (
    SELECT
        p.metric, p.entity_type, p.entity_id, p.value AS plan, k.value AS fact, k.as_of,
        d.additivity, d.direction, d.counted_to
    FROM core.plans AS p
    LEFT JOIN declared AS d ON d.metric = p.metric
    LEFT JOIN {kpi} AS k
        ON k.metric = p.metric AND k.variant = '' AND k.pipeline = ''
        AND k.entity_type = p.entity_type AND k.entity_id = p.entity_id
    WHERE p.period = $period
),
worked AS (
    -- Personal absences shift the working days of that person alone.
    SELECT
        r.metric, r.entity_type, r.entity_id, count(*) AS w_total, count(*) FILTER (c.day < r.counted_to) AS w_elapsed
    FROM rows AS r
    JOIN calendar AS c ON c.is_working AND c.is_whole
    WHERE NOT EXISTS (
        SELECT 1 FROM core.absences AS a
        WHERE r.entity_type = 'manager' AND a.person_id = r.entity_id
            AND c.day BETWEEN a.from_on AND coalesce(a.to_on, c.day)
    )
    GROUP BY r.metric, r.entity_type, r.entity_id
)
SELECT
    $period AS period, r.metric, r.entity_type, r.entity_id, r.plan, r.fact,
    CASE
        WHEN r.plan = 0 THEN NULL
        -- Less is better, and there is nothing: any cap is reached.
        WHEN r.direction = 'down' AND r.fact = 0 THEN 'infinity'::DOUBLE
        WHEN r.direction = 'down' THEN r.plan / r.fact
        ELSE r.fact / r.plan
    END AS attainment,
    CASE
        WHEN r.additivity IN ('ratio', 'distribution') THEN r.fact
        WHEN r.additivity <> 'additive' THEN NULL
        WHEN r.counted_to >= $ends_on THEN r.fact
        WHEN w.w_elapsed > 0 THEN r.fact * w.w_total / w.w_elapsed
    END AS forecast,
    r.as_of
FROM rows AS r
LEFT JOIN worked AS w ON w.metric = r.metric AND w.entity_type = r.entity_type AND w.entity_id = r.entity_id
"""


def stage_plan(
    connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, availability: Availability, period: Period
) -> None:
    """Compute one period's rows of `facts.plan_fact` into `PLAN_FACT`, out of the facts staged just before."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {PLAN_FACT} AS FROM facts.plan_fact LIMIT 0")
    declared = [
        (metric.key, metric.additivity, metric.direction, availability.bounds[metric.basis].counted_to)
        for metric in catalogue
        if metric.key not in availability.absent
    ]
    if not declared:
        declared = [("", "", "", period.ends_on)]
    connection.execute(
        f"INSERT INTO {PLAN_FACT} BY NAME {_ROWS.format(declared=values(list(declared)), kpi=KPI)}",
        {"period": period.name, "starts_on": period.starts_on, "ends_on": period.ends_on},
    )
