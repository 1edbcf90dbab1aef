"""Evidence: what a metric's query may read and must yield, and the view that shows it record by record.

A metric's body is one SELECT. It reads `calc.*` and `core.*`, and four relations put in front of it:

* `periods(period, starts_on, ends_on, starts_at, ends_at, as_of, covered)`: the periods asked for;
* `period_days(period, day, as_of, covered)`: their local days. Join on equality, `local_date = day`: DuckDB then skips
  the blocks of other days, so a month's cost does not follow the history;
* `steps(period, source, pipeline_id, from_stage, to_stage, variant, pipeline)`: the ordered pairs of stages of every
  pipeline, `paid` behind them all. Variant '' is the pair from the pipeline's first base stage to paid;
* `later_passes`: the rows of `calc.stage_passes` to look for what lies behind a stage that was passed in the periods.
  Join by deal and pipeline: what was over before is not read.

It yields the columns of `COLUMNS`; the ones marked optional may be left out. Rows that do not count are yielded too,
with the rule's name in `excluded_by`, so that `explain` can say why. Records at or after `as_of` are left out here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import duckdb

from base.text import say
from metrics import splits
from metrics.availability import Bounds
from metrics.catalogue import Catalogue, Metric, broken_files
from metrics.declared import Declared
from metrics.given import given_periods, relations, stored_periods
from metrics.header import Problem
from metrics.literals import literal, values

# Column of a body: its type (None: any number), and whether it may be left out.
COLUMNS: dict[str, tuple[str | None, bool]] = {
    "period": ("VARCHAR", False),
    "variant": ("VARCHAR", True),
    "pipeline": ("VARCHAR", True),
    "record_type": ("VARCHAR", False),
    "source": ("VARCHAR", False),
    "record_id": ("VARCHAR", False),
    "pipeline_id": ("VARCHAR", True),  # for `by: pipeline`: the deal's
    "key": ("VARCHAR", True),  # what a distinct metric counts, or a derived one's factor; default: the record
    "occurred_at": ("TIMESTAMPTZ", False),
    "person_id": ("VARCHAR", False),
    "team": ("VARCHAR", False),
    "num": (None, False),
    "den": (None, True),
    "excluded_by": ("VARCHAR", True),
    "credit_precision": ("VARCHAR", True),  # default: log
    "evidence_class": ("VARCHAR", True),  # default: the declared one
}

# What a body of facts and plans reads as `planned` (metrics/plan.py), and what it yields.
PLANNED_COLUMNS = {
    "metric": "VARCHAR",
    "entity_type": "VARCHAR",
    "entity_id": "VARCHAR",
    "plan": "DOUBLE",
    "fact": "DOUBLE",
    "as_of": "TIMESTAMPTZ",
    "additivity": "VARCHAR",
    "direction": "VARCHAR",
    "is_over": "BOOLEAN",
    "days_total": "BIGINT",
    "days_elapsed": "BIGINT",
}
PLAN_COLUMNS = {"metric", "entity_type", "entity_id", "num", "den", "value"}

VIEW = "facts.kpi_evidence"
VIEW_COLUMNS = {
    "period": "Period.",
    "metric": "Metric's key.",
    "variant": "Form of the metric; '' = plain.",
    "entity_type": "manager, team, company.",
    "entity_id": "Person's id, team's name, company, or unassigned.",
    "pipeline": "Pipeline's id; '' = all.",
    "record_type": "deal, call, payment.",
    "source": "Record's source.",
    "record_id": "Record's id at the source.",
    "key": "What distinct metrics count, else the record.",
    "occurred_at": "When it happened, UTC.",
    "num": "The record's part in the numerator.",
    "den": "The record's part in the denominator; NULL for additive metrics.",
    "excluded_by": "Rule that leaves the record out; NULL = counted.",
    "credit_precision": "log, load_interval or current_owner: how surely the credit is known.",
    "evidence_class": "hard, logged, declared: of this record's part.",
}
VIEW_COMMENT = "One record's part in a fact, counted or left out; computed when read, for the periods of calc.periods."

_RECORDS = """
shares AS NOT MATERIALIZED ({shares}),
twin_pipelines AS NOT MATERIALIZED (
    -- Ids of pipelines are small numbers in some CRMs: where two accounts share one, its source is named too.
    SELECT pipeline_id FROM core.stages GROUP BY pipeline_id HAVING count(DISTINCT source) > 1
),
ways AS NOT MATERIALIZED (
    -- The rows a record of a metric has: its own, and for the plain form one for its pipeline and one for its source.
    SELECT d.*, p.period, p.as_of
    FROM ({declared}) AS d (metric, basis, form, entity_type, takes, is_money, evidence_class)
    JOIN ({bounds}) AS p ON p.basis = d.basis
    {present}
    WHERE d.form <> 'source' OR (SELECT count(DISTINCT source) > 1 FROM core.stages)
),
records AS NOT MATERIALIZED (
{records}
)
SELECT
    e.period,
    e.metric,
    CASE w.form
        WHEN 'own' THEN coalesce(e.variant, '')
        WHEN 'source' THEN 'source=' || e.source
        ELSE concat(if(t.pipeline_id IS NOT NULL, 'source=' || e.source || ';', ''), 'pipeline=', e.pipeline_id)
    END AS variant,
    {entity}
    CASE w.form WHEN 'own' THEN coalesce(e.pipeline, '') WHEN 'source' THEN '' ELSE e.pipeline_id END AS pipeline,
    e.record_type,
    e.source,
    e.record_id,
    coalesce(e.key, e.record_id) AS key,
    e.occurred_at,
    {num} AS num,
    {den} AS den,
    coalesce(e.excluded_by, CASE WHEN e.occurred_at >= w.as_of THEN 'after_as_of' END) AS excluded_by,
    coalesce(e.credit_precision, 'log') AS credit_precision,
    coalesce(e.evidence_class, w.evidence_class) AS evidence_class
FROM records AS e
JOIN ways AS w ON w.period = e.period AND w.metric = e.metric
LEFT JOIN twin_pipelines AS t ON t.pipeline_id = e.pipeline_id
LEFT JOIN shares AS s ON s.credit_id = e.person_id AND s.takes = w.takes
WHERE w.form = 'own' OR (coalesce(e.variant, '') = '' AND (w.form = 'source' OR e.pipeline_id <> ''))"""


def evidence(
    metrics: Sequence[Metric], bounds: Mapping[str, Bounds], *, is_divided: bool, is_farthest: bool = False
) -> str:
    """The query of these metrics' evidence in one period, every column of `COLUMNS` filled and the metric's key beside
    it; `bounds` by basis, those of all the metrics at least. `is_divided`: `calc.split_shares` has rows.

    `person_id` and `team` hold 'unassigned' where nobody is credited; a record that several share has a row each.
    `is_farthest`: of the steps from a stage only the one to the last (metrics/given.py).
    """
    used = _used(metrics, bounds)
    records = [_records(metrics, bound.basis, given_periods([bound]), is_farthest) for bound in used]
    return _of_period(metrics, used, _union(records), is_divided=is_divided)


def counted_evidence(metrics: Sequence[Metric], bounds: Mapping[str, Bounds], *, is_divided: bool) -> str:
    """As `evidence`, but without rows that are left out; rows that no fact tells apart may be summed into one.

    `key` is NULL where nothing is counted or named by it; so is whatever else names a single record.
    """
    used = _used(metrics, bounds)
    # Here, before there is a row for each pipeline and source: half the cost for a million records.
    counted = _union(
        f"SELECT * FROM ({_records(metrics, bound.basis, given_periods([bound]))}) "
        f"WHERE excluded_by IS NULL AND (occurred_at >= {literal(bound.as_of)}) IS NOT TRUE"
        for bound in used
    )
    # A quantile is taken of records, and each record is divided by itself.
    if not is_divided and all(metric.additivity != "distribution" for metric in metrics):
        counted = _summed(metrics, counted)
    return _of_period(metrics, used, counted, is_divided=is_divided)


def _summed(metrics: Sequence[Metric], records: str) -> str:
    """Records that are alike in all that facts tell apart, in one row, in the columns of `_records`."""
    keyed = ", ".join(literal(metric.key) for metric in metrics if metric.additivity in ("distinct", "derived"))
    key = f"CASE WHEN metric IN ({keyed}) THEN coalesce(key, record_id) END" if keyed else "NULL::VARCHAR"
    alike = "metric, period, variant, pipeline, source, pipeline_id, person_id, team, credit_precision, evidence_class"
    none = ", ".join(
        f"NULL::{kind} AS {name}"
        for name, (kind, _) in COLUMNS.items()
        if kind and name not in (*alike.split(", "), "key")
    )
    return (
        f"SELECT {alike}, {key} AS key, sum(num) AS num, sum(den) AS den, {none} FROM ({records}) "
        f"GROUP BY {alike}, {key}"
    )


def evidence_view(catalogue: Catalogue) -> str:
    """The query of `facts.kpi_evidence`: every metric that is not absent, in every period computed so far."""
    metrics = catalogue.counted
    return _query(
        metrics,
        _union(_records(metrics, basis, stored_periods(basis)) for basis in catalogue.bases),
        bounds="SELECT basis, period, as_of FROM calc.periods",
        entity=f"""w.entity_type,
    CASE w.entity_type WHEN 'manager' THEN {splits.PERSON} WHEN 'team' THEN {splits.TEAM} ELSE 'company' END
        AS entity_id,""",
        present="ANTI JOIN meta.absent_metrics AS a ON a.period = p.period AND a.metric = d.metric",
        by_entity=True,
    )


def _used(metrics: Sequence[Metric], bounds: Mapping[str, Bounds]) -> list[Bounds]:
    return [bounds[basis] for basis in dict.fromkeys(metric.basis for metric in metrics)]


def _of_period(metrics: Sequence[Metric], used: Sequence[Bounds], records: str, *, is_divided: bool) -> str:
    given = ", ".join(
        f"({literal(bound.basis)}, {literal(bound.period.name)}, {literal(bound.as_of)})" for bound in used
    )
    return _query(
        metrics,
        records,
        bounds=f"SELECT * FROM (VALUES {given}) AS given (basis, period, as_of)",
        entity=f"{splits.PERSON} AS person_id, {splits.TEAM} AS team,",
        is_divided=is_divided,
    )


def _query(
    metrics: Sequence[Metric],
    records: str,
    *,
    bounds: str,
    entity: str,
    present: str = "",
    by_entity: bool = False,
    is_divided: bool = True,
) -> str:
    """Whatever holds for all metrics stands once, around all bodies: binding it for each took five times as long."""
    declared = values(
        [
            (
                metric.key,
                metric.basis,
                form,
                entity_type,
                splits.takes(metric),
                metric.unit == "money",
                metric.evidence_class,
            )
            for metric in metrics
            for form in ("own", *metric.by)
            for entity_type in (metric.entities if by_entity else (None,))
        ]
    )
    return "WITH" + _RECORDS.format(
        shares=splits.SHARES,
        declared=declared,
        bounds=bounds,
        present=present,
        records=records,
        entity=entity,
        # The arithmetic of shares is dear to bind, and few companies divide deals.
        num=splits.part("num", "w.is_money") if is_divided else "e.num",
        den=splits.part("den", "FALSE") if is_divided else "e.den",
    )


def _records(metrics: Sequence[Metric], basis: str, periods: str, is_farthest: bool = False) -> str:
    """What the bodies of a basis yield: its metrics share `as_of`, and so the relations in front of their bodies."""
    alike = [metric for metric in metrics if metric.basis == basis]
    before = relations(periods, *alike, is_farthest=is_farthest)
    return f"SELECT * FROM (WITH {before}\n{_union(map(_record_rows, alike))})"


def _union(queries: Iterable[str]) -> str:
    return "\nUNION ALL\n".join(queries)


def _record_rows(metric: Metric) -> str:
    """What a body yields, in the columns and types of `COLUMNS`."""
    empty = ", ".join(f"NULL{f'::{kind}' if kind else ''} AS {name}" for name, (kind, _) in COLUMNS.items())
    columns = ", ".join(name if kind else f"{name}::DECIMAL(38, 6) AS {name}" for name, (kind, _) in COLUMNS.items())
    return f"""SELECT {literal(metric.key)} AS metric, {columns}
FROM (SELECT {empty} WHERE FALSE UNION ALL BY NAME (
{metric.sql.rstrip().rstrip(";")}
))"""


def check_bodies(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> None:
    """Bind every body against the warehouse, without running it.

    Raises:
        ConfigError: every body that is no valid query, or yields the wrong columns, with file and line.
    """
    problems = [problem for metric in catalogue.counted for problem in _check_body(connection, metric)]
    problems += [problem for metric in catalogue.of_plan for problem in _check_plan_body(connection, metric)]
    if problems:
        raise broken_files(problems)


def _check_body(connection: duckdb.DuckDBPyConnection, metric: Metric) -> list[Problem]:
    before = f"WITH {relations(stored_periods(metric.basis), metric)}"
    yielded = _bind_body(connection, metric, before)
    if isinstance(yielded, Problem):
        return [yielded]
    required = {name for name, (_, optional) in COLUMNS.items() if not optional}
    if metric.additivity == "ratio":
        required.add("den")
    if "pipeline" in metric.by:
        required.add("pipeline_id")
    return _compare_columns(metric, yielded, required, set(COLUMNS))


def _check_plan_body(connection: duckdb.DuckDBPyConnection, metric: Metric) -> list[Problem]:
    columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in PLANNED_COLUMNS.items())
    yielded = _bind_body(connection, metric, f"WITH planned AS NOT MATERIALIZED (SELECT {columns})")
    if isinstance(yielded, Problem):
        return [yielded]
    return _compare_columns(metric, yielded, PLAN_COLUMNS, PLAN_COLUMNS)


def _bind_body(connection: duckdb.DuckDBPyConnection, declared: Declared, before: str) -> set[str] | Problem:
    """The columns a body yields behind the WITH list `before`, or what is wrong with it, at the file's own line."""
    before = f"DESCRIBE {before} SELECT * FROM (\n"
    try:
        rows = connection.execute(f"{before}{declared.sql.rstrip().rstrip(';')}\n)").fetchall()
    except duckdb.Error as error:
        message = str(error)
        place = re.search(r"LINE (\d+):", message)
        # Lines of the engine's own text in front do not exist in the file.
        line = int(place[1]) - before.count("\n") + declared.sql_line - 1 if place else declared.sql_line
        said = message.splitlines()[0]
        return Problem(declared.path, max(line, 1), say("{said}", "{said}", said=said))
    return {str(row[0]) for row in rows}


def _compare_columns(declared: Declared, yielded: set[str], required: set[str], known: set[str]) -> list[Problem]:
    """The columns a body lacks, and those nobody reads."""
    lacking = [say("нет столбца {name}", "no column {name}", name=name) for name in sorted(required - yielded)]
    strange = [say("лишний столбец {name}", "an unknown column {name}", name=name) for name in sorted(yielded - known)]
    return [Problem(declared.path, declared.sql_line, what) for what in lacking + strange]
