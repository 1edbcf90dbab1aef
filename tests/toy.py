"""A connector without a network: what it will yield is told to it. For tests of the engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from base.clock import FakeClock
from base.text import say
from connectors.stream import (
    BadRecord,
    CheckLine,
    Client,
    Connector,
    MapContext,
    Page,
    RawRecord,
    Request,
    Rows,
    Runtime,
    Settings,
    Stream,
    target,
)
from flows.project import Project, Source
from flows.steps.sync import SyncReport, sync
from metrics.settings import Company
from tests.engine import lake_at

EPOCH = datetime(2026, 11, 1, 9, tzinfo=UTC)
DEALS = target("core.deals", "deal_id title owner_id amount updated_at")
LINKS = target("core.deal_contacts", "deal_id contact_id is_main", owned_by="deal_id")
PATCHES = target("core.deals", "deal_id is_deleted")
CONTACTS = target("core.contacts", "contact_id name created_at updated_at")
PHONES = target("core.contact_phones", "contact_id phone first_seen_at last_seen_at")
USERS = target("core.users", "external_id name is_active")
SECOND = 1_000_000


class ToySettings(Settings, frozen=True):
    meaning: str = ""


def deal(deal_id: int, updated: int, **values: Any) -> dict[str, Any]:
    return {"id": deal_id, "updated": updated, "title": f"Deal {deal_id}", **values}


def page(*records: dict[str, Any], **values: Any) -> Page:
    return Page(
        ids=[str(record["id"]) for record in records],
        payloads=[json.dumps(record, ensure_ascii=False).encode() for record in records],
        versions=[record.get("updated", 0) * SECOND for record in records],
        cursors=[record.get("updated", 0) * SECOND for record in records],
        **values,
    )


class _Deal(msgspec.Struct):
    id: int
    updated: int
    title: str
    owner: str | None = None
    contacts: list[str] = []


def map_deal(record: RawRecord, context: MapContext, out: Rows) -> None:
    read = msgspec.json.decode(record.payload, type=_Deal)
    if read.title == "bad":
        raise BadRecord("bad_title", say("Плохо", "Bad"), path="$.title", expected="good", got="bad")
    out.add(DEALS, (str(read.id), read.title, read.owner, None, read.updated * SECOND))
    out.add_children(LINKS, (str(read.id),), [(str(read.id), contact, None) for contact in read.contacts])


def map_patch(record: RawRecord, context: MapContext, out: Rows) -> None:
    read = msgspec.json.decode(record.payload)
    out.add(PATCHES, (str(read["deal"]), read["deleted"]))


def map_contact(record: RawRecord, context: MapContext, out: Rows) -> None:
    read = msgspec.json.decode(record.payload)
    seen = read["updated"] * SECOND
    out.add(CONTACTS, (str(read["id"]), "name", read["created"] * SECOND, seen))
    for phone in read["phones"]:
        out.add(PHONES, (str(read["id"]), phone, seen, seen))


def map_user(record: RawRecord, context: MapContext, out: Rows) -> None:
    out.add(USERS, (record.record_id, msgspec.json.decode(record.payload)["title"], True))


@dataclass
class ToyClient(Client):
    script: dict[str, list[Any]]
    clock: FakeClock
    requests: list[tuple[str, Request]] = field(default_factory=list)
    runtime: Runtime | None = None

    def now(self) -> datetime:
        return self.clock.now()

    def pages(self, stream: str, request: Request) -> Iterator[Page]:
        self.requests.append((stream, request))
        for step in self.script.get(stream, []):
            assert self.runtime is not None
            self.runtime.on_request(1)
            if isinstance(step, Exception):
                raise step
            yield step


@dataclass
class Toy:
    """One toy source in a project of its own: tell `script`, then `run()`."""

    folder: Path
    clock: FakeClock = field(default_factory=lambda: FakeClock(EPOCH))
    meaning: str = ""
    script: dict[str, list[Any]] = field(default_factory=dict)
    client: ToyClient | None = None

    def connector(self) -> Connector[ToyClient]:
        def fetch(name: str) -> Any:
            return lambda client, request: client.pages(name, request)

        @contextmanager
        def open_client(settings: Settings, runtime: Runtime) -> Iterator[ToyClient]:
            self.client = ToyClient(self.script, self.clock, runtime=runtime)
            yield self.client

        def stream(name: str, kind: Any, **values: Any) -> Stream[ToyClient]:
            return Stream(name=name, kind=kind, fetch=fetch(name), label=say(name, name), **values)

        return Connector(
            source_type="toy",
            label=say("Игрушка", "Toy"),
            settings=ToySettings,
            streams=(
                stream("users", "dictionary", map=map_user, tombstones=("core.users",)),
                stream(
                    "deals",
                    "entity",
                    map=map_deal,
                    tombstones=("core.deals",),
                    needs=("users",),
                    sweeps=True,
                    facet="crm",
                ),
                stream("events", "log", map=map_patch, facet="crm"),
                stream("contacts", "entity", map=map_contact, tombstones=("core.contacts",)),
            ),
            open=open_client,
            check=lambda client: iter([CheckLine(subject=say("a", "a"), verdict="ok", detail=say("", ""))]),
        )

    def project(self) -> Project:
        settings = ToySettings(type="toy", meaning=self.meaning)
        return Project(
            root=self.folder,
            config_path=self.folder / "voronka.toml",
            company=Company(zone=ZoneInfo("Europe/Moscow")),
            warehouse_path=self.folder / "var" / "warehouse.duckdb",
            raw_path=self.folder / "var" / "raw.duckdb",
            lake=lake_at(self.folder),
            publish_path=self.folder / "analytics.duckdb",
            sources={"toy": Source(name="toy", type="toy", settings=settings)},
            state_dir=self.folder / "var",
        )

    def run(self, script: dict[str, list[Any]] | None = None, **options: Any) -> SyncReport:
        self.script = script or {}
        connector = self.connector()
        return sync(self.project(), clock=self.clock, find_connector=lambda name: connector, **options)
