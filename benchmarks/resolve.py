"""Resolving a whole company from nothing, of several sizes: does the cost follow the number of deals?

`python -m benchmarks.resolve --deals 25000 50000 100000 200000`: 36 months, about 5 events, 10 calls and one payment a
deal. Each size is resolved in a process of its own with the engine's memory as the application sets it. Figures that
bear comparison on a shared machine are CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import duckdb

from benchmarks.generate import COMPANY, Size, files_in, generate_files, make_clock
from benchmarks.measure import reference_seconds, run
from benchmarks.summary import US, Line
from metrics.resolve import resolve
from metrics.resolve.run import SQL_DIR
from warehouse.database import open_warehouse

ROOT = Path(__file__).parent.parent
MEBIBYTE = 1024 * 1024
MONTHS = 36
# What `voronka sync` resolves with (warehouse/database.py).
MEMORY_LIMIT = "1GB"

# Steps by the number their file begins with: up to which one they belong together.
PARTS = {29: "people", 69: "stages", 79: "duplicates", 89: "calls", 99: "metrics' relations"}
MONEY, WRITING, REST = "payments", "writing", "rest"


class Stopwatch:
    """A connection that adds up the CPU seconds of every part of resolving."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._parts = {path.read_text(encoding="utf-8"): part_of(path.name) for path in SQL_DIR.glob("*.sql")}
        self._is_writing = False
        self.seconds: Counter[str] = Counter()

    def execute(self, query: str, *parameters: object) -> duckdb.DuckDBPyConnection:
        started = time.process_time()
        self._is_writing |= query == "BEGIN"
        try:
            return self._connection.execute(query, *parameters)
        finally:
            part = self._parts.get(query, WRITING if self._is_writing else REST)
            self.seconds[part] += time.process_time() - started

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def part_of(file: str) -> str:
    number = file.partition("_")[0]
    if not number.isdigit():
        return MONEY
    return next(part for last, part in PARTS.items() if int(number) <= last)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """CPU seconds, but for `wall_seconds`."""

    cpu_seconds: float
    wall_seconds: float
    by_part: dict[str, float]  # `rest` is reading purposes and numbers, and everything that is no SQL file


def measure(folder: Path) -> Measured:
    """Resolve a generated company for the first time.

    Raises:
        AssertionError: a deal or a call is missing from what was made.
    """
    with open_warehouse(files_in(folder, memory_limit=MEMORY_LIMIT), command="benchmark", clock=make_clock()) as opened:
        watch = Stopwatch(opened.connection)
        started, wall_started = time.process_time(), time.monotonic()
        report = resolve(cast(duckdb.DuckDBPyConnection, watch), COMPANY, make_clock())
        cpu, wall = time.process_time() - started, time.monotonic() - wall_started
        assert report.ran
        for made, told in (("calc.leads", "core.deals"), ("calc.calls", "core.calls")):
            assert _count(opened.connection, made) == _count(opened.connection, told), made
    seconds = dict(watch.seconds)
    seconds[REST] = cpu - sum(spent for part, spent in seconds.items() if part != REST)
    return Measured(cpu_seconds=cpu, wall_seconds=wall, by_part=seconds)


def _count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {relation}").fetchone()
    assert row is not None
    return int(row[0])


def _measure_apart(folder: Path) -> tuple[Measured, int]:
    log = folder / "measured.json"
    command = [sys.executable, "-m", "benchmarks.resolve", "--measure", str(folder)]
    cost = run(command, cwd=ROOT, environment={"PYTHONPATH": str(ROOT)}, log=log)
    # A progress bar of the engine may stand before the answer.
    return Measured(**json.loads(log.read_text(encoding="utf-8").splitlines()[-1])), cost.peak_rss


def _row(deals: int, one: Measured, rss: int, reference: float) -> str:
    parts = " | ".join(f"{one.by_part.get(part, 0):.1f}" for part in (*PARTS.values(), MONEY, WRITING, REST))
    return (
        f"| {deals:,} | {one.cpu_seconds:.1f} | {one.cpu_seconds / deals * 100_000:.1f} | {one.wall_seconds:.0f}"
        f" | {rss / MEBIBYTE:,.0f} | {parts} | {reference:.1f} |"
    )


def main(arguments: Sequence[str] | None = None) -> list[Line]:
    parser = argparse.ArgumentParser(description="Resolving a whole company from nothing.")
    parser.add_argument("--deals", type=int, nargs="+", default=[25_000, 50_000, 100_000, 200_000])
    parser.add_argument("--measure", type=Path, metavar="FOLDER", help="a generated folder: measure it, print JSON")
    chosen = parser.parse_args(arguments)
    if chosen.measure:
        sys.stdout.write("\n" + json.dumps(asdict(measure(chosen.measure))) + "\n")
        return []
    parts = " | ".join((*PARTS.values(), MONEY, WRITING, REST))
    print(f"| deals | CPU s | a 100,000 deals | wall s | peak RSS, MB | {parts} | ten million additions, CPU s |")
    print("|---" * (6 + len(PARTS) + 3) + "|")
    lines = []
    for deals in chosen.deals:
        folder = Path(tempfile.mkdtemp(prefix="voronka-benchmark-"))
        try:
            generate_files(folder, Size(deals, MONTHS))
            reference = reference_seconds()
            one, rss = _measure_apart(folder)
            print(_row(deals, one, rss, reference), flush=True)
            lines.append(_line(deals, one, rss))
        finally:
            shutil.rmtree(folder)
    return lines


def _line(deals: int, one: Measured, rss: int) -> Line:
    what = f"{deals:,} deals of {MONTHS} months resolved from nothing"
    wall, cpu = one.wall_seconds, one.cpu_seconds
    return Line(what=what, who=US, count=deals, cpu_seconds=cpu, wall_seconds=wall, peak_rss=rss)


if __name__ == "__main__":
    main()
