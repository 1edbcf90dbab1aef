"""A company's calls in Zadarma's shapes: PBX legs in the account's wall time, and billed calls.

The vendor's habits are told too, for calls chosen by their id: numbers as integers or text, a menu that `answered`,
a queue's leg over the whole call, a phantom under a second id, keys of a row in another order.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha1
from typing import Any
from zoneinfo import ZoneInfo

from base.times import to_unix
from demo.story import Call, Leg, Manager, Story

Json = dict[str, Any]

SCENARIO = "5"


@dataclass(kw_only=True)
class Entry:
    """A row of a statistics method, with the moment from which it is listed."""

    started_at: datetime
    listed_at: datetime
    row: Json


@dataclass(kw_only=True)
class ZadarmaWorld:
    """What the simulated server serves; `zone` is the account's. Entries stand in the order of their start."""

    zone: ZoneInfo
    extensions: list[Json] = field(default_factory=list)
    numbers: list[Json] = field(default_factory=list)
    legs: list[Entry] = field(default_factory=list)
    billed_out: list[Entry] = field(default_factory=list)
    billed_in: list[Entry] = field(default_factory=list)


def pbx_call_id_of(call_id: str, direction: str) -> str:
    """The vendor's id of a story's call; internal calls are listed as outgoing ones."""
    prefix = "in" if direction == "in" else "out"
    return f"{prefix}_{sha1(call_id.encode(), usedforsecurity=False).hexdigest()}"


def world_from_story(story: Story, zone: ZoneInfo | None = None) -> ZadarmaWorld:
    """`zone` is the account's, by default the story's."""
    world = ZadarmaWorld(zone=zone or ZoneInfo(story.timezone))
    world.extensions = [
        {"number": _as_vendor(manager.extension), "name": manager.name}
        for manager in story.managers
        if manager.is_active
    ]
    lines = sorted({call.line for call in story.calls if call.line})
    world.numbers = [{"number": line, "number_name": f"Линия {place}"} for place, line in enumerate(lines, start=1)]
    staff = {manager.extension: manager for manager in story.managers}
    for call in story.calls:
        _tell(call, staff, world)
    world.legs.sort(key=lambda entry: entry.started_at)
    world.billed_out.sort(key=lambda entry: entry.started_at)
    world.billed_in.sort(key=lambda entry: entry.started_at)
    return world


def _tell(call: Call, staff: dict[str, Manager], world: ZadarmaWorld) -> None:
    legs = {"in": _inbound, "out": _outbound, "internal": _internal}[call.direction](call, staff, world.zone)
    listed = call.ended_at + timedelta(seconds=5)
    for place, (started, row) in enumerate(legs):
        row["callstart"] = started.astimezone(world.zone).strftime("%Y-%m-%d %H:%M:%S")
        row.setdefault("call_id", f"{to_unix(started)}.{_number(call) % 90_000 + place}")
        row.setdefault("pbx_call_id", pbx_call_id_of(call.call_id, call.direction))
        row["is_recorded"] = "true" if row["disposition"] == "answered" else "false"
        if _number(call) % 2:
            row = dict(reversed(row.items()))
        world.legs.append(Entry(started_at=started, listed_at=listed, row=row))
    if call.direction != "internal":
        entries = world.billed_in if call.direction == "in" else world.billed_out
        entries.append(Entry(started_at=call.started_at, listed_at=listed, row=_billed(call, world.zone)))


def _inbound(call: Call, staff: dict[str, Manager], zone: ZoneInfo) -> list[tuple[datetime, Json]]:
    caller = _clid(call.number, _number(call))
    line = _as_vendor(call.line)
    menu = {"sip": "0", "clid": caller, "destination": SCENARIO, "disposition": "answered"}
    whole = int((call.ended_at - call.started_at).total_seconds())
    told: list[tuple[datetime, Json]] = []
    if not call.legs or _number(call) % 3 == 0:
        # The menu picks up and, with a queue behind it, stays for the whole call.
        told.append((call.started_at, menu | {"seconds": whole}))
    for leg in call.legs:
        told.append((leg.ringing_at, _leg(leg, caller, line, _seconds(leg))))
    if call.legs and all(leg.answered_at is None for leg in call.legs):
        told += _voicemail(call, menu)
    return told


def _voicemail(call: Call, robot: Json) -> list[tuple[datetime, Json]]:
    """A caller whom nobody answers and who stays on the line talks to the voicemail: answered, by no extension."""
    began = max(leg.ended_at for leg in call.legs)
    recorded = int((call.ended_at - began).total_seconds())
    return [(began, robot | {"seconds": recorded})] if recorded > 0 else []


def _outbound(call: Call, staff: dict[str, Manager], zone: ZoneInfo) -> list[tuple[datetime, Json]]:
    told: list[tuple[datetime, Json]] = []
    for leg in call.legs:
        talk = 0
        if call.answered_at is not None and leg.answered_at is not None:
            talk = max(0, int((leg.ended_at - max(leg.answered_at, call.answered_at)).total_seconds()))
        answered = call.answered_at is not None and leg.answered_at is not None
        row = _leg(leg, f"{_name(leg.extension, staff)} ({leg.extension})", _as_vendor(call.number), talk)
        told.append((leg.ringing_at, row | {"disposition": "answered" if answered else "no answer"}))
    if call.legs and _number(call) % 5 == 0:
        phantom = _leg(call.legs[0], "", _as_vendor(call.number), 0)
        second_id = pbx_call_id_of(call.call_id + "-phantom", "out")
        phantom |= {"call_id": "", "disposition": "call failed", "pbx_call_id": second_id}
        told.append((call.started_at + timedelta(seconds=7), phantom))
    return told


def _internal(call: Call, staff: dict[str, Manager], zone: ZoneInfo) -> list[tuple[datetime, Json]]:
    caller = next((leg.extension for leg in call.legs if leg.extension != call.number), "")
    called = next((leg for leg in call.legs if leg.extension == call.number), None)
    answered = called is not None and called.answered_at is not None
    talk = _seconds(called) if called else 0
    row = {
        "sip": caller,
        "clid": f"{_name(caller, staff)} ({caller})",
        "destination": _as_vendor(call.number),
        "seconds": talk,
        "disposition": "answered" if answered else "no answer",
    }
    return [(call.started_at, row)]


def _leg(leg: Leg, clid: str, destination: int | str, seconds: int) -> Json:
    return {
        "sip": leg.extension,
        "clid": clid,
        "destination": destination,
        "seconds": seconds,
        "disposition": "answered" if leg.answered_at else "cancel" if seconds else "no answer",
    }


def _billed(call: Call, zone: ZoneInfo) -> Json:
    """A billing row; its id begins with the moment it was made, seconds after the call's end."""
    talk = 0
    if call.direction == "out" and call.answered_at:
        talk = int((call.ended_at - call.answered_at).total_seconds())
    elif call.direction == "in":
        talk = max((_seconds(leg) for leg in call.legs if leg.answered_at), default=0)
    start = call.ended_at - timedelta(seconds=talk) if talk else call.started_at
    inside, outside = _as_vendor(call.line), _as_vendor(call.number)
    return {
        "id": f"{to_unix(call.ended_at) + 5:08x}{_number(call):016x}",
        "sip": f"{261_500 + _number(call) % 90}",
        "callstart": start.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"),
        "from": outside if call.direction == "in" else inside,
        "to": inside if call.direction == "in" else outside,
        "disposition": "answered" if talk else "no answer",
        "billseconds": talk,
    }


def _seconds(leg: Leg) -> int:
    """Talk of an answered leg; some unanswered ones count their ringing."""
    if leg.answered_at is not None:
        return int((leg.ended_at - leg.answered_at).total_seconds())
    ringing = int((leg.ended_at - leg.ringing_at).total_seconds())
    return ringing if ringing % 2 else 0


def _clid(number: str, choice: int) -> str:
    if not number:
        return ("0", "anonymous", "")[choice % 3]
    return (number, f'"Client 1" <+{number}>', f"Фирма 24 ({number})")[choice % 3]


def _name(extension: str, staff: dict[str, Manager]) -> str:
    manager = staff.get(extension)
    return manager.name if manager else "Employee 1"


def _as_vendor(number: str) -> int | str:
    """Whole numbers come as JSON integers now and then: a plus or leading zeros would be lost, so those stay text."""
    whole = re.fullmatch(r"[1-9]\d*", number)
    return int(number) if whole and zlib.crc32(number.encode()) % 2 else number


def _number(call: Call) -> int:
    return zlib.crc32(call.call_id.encode())
