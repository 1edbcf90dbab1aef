"""A real Prefect server and worker on loopback: the deployments do what the plain commands do.

Never skipped: that the server starts says little. With SQLAlchemy 2.1 it did, and no scheduled run ever came.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from base.clock import SystemClock
from base.errors import UsageError
from flows.project import Project
from flows.steps.nightly import nightly
from flows.steps.recompute import recompute
from metrics.periods import parse_period
from voronka.config import load_project
from voronka.scheduler import Place, Scheduler, run_scheduler, scheduling
from warehouse.lock import writer_lock

pytestmark = pytest.mark.e2e

STATEMENTS = Path(__file__).parent.parent / "connectors" / "onec" / "files"
CONFIG = """
[company]
timezone = "Europe/Moscow"
currency = "RUB"
calendar = "RU"
[sources.bank]
type = "onec"
path = "bank"
"""
RUN_SECONDS = 300.0
REAPED_SECONDS = 30


@dataclass
class World:
    """A scheduler and the company it works for."""

    scheduler: Scheduler
    folder: Path

    @property
    def config_path(self) -> Path:
        return self.folder / "voronka.toml"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        return self.scheduler.request(method, path, body)

    def deployment(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/deployments/name/{name}/{name}")
        return found

    def trigger(self, name: str, **parameters: Any) -> str:
        body = {"parameters": parameters, "idempotency_key": str(uuid.uuid4())}
        return str(self.ask("POST", f"/deployments/{self.deployment(name)['id']}/create_flow_run", body)["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/flow_runs/{run_id}")
        return found

    def wait(self, run_id: str) -> dict[str, Any]:
        """The run once it has ended."""
        deadline = time.monotonic() + RUN_SECONDS
        while (run := self.run(run_id))["state_type"] not in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
            self.scheduler.check()
            assert time.monotonic() < deadline, run["state"]
            time.sleep(0.5)
        return run

    def task_names(self, run_id: str) -> set[str]:
        runs = self.ask("POST", "/task_runs/filter", {"task_runs": {"flow_run_id": {"any_": [run_id]}}})
        return {re.sub(r"-[0-9a-f]{3}$", "", run["name"]) for run in runs}

    def artifact(self, key: str) -> Any:
        return self.ask("GET", f"/artifacts/{key}/latest")


def make_company(folder: Path) -> Project:
    """A configuration with one source: a folder of bank statements."""
    shutil.copytree(STATEMENTS, folder / "bank")
    (folder / "inputs").mkdir()
    (folder / "voronka.toml").write_text(CONFIG)
    return load_project(folder / "voronka.toml")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def facts_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every fact and payment, but for the moments at which rows were written."""
    with duckdb.connect(path, read_only=True) as connection:
        tables = connection.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE schema_name = 'facts' "
            "UNION ALL SELECT 'core.payments' ORDER BY 1"
        ).fetchall()
        columns = "COLUMNS(c -> c NOT IN ('loaded_at', 'computed_at', 'version'))"
        return {name: connection.execute(f"SELECT {columns} FROM {name} ORDER BY ALL").fetchall() for (name,) in tables}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("by_prefect")
    make_company(folder)
    home = folder / "var" / "prefect"
    # A busy runner is slow, not broken.
    place = Place(
        home=home,
        config_path=folder / "voronka.toml",
        timezone="Asia/Almaty",
        port=free_port(),
        start_seconds=RUN_SECONDS,
    )
    with scheduling(place) as scheduler:
        yield World(scheduler, folder)


def test_a_night_and_a_recompute_by_prefect_give_what_the_plain_commands_give(world: World, tmp_path: Path) -> None:
    """A flow that loses a step, a parameter or the configuration; two runs at once; a table nobody can look at."""
    night, again = world.trigger("nightly"), world.trigger("recompute", period="2026-02")
    by_hand = make_company(tmp_path / "by_hand")
    nightly(by_hand)
    recompute(by_hand, parse_period("2026-02"))

    runs = [world.wait(night), world.wait(again)]

    assert [run["state_type"] for run in runs] == ["COMPLETED", "COMPLETED"], [run["state"] for run in runs]
    expected = facts_of(by_hand.warehouse_path)
    assert expected["core.payments"]
    assert expected["facts.kpi"]
    assert facts_of(world.folder / "var" / "warehouse.duckdb") == expected
    assert facts_of(load_project(world.config_path).publish_path) == expected
    first, second = sorted((run["start_time"], run["end_time"]) for run in runs)
    assert datetime.fromisoformat(first[1]) <= datetime.fromisoformat(second[0])
    assert {"sync", "bank.statements", "publish"} <= world.task_names(night)
    assert world.artifact("sync")["type"] == "table"
    assert '"period": "2026-02"' in world.artifact("recompute")["data"]


def test_a_day_and_a_backfill_by_prefect_read_the_sources_again(world: World) -> None:
    """A flow that names no source, or a month that reads nothing, ends well and loads nothing; parts of a backfill on
    files would wait for workers that don't exist."""
    runs = [world.wait(world.trigger("intraday")), world.wait(world.trigger("backfill", period="2026-01..2026-02"))]
    assert [run["state_type"] for run in runs] == ["COMPLETED", "COMPLETED"], [run["state"] for run in runs]
    assert {"sync", "bank.statements", "publish"} <= world.task_names(runs[0]["id"])
    assert {"sync 2026-01", "sync 2026-02", "publish"} <= world.task_names(runs[1]["id"])


def test_the_night_is_on_the_calendar(world: World) -> None:
    """The server starts, but its scheduler fails at every cron: the night would silently never come."""
    body = {
        "deployments": {"name": {"any_": ["nightly"]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        "sort": "EXPECTED_START_TIME_ASC",
    }
    deadline = time.monotonic() + RUN_SECONDS
    while not (planned := [run for run in world.ask("POST", "/flow_runs/filter", body) if run["auto_scheduled"]]):
        assert time.monotonic() < deadline, world.scheduler.log_path("server").read_text()[-2000:]
        time.sleep(0.5)
    # Three at night on the company's clock, and that is not the clock of most companies.
    assert "T22:00:00" in planned[0]["expected_start_time"]


@pytest.mark.parametrize("name", ["nightly", "intraday", "reconcile", "maintain", "backfill", "recompute"])
def test_deployments_queue_behind_the_one_writer(world: World, name: str) -> None:
    deployment = world.deployment(name)
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    assert world.ask("GET", f"/work_pools/{deployment['work_pool_name']}")["concurrency_limit"] == 1


@pytest.mark.parametrize("period", ["2026-13", "ноябрь", "2026-11; DROP", "", "2026-11..", "2026-Q5"])
def test_an_unknown_period_is_refused_when_the_run_is_created(world: World, period: str) -> None:
    """It would fail at night, after its turn in the queue."""
    with pytest.raises(httpx.HTTPStatusError) as refusal:
        world.trigger("recompute", period=period)
    assert "period" in refusal.value.response.text


@pytest.mark.parametrize("period", ["2026-11", "2026-Q4", "2026-W47", "2026-11-16", "2026-01..2026-06"])
def test_every_period_people_may_write_is_let_through(world: World, period: str) -> None:
    """The server's pattern knows fewer forms than the command line."""
    assert parse_period(period)
    schema = world.deployment("recompute")["parameter_openapi_schema"]
    assert re.search(schema["properties"]["period"]["pattern"], period)


def test_a_failure_says_what_to_do(world: World) -> None:
    """The reader of Prefect's page gets a traceback, and no remedy."""
    aside = world.config_path.rename(world.folder / "aside.toml")
    try:
        failed = world.wait(world.trigger("recompute", period="2026-02"))
    finally:
        aside.rename(world.config_path)
    assert failed["state_type"] == "FAILED"
    assert "voronka init" in failed["state"]["message"]
    assert "voronka init" in world.artifact("failure")["data"]


def test_a_run_whose_scheduler_was_killed_does_not_hold_the_queue_for_ever(world: World) -> None:
    """Its state stays RUNNING, and the pool has one place: no night would start again."""
    orphan = world.trigger("recompute", period="2026-02")
    world.ask("POST", f"/flow_runs/{orphan}/set_state", {"state": {"type": "RUNNING"}, "force": True})
    world.scheduler.bury_orphans()
    assert world.run(orphan)["state_type"] == "CRASHED"


def test_stopping_the_scheduler_stops_a_run_in_work(world: World) -> None:
    """The run has a session of its own: it would go on writing unseen. (The last test with this scheduler.)"""
    warehouse = load_project(world.config_path).warehouse_path
    with writer_lock(warehouse, command="test", clock=SystemClock(), wait_seconds=30):
        waiting = world.trigger("recompute", period="2026-02")
        deadline = time.monotonic() + RUN_SECONDS
        while (run := world.run(waiting))["state_type"] != "RUNNING" or not run["infrastructure_pid"]:
            assert time.monotonic() < deadline, run["state"]
            time.sleep(0.5)
        world.scheduler.stop()
        # Killed is not gone: whoever inherits a process reaps it when it gets to it.
        deadline = time.monotonic() + REAPED_SECONDS
        while is_there(int(run["infrastructure_pid"].rpartition(":")[2])):
            assert time.monotonic() < deadline, world.scheduler.log_path("worker").read_text()[-2000:]
            time.sleep(0.1)


def is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_shells_own_prefect_settings_lead_nowhere(tmp_path: Path) -> None:
    """A profile for Prefect Cloud in the shell would send this company's deployments there."""
    place = Place(home=tmp_path, config_path=tmp_path / "voronka.toml", port=4321)
    inherited = {"PREFECT_API_KEY": "theirs", "PREFECT_API_URL": "https://theirs", "PATH": "/bin"}
    environment = place.environment(inherited)
    assert "PREFECT_API_KEY" not in environment
    assert environment["PREFECT_API_URL"] == "http://127.0.0.1:4321/api"
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert environment["PATH"] == "/bin"


def test_a_taken_port_is_answered_before_anything_is_started(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        place = Place(home=tmp_path, config_path=tmp_path / "voronka.toml", port=holder.getsockname()[1])
        with pytest.raises(UsageError, match="is taken"):
            run_scheduler(place, tell=lambda message: None)
    assert list(tmp_path.iterdir()) == []
