"""Evidence: what a metric's query may read and must yield, and the view that shows it record by record.

A metric's body is one SELECT. It reads `calc.*` and `core.*`, and three relations put in front of it:

* `periods(period, starts_on, ends_on, starts_at, ends_at, as_of, covered)`: the periods asked for;
* `period_days(period, day, as_of, covered)`: their local days. Join on equality, `local_date = day`: DuckDB then skips
  the blocks of other days, so a month's cost does not follow the history;
* `steps(period, source, pipeline_id, from_stage, to_stage, variant, pipeline)`: the ordered pairs of stages of every
  pipeline, `paid` behind them all. Variant '' is the pair from the pipeline's first base stage to paid.

It yields the columns of `COLUMNS`; the ones marked optional may be left out. Rows that do not count are yielded too,
with the rule's name in `excluded_by`, so that `explain` can say why. Records at or after `as_of` are left out here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import duckdb

from base.text import say
from metrics import splits
from metrics.availability import Bounds
from metrics.catalogue import Catalogue, Metric, broken_files
from metrics.declared import Declared
from metrics.header import Problem
from metrics.literals import literal

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

_STEPS = """
stage_map AS NOT MATERIALIZED (
    SELECT p.period, p.covered, s.source, s.pipeline_id, s.stage_id, s.position, s.kind
    FROM periods AS p
    JOIN core.stages AS s ON s.valid_from < p.ends_on
    QUALIFY row_number() OVER (
        PARTITION BY p.period, s.source, s.pipeline_id, s.stage_id ORDER BY s.valid_from DESC
    ) = 1
),
stage_order AS NOT MATERIALIZED (
    SELECT period, source, pipeline_id, stage_id, position::DOUBLE AS position, kind
    FROM stage_map WHERE kind NOT IN ('lost', 'service')
    UNION ALL
    SELECT DISTINCT period, source, pipeline_id, 'paid', 'infinity'::DOUBLE, 'paid'
    FROM stage_map WHERE list_contains(covered, 'money')
),
stage_pairs AS NOT MATERIALIZED (
    SELECT
        f.period, f.source, f.pipeline_id, f.stage_id AS from_stage, t.stage_id AS to_stage,
        f.kind = 'base' AND t.kind = 'paid'
            AND f.position = min(f.position) OVER (PARTITION BY f.period, f.source, f.pipeline_id, f.kind) AS is_plain
    FROM stage_order AS f
    JOIN stage_order AS t
        ON t.period = f.period AND t.source = f.source AND t.pipeline_id = f.pipeline_id AND t.position > f.position
),
steps AS NOT MATERIALIZED (
    SELECT period, source, pipeline_id, from_stage, to_stage,
        concat('source=', source, ';from=', from_stage, ';to=', to_stage) AS variant, pipeline_id AS pipeline
    FROM stage_pairs
    UNION ALL
    SELECT period, source, pipeline_id, from_stage, to_stage, '', '' FROM stage_pairs WHERE is_plain
)"""


_SPLITS = """
twin_pipelines AS (SELECT pipeline_id FROM core.stages GROUP BY pipeline_id HAVING count(DISTINCT source) > 1),
has_sources AS (SELECT count(DISTINCT source) > 1 FROM core.stages)"""


def relations(periods: str, *metrics: Declared) -> str:
    """The WITH list in front of these metrics' bodies; `periods` is the query that gives the relation of that name."""
    # Binding and optimizing the pairs of stages takes longer than most metrics run: only where a body names them.
    steps = f",{_STEPS}" if any("steps" in metric.sql for metric in metrics) else ""
    steps += f",{_SPLITS}" if any(metric.by for metric in metrics) else ""
    return f"""periods AS NOT MATERIALIZED ({periods}),
period_days AS NOT MATERIALIZED (
    SELECT period, as_of, covered,
        unnest(generate_series(starts_on::TIMESTAMP, ends_on::TIMESTAMP - INTERVAL 1 DAY, INTERVAL 1 DAY))::DATE AS day
    FROM periods
){steps}"""


def given_periods(bounds: Iterable[Bounds]) -> str:
    """`periods` from bounds in hand."""
    rows = ", ".join(
        "("
        + ", ".join(
            map(
                literal,
                (
                    bound.period.name,
                    bound.period.starts_on,
                    bound.period.ends_on,
                    bound.starts_at,
                    bound.ends_at,
                    bound.as_of,
                    list(bound.covered),
                ),
            )
        )
        + ")"
        for bound in bounds
    )
    names = "period, starts_on, ends_on, starts_at, ends_at, as_of, covered"
    return f"SELECT * FROM (VALUES {rows}) AS given ({names})"


def stored_periods(basis: str) -> str:
    """`periods` from the periods computed so far."""
    return (
        "SELECT period, starts_on, ends_on, starts_at, ends_at, as_of, covered "
        f"FROM calc.periods WHERE basis = {literal(basis)}"
    )


def evidence_rows(metric: Metric) -> str:
    """A metric's evidence with every column of `COLUMNS` filled; stands behind `relations`.

    `person_id` and `team` hold 'unassigned' where nobody is credited; a record that several share has a row each.
    """
    empty = ", ".join(f"NULL{f'::{kind}' if kind else ''} AS {name}" for name, (kind, _) in COLUMNS.items())
    body = f"SELECT {empty} WHERE FALSE UNION ALL BY NAME (\n{metric.sql.rstrip().rstrip(';')}\n)"
    variant, pipeline = "coalesce(e.variant, '')", "coalesce(e.pipeline, '')"
    if metric.by:
        body = f"SELECT b.*, unnest({_forms(metric)}) AS form FROM ({body}) AS b"
        variant, pipeline = "e.form.variant", "e.form.pipeline"
    return f"""SELECT
    e.period,
    {variant} AS variant,
    {pipeline} AS pipeline,
    e.record_type,
    e.source,
    e.record_id,
    coalesce(e.key, e.record_id) AS key,
    e.occurred_at,
    {splits.person(metric)} AS person_id,
    {splits.team(metric)} AS team,
    {splits.part(metric, "num")} AS num,
    {splits.part(metric, "den")} AS den,
    coalesce(e.excluded_by, CASE WHEN e.occurred_at >= p.as_of THEN 'after_as_of' END) AS excluded_by,
    coalesce(e.credit_precision, 'log') AS credit_precision,
    coalesce(e.evidence_class, {literal(metric.evidence_class)}) AS evidence_class
FROM ({body}) AS e
JOIN periods AS p ON p.period = e.period{splits.shares_join(metric)}"""


def _forms(metric: Metric) -> str:
    """The rows a record of the body's row `b` has: its own, and for the plain form one for its pipeline and source."""
    own = "[{'variant': coalesce(b.variant, ''), 'pipeline': coalesce(b.pipeline, '')}]"
    parts = []
    if "pipeline" in metric.by:
        # Ids of pipelines are small numbers in some CRMs: where two accounts share one, its source is named too.
        source = "CASE WHEN b.pipeline_id IN (FROM twin_pipelines) THEN 'source=' || b.source || ';' ELSE '' END"
        form = f"{{'variant': {source} || 'pipeline=' || b.pipeline_id, 'pipeline': b.pipeline_id}}"
        parts.append(f"CASE WHEN b.pipeline_id <> '' THEN [{form}] ELSE [] END")
    if "source" in metric.by:
        source = "[{'variant': 'source=' || b.source, 'pipeline': ''}]"
        parts.append(f"CASE WHEN (FROM has_sources) THEN {source} ELSE [] END")
    return f"CASE WHEN coalesce(b.variant, '') <> '' THEN {own} ELSE {own} || {' || '.join(parts)} END"


def check_bodies(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> None:
    """Bind every body against the warehouse, without running it.

    Raises:
        ConfigError: every body that is no valid query, or yields the wrong columns, with file and line.
    """
    problems = [problem for metric in catalogue.counted for problem in _check_body(connection, metric)]
    problems += [problem for metric in catalogue.of_plan for problem in _check_plan_body(connection, metric)]
    if problems:
        raise broken_files(problems)


def evidence_view(catalogue: Catalogue) -> str:
    """The query of `facts.kpi_evidence`. One WITH list a basis: metrics that share `as_of` share their relations.

    Absent metrics are taken out once, around all: a look-up for each was a quarter of what reading the view costs.
    """
    parts = []
    for basis in catalogue.bases:
        metrics = [metric for metric in catalogue.counted if metric.basis == basis]
        selects = "\nUNION ALL\n".join(map(_entity_rows, metrics))
        parts.append(f"SELECT * FROM (WITH {relations(stored_periods(basis), *metrics)}\n{selects})")
    rows = "\nUNION ALL\n".join(parts)
    return f"""SELECT * FROM (
{rows}
) AS rows ANTI JOIN meta.absent_metrics AS absent ON absent.period = rows.period AND absent.metric = rows.metric"""


def _entity_rows(metric: Metric) -> str:
    entities = ", ".join(f"({literal(entity)})" for entity in metric.entities)
    return f"""SELECT
    e.period, {literal(metric.key)} AS metric, e.variant, t.entity_type,
    CASE t.entity_type WHEN 'manager' THEN e.person_id WHEN 'team' THEN e.team ELSE 'company' END AS entity_id,
    e.pipeline, e.record_type, e.source, e.record_id, e.key, e.occurred_at, e.num, e.den, e.excluded_by,
    e.credit_precision, e.evidence_class
FROM ({evidence_rows(metric)}) AS e
CROSS JOIN (VALUES {entities}) AS t (entity_type)"""


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
