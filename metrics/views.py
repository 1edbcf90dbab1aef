"""The views analysts read: evidence, facts in columns, the funnel in columns, and days; all made from the catalogue.

They stand on stored relations alone, so they work in a published, read-only copy, and they are written anew only when
the catalogue, the company's zone or the program's text has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import duckdb

from metrics.catalogue import Catalogue, Metric
from metrics.evidence import VIEW, VIEW_COLUMNS, VIEW_COMMENT, check_bodies, evidence_view
from metrics.literals import literal
from warehouse.engine import is_lake, transaction

# Facts with these units are whole numbers.
_COUNTED_UNITS = frozenset({"leads", "calls", "deals", "customers", "numbers"})
# Kinds of stages in the order of a funnel, each with its words.
KINDS = {
    "qualified": "a stage of kind qualified",
    "meeting": "a stage of kind meeting",
    "offer": "a stage of kind offer",
    "invoice": "a stage of kind invoice",
    "won": "a stage of kind won",
    "paid": "payment",
}


@dataclass(frozen=True)
class View:
    """A view's name, what it says of itself, its columns with their comments, and its query."""

    name: str
    comment: str
    columns: Mapping[str, str]
    query: str


def create_views(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, zone: ZoneInfo) -> bool:
    """Make the views show this catalogue; True when any had to be written.

    Raises:
        ConfigError: a metric's body does not fit the warehouse.
    """
    stale = [view for view in views(catalogue, zone) if not _is_current(connection, view)]
    if stale:
        check_bodies(connection, catalogue)
    with transaction(connection) if stale else nullcontext():
        for view in stale:
            _write(connection, view)
    return bool(stale)


def _write(connection: duckdb.DuckDBPyConnection, view: View) -> None:
    connection.execute(f"CREATE OR REPLACE VIEW {view.name} AS {view.query}")
    connection.execute(f"COMMENT ON VIEW {view.name} IS {literal(_stamped(view))}")
    if is_lake(connection):
        return  # it keeps no words on a view's columns
    for column, words in view.columns.items():
        connection.execute(f'COMMENT ON COLUMN {view.name}."{column}" IS {literal(words)}')


def views(catalogue: Catalogue, zone: ZoneInfo) -> Iterator[View]:
    """Every view, in the order they stand on each other."""
    yield View(VIEW, VIEW_COMMENT, VIEW_COLUMNS, evidence_view(catalogue))
    yield _kpi_wide(catalogue)
    yield _funnel_wide()
    yield _daily(catalogue, zone)


def _stamped(view: View) -> str:
    # The digest tells a view of another catalogue, or of another program, from this one.
    material = f"{view.query}{sorted(view.columns.items())}"
    return f"{view.comment} Catalogue {hashlib.sha256(material.encode()).hexdigest()[:16]}."


def _is_current(connection: duckdb.DuckDBPyConnection, view: View) -> bool:
    schema, _, name = view.name.partition(".")
    stored = connection.execute(
        "SELECT comment FROM duckdb_views() "
        "WHERE database_name = current_database() AND schema_name = ? AND view_name = ?",
        [schema, name],
    ).fetchone()
    return stored is not None and stored[0] == _stamped(view)


def _kpi_wide(catalogue: Catalogue) -> View:
    metrics = catalogue.counted
    columns = ",\n    ".join(f'{_cell(metric)} AS "{metric.key}"' for metric in metrics)
    return View(
        "facts.kpi_wide",
        "Facts in columns: a row for each period and entity, a column for each metric, plain form; NULL = absent.",
        {
            "period": "2026-11, 2026-Q4, 2026-W47, 2026-11-16.",
            "entity_type": "manager, team, company.",
            "entity_id": "Person's id, team's name, company, or unassigned.",
            "entity_name": "Name to show.",
            "as_of": "Until when every metric of the row was counted at least, UTC, exclusive.",
            "currency": "ISO 4217 code of the money.",
            **{metric.key: _words(metric) for metric in metrics},
        },
        f"""SELECT
    period, entity_type, entity_id, any_value(entity_name) AS entity_name, min(as_of) AS as_of,
    any_value(currency) AS currency,
    {columns}
FROM facts.kpi
WHERE variant = '' AND pipeline = ''
GROUP BY period, entity_type, entity_id""",
    )


def _cell(metric: Metric) -> str:
    """Money and counts exactly, everything else as a double."""
    chosen = f"FILTER (metric = {literal(metric.key)})"
    if metric.additivity in ("additive", "snapshot", "distinct"):
        if metric.unit == "money":
            return f"max(num) {chosen}::DECIMAL(18, 2)"
        if metric.unit in _COUNTED_UNITS:
            return f"max(num) {chosen}::BIGINT"
    return f"max(value) {chosen}"


def _words(metric: Metric) -> str:
    return f"{metric.label.en} / {metric.label.ru}; {metric.unit}."


def _funnel_wide() -> View:
    counts = ",\n    ".join(f"max(num) FILTER (kind = '{kind}')::BIGINT AS {kind}" for kind in KINDS)
    shares = ",\n    ".join(f"max(value) FILTER (kind = '{kind}') AS {kind}_share" for kind in KINDS)
    return View(
        "facts.funnel_wide",
        "The funnel in columns: a row for each period, form, pipeline and entity, from the first base stage on. Of "
        "several stages of a kind the first one stands here; facts.funnel has them all.",
        {
            "period": "Period.",
            "form": "cohort or period.",
            "source": "Deals' source.",
            "pipeline_id": "Pipeline.",
            "entity_type": "manager, team, company.",
            "entity_id": "Person's id, team's name, company, or unassigned.",
            "as_of": "Until when records were counted, UTC, exclusive.",
            "maturity": "Cohort form: share of the cohort with a terminal outcome; under 0.8 is immature.",
            "base": "Deals that first passed the first base stage in the period.",
            **{kind: f"Deals that passed {words}." for kind, words in KINDS.items()},
            **{f"{kind}_share": f"{kind} / base; the period form may exceed 1." for kind in KINDS},
        },
        f"""WITH stage_kinds AS (
    SELECT source, pipeline_id, stage_id, arg_max(kind, valid_from) AS kind, arg_max(position, valid_from) AS position
    FROM core.stages GROUP BY source, pipeline_id, stage_id
),
first_stages AS (
    SELECT source, pipeline_id, kind, arg_min(stage_id, position) AS stage_id
    FROM stage_kinds GROUP BY source, pipeline_id, kind
    UNION ALL
    SELECT DISTINCT source, pipeline_id, 'paid', 'paid' FROM stage_kinds
),
steps AS (
    SELECT f.*, t.kind
    FROM facts.funnel AS f
    JOIN first_stages AS b
        ON b.source = f.source AND b.pipeline_id = f.pipeline_id AND b.kind = 'base' AND b.stage_id = f.from_stage
    JOIN first_stages AS t ON t.source = f.source AND t.pipeline_id = f.pipeline_id AND t.stage_id = f.to_stage
)
SELECT
    period, form, source, pipeline_id, entity_type, entity_id, min(as_of) AS as_of, max(maturity) AS maturity,
    max(den)::BIGINT AS base,
    {counts},
    {shares}
FROM steps
GROUP BY period, form, source, pipeline_id, entity_type, entity_id""",
    )


def _daily(catalogue: Catalogue, zone: ZoneInfo) -> View:
    """Only what adds up over days: a rate of a day is made of two columns by whoever asks."""
    metrics = [metric for metric in catalogue.counted if metric.additivity == "additive"]
    kinds = {metric.key: "DECIMAL(18, 2)" if metric.unit == "money" else "DOUBLE" for metric in metrics}
    kinds |= {metric.key: "BIGINT" for metric in metrics if metric.unit in _COUNTED_UNITS}
    columns = ",\n    ".join(
        f'coalesce(sum(num) FILTER (metric = {literal(metric.key)}), 0)::{kinds[metric.key]} AS "{metric.key}"'
        for metric in metrics
    )
    keys = ", ".join(literal(metric.key) for metric in metrics)
    return View(
        "facts.daily",
        "Additive metrics by local day: a row for each day with records and entity, over the months computed so far.",
        {
            "day": "Day in the company's time zone.",
            "entity_type": "manager, team, company.",
            "entity_id": "Person's id, team's name, company, or unassigned.",
            **{metric.key: _words(metric) for metric in metrics},
        },
        f"""SELECT
    timezone({literal(zone.key)}, occurred_at)::DATE AS day, entity_type, entity_id,
    {columns or "NULL AS nothing"}
FROM facts.kpi_evidence
WHERE metric IN ({keys or "''"}) AND variant = '' AND pipeline = '' AND excluded_by IS NULL
    -- Months alone: a week or a quarter holds the same records again.
    AND regexp_full_match(period, '\\d{{4}}-\\d{{2}}')
GROUP BY ALL""",
    )
