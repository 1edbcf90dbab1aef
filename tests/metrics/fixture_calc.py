"""The reference fixture of metrics.md, section 3, as `calc.*` rows written by hand: what resolve should make of it.

Tests of the metric engine start here, so that they fail for the engine's own faults only.
"""

from __future__ import annotations

import shutil
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from base.times import local_day
from metrics.catalogue import load_catalogue
from metrics.views import create_views
from models import WAREHOUSE
from tests.metrics.fixture_core import (
    PIPELINE,
    STAGES,
    TEAMS,
    ZONE,
    add_people,
    add_stages,
    insert,
    moscow,
    phone_of,
)
from warehouse.ddl import create_all

_COPIES = count(1)

# Deal: owner at entry, then (stage, moment of the first pass, owner then, the stage itself was entered).
PASSES: dict[str, tuple[str, list[tuple[str, str, str, bool]]]] = {
    "D1": ("A", [
        ("new", "02 10:00", "A", True), ("qualified", "02 11:00", "A", True), ("meeting", "05 12:00", "A", True),
        ("offer", "06 15:00", "A", True), ("invoice", "09 10:00", "A", True), ("won", "12 10:00", "A", True),
        ("paid", "12 23:59:59", "A", True),
    ]),
    "D2": ("A", [
        ("new", "02 12:00", "A", True), ("qualified", "03 10:00", "A", True), ("meeting", "06 12:00", "A", False),
        ("offer", "06 12:00", "A", True), ("invoice", "11 12:00", "A", False), ("won", "11 12:00", "A", True),
        ("paid", "20 23:59:59", "A", True),
    ]),
    "D3": ("A", [
        ("new", "03 09:30", "A", True), ("qualified", "03 12:00", "A", True), ("meeting", "09 11:00", "A", True),
        ("offer", "13 10:00", "A", True),
    ]),
    "D4": ("B", [
        ("new", "05 10:00", "B", True), ("qualified", "05 15:00", "B", True), ("meeting", "10 12:00", "B", True),
        ("offer", "11 10:00", "B", True), ("invoice", "18 17:00", "B", False), ("won", "18 17:00", "B", True),
    ]),
    "D5": ("B", [("new", "06 17:50", "B", True)]),
    "D6": ("B", [("new", "09 10:00", "B", True)]),
    "D7": ("A", [
        ("new", "10 11:00", "A", True), ("qualified", "10 14:00", "A", True), ("meeting", "16 11:00", "B", True),
        ("offer", "17 12:00", "B", True), ("invoice", "23 16:00", "B", False), ("won", "23 16:00", "B", True),
        ("paid", "24 23:59:59", "B", True),
    ]),
    "D8": ("B", [
        ("new", "10-20 10:00", "B", True), ("qualified", "10-21 10:00", "B", True),
        ("meeting", "10-26 10:00", "B", True), ("offer", "03 10:00", "B", True), ("invoice", "09 11:00", "B", False),
        ("won", "09 11:00", "B", True), ("paid", "09 23:59:59", "B", True),
    ]),
    "D9": ("A", [("new", "12 09:50", "A", True), ("qualified", "13 11:00", "A", True)]),
    "D10": ("B", [("new", "16 10:00", "B", True)]),
}  # fmt: skip
DUPLICATES = {"D10": "D4"}
# Deal: first contact action and first successful call, each with its moment.
CONTACTS: dict[str, tuple[tuple[str, str] | None, tuple[str, str] | None]] = {
    "D1": (("C1", "02 10:12"), ("C1", "02 10:12")),
    "D2": (("C2", "02 12:04"), ("C3", "02 15:00")),
    "D3": (("C4", "03 09:45"), ("C5", "03 11:50")),
    "D4": (("C6", "05 10:03"), ("C6", "05 10:03")),
    "D5": (("C7", "09 09:10"), None),
    "D7": (("C9", "10 11:31"), ("C9", "10 11:31")),
    "D9": (("C11", "12 10:00"), ("C11", "12 10:00")),
    "D10": (("C13", "16 10:05"), ("C13", "16 10:05")),
}
# Working minutes from the creation to each of them; when the norm of 15 runs out, where not 15 minutes later.
SPEEDS: dict[str, tuple[int, int | None]] = {
    "D1": (12, 12), "D2": (4, 180), "D3": (15, 140), "D4": (3, 3), "D5": (20, None), "D7": (31, 31), "D9": (10, 10),
    "D10": (5, 5),
}  # fmt: skip
NORMS = {"D5": "09 09:05"}
# Won deal: the end of the fifth working day after.
GRACE = {"D1": "20 00:00", "D2": "19 00:00", "D4": "26 00:00", "D7": "12-01 00:00", "D8": "17 00:00"}
# Missed call: when its thirty working minutes run out, and when somebody called back.
MISSED: dict[str, tuple[str, str | None]] = {"C8": ("10 11:50", "10 11:31"), "C10": ("11 13:30", None)}
# Call note: its time, its author, the call it speaks of.
NOTES = [
    ("02 10:12", "A", "C1"), ("02 15:00", "A", "C3"), ("03 11:50", "A", "C5"), ("05 10:03", "B", "C6"),
    ("09 12:00", "B", None),
]  # fmt: skip
# Exits of D3 from its meetings: working hours of the visit, and of all until then.
MEETING_EXITS = [("10 16:00", 14.0, 14.0), ("13 10:00", 8.0, 22.0)]
ENDINGS = {
    "D1": ("12 10:00", "won", "A"), "D2": ("11 12:00", "won", "A"), "D3": ("19 15:00", "lost", "A"),
    "D4": ("18 17:00", "won", "B"), "D5": ("10 10:00", "lost", "B"), "D7": ("23 16:00", "won", "B"),
    "D8": ("09 11:00", "won", "B"), "D9": ("25 12:00", "deleted", "A"),
}  # fmt: skip
# Call, start, who held it, direction, talk; None = missed.
CALLS: list[tuple[str, str, str | None, str, int]] = [
    ("C1", "02 10:12", "A", "out", 95), ("C2", "02 12:04", "A", "out", 0), ("C3", "02 15:00", "A", "out", 240),
    ("C4", "03 09:45", "A", "out", 30), ("C5", "03 11:50", "A", "out", 180), ("C6", "05 10:03", "B", "in", 310),
    ("C7", "09 09:10", "B", "out", 12), ("C8", "10 11:20", None, "in", 0), ("C9", "10 11:31", "A", "out", 75),
    ("C10", "11 13:00", None, "in", 0), ("C11", "12 10:00", "A", "out", 45), ("C12", "13 12:00", "B", "in", 200),
    ("C13", "16 10:05", "B", "out", 60), ("C14", "16 12:00", "A", "internal", 300),
]  # fmt: skip
# Call: the deal whose phone it was on (0 = of no deal); and the calls on numbers nobody had talked with before.
NUMBERS = {
    "C1": 1, "C2": 2, "C3": 2, "C4": 3, "C5": 3, "C6": 4, "C7": 5, "C8": 7, "C9": 7, "C10": 0, "C11": 9, "C12": 1,
    "C13": 4,
}  # fmt: skip
COLD = ("C1", "C2", "C4", "C6", "C7", "C8", "C10", "C11")
# Entries into stages that are no first pass.
RETURNS = {"D3": [("qualified", "10 16:00", "A", True), ("meeting", "12 11:00", "A", True)]}
PAYMENTS: list[tuple[str, int, str, int, str | None]] = [
    ("P1", 12, "D1", 100_000, "A"), ("P2", 11, "D2", 60_000, "A"), ("P3", 20, "D2", 40_000, "A"),
    ("P4", 24, "D7", 150_000, "B"), ("P5", 9, "D8", 90_000, "B"), ("P6", 25, "D8", -30_000, "B"),
    ("P7", 26, "", 20_000, None),
]  # fmt: skip
# Paid deal: the day it began, and whether it was its customer's first.
BEGUN = {"D1": ("02", True), "D2": ("02", True), "D7": ("10", True), "D8": ("10-20", False)}
PAID = {"D1": (12, "A", "P1"), "D2": (20, "A", "P3"), "D7": (24, "B", "P4"), "D8": (9, "B", "P5")}


def reference_calc(until: str = "2026-12-01 00:00") -> duckdb.DuckDBPyConnection:
    """A warehouse with the fixture resolved; every source is complete until the given moment."""
    path = Path(_folder().name) / f"{next(_COPIES)}.duckdb"
    shutil.copy(_template(), path)
    connection = duckdb.connect(str(path))
    connection.execute("SET TimeZone = 'UTC'")
    for source, facet in (("amo", "crm"), ("mango", "calls"), ("accounting", "money")):
        cover(connection, source, facet, until)
    return connection


@cache
def _folder() -> TemporaryDirectory[str]:
    """Gone with the process."""
    return TemporaryDirectory(prefix="voronka-fixture-")


@cache
def _template() -> Path:
    """The fixture's file, built once: rows inserted one by one take longer than a test may."""
    path = Path(_folder().name) / "template.duckdb"
    connection = duckdb.connect(str(path))
    connection.execute("SET TimeZone = 'UTC'")
    create_all(connection, WAREHOUSE, comments=False)
    create_views(connection, load_catalogue(), ZONE)
    add_stages(connection)
    add_people(connection)
    _add_deals(connection)
    add_visits(connection)
    insert(connection, "calc.calls", [call_row(*told) for told in CALLS])
    insert(connection, "calc.payments", [payment_row(*told) for told in PAYMENTS])
    for deal, (day, person, payment) in PAID.items():
        add_paid(connection, deal, date(2026, 11, day), person, payment_id=payment)
        _add_sale(connection, deal, date(2026, 11, day), person)
    _add_call_verdicts(connection)
    _add_exits(connection)
    add_calendar(connection)
    connection.close()
    return path


def credit(person: str | None) -> dict[str, Any]:
    return {"person_id": person, "team": TEAMS.get(person or "")}


def moment(at: datetime, column: str) -> dict[str, Any]:
    return {column: at, "local_date": local_day(at, ZONE)}


def end_of(day: date) -> dict[str, Any]:
    return {"local_date": day, "occurred_at": datetime.combine(day, time(23, 59, 59), ZONE)}


def cover(connection: duckdb.DuckDBPyConnection, source: str, facet: str, until: str | None) -> None:
    row = {"source": source, "stream": "all", "facet": facet, "complete_until": moscow(until) if until else None}
    insert(connection, "meta.coverage", [row])


def call_row(call: str, at: str, person: str | None, direction: str, talk: int, **values: Any) -> dict[str, Any]:
    return {
        "source": "mango",
        "call_id": call,
        **moment(moscow(at), "started_at"),
        "direction": direction,
        "external_number": phone_of(NUMBERS[call]) if call in NUMBERS else None,
        "is_cold": call in COLD,
        **credit(person),
        "line_team": "North" if direction == "in" else None,
        "talk_seconds": talk,
        "is_answered": talk > 0,
        "is_attempt": direction == "out",
        "is_successful": talk > 30 and direction != "internal",
        "is_missed": direction == "in" and talk == 0,
        "excluded_by": "internal" if direction == "internal" else None,
        **values,
    }


def payment_row(
    payment: str, day: int | date, deal: str, amount: int, person: str | None, **values: Any
) -> dict[str, Any]:
    return {
        "source": "accounting",
        "payment_id": payment,
        "deal_source": "amo" if deal else "",
        "deal_id": deal,
        **end_of(day if isinstance(day, date) else date(2026, 11, day)),
        "amount": Decimal(amount),
        "is_refund": amount < 0,
        **credit(person),
        "credit_precision": "log",
        **values,
    }


def add_paid(connection: duckdb.DuckDBPyConnection, deal: str, day: date, person: str, **values: Any) -> None:
    row = {
        "source": "amo",
        "deal_id": deal,
        "ordinal": 1,
        "pipeline_id": PIPELINE,
        **end_of(day),
        "sign": 1,
        "payment_source": "accounting",
        "due_origin": "deal_log",
        **credit(person),
        "credit_precision": "log",
    }
    insert(connection, "calc.paid_deals", [row | values])


def add_ending(connection: duckdb.DuckDBPyConnection, deal: str, at: str, outcome: str, person: str) -> None:
    row = {"source": "amo", "deal_id": deal, **moment(moscow(at), "occurred_at"), "pipeline_id": PIPELINE}
    duplicate = {"excluded_by": "duplicate" if deal in DUPLICATES else None}
    row["grace_ends_at"] = moscow(GRACE[deal]) if outcome == "won" and deal in GRACE else None
    insert(connection, "calc.terminal_events", [row | {"outcome": outcome, **credit(person)} | duplicate])


def add_lead(connection: duckdb.DuckDBPyConnection, deal: str, at: str, person: str | None, **values: Any) -> None:
    action, success = CONTACTS.get(deal, (None, None))
    row = {
        "source": "amo",
        "deal_id": deal,
        "pipeline_id": PIPELINE,
        **moment(moscow(at), "created_at"),
        **credit(person),
        "credit_precision": "log",
        "first_action_at": moscow(action[1]) if action else None,
        "first_success_at": moscow(success[1]) if success else None,
        "action_minutes": SPEEDS.get(deal, (None, None))[0],
        "success_minutes": SPEEDS.get(deal, (None, None))[1],
        "sla_ends_at": moscow(NORMS[deal]) if deal in NORMS else moscow(at) + timedelta(minutes=15),
        "duplicate_of": DUPLICATES.get(deal),
        "excluded_by": "duplicate" if deal in DUPLICATES else None,
    }
    insert(connection, "calc.leads", [row | values])


def add_calendar(connection: duckdb.DuckDBPyConnection, holidays: tuple[int, ...] = (4,)) -> None:
    """The last quarter of 2026: November has 20 working days, the 4th is off and the 3rd is short."""
    rows = []
    for day in (date(2026, 10, 1) + timedelta(days=shift) for shift in range(92)):
        is_off = day.weekday() >= 5 or (day.month == 11 and day.day in holidays)
        rows.append({"day": day, "hours": 0 if is_off else 7 if day == date(2026, 11, 3) else 8, "origin": "country"})
    insert(connection, "core.calendar", rows)


def add_visits(connection: duckdb.DuckDBPyConnection) -> None:
    """The stays between the entries there are, none of them over but by the next entry."""
    connection.execute("DELETE FROM core.deal_stage_visits")
    connection.execute(
        """
        INSERT INTO core.deal_stage_visits BY NAME
        SELECT source, deal_id, entered_at, pipeline_id, stage_id, person_id, lead(entered_at) OVER deal AS left_at,
            CASE WHEN lead(kind) OVER deal = 'lost' THEN 'lost' WHEN lead(position) OVER deal < position
                THEN 'moved_back' WHEN lead(kind) OVER deal IS NULL THEN 'open' ELSE 'advanced' END AS outcome
        FROM calc.stage_events WINDOW deal AS (PARTITION BY source, deal_id ORDER BY ordinal)
        """
    )


def _add_sale(connection: duckdb.DuckDBPyConnection, deal: str, day: date, person: str) -> None:
    started, is_first = BEGUN[deal]
    begun = {"started_on": local_day(moscow(f"{started} 12:00"), ZONE), "is_first": is_first}
    key = {"source": "amo", "deal_id": deal, "ordinal": 1, "sign": 1, "due_origin": "deal_log"}
    insert(connection, "calc.sales", [key | {"customer_id": f"tax:{deal}"} | end_of(day) | credit(person) | begun])


def _add_call_verdicts(connection: duckdb.DuckDBPyConnection) -> None:
    starts = {call: at for call, at, *_ in CALLS}
    missed = [
        {
            "source": "mango",
            "call_id": call,
            **moment(moscow(starts[call]), "started_at"),
            "external_number": phone_of(NUMBERS[call]),
            "line_team": "North",
            "callback_ends_at": moscow(ends),
            "called_back_at": moscow(back) if back else None,
        }
        for call, (ends, back) in MISSED.items()
    ]
    notes = [
        {"source": "amo", "activity_id": f"note-{number}", **moment(moscow(at), "occurred_at"), **credit(person)}
        | {"call_source": "mango" if call else None, "call_id": call}
        for number, (at, person, call) in enumerate(NOTES)
    ]
    insert(connection, "calc.missed_calls", missed)
    insert(connection, "calc.call_notes", notes)


def _add_exits(connection: duckdb.DuckDBPyConnection) -> None:
    place = {"source": "amo", "deal_id": "D3", "pipeline_id": PIPELINE, "stage_id": STAGES["meeting"][0]}
    rows = [
        place | {"kind": "meeting", "hours": hours, "total_hours": total} | credit("A") | moment(moscow(at), "left_at")
        for at, hours, total in MEETING_EXITS
    ]
    insert(connection, "calc.stage_times", rows)


def _add_deals(connection: duckdb.DuckDBPyConnection) -> None:
    for deal, (owner, passes) in PASSES.items():
        insert(
            connection,
            "core.deals",
            [{"source": "amo", "deal_id": deal, "title": f"Deal {deal}", "url": f"https://crm/{deal}"}],
        )
        add_lead(connection, deal, passes[0][1], owner)
        for stage, at, person, is_touched in passes:
            _add_pass(connection, deal, stage, at, person, owner, is_touched)
        _add_entries(connection, deal, [entry for entry in passes if entry[0] != "paid" and entry[3]])
    for deal, (at, outcome, person) in ENDINGS.items():
        add_ending(connection, deal, at, outcome, person)


def _add_pass(
    connection: duckdb.DuckDBPyConnection, deal: str, stage: str, at: str, person: str, owner: str, is_touched: bool
) -> None:
    stage_id, position, kind = STAGES.get(stage, ("paid", None, "paid"))
    passed_at = moscow(at)
    entry = {"entry_person_id": owner, "entry_team": TEAMS[owner]}
    place = {"source": "amo", "deal_id": deal, "pipeline_id": PIPELINE, "kind": kind, "credit_precision": "log"}
    left_out = {"excluded_by": "duplicate" if deal in DUPLICATES else None}
    touched = {"touched_at": passed_at if is_touched else None, "stage_id": stage_id, "position": position}
    order = {"is_first_of_kind": True, "is_ahead": False}
    row = place | order | left_out | touched | entry | credit(person) | moment(passed_at, "passed_at")
    insert(connection, "calc.stage_passes", [row])
    if is_touched and kind in ("meeting", "offer"):
        touch = place | left_out | credit(person) | moment(passed_at, "touched_at")
        insert(connection, "calc.kind_touches", [touch])


def _add_entries(connection: duckdb.DuckDBPyConnection, deal: str, touched: list[tuple[str, str, str, bool]]) -> None:
    entries = [entry[:3] for entry in touched + RETURNS.get(deal, [])]
    at, outcome, person = ENDINGS.get(deal, ("", "", ""))
    if outcome == "lost":
        entries.append(("lost", at, person))
    before: dict[str, Any] = {}
    rows = []
    for ordinal, (stage, entered, who) in enumerate(sorted(entries, key=lambda entry: moscow(entry[1])), start=1):
        stage_id, position, kind = STAGES[stage]
        place = {"pipeline_id": PIPELINE, "stage_id": stage_id, "kind": kind, "position": position}
        key = {"source": "amo", "deal_id": deal, "ordinal": ordinal}
        rows.append(key | place | before | credit(who) | moment(moscow(entered), "entered_at"))
        before = {f"from_{name}": value for name, value in place.items()}
    insert(connection, "calc.stage_events", rows)
