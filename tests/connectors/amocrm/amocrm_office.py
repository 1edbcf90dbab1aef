"""What the amoCRM tests share: an account on the simulated server, without a socket, on a clock only sleeps move."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from base.clock import FakeClock
from base.secrets import Secret
from connectors.amocrm.client import AmocrmClient
from connectors.amocrm.settings import AmocrmSettings
from connectors.amocrm.streams import CONNECTOR
from connectors.stream import MapContext, Mapper, Page, Position, RawRecord, Request, Rows, Runtime
from demo.amocrm import AmocrmServer, AmocrmWorld

MOSCOW = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TOKEN = "a-long-lived-token-of-a-test"


@dataclass
class Office:
    """A server, a client reading it, and how a run is asked for."""

    server: AmocrmServer
    client: AmocrmClient
    clock: FakeClock

    @property
    def world(self) -> AmocrmWorld:
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

    def paths(self) -> list[str]:
        return [line.removeprefix("GET /api/v4/") for line in self.server.requests]


def ids_of(pages: list[Page]) -> list[str]:
    return [record_id for page in pages for record_id in page.ids]


def position_of(pages: list[Page]) -> Position | None:
    return next((page.position for page in reversed(pages) if page.position is not None), None)


def empty_world() -> AmocrmWorld:
    account = {
        "id": 30111222,
        "name": "Пример",
        "current_user_id": 1,
        "currency": "RUB",
        "is_api_filter_enabled": True,
        "_embedded": {"datetime_settings": {"timezone": "Europe/Moscow"}},
    }
    users = [{"id": 1, "name": "Анна", "email": "a@example.com", "rights": {"is_admin": True, "is_active": True}}]
    return AmocrmWorld(account=account, users=users, pipelines=[])


def lead(lead_id: int, updated_at: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": lead_id,
        "name": f"Сделка {lead_id}",
        "price": 100,
        "status_id": 60011,
        "pipeline_id": 7100200,
        "responsible_user_id": 1,
        "created_at": updated_at,
        "updated_at": updated_at,
        "is_deleted": False,
        "custom_fields_values": None,
        "_embedded": {"tags": [], "companies": [], "contacts": []},
        **fields,
    }


def office_for(
    world: AmocrmWorld, state_dir: Path, *, token: str = TOKEN, settings: dict[str, Any] | None = None, **options: Any
) -> Office:
    """`options` go to the server: quirks, faults, latency, limit_per_second."""
    clock = FakeClock(NOW)
    server = AmocrmServer(world, token=TOKEN, clock=clock, **options)
    runtime = Runtime(source="amo", clock=clock, zone=MOSCOW, state_dir=state_dir, transport=server.transport)
    keys = {"base_url": "https://example.amocrm.ru", "token": Secret(token), **(settings or {})}
    return Office(server, AmocrmClient(AmocrmSettings(type="amocrm", **keys), runtime), clock)


def map_payload(
    mapper: Mapper,
    payload: Any,
    *,
    settings: AmocrmSettings | None = None,
    account: Any = None,
    dictionaries: dict[str, dict[str, bytes]] | None = None,
) -> Rows:
    """One record through a mapping, as conforming does it."""
    known = dict(dictionaries or {})
    if account:
        known["account"] = {"account": msgspec.json.encode(account)}
    context = MapContext(
        source="amo",
        settings=settings or AmocrmSettings(type="amocrm", base_url="https://example.amocrm.ru"),
        zone=MOSCOW,
        country="RU",
        currency="RUB",
        dictionaries=known,
    )
    rows = Rows()
    rows.begin(0)
    mapper(RawRecord("1", msgspec.json.encode(payload), 1, 1), context, rows)
    return rows


def only_row(rows: Rows, relation: str) -> dict[str, Any]:
    """The single row of a relation, by column."""
    found = [
        dict(zip(into.columns, row, strict=True))
        for into, made in rows.rows.items()
        for row in made
        if into.relation == relation
    ]
    (row,) = found
    return row


def token_until(expires_at: datetime, **claims: Any) -> str:
    """A long-lived token as amoCRM makes them: a JWT whose `exp` anybody can read."""
    parts = [{"typ": "JWT", "alg": "RS256"}, {"sub": "1", "exp": int(expires_at.timestamp()), **claims}]
    coded = [base64.urlsafe_b64encode(msgspec.json.encode(part)).rstrip(b"=").decode() for part in parts]
    return ".".join([*coded, "c2lnbmF0dXJl"])
