"""Recomputing one month as its history grows, beside the same questions as hand-written SQL on the same data.

`python -m benchmarks.recompute --deals 3000 --months 1 6 12 36`: deals a month, and lengths of history. Each length is
a company of its own, resolved before the clock starts; the last whole month is computed from nothing, then again. With
`--copies 10` a tenth of the deals is resolved and the rest are copies of them (benchmarks/multiply.py). With
`--cut` the shorter histories are the longest without what was over before: the month is the same. Companies made for
`--keep FOLDER` stay there and are used again; the month's facts of an earlier run are forgotten first. Figures that
bear comparison on a shared machine are CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import duckdb

from benchmarks.generate import COMPANY, UNTIL, Size, files_in, generate_files, make_clock
from benchmarks.measure import run
from benchmarks.multiply import copy_cut, multiply
from benchmarks.summary import BY_HAND, US, Line
from metrics.availability import find_availability
from metrics.catalogue import Catalogue, load_catalogue
from metrics.compute import recompute
from metrics.facts import stage_facts
from metrics.periods import add_months, parse_period
from metrics.resolve import resolve
from models.heads import WAREHOUSE_REVISION
from warehouse.database import open_warehouse

ROOT = Path(__file__).parent.parent
MEBIBYTE = 1024 * 1024
MONTH = "2026-11"
assert parse_period(MONTH)[0].ends_on == UNTIL

# What an analyst would write over calc.*, for the company and by manager: `{number}` over `{rows}` of the month.
_BY_MANAGER = """
SELECT coalesce(person_id, 'unassigned') AS person_id, {number} AS number
FROM {rows}
GROUP BY GROUPING SETS ((), (coalesce(person_id, 'unassigned')))
ORDER BY grouping(coalesce(person_id, 'unassigned')) DESC
"""
_IN_MONTH = "local_date >= DATE '2026-11-01' AND local_date < DATE '2026-12-01' AND excluded_by IS NULL"
_SOLD_IN_MONTH = "local_date >= DATE '2026-11-01' AND local_date < DATE '2026-12-01'"
_AT_THE_END = "TIMESTAMPTZ '2026-11-30 21:00:00+00'"
HAND_WRITTEN = {
    "leads_new": ("count(*)", f"calc.leads WHERE {_IN_MONTH}"),
    "calls_attempted": ("count(*)", f"calc.calls WHERE {_IN_MONTH} AND is_attempt AND direction IS DISTINCT FROM 'in'"),
    "calls_successful": ("count(*)", f"calc.calls WHERE {_IN_MONTH} AND is_answered AND is_successful"),
    "revenue_cash": ("sum(amount)", f"calc.payments WHERE {_IN_MONTH}"),
    "deals_paid": ("sum(sign)", f"calc.paid_deals WHERE {_SOLD_IN_MONTH}"),
    "new_customers": ("sum(sign)", f"calc.sales WHERE {_SOLD_IN_MONTH} AND is_first"),
    "lead_sla_rate": (
        "sum(CASE WHEN first_action_at <= sla_ends_at THEN 1 ELSE 0 END)",
        f"calc.leads WHERE {_IN_MONTH} AND sla_ends_at < {_AT_THE_END}",
    ),
    "pipeline_amount": (
        "sum(amount)",
        f"calc.open_deals WHERE valid_from < {_AT_THE_END} AND valid_to >= {_AT_THE_END} AND excluded_by IS NULL",
    ),
}


class Stopwatch:
    """A connection that notes the CPU seconds of every statement."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.statements: list[tuple[str, float]] = []

    def execute(self, query: str, *parameters: object) -> duckdb.DuckDBPyConnection:
        started = time.process_time()
        try:
            return self._connection.execute(query, *parameters)
        finally:
            self.statements.append((query, time.process_time() - started))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def seconds(self, *words: str) -> float:
        """CPU seconds of the statements in which one of the words stands."""
        return sum(seconds for query, seconds in self.statements if any(word in query for word in words))


@dataclass(frozen=True, kw_only=True)
class Measured:
    """CPU seconds, but for the counts and what is named wall."""

    metrics: int
    facts: int
    evidence: int  # rows of the month, an entity each
    first: float  # with views and their first check
    first_wall: float
    again: float
    again_wall: float
    parts: float  # of `again`: reading the evidence
    check: float  # of `again`: facts against the parts they are made of
    eight: float  # the facts of HAND_WRITTEN's metrics, staged
    eight_wall: float
    by_hand: float
    by_hand_wall: float


def _mark(folder: Path) -> Path:
    return folder / "resolved"


def _is_prepared(folder: Path) -> bool:
    """Whether a company is there.

    Raises:
        SystemExit: one that another version resolved: it may lack what numbers stand on now.
    """
    mark = _mark(folder)
    if mark.exists() and mark.read_text(encoding="utf-8") != WAREHOUSE_REVISION:
        sys.exit(f"{folder}: made by another version; name another folder, or remove this one")
    return mark.exists()


def prepare(folder: Path, deals: int, months: int, copies: int) -> None:
    """A company of so many deals a month with `calc.*` filled, unless the folder has one."""
    if _is_prepared(folder):
        return
    folder.mkdir(parents=True, exist_ok=True)
    files = generate_files(folder, Size(deals // copies * months, months))
    with open_warehouse(files, command="benchmark", clock=make_clock()) as warehouse:
        resolve(warehouse.connection, COMPANY, make_clock())
        multiply(warehouse.connection, copies)
    _mark(folder).write_text(WAREHOUSE_REVISION, encoding="utf-8")


def prepare_cut(folder: Path, whole: Path, months: int) -> None:
    """The company of the folder `whole` with so many months of history, unless `folder` has it."""
    if _is_prepared(folder):
        return
    copy_cut(files_in(whole), files_in(folder), add_months(UNTIL, -months), make_clock())
    _mark(folder).write_text(WAREHOUSE_REVISION, encoding="utf-8")


def forget(connection: duckdb.DuckDBPyConnection) -> None:
    """Leave nothing of an earlier run: no facts, no periods, no views."""
    tables = connection.execute(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = current_database() "
        "AND (schema_name = 'facts' AND table_name <> 'deal_payments' "
        "OR schema_name = 'calc' AND table_name = 'periods' "
        "OR schema_name = 'meta' AND table_name IN ('periods', 'absent_metrics', 'period_flags'))"
    ).fetchall()
    for (table,) in tables:
        connection.execute(f"DELETE FROM {table}")
    for view in ("daily", "funnel_wide", "kpi_wide", "kpi_evidence"):
        connection.execute(f"DROP VIEW IF EXISTS facts.{view}")
    connection.execute("CHECKPOINT")


def measure(folder: Path) -> Measured:
    """Compute the month twice, then ask by hand.

    Raises:
        AssertionError: the second time wrote something, or a number by hand is another one.
    """
    with open_warehouse(files_in(folder), command="benchmark", clock=make_clock()) as warehouse:
        connection = warehouse.connection
        forget(connection)
        started, wall_started = time.process_time(), time.monotonic()
        recompute(connection, COMPANY, parse_period(MONTH), make_clock())
        first, first_wall = time.process_time() - started, time.monotonic() - wall_started
        watch = Stopwatch(connection)
        started, wall_started = time.process_time(), time.monotonic()
        (report,) = recompute(cast(duckdb.DuckDBPyConnection, watch), COMPANY, parse_period(MONTH), make_clock())
        again, again_wall = time.process_time() - started, time.monotonic() - wall_started
        assert report.rows_written == 0, report
        (eight, eight_wall), (by_hand, by_hand_wall) = ask_the_catalogue(connection), ask_by_hand(connection)
        return Measured(
            metrics=len(report.metrics),
            facts=_count(connection, "facts.kpi"),
            evidence=_count(connection, "facts.kpi_evidence"),
            first=first,
            first_wall=first_wall,
            again=again,
            again_wall=again_wall,
            parts=watch.seconds("INSERT INTO temp.fresh_parts"),
            check=watch.seconds("AS told_apart"),
            eight=eight,
            eight_wall=eight_wall,
            by_hand=by_hand,
            by_hand_wall=by_hand_wall,
        )


def ask_the_catalogue(connection: duckdb.DuckDBPyConnection) -> tuple[float, float]:
    """CPU and wall seconds of the same questions through their metrics: by entity, pipeline and source, with names and
    zeros."""
    whole = load_catalogue()
    eight = Catalogue({key: whole.get(key) for key in HAND_WRITTEN})
    started, wall_started = time.process_time(), time.monotonic()
    (period,) = parse_period(MONTH)
    stage_facts(connection, COMPANY, eight, find_availability(connection, COMPANY, eight, period), "")
    return time.process_time() - started, time.monotonic() - wall_started


def ask_by_hand(connection: duckdb.DuckDBPyConnection) -> tuple[float, float]:
    """CPU and wall seconds of the hand-written questions.

    Raises:
        AssertionError: one gives another number than the fact.
    """
    spent = wall_spent = 0.0
    for metric, (number, rows) in HAND_WRITTEN.items():
        started, wall_started = time.process_time(), time.monotonic()
        answer = connection.execute(_BY_MANAGER.format(number=number, rows=rows)).fetchall()
        spent += time.process_time() - started
        wall_spent += time.monotonic() - wall_started
        fact = connection.execute(
            "SELECT num FROM facts.kpi WHERE period = $period AND metric = $metric AND entity_type = 'company' "
            "AND variant = '' AND pipeline = ''",
            {"period": MONTH, "metric": metric},
        ).fetchone()
        assert fact is not None, metric
        assert answer[0][1] == fact[0], (metric, answer[0], fact)
    return spent, wall_spent


def _count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {relation} WHERE period = $period", {"period": MONTH}).fetchone()
    assert row is not None
    return int(row[0])


def _measure_apart(folder: Path) -> tuple[Measured, int]:
    """In a process of its own, so that the peak memory is recompute's and not resolve's."""
    log = folder / "measured.json"
    command = [sys.executable, "-m", "benchmarks.recompute", "--measure", str(folder)]
    cost = run(command, cwd=ROOT, environment={"PYTHONPATH": str(ROOT)}, log=log)
    # A progress bar of the engine may stand before the answer.
    return Measured(**json.loads(log.read_text(encoding="utf-8").splitlines()[-1])), cost.peak_rss


def _row(deals: int, months: int, one: Measured, rss: int) -> str:
    return (
        f"| {months} | {deals * months:,} | {one.metrics} | {one.facts:,} | {one.evidence:,} | {one.first:.1f}"
        f" | {one.first_wall:.1f} | {one.again:.1f} | {one.again_wall:.1f} | {one.parts:.1f} | {one.check:.1f}"
        f" | {one.eight:.2f} | {one.by_hand:.2f} | {one.eight / one.by_hand:.1f} x | {rss / MEBIBYTE:.0f} |"
    )


def _lines(deals: int, one: Measured, rss: int) -> list[Line]:
    month, eight = (
        f"a month of {deals:,} deals' history computed",
        f"eight numbers of a month of {deals:,} deals' history",
    )
    return [
        Line(what=month, who=US, count=deals, cpu_seconds=one.first, wall_seconds=one.first_wall, peak_rss=rss),
        Line(what=f"{month} again", who=US, count=deals, cpu_seconds=one.again, wall_seconds=one.again_wall),
        Line(what=eight, who=US, count=deals, cpu_seconds=one.eight, wall_seconds=one.eight_wall),
        Line(what=eight, who=BY_HAND, count=deals, cpu_seconds=one.by_hand, wall_seconds=one.by_hand_wall),
    ]


def main(arguments: Sequence[str] | None = None) -> list[Line]:
    parser = argparse.ArgumentParser(description="Recomputing one month as its history grows.")
    parser.add_argument("--deals", type=int, default=3_000, help="a month")
    parser.add_argument("--months", type=int, nargs="+", default=[1, 6, 12, 36])
    parser.add_argument("--copies", type=int, default=1, help="resolve one part of so many, copy the others")
    parser.add_argument("--cut", action="store_true", help="shorter histories are cut from the longest")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where companies stay, to be used again")
    parser.add_argument("--measure", type=Path, metavar="FOLDER", help="a prepared folder: measure it, print JSON")
    chosen = parser.parse_args(arguments)
    if chosen.measure:
        sys.stdout.write("\n" + json.dumps(asdict(measure(chosen.measure))) + "\n")
        return []
    lines: list[Line] = []
    print(
        "| months | deals | metrics | facts | evidence rows | CPU s, first | wall s, first | CPU s, again"
        " | wall s, again | of it evidence | of it check | eight metrics | the eight by hand | ratio | peak RSS, MB |"
    )
    print("|---" * 15 + "|")
    with tempfile.TemporaryDirectory(prefix="voronka-benchmark-") as passing:
        kept = (chosen.keep or Path(passing)).absolute()
        for months in chosen.months:
            folder = _prepare(kept, chosen.deals, months, chosen.copies, max(chosen.months) if chosen.cut else months)
            one, rss = _measure_apart(folder)
            print(_row(chosen.deals, months, one, rss), flush=True)
            lines += _lines(chosen.deals * months, one, rss)
    return lines


def _prepare(kept: Path, deals: int, months: int, copies: int, longest: int) -> Path:
    """The folder of a company with so many months of history, cut from the longest's if that is another."""
    whole = kept / f"{deals}-deals-{longest}-months-{copies}-copies"
    prepare(whole, deals, longest, copies)
    if months == longest:
        return whole
    folder = kept / f"{whole.name}-cut-to-{months}"
    prepare_cut(folder, whole, months)
    return folder


if __name__ == "__main__":
    main()
