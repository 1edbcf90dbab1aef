"""A large company in a lake: what `voronka recompute` of a month costs there, and of a year by one worker and by two.

`python -m benchmarks.lake_scale --deals 50000 --copies 1 10 100 --keep FOLDER`: 36 months of so many deals with twenty
calls, about five events and a payment each are made by SQL and resolved, in files; a lake gets each record so many
times (benchmarks/multiply.py says how copies differ). Its PostgreSQL is the benchmark's own and waits for no disk. Then
the commands run as processes: the last month from nothing, and again. With `--year` the last twelve months, from
nothing, one at a time and `--jobs` at a time in turn, on the lake; with `--files` on the files instead.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

import duckdb

from base.clock import SystemClock
from benchmarks.generate import Size, generate
from benchmarks.measure import Cost, reference_seconds, run
from benchmarks.multiply import NO_RECORDS, copied
from benchmarks.summary import US, Line, line_of
from flows.project import Project
from flows.steps.recompute import recompute
from flows.steps.sources import files_of
from metrics.resolve.incremental import store_state
from metrics.resolve.versions import present_versions, store_versions
from models import WAREHOUSE
from tests.postgres import Server
from voronka.config import load_project
from warehouse.address import Lake
from warehouse.database import connect, open_warehouse, transaction
from warehouse.lake_owner import claim
from warehouse.lake_schema import ensure_lake

ROOT = Path(__file__).parent.parent
MEBIBYTE = 1024 * 1024
MONTHS, UNTIL = 36, date(2026, 11, 1)
MONTH, YEAR = "2026-10", "2025-11..2026-10"
CALLS = 20
CONFIG = """
[company]
timezone = "Europe/Moscow"

[sources.amo]
type = "amocrm"
base_url = "http://127.0.0.1:1"
token = "benchmark"

[sources.mango]
type = "mango"
api_key = "benchmark"
api_salt = "benchmark"
start = 2023-11-01

[sources.accounting]
type = "onec"
path = "exports"
"""
START = "import sys; from voronka.cli import main; sys.exit(main())"
# Of core what a company has one of, whatever its size.
_SMALL = {"people", "identities", "stages", "lines", "calendar", "pipelines", "pipeline_stages", "users"}
# What sources and resolve leave in this order: as days come.
_TIMES = ("local_date", "valid_to", "occurred_at", "started_at", "paid_on", "entered_at", "created_at", "valid_from")
# What a recompute of periods writes.
COMPUTED = (
    *("facts.kpi", "facts.funnel", "facts.plan_fact", "facts.stage_ledger", "facts.flags"),
    *("calc.periods", "meta.periods", "meta.absent_metrics", "meta.period_flags"),
)


def prepare_files(folder: Path, deals: int) -> Project:
    """A resolved company in files, unless the folder has it."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "voronka.toml"
    (folder / "exports").mkdir(exist_ok=True)
    config.write_text(CONFIG, encoding="utf-8")
    project = load_project(config)
    if not (folder / "resolved").exists():
        with open_warehouse(files_of(project), command="generate", clock=SystemClock()) as warehouse:
            generate(warehouse.connection, Size(deals, MONTHS, CALLS, UNTIL))
        recompute(project, [])
        (folder / "resolved").touch()
    return project


@contextmanager
def postgres(folder: Path) -> Iterator[Server]:
    """The PostgreSQL of the folder, made if there is none; it ends with the block."""
    server = Server(folder)
    if not (folder / "data").exists():
        folder.mkdir(parents=True, exist_ok=True)
        server.make()
    server.start()
    try:
        yield server
    finally:
        server.stop_well()


def prepare_lake(folder: Path, server: Server, base: Project, copies: int) -> Project:
    """A lake with so many copies of the company, unless the folder has it."""
    name = f"copies_{copies}"
    lake = Lake(address=server.address(name), data_path=folder / "data")
    (folder / "exports").mkdir(parents=True, exist_ok=True)
    config = folder / "voronka.toml"
    config.write_text(
        f'{CONFIG}\n[warehouse]\npath = "{lake.shown}"\ndata_path = "{lake.data_path}"\n', encoding="utf-8"
    )
    project = load_project(config)
    if not (folder / "filled").exists():
        server.query(f"CREATE DATABASE {name} TEMPLATE template0")
        with closing(connect(files_of(project))) as connection:
            ensure_lake(connection)
            claim(connection, lake)
            connection.execute(f"ATTACH '{base.warehouse_path}' AS base (READ_ONLY)")
            fill(connection, copies)
            with transaction(connection):
                store_versions(connection, present_versions(connection, project.company))
                store_state(connection, SystemClock().now())
        (folder / "filled").touch()
    return project


def fill(connection: duckdb.DuckDBPyConnection, copies: int) -> None:
    """Everything of the attached `base`, each record so many times, in the order of days."""
    for table in WAREHOUSE.sorted_tables:
        if table.fullname in COMPUTED or table.name == "schema_revision":
            continue
        is_record = table.schema in ("core", "calc") and table.name not in _SMALL | NO_RECORDS
        is_record |= table.fullname == "facts.deal_payments"
        names = [column.name for column in table.columns]
        ordered = next((name for name in _TIMES if name in names), names[0])
        listed = ", ".join(names)
        started = time.monotonic()
        connection.execute(
            f"INSERT INTO {table.fullname} ({listed}) SELECT {copied(names)} "
            f"FROM (SELECT *, unnest(range({copies if is_record else 1})) AS copy "
            f"FROM (FROM base.{table.fullname} ORDER BY {ordered}))"
        )
        seconds = time.monotonic() - started
        if seconds > 1:
            print(f"  {table.fullname}: {seconds:.0f} s", file=sys.stderr, flush=True)


def forget(project: Project) -> None:
    """Leave no facts and no periods of an earlier run."""
    with open_warehouse(files_of(project), command="recompute", clock=SystemClock()) as warehouse:
        for name in COMPUTED:
            with transaction(warehouse.connection):
                warehouse.connection.execute(f"DELETE FROM {name}")


def measure(project: Project, server: Server | None, arguments: Sequence[str], what: str, count: int) -> Line:
    """One command as a process; its figures are printed beside PostgreSQL's own CPU and the machine's pace."""
    reference, before = reference_seconds(), server.cpu_seconds() if server else 0.0
    command = [sys.executable, "-c", START, "--config", str(project.config_path), *arguments]
    cost: Cost = run(command, cwd=project.root, environment={"PYTHONPATH": str(ROOT)}, log=project.root / "log")
    besides = server.cpu_seconds() - before if server else 0.0
    print(
        f"| {what} | {cost.wall_seconds:.1f} | {cost.cpu_seconds:.1f} | {besides:.1f} | "
        f"{cost.peak_rss / MEBIBYTE:,.0f} | {reference:.2f}, {reference_seconds():.2f} |",
        flush=True,
    )
    return line_of(what, US, count, cost)


def measure_month(project: Project, server: Server | None, said: str, count: int) -> list[Line]:
    forget(project)
    return [
        measure(project, server, ["recompute", MONTH], f"a month, {turn}, {said}", count) for turn in ("first", "again")
    ]


def measure_year(project: Project, server: Server | None, said: str, count: int, jobs: int) -> list[Line]:
    lines = []
    for at_once in (1, jobs, 1, jobs):
        forget(project)
        arguments = ["recompute", YEAR, "--jobs", str(at_once), "--wait", "600"]
        lines.append(measure(project, server, arguments, f"12 months, {at_once} at a time, {said}", count))
    return lines


def main(arguments: Sequence[str] | None = None) -> list[Line]:
    parser = argparse.ArgumentParser(description="Recomputing a month, and a year, in a large lake.")
    parser.add_argument("--deals", type=int, default=50_000, help="of the company that is copied")
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where companies stay, to be used again")
    parser.add_argument("--year", action="store_true", help="twelve months by one and by several instead of one month")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--files", action="store_true", help="on the files that lakes are filled from")
    parser.add_argument("--only-fill", action="store_true", help="make the companies, measure nothing")
    chosen = parser.parse_args(arguments)
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="voronka-benchmark-") as passing:
        kept = (chosen.keep or Path(passing)).absolute()
        base = prepare_files(kept / "files", chosen.deals)
        print(
            "| what | wall s | CPU s | PostgreSQL, CPU s | peak RSS, MB | ten million additions, CPU s |\n" + "|---" * 6
        )
        if chosen.files:
            return _measure(base, None, chosen, 1)
        with postgres(kept / "pg") as server:
            for copies in chosen.copies:
                project = prepare_lake(kept / f"lake-{copies}", server, base, copies)
                lines += _measure(project, server, chosen, copies)
    return lines


def _measure(project: Project, server: Server | None, chosen: argparse.Namespace, copies: int) -> list[Line]:
    if chosen.only_fill:
        return []
    calls = chosen.deals * CALLS * copies
    said = f"{calls:,} calls in {'a lake' if server else 'files'}"
    if chosen.year:
        return measure_year(project, server, said, calls, chosen.jobs)
    return measure_month(project, server, said, calls)


if __name__ == "__main__":
    main()
