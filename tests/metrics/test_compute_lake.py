"""Periods of a lake computed side by side: the same facts as one by one on a file, by whomever, and after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from base.points import KILL_AT
from metrics.compute import recompute
from metrics.periods import parse_period
from models import WAREHOUSE
from tests.engine import make_lake, opened_lake
from tests.metrics.fixture_calc import reference_calc
from tests.metrics.fixture_core import COMPANY, fresh_clock
from warehouse.address import Lake
from warehouse.lake_schema import ensure_lake

ROOT = Path(__file__).parents[2]
MONTHS = "2026-09..2026-12"
# What `voronka recompute MONTHS --jobs 2` does once inputs and resolve are up to date, as the fixture's are.
WORKER = """
import sys
from pathlib import Path
from base.clock import SystemClock
from metrics.compute import recompute
from metrics.periods import parse_period
from tests.metrics.fixture_core import COMPANY, fresh_clock
from warehouse.address import Lake
from warehouse.database import Files, open_warehouse

folder, address, months = sys.argv[1:]
lake = Lake(address=address, data_path=Path(folder) / "lake")
files = Files(warehouse=Path(folder) / "w", raw=Path(folder) / "r", lake=lake, threads=2)
with open_warehouse(files, command="recompute", clock=SystemClock(), wait_seconds=300) as warehouse:
    recompute(warehouse.connection, COMPANY, parse_period(months), fresh_clock(), jobs=2)
"""


def worker(folder: Path, lake: Lake, **env: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WORKER, str(folder), lake.address, MONTHS]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env})


def relations() -> list[str]:
    return [table.fullname for table in WAREHOUSE.sorted_tables]


def filled(folder: Path, path: Path) -> Lake:
    """A lake with the rows of a file."""
    lake = make_lake(folder)
    with opened_lake(lake) as connection:
        ensure_lake(connection)
        connection.execute(f"ATTACH '{path}' AS files (READ_ONLY)")
        for name in relations():
            if connection.execute(f"FROM files.{name} LIMIT 1").fetchone():
                connection.execute(f"INSERT INTO {name} BY NAME FROM files.{name}")
    return lake


def facts(connection: duckdb.DuckDBPyConnection, period: str = "%") -> dict[str, list[object]]:
    """What was computed, by relation."""
    named = [name for name in relations() if name.startswith("facts.") and name != "facts.deal_payments"]
    kept = [*named, "calc.periods", "meta.periods", "meta.absent_metrics", "meta.period_flags"]
    return {
        name: connection.execute(f"FROM {name} WHERE period LIKE $1 ORDER BY ALL", [period]).fetchall() for name in kept
    }


@pytest.mark.e2e
def test_a_killed_recompute_leaves_whole_periods_and_two_at_once_end_as_one(tmp_path: Path) -> None:
    """A period half published, computed by two and doubled, or left as a killed process had it; a number that depends
    on who computes beside."""
    alone = reference_calc()
    (path,) = (row[0] for row in alone.execute("SELECT path FROM duckdb_databases() WHERE path IS NOT NULL").fetchall())
    alone.close()
    lake = filled(tmp_path, Path(path))
    with duckdb.connect(path) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        recompute(connection, COMPANY, parse_period(MONTHS), fresh_clock())
        expected = facts(connection)
        months = {period.name: facts(connection, period.name) for period in parse_period(MONTHS)}
    assert len(expected["meta.periods"]) == len(months)
    assert expected["facts.kpi"]

    assert worker(tmp_path, lake, **{KILL_AT: "recompute.period:2"}).wait(300) == -signal.SIGKILL
    with opened_lake(lake) as connection:
        found = {name: facts(connection, name) for name in months}
    whole = [name for name in months if found[name] == months[name]]
    assert len(whole) >= 2
    assert [name for name in months if name not in whole and any(found[name].values())] == []

    both = [worker(tmp_path, lake), worker(tmp_path, lake)]
    assert [child.wait(300) for child in both] == [0, 0]
    with opened_lake(lake) as connection:
        assert facts(connection) == expected
