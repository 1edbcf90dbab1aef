"""What a backfill does with its parts, without Prefect: which it reads, when it tries again, whom it gives up."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from base.clock import FakeClock, SystemClock
from base.errors import ConfigError, UsageError
from connectors.states import FileStates
from flows.steps.backfill import (
    ATTEMPTS,
    KEPT_SECONDS,
    LOST_SECONDS,
    TAKEN_SECONDS,
    Ledger,
    Look,
    Part,
    beating,
    is_lost,
    plan_parts,
    read_months,
    silent_seconds,
)
from flows.steps.sync import sync
from tests.engine import make_lake
from tests.toy import Toy
from voronka.config import load_project
from warehouse.address import Lake
from warehouse.lake import attach_lake
from warehouse.shared_states import SharedStates

ROOT = Path(__file__).parents[2]
STATEMENTS = ROOT / "tests" / "connectors" / "onec" / "files"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MONTHS = [Part("amo", "2026-01"), Part("amo", "2026-02"), Part("amo", "2026-03")]


@dataclass
class Scripted:
    """Runs that end as they are told: a list of looks for each start of a part; the last one stays."""

    looks: dict[str, list[list[Look]]]
    started: list[str] = field(default_factory=list)
    buried: list[str] = field(default_factory=list)

    def start(self, part: Part) -> str:
        self.started.append(part.month)
        return f"{part.month}/{Counter(self.started)[part.month] - 1}"

    def look(self, run: str) -> Look:
        month, _, number = run.partition("/")
        script = self.looks.get(month, [[Look("done")]])[int(number)]
        return script.pop(0) if len(script) > 1 else script[0]

    def bury(self, run: str, why: str) -> None:
        self.buried.append(run)


def read(runs: Scripted, folder: Path) -> dict[str, str]:
    states = FileStates(folder, FakeClock(NOW))
    assert isinstance(states.clock, FakeClock)
    return read_months(MONTHS, runs, states, states.clock)


def test_files_are_refused_with_what_to_do_instead(toy: Toy) -> None:
    """Workers of many machines would queue for one file, or each write its own."""
    with pytest.raises(UsageError) as refusal:
        plan_parts(replace(toy.project(), lake=None), "2026-01..2026-02")
    assert "voronka sync --from" in refusal.value.render("en")
    assert "voronka sync --from" in refusal.value.render("ru")


def test_a_part_is_a_month_of_a_source_to_its_last_day(toy: Toy, tmp_path: Path) -> None:
    project = replace(toy.project(), lake=Lake(address="dbname=x", data_path=tmp_path))
    parts = plan_parts(project, "2025-12..2026-02")
    assert [part.month for part in parts["toy"]] == ["2025-12", "2026-01", "2026-02"]
    assert [part.days for part in parts["toy"]] == [
        (date(2025, 12, 1), date(2025, 12, 31)),
        (date(2026, 1, 1), date(2026, 1, 31)),
        (date(2026, 2, 1), date(2026, 2, 28)),
    ]
    with pytest.raises(ConfigError, match="elsewhere"):
        plan_parts(project, "2026-01", ["elsewhere"])


def test_a_backfill_that_was_broken_off_goes_on_and_a_finished_one_begins_anew(tmp_path: Path) -> None:
    """Months of many accounts would be read twice after a kill; or never again after a success."""
    states, parts = FileStates(tmp_path, FakeClock(NOW)), {"amo": MONTHS, "mango": [Part("mango", "2026-01")]}
    ledger = Ledger(states)
    for part in (*MONTHS[:2], *parts["mango"]):
        ledger.note(part)
    assert ledger.outstanding(parts) == {"amo": MONTHS[2:]}
    ledger.forget({"amo": MONTHS})
    assert Ledger(states).outstanding(parts) == {"amo": MONTHS}
    states.clock.sleep(KEPT_SECONDS + 1)
    assert Ledger(states).outstanding(parts) == parts


def test_a_part_whose_process_died_is_run_again_and_one_that_failed_is_not(tmp_path: Path) -> None:
    """A kill would leave a hole; a wrong token would be tried until the account is locked. Later months are read in
    either case."""
    runs = Scripted(
        {
            "2026-01": [[Look("taken"), Look("running"), Look("died")], [Look("running"), Look("done")]],
            "2026-02": [[Look("running"), Look("failed", "wrong token")]],
        }
    )
    assert read(runs, tmp_path) == {"amo 2026-02": "wrong token"}
    assert runs.started == ["2026-01", "2026-01", "2026-02", "2026-03"]
    assert runs.buried == []


def test_a_part_that_always_dies_is_given_up_and_told(tmp_path: Path) -> None:
    runs = Scripted({"2026-02": [[Look("died", "killed")]] * ATTEMPTS})
    assert read(runs, tmp_path) == {"amo 2026-02": "killed"}
    assert Counter(runs.started) == {"2026-01": 1, "2026-02": ATTEMPTS, "2026-03": 1}


def test_a_run_of_a_machine_that_is_gone_is_buried_and_begun_anew(tmp_path: Path) -> None:
    """Nobody reports its end: the backfill would wait for ever."""
    runs = Scripted({"2026-01": [[Look("running")], [Look("done")]]})
    assert read(runs, tmp_path) == {}
    assert runs.buried == ["2026-01/0"]
    assert runs.started == ["2026-01", "2026-01", "2026-02", "2026-03"]


@pytest.mark.parametrize(
    ("look", "seconds", "silent", "lost"),
    [
        ("waiting", 10 * TAKEN_SECONDS, None, False),  # all workers are busy
        ("taken", LOST_SECONDS, None, False),
        ("taken", TAKEN_SECONDS + 1, 1.0, True),  # an earlier run's sign
        ("running", 10 * LOST_SECONDS, 10.0, False),  # a long month
        ("running", 10.0, 10 * LOST_SECONDS, False),  # it has just begun; the sign is an earlier run's
        ("running", LOST_SECONDS + 1, LOST_SECONDS + 1, True),
    ],
)
def test_who_is_lost(look: str, seconds: float, silent: float | None, lost: bool) -> None:
    assert is_lost(Look(look), seconds, silent) is lost  # type: ignore[arg-type]


def test_a_part_shows_a_sign_of_life_while_it_is_read(tmp_path: Path) -> None:
    states = FileStates(tmp_path, SystemClock())
    assert silent_seconds(states, MONTHS[0]) is None
    with beating(states, MONTHS[0]):
        deadline = time.monotonic() + 30
        while silent_seconds(states, MONTHS[0]) is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    silent = silent_seconds(states, MONTHS[0])
    assert silent is not None
    assert silent < LOST_SECONDS
    assert silent_seconds(states, MONTHS[1]) is None


# What `backfill_part` does, without Prefect: a process of a worker.
WORKER = """
import sys
from pathlib import Path
from base.clock import SystemClock
from flows.steps.backfill import Ledger, Part, beating, plan_parts
from flows.steps.sharing import shared_states
from flows.steps.sync import sync
from voronka.config import load_project

config, source, month = sys.argv[1:]
project, part = load_project(Path(config)), Part(source, month)
plan_parts(project, month, [source])
with shared_states(project, SystemClock()) as states:
    with beating(states, part):
        report = sync(project, sources=[source], start=part.days[0], end=part.days[1], wait_seconds=300)
    assert not report.errors, [error.render("en") for error in report.errors]
    Ledger(states).note(part)
"""
COMPANY = """
[company]
timezone = "Europe/Moscow"
currency = "RUB"
calendar = "RU"
"""
PAYMENTS = "SELECT COLUMNS(c -> c NOT IN ('loaded_at', 'version')) FROM core.payments ORDER BY ALL"


def worker(config: Path, part: Part, **env: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WORKER, str(config), part.source, part.month]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env})


@pytest.mark.e2e
def test_parts_read_at_once_and_one_killed_end_as_one_load_of_files(tmp_path: Path) -> None:
    """Two workers that write over each other; a killed part that counts as read, or is held by its dead process."""
    lake = make_lake(tmp_path)
    sources = "".join(f'[sources.{name}]\ntype = "onec"\npath = "{STATEMENTS}"\n' for name in ("bank", "second"))
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "voronka.toml").write_text(COMPANY + sources)
    config = tmp_path / "voronka.toml"
    config.write_text(f'{COMPANY}{sources}[warehouse]\npath = "{lake.shown}"\ndata_path = "{lake.data_path}"\n')
    parts = plan_parts(load_project(config), "2026-02")
    first, second = parts["bank"][0], parts["second"][0]

    both = [worker(config, first, VORONKA_KILL_AT="sync.landed"), worker(config, second)]
    assert [child.wait(300) for child in both] == [-9, 0]
    with closing(SharedStates(lake, SystemClock())) as states:
        assert Ledger(states).outstanding(parts) == {"bank": [first]}
        assert worker(config, first).wait(300) == 0
        assert Ledger(states).outstanding(parts) == {}

    by_hand = load_project(tmp_path / "files" / "voronka.toml")
    assert not sync(by_hand, start=first.days[0], end=first.days[1]).errors
    with duckdb.connect(str(by_hand.warehouse_path), read_only=True) as files, duckdb.connect() as found:
        for connection in (files, found):
            connection.execute("SET TimeZone = 'UTC'")
        attach_lake(found, lake)
        expected = files.execute(PAYMENTS).fetchall()
        assert found.execute(PAYMENTS).fetchall() == expected != []
