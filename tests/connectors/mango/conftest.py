"""A simulated Mango and a client of it on one fake clock, without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from base.clock import FakeClock
from base.secrets import Secret
from connectors.mango.client import MangoClient, open_client
from connectors.mango.settings import MangoSettings
from connectors.stream import MapContext, RawRecord, Request, Rows, Runtime
from demo.mango import MangoServer, MangoWorld

KEY, SALT = "test_vpbx_key_0001", "test_vpbx_salt_0002"
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def make_server(clock: FakeClock) -> Callable[..., MangoServer]:
    def make(world: MangoWorld | None = None, **options: Any) -> MangoServer:
        return MangoServer(world or MangoWorld(), api_key=KEY, api_salt=SALT, clock=clock, **options)

    return make


@pytest.fixture
def make_client(clock: FakeClock, tmp_path) -> Iterator[Callable[..., MangoClient]]:
    with ExitStack() as stack:

        def make(server: Any, **settings: Any) -> MangoClient:
            values = {"type": "mango", "api_key": Secret(KEY), "api_salt": Secret(SALT)} | settings
            runtime = Runtime(
                source="mango",
                clock=clock,
                zone=ZoneInfo("Europe/Moscow"),
                state_dir=tmp_path,
                transport=getattr(server, "transport", server),
            )
            values.setdefault("base_url", "http://mango.test/vpbx")
            return stack.enter_context(open_client(MangoSettings(**values), runtime))

        yield make


@pytest.fixture
def ask(clock: FakeClock) -> Callable[..., Request]:
    def make(**changes: Any) -> Request:
        values: dict[str, Any] = {"position": None, "start": datetime(2026, 11, 1, tzinfo=UTC), "end": clock.now()}
        return Request(**(values | changes))

    return make


@pytest.fixture
def context() -> MapContext:
    return make_context()


def make_context(**dictionaries: dict[str, bytes]) -> MapContext:
    settings = MangoSettings(type="mango", api_key=Secret(KEY), api_salt=Secret(SALT))
    return MapContext(
        source="mango",
        settings=settings,
        zone=ZoneInfo("Europe/Moscow"),
        country="RU",
        currency="RUB",
        dictionaries=dictionaries,
    )


@pytest.fixture
def map_one() -> Callable[..., Rows]:
    """Run a mapping on one payload and give its rows."""

    def run(mapping: Callable[..., None], payload: bytes, context: MapContext) -> Rows:
        rows = Rows()
        mapping(RawRecord("x", payload, 1, 1), context, rows)
        return rows

    return run
