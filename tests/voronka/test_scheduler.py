"""Asking a busy Prefect server; what a real one does is in tests/flows."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.virtual import VirtualClock
from voronka.scheduler import BUSY_ATTEMPTS, Place, Scheduler

ONLINE = [{"status": "ONLINE"}]


class BusyServer(httpx.BaseTransport):
    """Answers each request as told, the last way for good; `None` is no answer in time."""

    def __init__(self, *answers: int | None, content: Any = ONLINE) -> None:
        self.answers = list(answers)
        self.content = content
        self.asked = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        status = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if status is None:
            raise httpx.ReadTimeout("timed out", request=request)
        return httpx.Response(status, json=self.content, request=request)


def scheduler_of(tmp_path: Path, server: BusyServer) -> Scheduler:
    place = Place(home=tmp_path, config_path=tmp_path / "voronka.toml")
    return Scheduler(place, clock=VirtualClock(datetime(2026, 3, 2, tzinfo=UTC)), transport=server)


@pytest.mark.parametrize("answers", [(503, 200), (500, 200), (None, 200), (None, 503, None, 200)])
def test_a_busy_server_is_asked_again(tmp_path: Path, answers: tuple[int | None, ...]) -> None:
    """A locked SQLite file for half a minute would end `voronka serve`, or leave orphans holding the queue."""
    server = BusyServer(*answers)
    assert scheduler_of(tmp_path, server).request("GET", "/flow_runs/1") == ONLINE
    assert server.asked == len(answers)


@pytest.mark.parametrize(("status", "asked"), [(409, 1), (404, 1), (503, BUSY_ATTEMPTS), (None, BUSY_ATTEMPTS)])
def test_a_refusal_is_final_and_silence_ends(tmp_path: Path, status: int | None, asked: int) -> None:
    server = BusyServer(status)
    with pytest.raises(httpx.HTTPError):
        scheduler_of(tmp_path, server).request("GET", "/flow_runs/1")
    assert server.asked == asked


def test_a_server_too_busy_to_tell_its_workers_has_none_yet(tmp_path: Path) -> None:
    """`voronka serve` would end at its start, where it only had to wait on."""
    assert scheduler_of(tmp_path, BusyServer(None))._count_workers("voronka") == 0
    assert scheduler_of(tmp_path, BusyServer(200))._count_workers("voronka") == 1


@pytest.fixture
def sleepers() -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts processes that do nothing, each in a session of its own; none outlives the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(["sleep", "60"], start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_runs_are_stopped_by_a_server_that_could_not_tell_them_at_first(
    tmp_path: Path, sleepers: Callable[[], subprocess.Popen[bytes]]
) -> None:
    """They would go on writing unseen, with nobody to see their end."""
    run, elsewhere = sleepers(), sleepers()
    runs = [
        {"infrastructure_pid": f"{socket.gethostname()}:{run.pid}"},
        {"infrastructure_pid": f"another-machine:{elsewhere.pid}"},
        {"infrastructure_pid": None},
    ]
    scheduler = scheduler_of(tmp_path, BusyServer(*[503] * BUSY_ATTEMPTS, 200, content=runs))
    scheduler._children += [("server", sleepers()), ("worker", sleepers())]
    scheduler.stop()
    assert run.wait(10) == -signal.SIGKILL
    assert elsewhere.poll() is None
