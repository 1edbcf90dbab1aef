"""What the Bitrix24 tests share: a portal on the simulated server, without a socket, on a clock only sleeps move."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from base.clock import FakeClock
from base.secrets import Secret
from connectors.bitrix24.client import Bitrix24Client
from connectors.bitrix24.settings import Bitrix24Settings
from connectors.bitrix24.streams import CONNECTOR
from connectors.stream import MapContext, Mapper, Page, Position, RawRecord, Request, Rows, Runtime
from demo.bitrix24 import Bitrix24Server, Bitrix24World

MOSCOW = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SECRET = "s3cretwebhookcode"
BASE_URL = "https://example.bitrix24.ru"


@dataclass
class Office:
    """A server, a client reading it, and how a run is asked for."""

    server: Bitrix24Server
    client: Bitrix24Client
    clock: FakeClock

    @property
    def world(self) -> Bitrix24World:
        return self.server.world

    def read(
        self,
        stream: str,
        *,
        position: Position | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        full: bool = False,
        window: bool = False,
    ) -> list[Page]:
        request = Request(position=position, start=start, end=end or self.client.now(), full=full, window=window)
        return list(CONNECTOR.stream(stream).fetch(self.client, request))


def ids_of(pages: list[Page]) -> list[str]:
    return [record_id for page in pages for record_id in page.ids]


def position_of(pages: list[Page]) -> Position | None:
    return next((page.position for page in reversed(pages) if page.position is not None), None)


def empty_world(zone: ZoneInfo = MOSCOW) -> Bitrix24World:
    world = Bitrix24World(zone)
    world.add("users", {"ID": "1", "ACTIVE": True, "NAME": "Анна", "LAST_NAME": "Петрова", "LAST_LOGIN": ""})
    return world


def deal(world: Bitrix24World, deal_id: int, changed: datetime = NOW - timedelta(days=1), **fields: Any) -> None:
    stamp = world.stamp(changed)
    known = {
        "ID": str(deal_id),
        "TITLE": f"Сделка {deal_id}",
        "CATEGORY_ID": "0",
        "STAGE_ID": "NEW",
        "STAGE_SEMANTIC_ID": "P",
        "OPPORTUNITY": "100.00",
        "CURRENCY_ID": "RUB",
        "ASSIGNED_BY_ID": "1",
        "DATE_CREATE": stamp,
        "DATE_MODIFY": stamp,
        "MOVED_TIME": stamp,
        "CLOSED": "N",
    }
    world.add("deals", {**known, **fields})


def office_for(
    world: Bitrix24World, state_dir: Path, *, settings: dict[str, Any] | None = None, **options: Any
) -> Office:
    """`options` go to the server: quirks, faults, limits, latency."""
    clock = FakeClock(NOW)
    server = Bitrix24Server(world, secret=SECRET, clock=clock, **options)
    runtime = Runtime(source="b24", clock=clock, zone=MOSCOW, state_dir=state_dir, transport=server.transport)
    keys = {"base_url": BASE_URL, "webhook_url": Secret(f"{BASE_URL}/rest/1/{SECRET}/"), **(settings or {})}
    return Office(server, Bitrix24Client(Bitrix24Settings(type="bitrix24", **keys), runtime), clock)


def map_payload(
    mapper: Mapper,
    payload: Any,
    *,
    record_id: str = "1",
    settings: dict[str, Any] | None = None,
    dictionaries: dict[str, dict[str, Any]] | None = None,
) -> Rows:
    """One record through a mapping, as conforming does it."""
    keys = {"base_url": BASE_URL, "webhook_url": Secret("1/abcdefgh"), **(settings or {})}
    context = MapContext(
        source="b24",
        settings=Bitrix24Settings(type="bitrix24", **keys),
        zone=MOSCOW,
        country="RU",
        currency="RUB",
        dictionaries={
            name: {key: msgspec.json.encode(value) for key, value in records.items()}
            for name, records in (dictionaries or {}).items()
        },
    )
    rows = Rows()
    rows.begin(0)
    mapper(RawRecord(record_id, msgspec.json.encode(payload), 1, 1), context, rows)
    return rows


def rows_of(rows: Rows, relation: str) -> list[dict[str, Any]]:
    """Rows of a relation, by column."""
    return [
        dict(zip(into.columns, row, strict=True))
        for into, made in rows.rows.items()
        for row in made
        if into.relation == relation
    ]


def only_row(rows: Rows, relation: str) -> dict[str, Any]:
    (row,) = rows_of(rows, relation)
    return row
