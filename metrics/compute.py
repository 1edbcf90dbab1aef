"""Recompute a period: stage its facts beside the stored ones; write the rows that differ and check them in one
transaction."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

import duckdb
import sqlalchemy as sa

from base.clock import Clock
from base.errors import ClosedPeriodError
from base.points import reached
from base.text import Text, say
from metrics.availability import Availability, find_availability, find_bounds, read_known
from metrics.catalogue import Catalogue, load_catalogue
from metrics.evidence import VIEW
from metrics.facts import KPI, PARTS, stage_facts
from metrics.flags.catalogue import Flag, load_flags
from metrics.flags.finding import FLAGS, PERIOD_FLAGS, stage_flags
from metrics.funnel import FUNNEL, stage_funnel
from metrics.invariants import check_evidence, check_period
from metrics.ledger import LEDGER, stage_ledger
from metrics.periods import Period
from metrics.plan import PLAN_FACT, stage_plan
from metrics.settings import Company
from metrics.versions import core_version, input_version
from metrics.views import create_views
from models import calc, facts, operations
from warehouse.database import transaction
from warehouse.side_by_side import side_by_side

_BOUNDS = "temp.fresh_bounds"
_ABSENT = "temp.fresh_absent"
# Where the rows of a relation are staged.
_STAGED = {
    facts.KPI: KPI,
    facts.FUNNEL: FUNNEL,
    facts.PLAN_FACT: PLAN_FACT,
    facts.STAGE_LEDGER: LEDGER,
    facts.FLAGS: FLAGS,
    operations.PERIOD_FLAGS: PERIOD_FLAGS,
    calc.PERIODS: _BOUNDS,
    operations.ABSENT_METRICS: _ABSENT,
}


@dataclass(frozen=True, kw_only=True)
class PeriodReport:
    """What a recompute did to one period."""

    period: str
    rows_written: int  # rows inserted and removed, over all relations; 0 = nothing changed
    metrics: tuple[str, ...]
    absent: Mapping[str, Text]  # metric -> what is missing
    as_of: datetime | None  # the earliest of its metrics'; None when all are absent


def recompute(
    connection: duckdb.DuckDBPyConnection,
    company: Company,
    periods: Sequence[Period],
    clock: Clock,
    *,
    catalogue: Catalogue | None = None,
    flags: Sequence[Flag] | None = None,
    jobs: int = 1,
) -> list[PeriodReport]:
    """Compute the facts and flags of periods, one transaction each, writing only rows that differ.

    The same records and inputs give the same rows, whether computed again or from nothing, and whether one by one or
    `jobs` at a time.

    Raises:
        ClosedPeriodError: one of the periods is closed; none was touched.
        ConfigError: a metric file is broken; nothing was touched.
        InvariantError: facts and evidence disagree; that period stays as it was.
    """
    _refuse_closed(connection, periods)
    if catalogue is None:
        catalogue = load_catalogue(company.metrics_dir)
    is_new = create_views(connection, catalogue, company.zone)
    flags = load_flags() if flags is None else flags
    writing = threading.Lock()

    def compute(session: duckdb.DuckDBPyConnection, period: Period) -> PeriodReport:
        # New views are proven on one period, the last: for each it would double the cost of the night after an update.
        is_proof = is_new and period == periods[-1]
        return _recompute_period(session, company, catalogue, flags, period, clock, is_proof, writing)

    return side_by_side(connection, jobs, compute, periods)


def _recompute_period(
    connection: duckdb.DuckDBPyConnection,
    company: Company,
    catalogue: Catalogue,
    flags: Sequence[Flag],
    period: Period,
    clock: Clock,
    is_new: bool,
    writing: AbstractContextManager[object],
) -> PeriodReport:
    """`is_new`: the views were written just now, and are to be checked too. `writing` is held by one at a time."""
    # Outside the transaction: of tables made in it the engine knows no sizes, and joins them the wrong way round.
    availability = _stage(connection, company, catalogue, flags, period)
    with writing, transaction(connection):
        written = _write(connection, period, clock)
        check_period(connection, catalogue, period, evidence=PARTS)
        if is_new:
            check_evidence(connection, catalogue, period, evidence=VIEW)
    reached("recompute.period")
    for fresh in (PARTS, *_STAGED.values()):
        connection.execute(f"DROP TABLE {fresh}")
    used = [
        availability.bounds[metric.basis].as_of for metric in catalogue.counted if metric.key not in availability.absent
    ]
    return PeriodReport(
        period=period.name,
        rows_written=written,
        metrics=tuple(metric.key for metric in catalogue if metric.key not in availability.absent),
        absent=availability.absent,
        as_of=min(used, default=None),
    )


def _stage(
    connection: duckdb.DuckDBPyConnection,
    company: Company,
    catalogue: Catalogue,
    flags: Sequence[Flag],
    period: Period,
) -> Availability:
    """Compute a period's rows into the tables of `_STAGED`, and its parts; how much of the metrics can be known."""
    known = read_known(connection, period)
    availability = find_availability(connection, company, catalogue, period, known=known)
    stage_facts(connection, company, catalogue, availability, input_version(connection))
    stage_funnel(connection, catalogue, availability)
    stage_plan(connection, company, catalogue, availability, period)
    looked = find_bounds(connection, company, flags, period, known=known)
    stage_flags(connection, company, flags, looked, period)
    stage_ledger(connection, both(availability, looked))
    _stage_meta(connection, company, both(availability, looked), period)
    return availability


def both(metrics: Availability, flags: Availability) -> Availability:
    """The bases of metrics and flags together; absent are metrics alone, `meta.period_flags` tells the flags."""
    return Availability({**flags.bounds, **metrics.bounds}, metrics.absent)


def _refuse_closed(connection: duckdb.DuckDBPyConnection, periods: Sequence[Period]) -> None:
    rows = connection.execute("SELECT period FROM meta.periods WHERE state = 'closed'").fetchall()
    closed = {str(period) for (period,) in rows}.intersection(period.name for period in periods)
    if closed:
        raise ClosedPeriodError(
            say("Период закрыт: {periods}.", "Closed period: {periods}.", periods=", ".join(sorted(closed))),
            remedy=say(
                "Закрытые периоды не пересчитываются: поздние записи станут корректировками открытого.",
                "Closed periods are never recomputed: late records become adjustments of an open one.",
            ),
        )


def _stage_meta(
    connection: duckdb.DuckDBPyConnection, company: Company, availability: Availability, period: Period
) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_BOUNDS} AS FROM calc.periods LIMIT 0")
    for bound in availability.bounds.values():
        connection.execute(
            f"INSERT INTO {_BOUNDS} VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                period.name,
                bound.basis,
                period.starts_on,
                period.ends_on,
                bound.starts_at,
                bound.ends_at,
                bound.as_of,
                list(bound.covered),
            ],
        )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_ABSENT} AS FROM meta.absent_metrics LIMIT 0")
    for metric, reason in availability.absent.items():
        connection.execute(
            f"INSERT INTO {_ABSENT} VALUES (?, ?, ?)", [period.name, metric, reason.render(company.language)]
        )


def _write(connection: duckdb.DuckDBPyConnection, period: Period, clock: Clock) -> int:
    """Bring the staged rows into the warehouse; the number of rows inserted and removed."""
    written = sum(_replace(connection, table, fresh, period.name) for table, fresh in _STAGED.items())
    return written + _write_period(connection, period, clock, is_changed=written > 0)


def _replace(connection: duckdb.DuckDBPyConnection, table: sa.Table, fresh: str, period: str) -> int:
    """Make a period's rows of a relation equal to the staged ones, touching only rows that differ."""
    columns = ", ".join(column.name for column in table.columns)
    same_key = " AND ".join(f"old.{column.name} = gone.{column.name}" for column in table.primary_key.columns)
    removed = connection.execute(
        f"DELETE FROM {table} AS old USING ("
        f"SELECT {columns} FROM {table} WHERE period = $period EXCEPT SELECT {columns} FROM {fresh}"
        f") AS gone WHERE {same_key}",
        {"period": period},
    ).fetchone()
    added = connection.execute(
        f"INSERT INTO {table} ({columns}) "
        f"SELECT {columns} FROM {fresh} EXCEPT SELECT {columns} FROM {table} WHERE period = $period",
        {"period": period},
    ).fetchone()
    return sum(int(count[0]) for count in (removed, added) if count is not None)


def _write_period(connection: duckdb.DuckDBPyConnection, period: Period, clock: Clock, *, is_changed: bool) -> int:
    """The period's own row; `computed_at` moves only when facts did."""
    stored = connection.execute(
        "SELECT starts_on, ends_on, input_version, core_version FROM meta.periods WHERE period = $period",
        {"period": period.name},
    ).fetchone()
    present = (period.starts_on, period.ends_on, input_version(connection), core_version(connection))
    if stored is None:
        connection.execute(
            "INSERT INTO meta.periods (period, state, starts_on, ends_on, input_version, core_version, computed_at) "
            "VALUES (?, 'open', ?, ?, ?, ?, ?)",
            [period.name, *present, clock.now()],
        )
        return 1
    if stored == present and not is_changed:
        return 0
    connection.execute(
        "UPDATE meta.periods SET starts_on = ?, ends_on = ?, input_version = ?, core_version = ?, "
        "computed_at = CASE WHEN ? THEN ? ELSE computed_at END WHERE period = ?",
        [*present, is_changed, clock.now(), period.name],
    )
    return 1
