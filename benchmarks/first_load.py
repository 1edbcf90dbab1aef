"""A first load of amoCRM-like leads over HTTP, by voronka and by dlt, and the run after it in which nothing changed.

`python -m benchmarks.first_load --rows 200000`. Each loader is a process of its own against one server in another
process, whose CPU is not counted. Figures that bear comparison on a shared machine are CPU seconds and ratios.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.measure import CLI, Cost, reference_seconds, run
from benchmarks.summary import Line, line_of

ROOT = Path(__file__).parent.parent
MEBIBYTE = 1024 * 1024

# The vendor's limit of requests doesn't hold for a server on this machine: the client takes any budget there.
CONFIG = """
[company]
timezone = "Europe/Moscow"

[sources.amo]
type = "amocrm"
base_url = "{url}"
token = "benchmark"
requests_per_second = 1000000
fields = {{ invoice_number = "Номер счёта" }}
"""


@dataclass(frozen=True)
class Loader:
    """A tool under measurement: how it is started in a folder, and how many leads it then holds there."""

    name: str
    prepare: Callable[[str, Path], None]
    command: Callable[[str, Path], Sequence[str]]
    count: Callable[[Path], int]


@dataclass(frozen=True)
class Measured:
    """One load and the unchanged run after it."""

    name: str
    rows: int
    first: Cost
    first_requests: int
    second: Cost
    second_requests: int
    # CPU seconds of the reference loop just before.
    reference: float

    @property
    def rows_per_cpu_second(self) -> float:
        return self.rows / self.first.cpu_seconds


def _configure(url: str, folder: Path) -> None:
    (folder / "voronka.toml").write_text(CONFIG.format(url=url), encoding="utf-8")


def _voronka(url: str, folder: Path) -> list[str]:
    return [sys.executable, "-c", CLI, "--config", str(folder / "voronka.toml"), "sync"]


def _dlt(*options: str) -> Callable[[str, Path], list[str]]:
    return lambda url, folder: [sys.executable, "-m", "benchmarks.dlt_rest_api", url, str(folder), *options]


def _counter(file: str, query: str) -> Callable[[Path], int]:
    def count(folder: Path) -> int:
        with duckdb.connect(str(folder / file), read_only=True) as connection:
            row = connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    return count


VORONKA = Loader("voronka", _configure, _voronka, _counter("var/warehouse.duckdb", "SELECT count(*) FROM core.deals"))
_DLT_ROWS = _counter("leads.duckdb", "SELECT count(*) FROM amocrm.leads")
DLT_TUNED = Loader("dlt, tuned", lambda url, folder: None, _dlt("--tuned"), _DLT_ROWS)
DLT_DEFAULT = Loader("dlt, default", lambda url, folder: None, _dlt(), _DLT_ROWS)


@contextmanager
def served(rows: int) -> Iterator[str]:
    """The server's address, while its process runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server", "--rows", str(rows)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()


def measure(loader: Loader, rows: int, url: str, folder: Path) -> Measured:
    """Load twice into an empty folder.

    Raises:
        RunFailedError: the loader failed.
        AssertionError: it ended well and does not hold every lead once.
    """
    loader.prepare(url, folder)
    reference = reference_seconds()
    costs, requests = [], []
    for name in ("first.log", "second.log"):
        _requests_since(url)
        command = loader.command(url, folder)
        costs.append(run(command, cwd=ROOT, environment={"PYTHONPATH": str(ROOT)}, log=folder / name))
        requests.append(_requests_since(url))
        found = loader.count(folder)
        if found != rows:
            raise AssertionError(f"{loader.name}: {found} leads instead of {rows}")
    return Measured(loader.name, rows, costs[0], requests[0], costs[1], requests[1], reference)


def _requests_since(url: str) -> int:
    with urllib.request.urlopen(f"{url}/count", timeout=30) as answer:
        return int(answer.read())


def report(measured: Sequence[Measured]) -> str:
    """A table in Markdown: the ratio to the first loader first."""
    base = measured[0].rows_per_cpu_second
    head = ("loader", "rows", "CPU cost a row", "rows per CPU s", "CPU s", "wall s", "peak RSS, MB", "requests")
    lines = [head, tuple("---" for _ in head)]
    lines += [
        (
            one.name,
            f"{one.rows:,}",
            f"{base / one.rows_per_cpu_second:.1f} ×",
            f"{one.rows_per_cpu_second:,.0f}",
            f"{one.first.cpu_seconds:.1f}",
            f"{one.first.wall_seconds:.1f}",
            f"{one.first.peak_rss / MEBIBYTE:.0f}",
            f"{one.first_requests:,}",
        )
        for one in measured
    ]
    again = ("unchanged run", "rows", "CPU s", "wall s", "peak RSS, MB", "requests")
    second = [again, tuple("---" for _ in again)]
    second += [
        (
            one.name,
            f"{one.rows:,}",
            f"{one.second.cpu_seconds:.1f}",
            f"{one.second.wall_seconds:.1f}",
            f"{one.second.peak_rss / MEBIBYTE:.0f}",
            f"{one.second_requests:,}",
        )
        for one in measured
    ]
    tables = ["\n".join(f"| {' | '.join(line)} |" for line in table) for table in (lines, second)]
    loops = sorted(one.reference for one in measured)
    tables.append(f"Ten million additions in Python took {loops[0]:.1f} to {loops[-1]:.1f} CPU s between the runs.")
    return "\n\n".join(tables)


def median(runs: Sequence[Measured]) -> Measured:
    """The run whose CPU time is the middle one."""
    middle = statistics.median_low(one.first.cpu_seconds for one in runs)
    return next(one for one in runs if one.first.cpu_seconds == middle)


def main(arguments: Sequence[str] | None = None) -> list[Line]:
    parser = argparse.ArgumentParser(description="First load of amoCRM-like leads: voronka and dlt.")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=1, help="runs of each loader; the median one is told")
    parser.add_argument("--default-rows", type=int, default=20_000, help="leads for dlt untuned (0: leave it out)")
    parser.add_argument("--only-voronka", action="store_true")
    chosen = parser.parse_args(arguments)
    plan = [(chosen.rows, [VORONKA] if chosen.only_voronka else [VORONKA, DLT_TUNED])]
    if chosen.default_rows and not chosen.only_voronka:
        plan.append((chosen.default_rows, [DLT_DEFAULT]))
    told = []
    for rows, loaders in plan:
        with served(rows) as url:
            for loader in loaders:
                told.append(median([_measured(loader, rows, url) for _ in range(chosen.repeat)]))
    print(report(told))
    works = (("a first load of leads over HTTP", "first"), ("the unchanged run after it", "second"))
    return [line_of(what, one.name, one.rows, getattr(one, run)) for what, run in works for one in told]


def _measured(loader: Loader, rows: int, url: str) -> Measured:
    folder = Path(tempfile.mkdtemp(prefix="voronka-benchmark-"))
    try:
        one = measure(loader, rows, url, folder)
    finally:
        shutil.rmtree(folder)
    print(
        f"{one.name}: {one.rows_per_cpu_second:,.0f} rows per CPU s, {one.first.peak_rss / MEBIBYTE:.0f} MB,"
        f" unchanged {one.second.cpu_seconds:.1f} CPU s",
        file=sys.stderr,
        flush=True,
    )
    return one


if __name__ == "__main__":
    main()
