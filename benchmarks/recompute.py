"""Recomputing one month as its history grows, beside the same questions as hand-written SQL on the same data.

`python -m benchmarks.recompute --deals 3000 --months 6 12 36`: deals a month, and lengths of history. Each length is a
company of its own, resolved before the clock starts; the last whole month is computed from nothing, then again. Figures
that bear comparison on a shared machine are CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import shutil
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
from metrics.compute import recompute
from metrics.periods import parse_period
from metrics.resolve import resolve
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
    """CPU seconds, but for the counts and `wall_seconds`."""

    metrics: int
    facts: int
    evidence: int  # rows of the month, an entity each
    first: float
    wall_seconds: float
    again: float
    sums: float  # of `again`: the metrics' own queries
    check: float  # of `again`: facts against their evidence
    eight: float  # of `again`: the queries of the metrics in HAND_WRITTEN
    by_hand: float


def prepare(folder: Path, size: Size) -> None:
    """A company of this size with `calc.*` filled."""
    with open_warehouse(generate_files(folder, size), command="benchmark", clock=make_clock()) as warehouse:
        resolve(warehouse.connection, COMPANY, make_clock())


def measure(folder: Path) -> Measured:
    """Compute the month twice, then ask by hand.

    Raises:
        AssertionError: the second time wrote something, or a number by hand is another one.
    """
    with open_warehouse(files_in(folder), command="benchmark", clock=make_clock()) as warehouse:
        connection = warehouse.connection
        started, wall_started = time.process_time(), time.monotonic()
        recompute(connection, COMPANY, parse_period(MONTH), make_clock())
        first, wall = time.process_time() - started, time.monotonic() - wall_started
        watch = Stopwatch(connection)
        started = time.process_time()
        (report,) = recompute(cast(duckdb.DuckDBPyConnection, watch), COMPANY, parse_period(MONTH), make_clock())
        again = time.process_time() - started
        assert report.rows_written == 0, report
        sums = "INSERT INTO temp.fresh_sums"
        return Measured(
            metrics=len(report.metrics),
            facts=_count(connection, "facts.kpi"),
            evidence=_count(connection, "facts.kpi_evidence"),
            first=first,
            wall_seconds=wall,
            again=again,
            sums=watch.seconds(sums),
            check=watch.seconds("FROM facts.kpi_evidence\n                WHERE"),
            eight=watch.seconds(*(f"SELECT '{metric}', variant" for metric in HAND_WRITTEN)),
            by_hand=ask_by_hand(connection),
        )


def ask_by_hand(connection: duckdb.DuckDBPyConnection) -> float:
    """CPU seconds of the hand-written questions.

    Raises:
        AssertionError: one gives another number than the fact.
    """
    spent = 0.0
    for metric, (number, rows) in HAND_WRITTEN.items():
        started = time.process_time()
        answer = connection.execute(_BY_MANAGER.format(number=number, rows=rows)).fetchall()
        spent += time.process_time() - started
        fact = connection.execute(
            "SELECT num FROM facts.kpi WHERE period = $period AND metric = $metric AND entity_type = 'company' "
            "AND variant = '' AND pipeline = ''",
            {"period": MONTH, "metric": metric},
        ).fetchone()
        assert fact is not None, metric
        assert answer[0][1] == fact[0], (metric, answer[0], fact)
    return spent


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
        f" | {one.wall_seconds:.1f} | {one.again:.1f} | {one.sums:.1f} | {one.check:.1f} | {one.eight:.2f}"
        f" | {one.by_hand:.2f} | {rss / MEBIBYTE:.0f} |"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Recomputing one month as its history grows.")
    parser.add_argument("--deals", type=int, default=3_000, help="a month; 300 is the quick mode")
    parser.add_argument("--months", type=int, nargs="+", default=[1, 6, 12, 36])
    parser.add_argument("--measure", type=Path, metavar="FOLDER", help="a prepared folder: measure it, print JSON")
    chosen = parser.parse_args(arguments)
    if chosen.measure:
        sys.stdout.write("\n" + json.dumps(asdict(measure(chosen.measure))) + "\n")
        return
    print(
        "| months | deals | metrics | facts | evidence rows | CPU s, first | wall s, first | CPU s, again"
        " | of it metrics | of it check | eight metrics | the eight by hand | peak RSS, MB |"
    )
    print("|---" * 13 + "|")
    for months in chosen.months:
        folder = Path(tempfile.mkdtemp(prefix="voronka-benchmark-"))
        try:
            prepare(folder, Size(chosen.deals * months, months))
            print(_row(chosen.deals, months, *_measure_apart(folder)), flush=True)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
