"""Facts as reports read them, from the warehouse or from a published file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

import duckdb

from base.errors import UsageError
from base.text import Text, say
from metrics.availability import find_availability
from metrics.catalogue import Catalogue
from metrics.facts import KPI, stage_facts
from metrics.periods import Period
from metrics.plan import FORECAST, PLAN_FACT, stage_plan
from metrics.settings import Company
from metrics.versions import input_version

Row = TypeVar("Row")


@dataclass(frozen=True, kw_only=True)
class KpiRow:
    """A fact with its plan, attainment and forecast where there is a plan; columns as in `facts.kpi`."""

    period: str
    metric: str
    variant: str
    pipeline: str
    entity_type: str
    entity_id: str
    entity_name: str
    num: Decimal | None
    den: Decimal | None
    value: float | None
    unit: str
    currency: str | None
    evidence_class: str
    additivity: str
    as_of: datetime
    credit_precision: str | None
    plan: float | None
    attainment: float | None  # exact; on screen truncated to 0.1 pp, never rounded up
    forecast: float | None


@dataclass(frozen=True, kw_only=True)
class Completeness:
    """Until when a source's stream is complete, UTC, exclusive; None = never completely loaded."""

    source: str
    stream: str
    facet: str
    complete_until: datetime | None


def read_kpi(
    connection: duckdb.DuckDBPyConnection,
    period: str,
    metric: str | None = None,
    by: str | None = None,
    *,
    variants: bool = False,
    catalogue: Catalogue | None = None,
) -> list[KpiRow]:
    """Facts of a computed period: plain ones, and with `variants` every form.

    `by` is manager, team or company; None gives all three. Within a metric the company comes first, then teams, then
    managers by name, and whoever is unassigned last; metrics come in the catalogue's order where one is given.

    Raises:
        UsageError: the period was never computed.
    """
    require_computed(connection, period)
    query = _kpi_query("facts.kpi", "facts.plan_fact")
    found = fetch_rows(connection, KpiRow, query, _selection(period, metric, by, variants))
    return _in_order(found, catalogue)


def compute_kpi(
    connection: duckdb.DuckDBPyConnection,
    company: Company,
    catalogue: Catalogue,
    period: Period,
    as_of: date,
    metric: str | None = None,
    by: str | None = None,
    *,
    variants: bool = False,
) -> tuple[list[KpiRow], dict[str, Text]]:
    """Facts as they stood at the end of a local day, computed now and stored nowhere, and the absent metrics.

    Works on a published file too. What was *known* that day is kept only by closing (metrics.md 2.1).
    """
    availability = find_availability(connection, company, catalogue, period, as_of)
    stage_facts(connection, company, catalogue, availability, input_version(connection))
    stage_plan(connection, company, catalogue, availability, period)
    query = _kpi_query(KPI, PLAN_FACT)
    found = fetch_rows(connection, KpiRow, query, _selection(period.name, metric, by, variants))
    return _in_order(found, catalogue), dict(availability.absent)


def read_completeness(connection: duckdb.DuckDBPyConnection) -> list[Completeness]:
    """Until when each source's data is complete, for the streams numbers depend on."""
    return fetch_rows(
        connection,
        Completeness,
        "SELECT source, stream, facet, complete_until FROM meta.coverage WHERE facet <> '' ORDER BY source, stream",
        {},
    )


def read_absent(connection: duckdb.DuckDBPyConnection, period: str) -> dict[str, str]:
    """The metrics a computed period lacks, each with the reason in the company's language."""
    rows = connection.execute(
        "SELECT metric, reason FROM meta.absent_metrics WHERE period = $period ORDER BY metric", {"period": period}
    ).fetchall()
    return {str(metric): str(reason) for metric, reason in rows}


def require_computed(connection: duckdb.DuckDBPyConnection, period: str) -> None:
    """Do nothing for a computed period.

    Raises:
        UsageError: it was never computed; the remedy is the command that does.
    """
    if connection.execute("SELECT 1 FROM meta.periods WHERE period = $period", {"period": period}).fetchone():
        return
    raise UsageError(
        say("Период {period} ещё не посчитан.", "Period {period} is not computed yet.", period=period),
        remedy=say(
            "Сделайте: voronka recompute {period} и voronka publish.",
            "Run: voronka recompute {period} and voronka publish.",
            period=period,
        ),
    )


def fetch_rows(
    connection: duckdb.DuckDBPyConnection, row: type[Row], query: str, parameters: dict[str, Any]
) -> list[Row]:
    """A query's rows as dataclasses; columns are taken by name, those without a field are left."""
    cursor = connection.execute(query, parameters)
    names = [column[0] for column in cursor.description or ()]
    wanted = [field.name for field in fields(row)]  # type: ignore[arg-type]
    places = [names.index(name) for name in wanted]
    return [
        row(**{name: found[place] for name, place in zip(wanted, places, strict=True)}) for found in cursor.fetchall()
    ]


def _kpi_query(kpi: str, plan_fact: str) -> str:
    return f"""
        SELECT k.*, p.plan, p.attainment, coalesce(p.forecast, f.value) AS forecast
        FROM {kpi} AS k
        LEFT JOIN {plan_fact} AS p
            ON p.period = k.period AND p.metric = k.metric AND p.entity_type = k.entity_type
            AND p.entity_id = k.entity_id AND k.variant = '' AND k.pipeline = ''
        LEFT JOIN {kpi} AS f
            ON f.period = k.period AND f.metric = '{FORECAST}' AND f.variant = 'metric=' || k.metric
            AND f.entity_type = k.entity_type AND f.entity_id = k.entity_id AND k.variant = '' AND k.pipeline = ''
        WHERE k.period = $period
            AND ($metric IS NULL OR k.metric = $metric)
            AND ($entity_type IS NULL OR k.entity_type = $entity_type)
            AND ($variants OR (k.variant = '' AND k.pipeline = ''))
        ORDER BY k.metric, k.pipeline, k.variant, list_position(['company', 'team', 'manager'], k.entity_type),
            k.entity_id = 'unassigned', k.entity_name, k.entity_id
    """


def _selection(period: str, metric: str | None, by: str | None, variants: bool) -> dict[str, Any]:
    return {"period": period, "metric": metric, "entity_type": by, "variants": variants}


def _in_order(rows: Iterable[KpiRow], catalogue: Catalogue | None) -> list[KpiRow]:
    order = {metric.key: place for place, metric in enumerate(catalogue or ())}
    return sorted(rows, key=lambda row: order.get(row.metric, len(order)))
