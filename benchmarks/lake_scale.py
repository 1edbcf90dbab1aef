"""A large company in a lake: what `voronka recompute` of a month costs there, and of a year by one worker and by two.

`python -m benchmarks.lake_scale --deals 50000 --copies 1 10 100 --keep FOLDER`: 36 months of so many deals with twenty
calls, about five events and a payment each are made by SQL and resolved, in files; a lake gets each record so many
times (benchmarks/multiply.py says how copies differ). Its PostgreSQL is the benchmark's own and waits for no disk. Then
the commands run as processes: the last month from nothing, and again. With `--year` the last twelve months, from
nothing, one at a time and `--jobs` at a time in turn, on the lake; with `--files` on the files instead. `--months 1 6
12 36` are lengths of history, a lake each: a shorter one lacks what was over before, so the month is the same. With
`--more 5000000` so many deals of another account come through its connector first, from a server on this machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date
from itertools import product
from pathlib import Path

import duckdb

from base.clock import SystemClock
from benchmarks.first_load import served
from benchmarks.generate import Size, generate
from benchmarks.measure import CLI, Cost, reference_seconds, run
from benchmarks.multiply import NO_RECORDS, copied, copy_cut
from benchmarks.summary import US, Line, line_of
from flows.project import Project
from flows.steps.recompute import recompute
from flows.steps.sources import files_of
from metrics.periods import add_months
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
ANOTHER = """
[sources.another]
type = "amocrm"
base_url = "{url}"
token = "benchmark"
requests_per_second = 1000000
"""
# Of core what a company has one of, whatever its size.
_SMALL = {"people", "identities", "stages", "lines", "calendar", "pipelines", "pipeline_stages", "users"}
# What sources and resolve leave in this order: as days come.
_TIMES = ("local_date", "valid_to", "occurred_at", "started_at", "paid_on", "entered_at", "created_at", "valid_from")
# What a recompute of periods writes.
COMPUTED = (
    *("facts.kpi", "facts.funnel", "facts.plan_fact", "facts.stage_ledger", "facts.flags"),
    *("calc.periods", "meta.periods", "meta.absent_metrics", "meta.period_flags"),
)


def configure(folder: Path, config: str) -> Project:
    (folder / "exports").mkdir(parents=True, exist_ok=True)
    path = folder / "voronka.toml"
    path.write_text(config, encoding="utf-8")
    return load_project(path)


def prepare_files(folder: Path, deals: int) -> Project:
    """A resolved company in files, unless the folder has it."""
    project = configure(folder, CONFIG)
    if not (folder / "resolved").exists():
        with open_warehouse(files_of(project), command="generate", clock=SystemClock()) as warehouse:
            generate(warehouse.connection, Size(deals, MONTHS, CALLS, UNTIL))
        recompute(project, [])
        (folder / "resolved").touch()
    return project


def prepare_shorter(folder: Path, base: Project, months: int) -> Project:
    """The company of `base` with so many months of history, unless the folder has it."""
    project = configure(folder, CONFIG)
    if not (folder / "cut").exists():
        copy_cut(files_of(base), files_of(project), add_months(UNTIL, -months), SystemClock())
        (folder / "cut").touch()
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


def prepare_lake(folder: Path, server: Server, base: Project, name: str, copies: int) -> Project:
    """A lake `name` with so many copies of the company, unless the folder has it."""
    lake = Lake(address=server.address(name), data_path=folder / "data")
    config = f'{CONFIG}\n[warehouse]\npath = "{lake.shown}"\ndata_path = "{lake.data_path}"\n'
    project = configure(folder, config)
    if not (folder / "filled").exists():
        server.query(f"CREATE DATABASE {name} TEMPLATE template0")
        with closing(connect(files_of(project))) as connection:
            ensure_lake(connection)
            claim(connection, lake)
            connection.execute(f"ATTACH '{base.warehouse_path}' AS base (READ_ONLY)")
            fill(connection, copies)
            with transaction(connection):
                store_versions(connection, present_versions(connection, project.company))
                store_state(connection, project.company, SystemClock().now())
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
    command = [sys.executable, "-c", CLI, "--config", str(project.config_path), *arguments]
    cost: Cost = run(command, cwd=project.root, environment={"PYTHONPATH": str(ROOT)}, log=project.root / "log")
    besides = server.cpu_seconds() - before if server else 0.0
    print(
        f"| {what} | {cost.wall_seconds:.1f} | {cost.cpu_seconds:.1f} | {besides:.1f} | "
        f"{cost.peak_rss / MEBIBYTE:,.0f} | {reference:.2f}, {reference_seconds():.2f} |",
        flush=True,
    )
    return line_of(what, US, count, cost)


def measure_load(project: Project, server: Server, rows: int, said: str) -> list[Line]:
    """So many deals more through a connector, into a lake that has none of that account; and the first month after
    it, which ties them."""
    with served(rows) as url:
        plain = project.config_path.read_text(encoding="utf-8")
        project.config_path.write_text(plain + ANOTHER.format(url=url), encoding="utf-8")
        arguments = ["sync", "another"]
        lines = [measure(project, server, arguments, f"{rows:,} deals more, {said}", rows)]
    with open_warehouse(files_of(project), command="count", clock=SystemClock()) as warehouse:
        found = warehouse.connection.execute("SELECT count(*) FROM core.deals WHERE source = 'another'").fetchone()
    if found != (rows,):
        raise AssertionError(f"{found} deals instead of {rows}")
    return [*lines, measure(project, server, ["recompute", MONTH], f"a month that ties them, {said}", rows)]


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
    parser.add_argument("--months", type=int, nargs="+", default=[MONTHS], help="of history")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where companies stay, to be used again")
    parser.add_argument("--year", action="store_true", help="twelve months by one and by several instead of one month")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--files", action="store_true", help="on the files that lakes are filled from")
    parser.add_argument("--more", type=int, default=0, metavar="DEALS", help="of another account, by its connector")
    parser.add_argument("--only-fill", action="store_true", help="make the companies, measure nothing")
    chosen = parser.parse_args(arguments)
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="voronka-benchmark-") as passing:
        Path(passing).chmod(0o711)  # where we are root, PostgreSQL has a user of its own, who must get in
        kept = (chosen.keep or Path(passing)).absolute()
        base = prepare_files(kept / "files", chosen.deals)
        print(
            "| what | wall s | CPU s | PostgreSQL, CPU s | peak RSS, MB | ten million additions, CPU s |\n" + "|---" * 6
        )
        if chosen.files:
            return _measure(base, None, chosen, 1, MONTHS)
        with postgres(kept / "pg") as server:
            for copies, months in product(chosen.copies, chosen.months):
                size, company = str(copies), base
                if months < MONTHS:
                    size, company = f"{copies}-{months}", prepare_shorter(kept / f"files-{months}", base, months)
                name = f"copies_{size}".replace("-", "_")
                project = prepare_lake(kept / f"lake-{size}", server, company, name, copies)
                lines += _measure(project, server, chosen, copies, months)
    return lines


def _measure(
    project: Project, server: Server | None, chosen: argparse.Namespace, copies: int, months: int
) -> list[Line]:
    if chosen.only_fill:
        return []
    calls = chosen.deals * CALLS * copies * months // MONTHS
    said = f"{months} months, {calls:,} calls in {'a lake' if server else 'files'}"
    if chosen.year:
        return measure_year(project, server, said, calls, chosen.jobs)
    more = measure_load(project, server, chosen.more, said) if server and chosen.more else []
    return more + measure_month(project, server, said, calls)


if __name__ == "__main__":
    main()
