"""The reference fixture of metrics.md, section 3, as core rows and inputs, in a database of memory.

It skips connectors and conforming: tests of resolve and of metrics start from what these should have made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from base.clock import FakeClock
from metrics.settings import Company, Rules
from models import WAREHOUSE
from models.arrow import arrow_type
from warehouse.ddl import create_all

ZONE = ZoneInfo("Europe/Moscow")
COMPANY = Company(zone=ZONE, source_types={"amo": "amocrm", "mango": "mango", "accounting": "onec"})
PIPELINE = "7"
STAGES = {
    # name: stage id, position, kind
    "new": ("10", 10, "base"),
    "qualified": ("20", 20, "qualified"),
    "meeting": ("30", 30, "meeting"),
    "offer": ("40", 40, "offer"),
    "invoice": ("50", 50, "invoice"),
    "won": ("142", 100, "won"),
    "lost": ("143", 110, "lost"),
}
USERS = {"A": ("101", "11"), "B": ("102", "12")}
TEAMS = {"A": "North", "B": "South"}

Row = Mapping[str, Any]


def moscow(text: str) -> datetime:
    """`02 10:00` is in November 2026; `10-20 10:00` names the month; a full ISO text stands for itself."""
    day, _, clock = text.partition(" ")
    stamp = {2: f"2026-11-{day}", 5: f"2026-{day}", 10: day}[len(day)]
    return datetime.fromisoformat(f"{stamp}T{clock}").replace(tzinfo=ZONE).astimezone(UTC)


def fresh_clock() -> FakeClock:
    return FakeClock(moscow("30 23:00"))


def empty_warehouse() -> duckdb.DuckDBPyConnection:
    """Every relation of the warehouse, in memory, without rows."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    create_all(connection, WAREHOUSE, comments=False)
    return connection


class Batch:
    """Rows put aside by relation, to go into a database together: a statement a row takes a second for the fixture."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {}

    def flush(self, connection: duckdb.DuckDBPyConnection) -> None:
        for relation, rows in self.rows.items():
            insert(connection, relation, rows)
        self.rows.clear()


Target = duckdb.DuckDBPyConnection | Batch


def insert(target: Target, relation: str, rows: Iterable[Row]) -> None:
    """Rows by column name; rows of sources get the loading columns conforming would have filled."""
    if isinstance(target, Batch):
        target.rows.setdefault(relation, []).extend(rows)
        return
    columns = WAREHOUSE.tables[relation].columns
    stamp: Row = {"version": 1, "loaded_at": moscow("30 22:00")} if "version" in columns else {}
    filled = [{**stamp, **row} for row in rows]
    unknown = {name for row in filled for name in row} - set(columns.keys())
    assert not unknown, f"{relation} has no {unknown}"
    schema = pa.schema([(column.name, arrow_type(column)) for column in columns])
    target.register("inserted_rows", pa.Table.from_pylist(filled, schema=schema))
    target.execute(f"INSERT INTO {relation} BY NAME SELECT * FROM inserted_rows")
    target.unregister("inserted_rows")


class Crm:
    """Writes deals and their log the way a CRM with a full log has them."""

    def __init__(self, target: Target, source: str = "amo", pipeline: str = PIPELINE) -> None:
        self.target = target
        self.source = source
        self.pipeline = pipeline
        self._events = 0

    def event(self, deal: str, kind: str, at: str | datetime, **values: Any) -> None:
        self._events += 1
        insert(
            self.target,
            "core.deal_events",
            [
                {
                    "source": self.source,
                    "event_id": f"{deal}-{self._events:06d}",
                    "deal_id": deal,
                    "event_type": kind,
                    "occurred_at": at if isinstance(at, datetime) else moscow(at),
                    "precision": "log",
                    **values,
                }
            ],
        )

    def move(self, deal: str, at: str, before: str, after: str, **values: Any) -> None:
        """A stage entry; stages by their names in STAGES, or ids."""
        to = _stage(after)
        pipelines = {"from_pipeline_id": self.pipeline, "pipeline_id": self.pipeline}
        moved = {"from_value": _stage(before), "to_value": to, "stage_id": to}
        self.event(deal, "stage", at, **{**pipelines, **moved, "user_id": "101", **values})

    def owner(self, deal: str, at: str, before: str, after: str, **values: Any) -> None:
        self.event(deal, "owner", at, from_value=_user(before), to_value=_user(after), **values)

    def deal(
        self,
        deal: str,
        owner: str,
        created: str,
        moves: Iterable[tuple[str, str]] = (),
        *,
        first: str = "new",
        phone: str | None = None,
        contact: str | None = None,
        owner_now: str | None = None,
        logs_creation: bool = True,
        **values: Any,
    ) -> None:
        """A deal with its creation, its moves (moment, stage), and a contact whose phone is known from the start."""
        stage = first
        if logs_creation:
            self.event(deal, "created", created, user_id=_user(owner))
        for at, after in moves:
            self.move(deal, at, stage, after)
            stage = after
        row = {
            "source": self.source,
            "deal_id": deal,
            "pipeline_id": self.pipeline,
            "stage_id": _stage(stage),
            "owner_id": _user(owner_now or owner),
            "currency": "RUB",
            "created_at": moscow(created),
            "updated_at": moscow(created),
            "is_deleted": False,
        }
        insert(self.target, "core.deals", [row | values])
        if phone is not None:
            self.contact(contact or f"c{deal}", phone, created, deals=[deal])

    def contact(self, contact: str, phone: str, seen: str, deals: Iterable[str] = ()) -> None:
        row = {"source": self.source, "contact_id": contact}
        insert(self.target, "core.contacts", [row | {"phones": [phone], "emails": [], "created_at": moscow(seen)}])
        insert(self.target, "core.contact_phones", [row | {"phone": phone, "first_seen_at": moscow(seen)}])
        insert(self.target, "core.deal_contacts", [row | {"deal_id": deal, "is_main": True} for deal in deals])


def add_call(
    target: Target,
    call: str,
    at: str,
    who: str | None,
    direction: str,
    number: str | None,
    talk: int,
    *,
    answered: bool | None = None,
    source: str = "mango",
    **values: Any,
) -> None:
    """A conversation; `who` is A or B, an extension, or nobody."""
    started = moscow(at)
    row = {
        "source": source,
        "call_id": call,
        "started_at": started,
        "local_date": started.astimezone(ZONE).date(),
        "direction": direction,
        "external_number": number,
        "line": "74951234567" if direction != "internal" else None,
        "extension": USERS[who][1] if who in USERS else who,
        "is_answered": talk > 0 if answered is None else answered,
        "talk_seconds": talk,
        "duration_seconds": talk + 10,
        "leg_count": 1,
    }
    insert(target, "core.calls", [row | values])


def add_stages(target: Target, *, source: str = "amo", pipeline: str = PIPELINE) -> None:
    place = {"source": source, "pipeline_id": pipeline}
    insert(
        target,
        "core.stages",
        [
            place
            | {
                "stage_id": stage_id,
                "name": name,
                "position": position,
                "kind": kind,
                "valid_from": date(1900, 1, 1),
                "is_guess": False,
            }
            for name, (stage_id, position, kind) in STAGES.items()
        ],
    )


def add_people(target: Target) -> None:
    ever = {"valid_from": date(1900, 1, 1)}
    for person, (user, extension) in USERS.items():
        insert(
            target,
            "core.people",
            [ever | {"person_id": person, "name": person, "team": TEAMS[person], "role": "manager"}],
        )
        insert(
            target,
            "core.identities",
            [
                ever | {"person_id": person, "source": "amo", "external_id": user},
                ever | {"person_id": person, "source": "mango", "external_id": extension},
            ],
        )


def company(**rules: Any) -> Company:
    return replace(COMPANY, rules=Rules(**rules))


def phone_of(deal: int) -> str:
    return f"+7916000{deal:04d}"


def reference() -> duckdb.DuckDBPyConnection:
    """The fixture: D1…D10, C1…C14, P1…P7, managers A and B."""
    batch = Batch()
    add_stages(batch)
    add_people(batch)
    _add_deals(batch)
    _add_calls(batch)
    _add_payments(batch)
    _add_coverage(batch)
    connection = empty_warehouse()
    batch.flush(connection)
    return connection


def add_paid_deals(target: Target) -> None:
    """What money matching makes of the fixture, for tests of what stands on it."""
    paid = {"D1": ("12", "A"), "D2": ("20", "A"), "D7": ("24", "B"), "D8": ("09", "B")}
    insert(
        target,
        "calc.paid_deals",
        [
            {
                "source": "amo",
                "deal_id": deal,
                "ordinal": 1,
                "pipeline_id": PIPELINE,
                "local_date": date(2026, 11, int(day)),
                "occurred_at": moscow(f"{day} 23:59:59"),
                "sign": 1,
                "person_id": person,
                "team": TEAMS[person],
                "credit_precision": "log",
            }
            for deal, (day, person) in paid.items()
        ],
    )


def _stage(name: str) -> str:
    return STAGES[name][0] if name in STAGES else name


def _user(name: str) -> str:
    return USERS[name][0] if name in USERS else name


def _add_deals(target: Target) -> None:
    crm = Crm(target)
    told: dict[int, tuple[int, str, str, list[tuple[str, str]]]] = {
        1: (100_000, "A", "02 10:00", [
            ("02 11:00", "qualified"), ("05 12:00", "meeting"), ("06 15:00", "offer"), ("09 10:00", "invoice"),
            ("12 10:00", "won"),
        ]),
        2: (100_000, "A", "02 12:00", [("03 10:00", "qualified"), ("06 12:00", "offer"), ("11 12:00", "won")]),
        3: (80_000, "A", "03 09:30", [
            ("03 12:00", "qualified"), ("09 11:00", "meeting"), ("10 16:00", "qualified"), ("12 11:00", "meeting"),
            ("13 10:00", "offer"), ("19 15:00", "lost"),
        ]),
        4: (120_000, "B", "05 10:00", [
            ("05 15:00", "qualified"), ("10 12:00", "meeting"), ("11 10:00", "offer"), ("18 17:00", "won"),
        ]),
        5: (40_000, "B", "06 17:50", [("10 10:00", "lost")]),
        6: (50_000, "B", "09 10:00", []),
        7: (150_000, "A", "10 11:00", [
            ("10 14:00", "qualified"), ("16 11:00", "meeting"), ("17 12:00", "offer"), ("23 16:00", "won"),
        ]),
        8: (90_000, "B", "10-20 10:00", [
            ("10-21 10:00", "qualified"), ("10-26 10:00", "meeting"), ("03 10:00", "offer"), ("09 11:00", "won"),
        ]),
        9: (70_000, "A", "12 09:50", [("13 11:00", "qualified")]),
        10: (120_000, "B", "16 10:00", []),
    }  # fmt: skip
    for number, (amount, owner, created, moves) in told.items():
        crm.deal(
            f"D{number}",
            owner,
            created,
            moves,
            phone=phone_of(4 if number == 10 else number),
            owner_now="B" if number == 7 else owner,
            title=f"D{number}",
            amount=Decimal(amount),
            invoice_number=f"INV-{number}",
            is_deleted=number == 9,
        )
    crm.owner("D7", "12 09:00", "A", "B")
    crm.event("D9", "deleted", "25 12:00", user_id="101")


def _add_calls(target: Target) -> None:
    told: list[tuple[str, str, str | None, str, int | None, int]] = [
        ("C1", "02 10:12", "A", "out", 1, 95),
        ("C2", "02 12:04", "A", "out", 2, 0),
        ("C3", "02 15:00", "A", "out", 2, 240),
        ("C4", "03 09:45", "A", "out", 3, 30),
        ("C5", "03 11:50", "A", "out", 3, 180),
        ("C6", "05 10:03", "B", "in", 4, 310),
        ("C7", "09 09:10", "B", "out", 5, 12),
        ("C8", "10 11:20", None, "in", 7, 0),
        ("C9", "10 11:31", "A", "out", 7, 75),
        ("C11", "12 10:00", "A", "out", 9, 45),
        ("C12", "13 12:00", "B", "in", 1, 200),
        ("C13", "16 10:05", "B", "out", 4, 60),
    ]
    for call, at, who, direction, deal, talk in told:
        legs = 2 if call == "C12" else 1
        add_call(target, call, at, who, direction, phone_of(deal) if deal else None, talk, leg_count=legs)
    add_call(target, "C10", "11 13:00", None, "in", "+79990000001", 0)
    add_call(target, "C14", "16 12:00", "A", "internal", None, 300)
    for leg, (extension, talk) in enumerate((("11", 20), ("12", 200)), start=1):
        insert(
            target,
            "core.call_legs",
            [
                {
                    "source": "mango",
                    "call_id": "C12",
                    "leg": leg,
                    "started_at": moscow("13 12:00") + timedelta(seconds=leg),
                    "extension": extension,
                    "talk_seconds": talk,
                }
            ],
        )


def _add_payments(target: Target) -> None:
    told = [
        ("P1", 12, 1, 100_000),
        ("P2", 11, 2, 60_000),
        ("P3", 20, 2, 40_000),
        ("P4", 24, 7, 150_000),
        ("P5", 9, 8, 90_000),
        ("P6", 25, 8, -30_000),
        ("P7", 26, None, 20_000),
    ]
    for payment, day, deal, amount in told:
        payer = deal or 99
        row = {
            "source": "accounting",
            "payment_id": payment,
            "paid_on": date(2026, 11, day),
            "amount": Decimal(amount),
            "currency": "RUB",
            "amount_reporting": Decimal(amount),
            "kind": "refund" if amount < 0 else "customer",
            "payer_name": f"Customer {payer}",
            "payer_tax_id": f"77000000{payer:02d}",
            "payer_account": f"407028100000000000{payer:02d}",
            "own_account": "40702810900000000001",
            "purpose": f"Оплата по счету № INV-{deal}" if deal else "Оплата",
            "document_number": payment.removeprefix("P"),
            "document_on": date(2026, 11, day),
            "is_deleted": False,
        }
        insert(target, "core.payments", [row])


def _add_coverage(target: Target) -> None:
    until = moscow("2026-12-01 00:00")
    for source, stream, facet in (
        ("amo", "leads", "crm"),
        ("mango", "calls", "calls"),
        ("accounting", "files", "money"),
    ):
        row = {"source": source, "stream": stream, "complete_until": until, "facet": facet}
        insert(target, "meta.coverage", [row])
