"""What the OData tests share: a 1C database on the simulated server, without a socket, on a clock only sleeps move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from base.clock import FakeClock
from base.secrets import Secret
from connectors.onec.odata.client import OdataClient
from connectors.onec.settings import OnecSettings
from connectors.onec.streams import CONNECTOR
from connectors.stream import MapContext, Mapper, Page, Position, RawRecord, Request, Rows, Runtime
from demo.onec import OnecServer, OnecWorld
from demo.onec.world import ACCOUNTS, CURRENCIES, INVOICES, PARTIES, RECEIPTS, ROUBLE, SALES, WRITE_OFFS, key_for
from flows.project import Project, Source
from flows.steps.sync import SyncReport, sync
from metrics.settings import Company
from tests.engine import lake_at, look

MOSCOW = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PASSWORD = "пароль-бухгалтера"
URL = "https://books.example/base"
PARTY, OWN_ACCOUNT = key_for("party", 1), key_for("account", "own")


def empty_world() -> OnecWorld:
    """Published sets, a currency, one counterparty and one own account."""
    world = OnecWorld(zone=MOSCOW)
    for entity_set in (RECEIPTS, WRITE_OFFS, INVOICES, SALES, "Catalog_ДоговорыКонтрагентов"):
        world.tables[entity_set] = []
    world.add(CURRENCIES, ROUBLE, Code="643", Description="руб.")
    party(world, 1)
    world.add(ACCOUNTS, OWN_ACCOUNT, НомерСчета="40702810600000000101", ВалютаДенежныхСредств_Key=ROUBLE)
    # Fields that a receipt may have, whether or not one is there.
    for entity_set in (RECEIPTS, WRITE_OFFS):
        world.fields[entity_set] = list(receipt_values())
    return world


def party(world: OnecWorld, number: int, **values: Any) -> str:
    key = key_for("party", number)
    known = {"Description": f"Клиент {number}", "НаименованиеПолное": f"ООО «Клиент {number}»", "ИНН": "7707083893"}
    world.add(PARTIES, key, **{**known, **values})
    return key


def receipt_values(amount: Any = 100, **values: Any) -> dict[str, Any]:
    known = {
        "ВидОперации": "ОплатаПокупателя",
        "СчетОрганизации_Key": OWN_ACCOUNT,
        "Контрагент": PARTY,
        "Контрагент_Type": "StandardODATA.Catalog_Контрагенты",
        "ВалютаДокумента_Key": ROUBLE,
        "СуммаДокумента": amount,
        "НомерВходящегоДокумента": "501",
        "ДатаВходящегоДокумента": "2026-11-02T00:00:00",
        "НазначениеПлатежа": "Оплата по счету 7",
        "РасшифровкаПлатежа": [],
    }
    return {**known, **values}


def receipt(world: OnecWorld, number: int, entered_at: datetime, amount: Any = 100, **values: Any) -> str:
    key = key_for("receipt", number)
    world.document(RECEIPTS, key, entered_at, **receipt_values(amount, **values))
    return key


@dataclass
class Office:
    """A database and a client that reads it."""

    server: OnecServer
    client: OdataClient
    clock: FakeClock

    @property
    def world(self) -> OnecWorld:
        return self.server.world

    def read(self, stream: str, **options: Any) -> list[Page]:
        return list(self.pages(stream, **options))

    def pages(
        self, stream: str, *, position: Position | None = None, start: datetime | None = None, **options: Any
    ) -> Iterator[Page]:
        """Pages as they come, for tests that change the world between two of them."""
        request = Request(
            position=position,
            start=start,
            end=options.pop("end", None) or self.client.now(),
            full=options.pop("full", False),
            window=options.pop("window", False),
        )
        return CONNECTOR.stream(stream).fetch(self.client, request)


def office_for(world: OnecWorld, folder: Path, *, page_rows: int = 50, **options: Any) -> Office:
    """`options` go to the server, but `settings`: more keys of the source."""
    clock = FakeClock(NOW)
    keys = options.pop("settings", {})
    server = OnecServer(world, password=PASSWORD, clock=clock, **options)
    runtime = Runtime(source="books", clock=clock, zone=MOSCOW, state_dir=folder, transport=server.transport)
    return Office(server, OdataClient(odata_settings(**keys), runtime, page_rows=page_rows), clock)


def odata_settings(**keys: Any) -> OnecSettings:
    known = {"odata_url": URL, "user": "voronka", "password": Secret(PASSWORD), "requests_per_second": 100.0}
    return OnecSettings(type="onec", **{**known, **keys})


def ids_of(pages: list[Page]) -> list[str]:
    return [record_id for page in pages for record_id in page.ids]


def position_of(pages: list[Page]) -> Position | None:
    return next((page.position for page in reversed(pages) if page.position is not None), None)


def map_row(
    mapper: Mapper,
    payload: Any,
    dictionaries: dict[str, dict[str, Any]] | None = None,
    *,
    settings: OnecSettings | None = None,
) -> Rows:
    """One record through a mapping, as conforming does it."""
    context = MapContext(
        source="books",
        settings=settings or odata_settings(),
        zone=MOSCOW,
        country="RU",
        currency="RUB",
        own_tax_ids=frozenset({"7701234567"}),
        dictionaries={
            name: {key: msgspec.json.encode(value) for key, value in records.items()}
            for name, records in (dictionaries or {}).items()
        },
    )
    rows = Rows()
    rows.begin(0)
    raw = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    mapper(RawRecord("rec-1", raw, 1, 1), context, rows)
    return rows


def rows_of(rows: Rows, relation: str, column: str = "") -> list[dict[str, Any]]:
    """Rows of a relation by column; `column`: only of targets that fill it."""
    return [
        dict(zip(into.columns, row, strict=True))
        for into, made in rows.rows.items()
        for row in made
        if into.relation == relation and (not column or column in into.columns)
    ]


@dataclass
class Books:
    """A warehouse that syncs one database through the whole engine."""

    folder: Path
    server: OnecServer
    clock: FakeClock
    page_rows: int = 50

    @property
    def project(self) -> Project:
        return Project(
            root=self.folder,
            config_path=self.folder / "voronka.toml",
            company=Company(zone=MOSCOW),
            warehouse_path=self.folder / "var" / "warehouse.duckdb",
            raw_path=self.folder / "var" / "raw.duckdb",
            lake=lake_at(self.folder),
            publish_path=self.folder / "analytics.duckdb",
            sources={"books": Source(name="books", type="onec", settings=odata_settings())},
            state_dir=self.folder / "var" / "state",
        )

    def sync(self, **options: Any) -> SyncReport:
        def open_client(settings: Any, runtime: Runtime) -> closing[OdataClient]:
            return closing(OdataClient(settings, runtime, page_rows=self.page_rows))

        connector = replace(CONNECTOR, open=open_client)
        return sync(
            self.project,
            clock=self.clock,
            transport=self.server.transport,
            find_connector=lambda source_type: connector,
            **options,
        )

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with look(self.project.warehouse_path) as connection:
            return connection.execute(query, list(values)).fetchall()


def books_for(world: OnecWorld, folder: Path, *, page_rows: int = 50, **options: Any) -> Books:
    clock = FakeClock(NOW)
    return Books(folder, OnecServer(world, password=PASSWORD, clock=clock, **options), clock, page_rows)
