"""Clients against the simulated servers' own limits, on one injected clock: the budget is used and never passed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from base.secrets import Secret
from connectors.amocrm.client import AmocrmClient
from connectors.amocrm.settings import AmocrmSettings
from connectors.bitrix24.client import Bitrix24Client
from connectors.bitrix24.settings import Bitrix24Settings
from connectors.stream import Runtime
from demo.amocrm import AmocrmServer, AmocrmWorld
from demo.bitrix24 import Bitrix24Server, Bitrix24World, Limits
from demo.http import SimulatedServer
from tests.virtual import VirtualClock

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MOSCOW = ZoneInfo("Europe/Moscow")
SECRET = "s3cretwebhookcode"
LATENCY = 0.2


@dataclass
class Line:
    """A server on the client's clock, and the statuses it answered with."""

    clock: VirtualClock
    server: SimulatedServer
    folder: Path
    statuses: Counter[int]

    @property
    def runtime(self) -> Runtime:
        inner = self.server.transport

        def pass_on(request: httpx.Request) -> httpx.Response:
            response = inner.handle_request(request)
            self.statuses[response.status_code] += 1
            return response

        transport = httpx.MockTransport(pass_on)
        return Runtime(source="crm", clock=self.clock, zone=MOSCOW, state_dir=self.folder, transport=transport)

    def rate(self, lanes: int, requests: int, ask: Callable[[], object]) -> float:
        """Requests a second by so many lanes at once."""
        began, before = self.clock.monotonic(), self.statuses.total()

        def work() -> None:
            for _ in range(requests // lanes):
                ask()

        self.clock.run(*[work] * lanes)
        return (self.statuses.total() - before) / (self.clock.monotonic() - began)


@contextmanager
def account(folder: Path, rate: float | None) -> Iterator[tuple[Line, AmocrmClient]]:
    clock = VirtualClock(NOW)
    world = AmocrmWorld(account={"id": 1, "_embedded": {}}, users=[], pipelines=[])
    world.add("leads", {"id": 1, "updated_at": 1_760_000_000})
    line = Line(clock, AmocrmServer(world, token=SECRET, clock=clock, latency=LATENCY), folder, Counter())
    settings = AmocrmSettings(
        type="amocrm", base_url="https://example.amocrm.ru", token=Secret(SECRET), requests_per_second=rate
    )
    with closing(AmocrmClient(settings, line.runtime)) as client:
        yield line, client


@pytest.mark.parametrize(("configured", "lanes"), [(None, 1), (4.0, 1), (6.0, 2), (7.0, 2)])
def test_an_account_is_asked_as_often_as_was_chosen_and_never_refuses(
    tmp_path: Path, configured: float | None, lanes: int
) -> None:
    """At 200 ms latency, the whole way: token, gate, budget, wire. Five is what an account gets unasked."""
    with account(tmp_path, configured) as (line, client):
        rate = line.rate(lanes, 300, lambda: client.page("/leads", "leads", []))
    budget = configured or 5.0
    assert line.statuses.keys() == {200}
    assert 0.95 * budget <= rate <= 1.01 * budget


@contextmanager
def portal(folder: Path, limits: Limits) -> Iterator[tuple[Line, Bitrix24Server, Bitrix24Client]]:
    clock = VirtualClock(NOW)
    server = Bitrix24Server(Bitrix24World(MOSCOW), secret=SECRET, clock=clock, limits=limits, latency=LATENCY)
    line = Line(clock, server, folder, Counter())
    url = Secret(f"https://example.bitrix24.ru/rest/1/{SECRET}/")
    with closing(Bitrix24Client(Bitrix24Settings(type="bitrix24", webhook_url=url), line.runtime)) as client:
        yield line, server, client


def test_a_portals_stock_is_spent_at_once_and_its_leak_used_after(tmp_path: Path) -> None:
    """Forty requests at the speed of the wire, then two a second for as long as there is work, and no 503."""
    with portal(tmp_path, Limits(page_seconds=0.0, operating=None)) as (line, server, client):
        line.rate(4, 40, lambda: client.call("server.time"))
        assert line.clock.monotonic() < 5.0
        rate = line.rate(4, 400, lambda: client.call("server.time"))
    assert line.statuses.keys() == {200}
    assert server.meter.highest_level <= 50
    assert 0.95 * 2 <= rate <= 1.05 * 2


def test_a_portals_server_time_is_nearly_spent_and_never_overspent(tmp_path: Path) -> None:
    """Batches of dear pages for two hours: what the limiter of operating time leaves unused is lost speed, and one
    request too many is five minutes of 429."""
    limits = Limits(page_seconds=4.0, leak=None)
    with portal(tmp_path, limits) as (line, _, client):
        line.rate(1, 1200, lambda: client.call("crm.deal.list", {"start": -1}))
        used = 1200 * limits.page_seconds / line.clock.monotonic()
    assert line.statuses.keys() == {200}
    assert limits.operating is not None
    assert used >= 0.9 * limits.operating / 600
