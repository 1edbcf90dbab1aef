"""One account asked by several machines: PostgreSQL keeps its budget, and nobody passes it, whoever is killed."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import duckdb
import pytest

from base.clock import FakeClock, SystemClock
from base.errors import BusyError
from connectors.limiter import Limiter
from demo.amocrm import AmocrmServer, AmocrmWorld
from tests import postgres
from tests.connectors.test_limiter import LATENCY, Vendor
from tests.engine import make_lake
from tests.virtual import VirtualClock
from warehouse.address import Lake
from warehouse.lake import attach_lake
from warehouse.shared_states import SharedStates
from warehouse.source_lock import source_locks

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
BUDGET = 5.0
ASKING_SECONDS = 8.0
# A machine of its own: its folder, its connection, its share of the account's requests.
MACHINE = """
import sys
from pathlib import Path
from zoneinfo import ZoneInfo
from base.clock import SystemClock
from base.secrets import Secret
from connectors.amocrm.client import AmocrmClient
from connectors.amocrm.settings import AmocrmSettings
from connectors.stream import Runtime
from warehouse.address import Lake
from warehouse.shared_states import SharedStates

address, folder, url = sys.argv[1:]
states = SharedStates(Lake(address=address, data_path=Path(folder)), SystemClock())
runtime = Runtime(
    source="amo", clock=SystemClock(), zone=ZoneInfo("UTC"), state_dir=Path(folder), shared=states
)
settings = AmocrmSettings(type="amocrm", base_url=url, token=Secret("s3cret"), requests_per_second=5.0)
client = AmocrmClient(settings, runtime)
while True:
    client.page("/leads", "leads", [])
    print("asked", flush=True)
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return make_lake(tmp_path)


def test_two_machines_share_one_budget(lake: Lake) -> None:
    """Each with a limiter of its own, which knows of the other by PostgreSQL alone."""
    clock, dice = VirtualClock(NOW), random.Random(1)
    vendor = Vendor(clock, 7, lambda: dice.uniform(0.0, 0.02), lambda: LATENCY)
    with closing(SharedStates(lake, clock)) as states:
        limiters = [Limiter("a", rate=BUDGET, clock=clock, ceiling=7, states=states) for _ in range(2)]

        def read(limiter: Limiter) -> None:
            for _ in range(40):
                limiter.wait_turn()
                vendor.ask()
                limiter.answered("/list")

        clock.run(*[partial(read, one) for one in limiters])
    assert vendor.refused == 0
    assert 0.95 * BUDGET <= vendor.rate <= 1.01 * BUDGET


class Account:
    """A simulated account over HTTP that notes when it was asked."""

    def __init__(self) -> None:
        world = AmocrmWorld(account={"id": 1, "_embedded": {}}, users=[], pipelines=[])
        world.add("leads", {"id": 1, "updated_at": 1_760_000_000})
        self.server = AmocrmServer(world, token="s3cret", clock=SystemClock())
        self.times: list[float] = []
        self.statuses: Counter[int] = Counter()
        inner = self.server.answer

        def answer(request: object) -> object:
            self.times.append(time.monotonic())
            response = inner(request)  # type: ignore[arg-type]
            self.statuses[response.status] += 1
            return response

        self.server.answer = answer  # type: ignore[assignment,method-assign]

    def used(self, since: float, until: float) -> float:
        """Part of the budget that was used in between."""
        return sum(since <= moment < until for moment in self.times) / ((until - since) * BUDGET)


@contextmanager
def machine(lake: Lake, folder: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    folder.mkdir()
    command = [sys.executable, "-c", MACHINE, lake.address, str(folder), url]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "asked\n"
        yield child
    finally:
        child.kill()
        child.communicate()


@pytest.mark.e2e
def test_two_processes_at_once_use_an_accounts_budget_and_a_killed_one_leaves_it_to_the_other(
    lake: Lake, tmp_path: Path
) -> None:
    """Two machines that each keep the budget ask twice as often as the vendor allows; a budget that dies with its
    holder stops the account."""
    account = Account()
    with (
        account.server,
        machine(lake, tmp_path / "a", account.server.url) as one,
        machine(lake, tmp_path / "b", account.server.url),
    ):
        began = time.monotonic()
        time.sleep(ASKING_SECONDS)
        killed = time.monotonic()
        one.kill()
        time.sleep(ASKING_SECONDS)
        ended = time.monotonic()
    assert account.statuses.keys() == {200}
    # How much of it is used at best, `test_two_machines_share_one_budget` tells by a clock of its own.
    assert 0.5 <= account.used(began, killed) <= 1.1
    assert 0.5 <= account.used(killed, ended) <= 1.1


def test_machines_whose_clocks_differ_go_by_one(lake: Lake) -> None:
    """An hour ahead, a machine would take every slot for free, and leave the others an hour's queue."""

    class Ahead(SystemClock):
        def now(self) -> datetime:
            return super().now() + timedelta(hours=1)

    with closing(SharedStates(lake, SystemClock())) as here, closing(SharedStates(lake, Ahead())) as there:
        first, second, third = here.now(), there.now(), here.now()
    assert first - 0.5 <= second <= third + 0.5


def test_a_state_outlives_a_restart_of_postgresql(lake: Lake) -> None:
    """A night would end at each update of the database server."""
    clock = FakeClock(NOW)
    with closing(SharedStates(lake, clock)) as states:
        state = states.open("a")
        with state.changing() as change:
            change.content = b"1"
        postgres.server().restart()
        with state.changing() as change:
            assert change.content == b"1"
            postgres.server().restart()
            change.content = b"2"
        assert state.read() == b"2"


def test_what_a_failed_change_wrote_is_not_kept(lake: Lake) -> None:
    """A refused request (BlockedError) would use up a slot, and hold the lock for ever."""
    with closing(SharedStates(lake, SystemClock())) as states:
        state = states.open("a'; DROP SCHEMA voronka_fleet CASCADE; --")

        def fail() -> None:
            with state.changing() as change:
                change.content = b"1"
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        with state.changing() as change:
            assert change.content == b""
            change.content = json.dumps({"why": "it's"}).encode()
        assert json.loads(state.read()) == {"why": "it's"}


def test_a_source_is_loaded_by_one_at_a_time(lake: Lake) -> None:
    """Two loads of one source at once would conform the same records twice; loads of two sources run side by side."""
    clock = FakeClock(NOW)
    waited: list[object] = []
    with duckdb.connect(config={"threads": 1}) as one, duckdb.connect(config={"threads": 1}) as other:
        attach_lake(one, lake)
        attach_lake(other, lake)
        with source_locks(one, ["amo", "mango"], clock=clock, wait_seconds=0, on_wait=waited.append):
            with source_locks(other, ["zadarma"], clock=clock, wait_seconds=0, on_wait=waited.append):
                assert waited == []
            with (
                pytest.raises(BusyError, match="mango"),
                source_locks(other, ["mango"], clock=clock, wait_seconds=3, on_wait=waited.append),
            ):
                pass
            assert len(waited) == 1
        with source_locks(other, ["mango"], clock=clock, wait_seconds=0, on_wait=waited.append):
            pass
