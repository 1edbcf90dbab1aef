"""One machine's scheduler: a Prefect server, a work pool with one worker, and the deployments of `prefect.yaml`. For a
lake also workers of a second pool, which read a backfill's parts; more of them may run on other machines.

Prefect's own commands run as child processes, so that nothing here imports it. Everything Prefect keeps (its database,
its logs) lies in one folder, `PREFECT_HOME`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import httpx
import tenacity

from base.clock import Clock, SystemClock
from base.errors import UsageError, VoronkaError
from base.processes import descendants
from base.text import Text, say

POLL_SECONDS = 0.5
REQUEST_SECONDS = 30.0
BUSY_ATTEMPTS = 6
POOL = "voronka"
PART_POOL = "voronka-parts"
CHECKOUT = Path(__file__).parent.parent


class SchedulerError(VoronkaError):
    """Prefect did not start, or stopped; its log says why."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a scheduler works: `home` is Prefect's folder, `config_path` the voronka.toml its runs read."""

    home: Path
    config_path: Path
    timezone: str = "UTC"  # the company's, of the schedules
    part_workers: int = 0  # processes that read the parts of a backfill; for a lake
    port: int = 4200
    # The checkout, with prefect.yaml and flows/.
    checkout: Path = CHECKOUT
    host: str = "127.0.0.1"
    # A cold start takes 10 s on an idle machine and has taken more than a minute on a busy one.
    start_seconds: float = 120.0
    # What stopping workers may take to let go of their runs; killed ones are safe too, a rerun continues.
    stop_seconds: float = 30.0

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def api(self) -> str:
        return f"{self.url}/api"

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """For every child: this server and no other, whatever Prefect settings the shell has."""
        kept = {name: value for name, value in inherited.items() if not name.startswith("PREFECT_")}
        return {
            **kept,
            "PREFECT_HOME": str(self.home),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
            "PREFECT_CLI_PROMPT": "false",
            # Every 10 s by default, made for a distant server: a run asked for by hand should start at once.
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "VORONKA_CONFIG": str(self.config_path),
            "VORONKA_TIMEZONE": self.timezone,
        }


@dataclass
class Scheduler:
    """The running children. Made by `scheduling`."""

    place: Place
    clock: Clock = field(default_factory=SystemClock)
    inherited: Mapping[str, str] = field(default_factory=lambda: os.environ)
    transport: httpx.BaseTransport | None = None  # to the server's API; a plain one by default
    _children: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)

    def start(self, tell: Callable[[Text], None] = lambda message: None) -> None:
        """Start everything; on return the deployments are there and the worker asks for work.

        Raises:
            UsageError: the port is taken.
            SchedulerError: something did not start within its time; the text ends with its log.
        """
        _check_port(self.place)
        self.place.home.mkdir(parents=True, exist_ok=True)
        tell(say("Запускаем сервер Prefect…", "Starting the Prefect server…"))
        self._spawn("server", "server", "start", "--host", self.place.host, "--port", str(self.place.port))
        self._wait("server", self._is_healthy)
        tell(say("Создаём расписание из prefect.yaml…", "Making the deployments of prefect.yaml…"))
        self._make_pools()
        self.bury_orphans()
        self._spawn("worker", "worker", "start", "--pool", POOL, "--type", "process", "--name", POOL)
        for number in range(1, self.place.part_workers + 1):
            # One part at a time each: how many there are is how many are read side by side.
            name = f"parts-{number}"
            of = ("--pool", PART_POOL, "--type", "process", "--name", f"{socket.gethostname()}-{number}")
            self._spawn(name, "worker", "start", *of, "--limit", "1")
        self._run("deploy", "--all", "--no-prompt")
        self._wait("worker", lambda: self._count_workers(POOL) >= 1)
        self._wait("parts-1", lambda: self._count_workers(PART_POOL) >= self.place.part_workers)

    def check(self) -> None:
        """Raise SchedulerError when a child has ended."""
        for name, child in self._children:
            if child.poll() is not None:
                raise self._failure(name)

    def stop(self) -> None:
        """Stop the runs, the workers together, then the server; whoever doesn't listen is killed.

        A run that is stopped loses nothing: the next one continues where the last commit was.
        """
        runs = self._run_processes()
        for process in runs:
            _signal_group(process, signal.SIGTERM)
        runs |= self._end([child for name, child in self._children if name != "server"])
        self._end([child for name, child in self._children if name == "server"])
        # They have sessions of their own, and would go on writing unseen.
        for process in runs:
            _signal_group(process, signal.SIGKILL)
        self._children.clear()

    def _end(self, children: Sequence[subprocess.Popen[bytes]]) -> set[int]:
        """End these; the processes of runs they had in work by then."""
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        deadline = self.clock.monotonic() + self.place.stop_seconds
        for child in children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(deadline - self.clock.monotonic(), 0.0))
        # What a worker began meanwhile; once it has ended nobody knows whose they were.
        runs = self._run_processes()
        for child in children:
            _signal_group(child.pid, signal.SIGKILL)
            child.wait()
        return runs

    def log_path(self, name: str) -> Path:
        return self.place.home / f"{name}.log"

    # ── children ────────────────────────────────────────────────────────────────────────────────────────────────

    def _command(self, *arguments: str) -> Sequence[str]:
        return [sys.executable, "-m", "prefect", *arguments]

    def _spawn(self, name: str, *arguments: str) -> None:
        with self.log_path(name).open("wb") as log, _interruptible():
            child = subprocess.Popen(
                self._command(*arguments),
                cwd=self.place.checkout,
                env=self.place.environment(self.inherited),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A terminal's Ctrl-C reaches us alone, and we stop the children in order.
                start_new_session=True,
            )
        self._children.append((name, child))

    def _run(self, *arguments: str) -> None:
        """One of Prefect's commands, to its end."""
        name = arguments[0]
        with self.log_path(name).open("wb") as log:
            try:
                done = subprocess.run(
                    self._command(*arguments),
                    cwd=self.place.checkout,
                    env=self.place.environment(self.inherited),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=self.place.start_seconds,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise self._failure(name) from None
        if done.returncode:
            raise self._failure(name)

    def _wait(self, name: str, is_ready: Callable[[], bool]) -> None:
        deadline = self.clock.monotonic() + self.place.start_seconds
        while not is_ready():
            self.check()
            if self.clock.monotonic() > deadline:
                raise self._failure(name)
            self.clock.sleep(POLL_SECONDS)

    def _failure(self, name: str) -> SchedulerError:
        path = self.log_path(name)
        tail = "\n".join(path.read_text("utf-8", errors="replace").splitlines()[-15:])
        return SchedulerError(
            say(
                "Prefect ({name}) не запустился или остановился:\n{tail}",
                "Prefect ({name}) did not start, or stopped:\n{tail}",
                name=name,
                tail=tail,
            ),
            say("Весь журнал: {path}", "The whole log: {path}", path=path),
        )

    # ── the server's API ────────────────────────────────────────────────────────────────────────────────────────

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """An answer of the server's API; raises httpx.HTTPError.

        A busy server, its SQLite file locked for too long, answers 500 or 503 or nothing at all: it is asked again.
        So what is asked may be done twice: whoever makes a run gives it an `idempotency_key`.
        """
        # Never through a proxy: the server is on this machine.
        with httpx.Client(trust_env=False, timeout=REQUEST_SECONDS, transport=self.transport) as client:
            for attempt in _asking_again(self.clock):
                with attempt:
                    answer = client.request(method, f"{self.place.api}{path}", json=body)
                    answer.raise_for_status()
            return answer.json() if answer.content else None

    def _is_healthy(self) -> bool:
        try:
            return bool(self.request("GET", "/health"))
        except httpx.HTTPError:
            return False

    def _count_workers(self, pool: str) -> int:
        try:
            workers = self.request("POST", f"/work_pools/{pool}/workers/filter", {})
        except httpx.HTTPError:
            return 0  # a busy machine: whoever waits for workers asks again
        return sum(worker["status"] == "ONLINE" for worker in workers)

    def _make_pools(self) -> None:
        """One place for all deployments: the warehouse has one writer. The parts of a backfill, of a lake only, have as
        many as there are workers. A worker adds the template of its jobs."""
        for pool in (POOL, PART_POOL):
            with suppress(httpx.HTTPStatusError):  # it is there since the first time
                self.request("POST", "/work_pools/", {"name": pool, "type": "process"})
        self.request("PATCH", f"/work_pools/{POOL}", {"concurrency_limit": 1})

    def bury_orphans(self) -> None:
        """Runs of a scheduler that was killed are still called running and would hold the pool's one place."""
        crashed = {"state": {"type": "CRASHED", "message": "The scheduler stopped while this ran."}, "force": True}
        for run in self._unfinished_runs():
            self.request("POST", f"/flow_runs/{run['id']}/set_state", crashed)

    def _unfinished_runs(self) -> list[dict[str, Any]]:
        unfinished = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}}
        found: list[dict[str, Any]] = self.request("POST", "/flow_runs/filter", unfinished)
        return found

    def _run_processes(self) -> set[int]:
        """The process groups of runs in work: a worker starts each in a session of its own. (What the server says of
        them does not name the machine.)"""
        ours = {child.pid for _, child in self._children}
        return {process for process in descendants(ours) if _leads_a_group(process)}


@contextmanager
def scheduling(place: Place, *, tell: Callable[[Text], None] = lambda message: None) -> Iterator[Scheduler]:
    """A scheduler that runs until the block ends."""
    scheduler = Scheduler(place)
    try:
        scheduler.start(tell)
        yield scheduler
    finally:
        scheduler.stop()


def run_scheduler(place: Place, *, tell: Callable[[Text], None]) -> None:
    """`voronka serve`: run until Ctrl-C or SIGTERM.

    Raises:
        UsageError: the port is taken.
        SchedulerError: Prefect did not start, or stopped by itself.
    """
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with scheduling(place, tell=tell) as scheduler:
            tell(
                say(
                    "Планировщик работает: {url} · остановить — Ctrl-C",
                    "The scheduler runs: {url} · Ctrl-C stops it",
                    url=place.url,
                )
            )
            while True:
                scheduler.check()
                scheduler.clock.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        tell(say("Планировщик остановлен.", "The scheduler was stopped."))
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Children started inside can be told to stop. `nohup`, or a script's `&`, has SIGINT ignored by whoever inherits
    it, and SIGTERM is but passed on as SIGINT by Prefect's workers: they would go on until they are killed."""
    previous = signal.getsignal(signal.SIGINT)
    if previous is signal.SIG_IGN:
        # What is handled here is a child's default.
        signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        if previous is signal.SIG_IGN:
            signal.signal(signal.SIGINT, previous)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _asking_again(clock: Clock) -> tenacity.Retrying:
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_busy),
        stop=tenacity.stop_after_attempt(BUSY_ATTEMPTS),
        wait=tenacity.wait_exponential(max=REQUEST_SECONDS),
        sleep=clock.sleep,
        reraise=True,
    )


def _is_busy(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, httpx.TimeoutException)


def _check_port(place: Place) -> None:
    with socket.socket() as probe:
        # As the server itself binds: a port just left may be taken again.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((place.host, place.port))
        except OSError as error:
            raise UsageError(
                say(
                    "Порт {port} занят: {cause}", "Port {port} is taken: {cause}", port=place.port, cause=error.strerror
                ),
                say(
                    "Возможно, планировщик уже запущен: {url}. Другой порт: voronka serve --port N",
                    "Perhaps a scheduler already runs: {url}. Another port: voronka serve --port N",
                    url=place.url,
                ),
            ) from error


def _leads_a_group(process: int) -> bool:
    try:
        return os.getpgid(process) == process
    except ProcessLookupError:
        return False


def _signal_group(leader: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, number)
