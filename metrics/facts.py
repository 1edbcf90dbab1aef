"""Facts: aggregates of the very query that yields the evidence, in one pass, staged for writing or for reading.

The evidence is read once, into its parts: what a person's records of one form add up to. Facts are made of the parts,
and so is what every recompute checks them against (metrics/invariants.py).

`stage_facts` leaves the rows in temporary tables, in the columns of their models, so that the same code serves the
warehouse (which then writes what differs) and a published file opened read-only (which only looks at them).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import duckdb

from metrics import splits
from metrics.availability import Availability, Bounds
from metrics.catalogue import Catalogue, Metric
from metrics.evidence import counted_evidence
from metrics.literals import literal, values
from metrics.settings import Company

KPI = "temp.fresh_kpi"
# Counted evidence by metric, variant, pipeline, person_id, team; and by key where a metric counts or names keys; record
# by record where it takes a quantile of them.
PARTS = "temp.fresh_parts"
_SUMS = "temp.fresh_sums"

# Weakest last: a fact is as sure as its weakest record.
_CLASS_RANK = "CASE evidence_class WHEN 'hard' THEN 0 WHEN 'logged' THEN 1 WHEN 'input' THEN 2 ELSE 3 END"
_PRECISION_RANK = "CASE credit_precision WHEN 'log' THEN 0 WHEN 'load_interval' THEN 1 ELSE 2 END"

# A base that is not positive (a lone refund of a paid deal) gives no ratio.
_RATIO = "CASE WHEN sum(den) > 0 THEN sum(num)::DOUBLE / sum(den)::DOUBLE END"
_AGGREGATES = {
    "additive": ("sum(num)", "NULL", "sum(num)::DOUBLE"),
    "snapshot": ("sum(num)", "sum(den)", "sum(num)::DOUBLE"),
    "ratio": ("sum(num)", "sum(den)", _RATIO),
}


def aggregates(metric: Metric, *, num: str = "num", key: str = "key") -> tuple[str, str, str]:
    """SQL of num, den and value over counted evidence. `num` and `key` are the columns that a distribution and a
    distinct count are taken of, the costly ones."""
    if metric.additivity == "distinct":
        return f"count(DISTINCT {key})", "NULL", f"count(DISTINCT {key})::DOUBLE"
    if metric.additivity == "distribution":
        # The parts of a quantile can't be summed: den says over how many records it was taken.
        # (quantile_cont wants its share as a constant; avg of decimals sums exactly, in whatever order.)
        # Both quantiles of one heap of numbers.
        quantiles = f"quantile_cont({num}::DOUBLE, [{metric.quantile}, 0.95])"
        quantile = (
            f"CASE WHEN list_contains(string_split(variant, ';'), 'p95') THEN {quantiles}[2] "
            f"WHEN list_contains(string_split(variant, ';'), 'mean') THEN avg({num}) ELSE {quantiles}[1] END"
        )
        return "NULL", f"count({num})", quantile
    if metric.additivity == "derived":
        return "NULL", "NULL", _over_factors(metric.formula)
    return _AGGREGATES[metric.additivity]


def _over_factors(formula: str) -> str:
    """A formula with the sum of a factor's evidence in place of its name; words in quotes and SQL's own stay."""
    parts = re.split(r"('[^']*')", formula)
    factor = r"\b(?!variant\b)[a-z][a-z_]*\b(?!\s*\()"
    parts[::2] = [
        re.sub(factor, lambda name: f"sum(num) FILTER (key = '{name[0]}')::DOUBLE", part) for part in parts[::2]
    ]
    return "".join(parts)


def stage_facts(
    connection: duckdb.DuckDBPyConnection,
    company: Company,
    catalogue: Catalogue,
    availability: Availability,
    input_version: str,
) -> None:
    """Compute one period's rows of `facts.kpi` into `KPI`, and the parts they are made of into `PARTS`, replacing what
    was staged before."""
    present = [metric for metric in catalogue.counted if metric.key not in availability.absent]
    _stage_parts(connection, present, availability.bounds)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {_SUMS} ("
        "metric VARCHAR, variant VARCHAR, pipeline VARCHAR, entity_type VARCHAR, entity_id VARCHAR, "
        "num DECIMAL(38, 6), den DECIMAL(38, 6), value DOUBLE, class_rank INTEGER, precision_rank INTEGER)"
    )
    alike: dict[tuple[object, ...], list[Metric]] = {}
    for metric in present:
        alike.setdefault((aggregates(metric), metric.entities), []).append(metric)
    for metrics in alike.values():
        connection.execute(f"INSERT INTO {_SUMS} {_sums(metrics)}")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {KPI} AS FROM facts.kpi LIMIT 0")
    if present:
        _stage_kpi(connection, company, present, availability, input_version)
    connection.execute(f"DROP TABLE {_SUMS}")


def _stage_parts(
    connection: duckdb.DuckDBPyConnection, metrics: Sequence[Metric], bounds: Mapping[str, Bounds]
) -> None:
    """Two statements for all metrics: binding and planning each apart is most of what a small company's month costs."""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {PARTS} ("
        "metric VARCHAR, variant VARCHAR, pipeline VARCHAR, person_id VARCHAR, team VARCHAR, key VARCHAR, "
        "num DECIMAL(38, 6), den DECIMAL(38, 6), class_rank INTEGER, precision_rank INTEGER)"
    )
    is_divided = splits.is_divided(connection)
    spread = [metric for metric in metrics if metric.additivity == "distribution"]
    if spread:
        connection.execute(
            f"INSERT INTO {PARTS} SELECT metric, variant, pipeline, person_id, team, NULL, num, den, "
            f"{_CLASS_RANK}, {_PRECISION_RANK} "
            f"FROM ({counted_evidence(spread, bounds, is_divided=is_divided)}) AS evidence"
        )
    others = [metric for metric in metrics if metric.additivity != "distribution"]
    if others:
        keyed = ", ".join(literal(metric.key) for metric in others if metric.additivity in ("distinct", "derived"))
        key = f"CASE WHEN metric IN ({keyed}) THEN key END" if keyed else "NULL"
        connection.execute(
            f"INSERT INTO {PARTS} SELECT metric, variant, pipeline, person_id, team, {key} AS part_key, "
            f"sum(num), sum(den), max({_CLASS_RANK}), max({_PRECISION_RANK}) "
            f"FROM ({counted_evidence(others, bounds, is_divided=is_divided)}) AS evidence "
            "GROUP BY metric, variant, pipeline, person_id, team, part_key"
        )


def _sums(metrics: Sequence[Metric]) -> str:
    """Sums of metrics that are aggregated alike, of managers, teams and the company."""
    num, den, value = aggregates(metrics[0])
    columns = {"manager": "person_id", "team": "team"}
    split = [entity for entity in columns if entity in metrics[0].entities]
    whole = "metric, variant, pipeline"
    sets = ", ".join([f"({whole})", *(f"({whole}, {columns[entity]})" for entity in split)])
    entity_type = entity_id = "'company'"
    for entity in split:
        entity_type = f"CASE WHEN grouping({columns[entity]}) = 0 THEN '{entity}' ELSE {entity_type} END"
        entity_id = f"CASE WHEN grouping({columns[entity]}) = 0 THEN {columns[entity]} ELSE {entity_id} END"
    keys = ", ".join(literal(metric.key) for metric in metrics)
    return f"""SELECT {whole}, {entity_type}, {entity_id}, {num}, {den}, {value}, max(class_rank), max(precision_rank)
FROM {PARTS}
WHERE metric IN ({keys})
GROUP BY GROUPING SETS ({sets})"""


# Sums and zero rows, with names and what they were computed with, in the columns of `facts.kpi`.
_KPI_ROWS = f"""
INSERT INTO {KPI} BY NAME
WITH declared (metric, unit, currency, class_rank, additivity, as_of, rule_version, entities, is_whole)
    AS ({{declared}}),
in_force AS (
    SELECT person_id, team FROM core.people
    WHERE valid_from < $ends_on AND coalesce(valid_to >= $starts_on, TRUE)
),
roster AS (
    SELECT 'company' AS entity_type, 'company' AS entity_id
    UNION SELECT 'team', team FROM in_force WHERE team IS NOT NULL
    UNION SELECT 'manager', person_id FROM in_force
),
nobody AS (
    -- Who was there and has no record: a zero, or a ratio without a base.
    SELECT d.metric, r.entity_type, r.entity_id, d.additivity
    FROM declared AS d JOIN roster AS r ON list_contains(d.entities, r.entity_type)
    WHERE d.is_whole AND NOT EXISTS (
        SELECT 1 FROM {_SUMS} AS s
        WHERE s.metric = d.metric AND s.variant = '' AND s.pipeline = ''
            AND s.entity_type = r.entity_type AND s.entity_id = r.entity_id
    )
),
sums AS (
    FROM {_SUMS}
    UNION ALL
    SELECT metric, '', '', entity_type, entity_id,
        CASE WHEN additivity NOT IN ('distribution', 'derived') THEN 0 END,
        CASE WHEN additivity IN ('ratio', 'distribution') THEN 0 END,
        CASE WHEN additivity NOT IN ('ratio', 'distribution', 'derived') THEN 0 END,
        NULL, NULL
    FROM nobody
),
names AS (SELECT person_id, arg_max(name, valid_from) AS name FROM core.people GROUP BY person_id)
SELECT
    $period AS period, s.metric, s.variant, s.pipeline, s.entity_type, s.entity_id,
    CASE
        WHEN s.entity_type = 'company' THEN $company
        WHEN s.entity_id = 'unassigned' THEN $unassigned
        ELSE coalesce(n.name, s.entity_id)
    END AS entity_name,
    s.num, s.den, s.value, d.unit, d.currency,
    ['hard', 'logged', 'input', 'declared'][greatest(d.class_rank, s.class_rank) + 1] AS evidence_class,
    d.additivity, d.as_of, d.rule_version, $input_version AS input_version,
    ['log', 'load_interval', 'current_owner'][s.precision_rank + 1] AS credit_precision
FROM sums AS s
JOIN declared AS d ON d.metric = s.metric
LEFT JOIN names AS n ON s.entity_type = 'manager' AND n.person_id = s.entity_id
"""


def _stage_kpi(
    connection: duckdb.DuckDBPyConnection,
    company: Company,
    present: list[Metric],
    availability: Availability,
    input_version: str,
) -> None:
    """Fill `KPI`, an empty table in the columns of `facts.kpi`; `present` is not empty."""
    declared = values([_declared(metric, company, availability.bounds[metric.basis]) for metric in present])
    period = next(iter(availability.bounds.values())).period
    words = ("Компания", "Не назначено") if company.language == "ru" else ("Company", "Unassigned")
    connection.execute(
        _KPI_ROWS.format(declared=declared),
        {
            "period": period.name,
            "starts_on": period.starts_on,
            "ends_on": period.ends_on,
            "company": words[0],
            "unassigned": words[1],
            "input_version": input_version,
        },
    )


def _declared(metric: Metric, company: Company, bounds: Bounds) -> tuple[object, ...]:
    return (
        metric.key,
        metric.unit,
        company.currency if metric.unit == "money" else None,
        ("hard", "logged", "input", "declared").index(metric.evidence_class),
        metric.additivity,
        bounds.as_of,
        metric.rule_version(company),
        list(metric.entities),
        bounds.sees(metric),
    )
