from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from base.clock import FakeClock
from base.errors import BusyError
from base.text import Text
from warehouse.lock import writer_lock

HOLD = """
import sys
from pathlib import Path
from base.clock import SystemClock
from warehouse.lock import writer_lock

with writer_lock(Path(sys.argv[1]), command="sync", clock=SystemClock(), wait_seconds=0):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its input ends."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate(timeout=30)


def clock() -> FakeClock:
    return FakeClock(datetime(2026, 11, 1, tzinfo=UTC))


def test_a_second_command_waits_says_for_whom_and_gives_up_in_time(path: Path, holder: subprocess.Popen[str]) -> None:
    told: list[Text] = []
    time = clock()

    with (
        pytest.raises(BusyError) as raised,
        writer_lock(path, command="kpi", clock=time, wait_seconds=5, on_wait=told.append),
    ):
        pass

    assert raised.value.exit_status == 3
    assert f"voronka sync, process {holder.pid}" in raised.value.render("en")
    assert "--wait" in raised.value.render("ru")
    assert len(told) == 1
    assert 4.9 < sum(time.slept) < 5.5


def test_the_lock_of_a_killed_process_is_free_at_once(path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait(timeout=30)

    with writer_lock(path, command="sync", clock=clock(), wait_seconds=0):
        pass


def test_a_failure_inside_frees_the_lock(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), writer_lock(path, command="sync", clock=clock(), wait_seconds=0):
        1 / 0  # noqa: B018

    with writer_lock(path, command="sync", clock=clock(), wait_seconds=0):
        pass
