"""A real Prefect server with workers for the parts of a backfill, over a lake: what `voronka serve` starts there."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.project import Project
from flows.steps.sync import sync
from tests.engine import make_lake
from tests.flows.test_prefect_deployments import CONFIG, RUN_SECONDS, STATEMENTS, World, free_port, make_company
from voronka.config import load_project
from voronka.scheduler import Place, scheduling
from warehouse.lake import attach_lake

pytestmark = pytest.mark.e2e

SECOND = f'[sources.second]\ntype = "onec"\npath = "{STATEMENTS}"\n'
PAYMENTS = "SELECT COLUMNS(c -> c NOT IN ('loaded_at', 'version')) FROM core.payments ORDER BY ALL"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("fleet")
    lake = make_lake(folder)
    make_company(folder)
    table = f'[warehouse]\npath = "{lake.shown}"\ndata_path = "{lake.data_path}"\n'
    (folder / "voronka.toml").write_text(CONFIG + SECOND + table)
    place = Place(
        home=folder / "var" / "prefect",
        config_path=folder / "voronka.toml",
        port=free_port(),
        part_workers=2,
        start_seconds=RUN_SECONDS,
    )
    with scheduling(place) as scheduler:
        yield World(scheduler, folder)


def parts_of(fleet: World) -> list[dict[str, Any]]:
    """Every run of a part, oldest first."""
    body = {"deployments": {"name": {"any_": ["backfill_part"]}}, "sort": "START_TIME_ASC"}
    found: list[dict[str, Any]] = fleet.ask("POST", "/flow_runs/filter", body)
    return found


def by_hand(folder: Path) -> Project:
    """The same sources loaded into files by the plain command."""
    make_company(folder)
    (folder / "voronka.toml").write_text(CONFIG + SECOND)
    project = load_project(folder / "voronka.toml")
    assert not sync(project, start=date(2026, 2, 1), end=date(2026, 2, 28)).errors
    return project


def kill_first_part(fleet: World) -> str:
    """Kill the process of the first part that runs, as a machine without memory does."""
    deadline = time.monotonic() + RUN_SECONDS
    while True:
        for run in parts_of(fleet):
            if run["state_type"] == "RUNNING" and run["infrastructure_pid"]:
                os.killpg(int(run["infrastructure_pid"].rpartition(":")[2]), signal.SIGKILL)
                return str(run["id"])
        fleet.scheduler.check()
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_backfill_is_read_by_two_workers_and_a_killed_part_again(fleet: World, tmp_path: Path) -> None:
    """Parts that nobody takes, that all run in one place, or that are lost with the process that read them."""
    backfill = fleet.trigger("backfill", period="2026-02")
    killed = kill_first_part(fleet)
    ended = fleet.wait(backfill)
    assert ended["state_type"] == "COMPLETED", ended["state"]

    runs = parts_of(fleet)
    assert {run["id"]: run["state_type"] for run in runs}[killed] == "CRASHED"
    assert sorted(run["name"] for run in runs if run["state_type"] == "COMPLETED") == ["bank 2026-02", "second 2026-02"]
    assert len(runs) == 3
    assert {"read bank", "read second", "touched", "publish"} <= fleet.task_names(backfill)
    expected = by_hand(tmp_path)
    lake = load_project(fleet.config_path).lake
    assert lake is not None
    with duckdb.connect(str(expected.warehouse_path), read_only=True) as files, duckdb.connect() as found:
        found.execute("SET TimeZone = 'UTC'")
        files.execute("SET TimeZone = 'UTC'")
        attach_lake(found, lake)
        rows = files.execute(PAYMENTS).fetchall()
        assert found.execute(PAYMENTS).fetchall() == rows
        assert rows


def test_a_lake_is_brought_into_order_by_its_schedule(fleet: World) -> None:
    """A year of nights whose small files nobody merges: a deployment that is not there, or looks for files."""
    (schedule,) = fleet.deployment("maintain")["schedules"]
    assert (schedule["active"], schedule["schedule"]["cron"]) == (True, "30 6 * * 0")
    ended = fleet.wait(fleet.trigger("maintain"))
    assert ended["state_type"] == "COMPLETED", ended["state"]
    lakes = json.loads(fleet.artifact("maintain")["data"])
    assert [one["lake"] for one in lakes] == ["raw", "warehouse"]
