"""Plan against fact, and the run-rate forecast by working days (metrics.md 5).

Attainment and forecast are metrics 41 and 42, made of facts and plans: their bodies read one relation, `planned`, a row
for each fact (plain form) and each plan, and yield `metric, entity_type, entity_id, num, den, value`:

* `metric, entity_type, entity_id`; `plan`, `fact`: DOUBLE, NULL where there is none;
* `additivity`, `direction` of the metric; `is_over`: the records to the period's very end are counted;
* `days_total`, `days_elapsed`: working days of the period and those counted; NULL where the calendar has holes.
"""

from __future__ import annotations

import duckdb

from metrics.availability import Availability
from metrics.catalogue import Catalogue, Metric
from metrics.facts import KPI
from metrics.header import AS_FACT
from metrics.literals import literal, values
from metrics.periods import Period
from metrics.settings import Company

PLAN_FACT = "temp.fresh_plan_fact"
_PLANNED = "temp.fresh_planned"
ATTAINMENT, FORECAST = "plan_attainment", "forecast_run_rate"

# A plan without a fact (the metric is absent, the person unknown) stays visible, with a NULL fact.
_ROWS = f"""
WITH declared (metric, additivity, direction, counted_to) AS ({{declared}}),
calendar AS (
    -- A calendar with holes gives no working days rather than wrong ones.
    SELECT day, hours > 0 AS is_working,
        count(*) OVER () = date_diff('day', $starts_on, $ends_on) AS is_whole
    FROM core.calendar WHERE day >= $starts_on AND day < $ends_on
),
working AS (SELECT day, count(*) OVER () AS days FROM calendar WHERE is_working AND is_whole),
hired AS (SELECT person_id, min(valid_from) AS since FROM core.people GROUP BY person_id),
shares AS (
    -- The part of the period's working days a newcomer was there.
    SELECT h.person_id, count(*) / min(w.days) AS share
    FROM hired AS h JOIN working AS w ON w.day >= h.since
    WHERE h.since > $starts_on GROUP BY h.person_id
),
plans AS (
    SELECT p.metric, p.entity_type, p.entity_id,
        p.value * if(p.prorate = 'true' AND p.entity_type = 'manager', coalesce(s.share, 1), 1) AS plan
    FROM core.plans AS p LEFT JOIN shares AS s ON s.person_id = p.entity_id
    WHERE p.period = $period
),
rows AS (
    SELECT metric, entity_type, entity_id, p.plan, k.value AS fact, k.as_of
    FROM plans AS p
    FULL JOIN (SELECT * FROM {KPI} WHERE variant = '' AND pipeline = '') AS k USING (metric, entity_type, entity_id)
),
entities AS (SELECT DISTINCT r.entity_type, r.entity_id, d.counted_to FROM rows AS r JOIN declared AS d USING (metric)),
worked AS (
    -- Personal absences shift the working days of that person alone.
    SELECT e.*, count(*) AS days_total, count(*) FILTER (w.day < e.counted_to) AS days_elapsed
    FROM entities AS e CROSS JOIN working AS w
    WHERE NOT EXISTS (
        SELECT 1 FROM core.absences AS a
        WHERE e.entity_type = 'manager' AND a.person_id = e.entity_id
            AND w.day BETWEEN a.from_on AND coalesce(a.to_on, w.day)
    )
    GROUP BY ALL
)
SELECT r.*, d.additivity, d.direction, coalesce(d.counted_to >= $ends_on, FALSE) AS is_over,
    w.days_total, w.days_elapsed
FROM rows AS r
LEFT JOIN declared AS d USING (metric)
LEFT JOIN worked AS w USING (entity_type, entity_id, counted_to)
"""

_WRITTEN = """
INSERT INTO {plan_fact} BY NAME
SELECT $period AS period, p.metric, p.entity_type, p.entity_id, p.plan, p.fact, a.value AS attainment,
    f.value AS forecast, p.as_of
FROM {planned} AS p
LEFT JOIN ({attainment}) AS a USING (metric, entity_type, entity_id)
LEFT JOIN ({forecast}) AS f USING (metric, entity_type, entity_id)
WHERE p.plan IS NOT NULL
"""

# Everything that is not the metric's own it has from its fact.
_FACTS = """
INSERT INTO {kpi} BY NAME
SELECT
    k.period, {key} AS metric, 'metric=' || k.metric AS variant, '' AS pipeline, k.entity_type, k.entity_id,
    k.entity_name, d.num::DECIMAL(38, 6) AS num, d.den::DECIMAL(38, 6) AS den, d.value,
    coalesce({unit}, k.unit) AS unit, CASE WHEN {unit} IS NULL THEN k.currency END AS currency, k.evidence_class,
    'derived' AS additivity, k.as_of, {version} AS rule_version, k.input_version, k.credit_precision
FROM ({made}) AS d
JOIN {kpi} AS k USING (metric, entity_type, entity_id)
WHERE k.variant = '' AND k.pipeline = '' AND d.value IS NOT NULL
"""
_NOTHING = (
    "SELECT NULL::VARCHAR AS metric, NULL::VARCHAR AS entity_type, NULL::VARCHAR AS entity_id, NULL::DOUBLE AS value"
)


def stage_plan(
    connection: duckdb.DuckDBPyConnection,
    company: Company,
    catalogue: Catalogue,
    availability: Availability,
    period: Period,
) -> None:
    """Compute one period's rows of `facts.plan_fact` into `PLAN_FACT`, and add metrics 41 and 42 to `KPI`, both out of
    the facts staged just before."""
    declared = [
        (metric.key, metric.additivity, metric.direction, availability.bounds[metric.basis].counted_to)
        for metric in catalogue.counted
        if metric.key not in availability.absent
    ]
    if not declared:
        declared = [("", "", "", period.ends_on)]
    dates = {"starts_on": period.starts_on, "ends_on": period.ends_on}
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {_PLANNED} AS {_ROWS.format(declared=values(list(declared)))}",
        {"period": period.name, **dates},
    )
    made = {metric.key: _made(metric) for metric in catalogue.of_plan}
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {PLAN_FACT} AS FROM facts.plan_fact LIMIT 0")
    connection.execute(
        _WRITTEN.format(
            plan_fact=PLAN_FACT,
            planned=_PLANNED,
            attainment=made.get(ATTAINMENT, _NOTHING),
            forecast=made.get(FORECAST, _NOTHING),
        ),
        {"period": period.name},
    )
    for metric in catalogue.of_plan:
        if metric.key not in availability.absent:
            version = literal(metric.rule_version(company))
            unit = "NULL::VARCHAR" if metric.unit == AS_FACT else literal(metric.unit)
            text = _FACTS.format(kpi=KPI, key=literal(metric.key), unit=unit, version=version, made=made[metric.key])
            connection.execute(text)
    connection.execute(f"DROP TABLE {_PLANNED}")


def _made(metric: Metric) -> str:
    return f"WITH planned AS NOT MATERIALIZED (FROM {_PLANNED}) SELECT * FROM ({metric.sql.rstrip().rstrip(';')})"
