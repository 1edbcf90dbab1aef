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

import hashlib
import re
from collections.abc import Iterable

import duckdb

from base.text import say
from metrics.availability import Bounds
from metrics.catalogue import Catalogue, Metric, broken_files
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


def relations(periods: str, *metrics: Metric) -> str:
    """The WITH list in front of these metrics' bodies; `periods` is the query that gives the relation of that name."""
    # Binding and optimizing the pairs of stages takes longer than most metrics run: only where a body names them.
    steps = f",{_STEPS}" if any("steps" in metric.sql for metric in metrics) else ""
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

    `person_id` and `team` hold 'unassigned' where nobody is credited.
    """
    empty = ", ".join(f"NULL{f'::{kind}' if kind else ''} AS {name}" for name, (kind, _) in COLUMNS.items())
    return f"""SELECT
    e.period,
    coalesce(e.variant, '') AS variant,
    coalesce(e.pipeline, '') AS pipeline,
    e.record_type,
    e.source,
    e.record_id,
    coalesce(e.key, e.record_id) AS key,
    e.occurred_at,
    coalesce(e.person_id, 'unassigned') AS person_id,
    coalesce(e.team, 'unassigned') AS team,
    e.num::DECIMAL(38, 6) AS num,
    e.den::DECIMAL(38, 6) AS den,
    coalesce(e.excluded_by, CASE WHEN e.occurred_at >= p.as_of THEN 'after_as_of' END) AS excluded_by,
    coalesce(e.credit_precision, 'log') AS credit_precision,
    coalesce(e.evidence_class, {literal(metric.evidence_class)}) AS evidence_class
FROM (SELECT {empty} WHERE FALSE UNION ALL BY NAME (
{metric.sql.rstrip().rstrip(";")}
)) AS e
JOIN periods AS p ON p.period = e.period"""


def check_bodies(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> None:
    """Bind every body against the warehouse, without running it.

    Raises:
        ConfigError: every body that is no valid query, or yields the wrong columns, with file and line.
    """
    problems = [problem for metric in catalogue for problem in _check_body(connection, metric)]
    if problems:
        raise broken_files(problems)


def create_views(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> bool:
    """Make `facts.kpi_evidence` show this catalogue; True when it had to be written.

    The view stands on stored relations alone, so it works in a published, read-only copy as well.

    Raises:
        ConfigError: a metric's body does not fit the warehouse.
    """
    query = _view(catalogue)
    # The digest tells a view of another catalogue, or of another program, from this one.
    comment = f"{VIEW_COMMENT} Catalogue {hashlib.sha256(query.encode()).hexdigest()[:16]}."
    stored = connection.execute(
        "SELECT comment FROM duckdb_views() "
        "WHERE database_name = current_database() AND schema_name = 'facts' AND view_name = 'kpi_evidence'"
    ).fetchone()
    if stored is not None and stored[0] == comment:
        return False
    check_bodies(connection, catalogue)
    connection.execute(f"CREATE OR REPLACE VIEW {VIEW} AS {query}")
    connection.execute(f"COMMENT ON VIEW {VIEW} IS {literal(comment)}")
    for column, words in VIEW_COLUMNS.items():
        connection.execute(f"COMMENT ON COLUMN {VIEW}.{column} IS {literal(words)}")
    return True


def _view(catalogue: Catalogue) -> str:
    """One WITH list a basis: metrics that share `as_of` share their relations."""
    parts = []
    for basis in catalogue.bases:
        metrics = [metric for metric in catalogue if metric.basis == basis]
        selects = "\nUNION ALL\n".join(map(_entity_rows, metrics))
        parts.append(f"SELECT * FROM (WITH {relations(stored_periods(basis), *metrics)}\n{selects})")
    return "\nUNION ALL\n".join(parts)


def _entity_rows(metric: Metric) -> str:
    entities = ", ".join(f"({literal(entity)})" for entity in metric.entities)
    return f"""SELECT
    e.period, {literal(metric.key)} AS metric, e.variant, t.entity_type,
    CASE t.entity_type WHEN 'manager' THEN e.person_id WHEN 'team' THEN e.team ELSE 'company' END AS entity_id,
    e.pipeline, e.record_type, e.source, e.record_id, e.key, e.occurred_at, e.num, e.den, e.excluded_by,
    e.credit_precision, e.evidence_class
FROM ({evidence_rows(metric)}) AS e
CROSS JOIN (VALUES {entities}) AS t (entity_type)
WHERE NOT EXISTS (
    SELECT 1 FROM meta.absent_metrics AS a WHERE a.period = e.period AND a.metric = {literal(metric.key)}
)"""


def _check_body(connection: duckdb.DuckDBPyConnection, metric: Metric) -> list[Problem]:
    before = f"DESCRIBE WITH {relations(stored_periods(metric.basis), metric)} SELECT * FROM (\n"
    try:
        rows = connection.execute(f"{before}{metric.sql.rstrip().rstrip(';')}\n)").fetchall()
    except duckdb.Error as error:
        message = str(error)
        place = re.search(r"LINE (\d+):", message)
        # Lines of the engine's own text in front do not exist in the file.
        line = int(place[1]) - before.count("\n") + metric.sql_line - 1 if place else metric.sql_line
        said = message.splitlines()[0]
        return [Problem(metric.path, max(line, 1), say("{said}", "{said}", said=said))]
    yielded = {str(row[0]) for row in rows}
    required = {name for name, (_, optional) in COLUMNS.items() if not optional}
    if metric.additivity == "ratio":
        required.add("den")
    lacking = [say("нет столбца {name}", "no column {name}", name=name) for name in sorted(required - yielded)]
    strange = [
        say("лишний столбец {name}", "an unknown column {name}", name=name) for name in sorted(yielded - set(COLUMNS))
    ]
    return [Problem(metric.path, metric.sql_line, what) for what in lacking + strange]
