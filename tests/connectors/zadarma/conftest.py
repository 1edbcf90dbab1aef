"""A simulated Zadarma and a client of it on one fake clock, without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from base.clock import FakeClock
from base.secrets import Secret
from connectors.stream import Request, Runtime
from connectors.zadarma.client import ZadarmaClient, open_client
from connectors.zadarma.settings import ZadarmaSettings
from demo.zadarma import ZadarmaServer, ZadarmaWorld

KEY, SECRET = "0123456789abcdef0123", "fedcba98765432100123"
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def make_server(clock: FakeClock) -> Callable[..., ZadarmaServer]:
    def make(world: ZadarmaWorld | None = None, **options: Any) -> ZadarmaServer:
        world = world or ZadarmaWorld(zone=ZoneInfo("Europe/Moscow"))
        return ZadarmaServer(world, key=KEY, secret=SECRET, clock=clock, **options)

    return make


@pytest.fixture
def make_client(clock: FakeClock, tmp_path) -> Iterator[Callable[..., ZadarmaClient]]:
    with ExitStack() as stack:

        def make(server: Any, **settings: Any) -> ZadarmaClient:
            values = {"type": "zadarma", "key": Secret(KEY), "secret": Secret(SECRET)} | settings
            runtime = Runtime(
                source="zadarma",
                clock=clock,
                zone=ZoneInfo("Europe/Moscow"),
                state_dir=tmp_path,
                transport=getattr(server, "transport", server),
            )
            values.setdefault("base_url", "http://zadarma.test")
            return stack.enter_context(open_client(ZadarmaSettings(**values), runtime))

        yield make


@pytest.fixture
def ask(clock: FakeClock) -> Callable[..., Request]:
    def make(**changes: Any) -> Request:
        values: dict[str, Any] = {"position": None, "start": datetime(2026, 10, 31, 21, tzinfo=UTC), "end": clock.now()}
        return Request(**(values | changes))

    return make
