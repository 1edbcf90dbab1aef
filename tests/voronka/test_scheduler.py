"""Asking a busy Prefect server; what a real one does is in tests/flows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.virtual import VirtualClock
from voronka.scheduler import BUSY_ATTEMPTS, Place, Scheduler

ONLINE = [{"status": "ONLINE"}]


class BusyServer(httpx.BaseTransport):
    """Answers each request as told, the last way for good; `None` is no answer in time."""

    def __init__(self, *answers: int | None) -> None:
        self.answers = list(answers)
        self.asked = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        status = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if status is None:
            raise httpx.ReadTimeout("timed out", request=request)
        return httpx.Response(status, json=ONLINE, request=request)


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


# Begins a run in a session of its own, says its number, and leaves it behind when it is told to stop.
WORKER = """
import subprocess, sys, time
print(subprocess.Popen(["sleep", "60"], start_new_session=True).pid, flush=True)
time.sleep(60)
"""


def test_a_run_that_its_worker_leaves_behind_is_stopped_all_the_same(tmp_path: Path) -> None:
    """It would go on writing unseen, with nobody to see its end."""
    scheduler = scheduler_of(tmp_path, BusyServer(200))
    with (
        started(WORKER) as worker,
        subprocess.Popen(["sleep", "60"], start_new_session=True) as strangers,
    ):
        assert worker.stdout is not None
        run = int(worker.stdout.readline())
        scheduler._children.append(("worker", worker))
        assert scheduler._run_processes() == {run}
        scheduler.stop()
        assert strangers.poll() is None
        strangers.kill()
    assert is_gone(run)


# Deaf to being stopped, and one that tells when it is: whether the other, whose number it reads, is there still.
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""
TELLTALE = """
import os, signal, sys
def tell(number, frame):
    print(os.path.exists(f"/proc/{other}"), flush=True)
    sys.exit()
other = int(sys.stdin.readline())
signal.signal(signal.SIGTERM, tell)
print("ready", flush=True)
while True:
    signal.pause()
"""


def test_workers_that_do_not_listen_are_waited_for_together(tmp_path: Path) -> None:
    """Three workers of Prefect, each of which lingers, took a minute and a half to stop: longer than an operating
    system waits for its services."""
    place = Place(home=tmp_path, config_path=tmp_path / "voronka.toml", stop_seconds=0.5)
    scheduler = Scheduler(place, clock=VirtualClock(datetime(2026, 3, 2, tzinfo=UTC)), transport=BusyServer(200))
    with started(TELLTALE) as telltale, started(DEAF) as deaf:
        assert telltale.stdin is not None
        assert telltale.stdout is not None
        assert deaf.stdout is not None
        assert deaf.stdout.readline() == b"deaf\n"
        telltale.stdin.write(f"{deaf.pid}\n".encode())
        telltale.stdin.flush()
        assert telltale.stdout.readline() == b"ready\n"
        scheduler._children += [("worker", telltale), ("parts-1", deaf)]
        scheduler.stop()
        assert telltale.stdout.readline() == b"True\n"
        assert deaf.returncode == -signal.SIGKILL


class Told(Scheduler):
    """Starts a child that tells what an interrupt would do to it."""

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT))"]


def test_what_starts_behind_nohup_can_be_stopped(tmp_path: Path) -> None:
    """`nohup voronka serve &`: a worker of Prefect hands SIGTERM on as SIGINT, which is ignored there, and was waited
    for half a minute before it was killed."""
    scheduler = Told(Place(home=tmp_path, config_path=tmp_path / "voronka.toml"))
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        scheduler._spawn("worker")
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN, "a Ctrl-C in that shell would stop the scheduler"
    finally:
        signal.signal(signal.SIGINT, previous)
    ((_, child),) = scheduler._children
    assert child.wait(30) == 0
    assert "default_int_handler" in scheduler.log_path("worker").read_text()


def started(script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )


def is_gone(process: int, seconds: float = 10.0) -> bool:
    """Killed is not gone: whoever inherits a process reaps it when it gets to it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
