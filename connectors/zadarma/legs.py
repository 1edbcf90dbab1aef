"""A leg of the PBX statistics: tolerant reading of its cells, and its wall time turned into UTC.

The vendor's types differ from its specification: numbers come as integers and as text, booleans as text, `clid` is
free text with a number inside.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from base.text import say
from base.times import to_unix
from connectors.stream import BadRecord

Cell = int | float | str | bool | None


class PbxLeg(msgspec.Struct):
    """A row of `/v1/statistics/pbx/`."""

    callstart: str
    call_id: Cell = None
    pbx_call_id: Cell = None
    sip: Cell = None
    clid: Cell = None
    destination: Cell = None
    disposition: Cell = None
    seconds: Cell = None


class BilledCall(msgspec.Struct):
    """A row of `/v1/statistics/` or `/v1/statistics/incoming-calls/`."""

    id: Cell
    callstart: str
    sip: Cell = None
    origin: Cell = msgspec.field(name="from", default=None)
    to: Cell = None
    disposition: Cell = None
    billseconds: Cell = None


# Extensions have three digits; more are allowed for, up to where phone numbers begin.
LONGEST_EXTENSION = 6
SHORTEST_PHONE = 7
LATEST_SECONDS = 4_102_444_800
LONGEST_SECONDS = 7 * 86_400

_PLAIN_NUMBER = re.compile(r"\+?[\d\s().-]+")
_EPOCH = re.compile(r"(\d{9,10})(?:\.\d*)?")
_OBJECT_ID = re.compile(r"[0-9a-f]{24}")


def text_of(cell: Cell) -> str:
    """A cell as text without surrounding space; None is the empty text."""
    return "" if cell is None else str(cell).strip()


def number_in_clid(cell: Cell) -> str:
    """The number inside `Name (100)`, `"Shop" <+79161234567>` or `79161234567`; empty when there is none.

    Digits of a name are never joined with those of a number: `Seller 1 (100)` is 100, not 1100.
    """
    text = text_of(cell)
    marked = re.search(r"<\+?(\d+)>", text)
    if marked:
        return marked[1]
    bracketed = re.findall(r"\((\d+)\)", text)
    if bracketed and not _PLAIN_NUMBER.fullmatch(text):
        return str(bracketed[-1])
    return text if _PLAIN_NUMBER.fullmatch(text) else ""


def extension_of(leg: PbxLeg) -> str | None:
    """The extension that served the leg; None for menus, and where `sip` holds an outside number."""
    sip = text_of(leg.sip).rpartition("-")[2]  # logins carry the PBX's id: 1234-100
    return sip if sip.isdigit() and len(sip) <= LONGEST_EXTENSION and sip.strip("0") else None


def outside_number(leg: PbxLeg, *, outbound: bool) -> str:
    """The client's number as written; empty when hidden."""
    sip = text_of(leg.sip).lstrip("+")
    if outbound:
        return text_of(leg.destination)
    if sip.isdigit() and len(sip) >= SHORTEST_PHONE:
        return sip
    return number_in_clid(leg.clid)


def is_answered(cell: Cell) -> bool:
    """Only `answered` is a conversation; seconds may be ringing."""
    return text_of(cell).lower() == "answered"


def is_phantom(leg: PbxLeg) -> bool:
    """The trace a callback or a SIP-originated call leaves under a second id: no call id, failed, no time."""
    failed = text_of(leg.disposition).lower() in ("call failed", "failed")
    return failed and not text_of(leg.call_id) and text_of(leg.seconds) in ("", "0")


def seconds_of(cell: Cell, name: str) -> int:
    """Whole seconds, not below 0.

    Raises:
        BadRecord: something else.
    """
    text = text_of(cell)
    if not text:
        return 0
    try:
        seconds = int(float(text))
    except (ValueError, OverflowError):
        seconds = LONGEST_SECONDS + 1
    if seconds > LONGEST_SECONDS:
        message = say("Поле {name}: {got}", "Field {name}: {got}", name=name, got=repr(text))
        raise BadRecord("not_a_number", message, path=f"$..{name}", expected="seconds", got=text)
    return max(0, seconds)


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_wall_time(text: str) -> datetime:
    """`YYYY-MM-DD HH:MM:SS` as a naive datetime.

    Raises:
        BadRecord: something else.
    """
    wall: datetime | None
    text = text.strip()
    try:
        # Far quicker than strptime; the length leaves no room for a zone beside the seconds.
        wall = datetime.fromisoformat(text) if len(text) == 19 and text[10:11] == " " else None
    except ValueError:
        wall = None
    if wall is not None and wall.tzinfo is not None:
        wall = None
    if wall is None or not 1990 <= wall.year < 2100:
        message = say("Поле callstart: {got}", "Field callstart: {got}", got=repr(text))
        raise BadRecord("not_a_time", message, path="$..callstart", expected="YYYY-MM-DD HH:MM:SS", got=text)
    return wall


def epoch_in_call_id(cell: Cell) -> int | None:
    """A PBX call id begins with the Unix time of its leg."""
    found = _EPOCH.fullmatch(f"{cell:.6f}" if isinstance(cell, float) else text_of(cell))
    return int(found[1]) if found else None


def epoch_in_object_id(cell: Cell) -> int | None:
    """A billing row's id begins with the time the row was made: some seconds after the call's end."""
    text = text_of(cell).lower()
    return int(text[:8], 16) if _OBJECT_ID.fullmatch(text) else None


def to_utc_seconds(wall: datetime, epoch: int | None, zone: ZoneInfo) -> int:
    """Unix seconds of a wall time of the account.

    The zone alone can't tell the two hours of an autumn night apart, and a zone set wrong is wrong all year: an
    epoch near the moment decides the offset, in quarters of an hour. Without one the zone does.
    """
    naive = to_unix(wall.replace(tzinfo=ZoneInfo("UTC")))
    if epoch is not None:
        offset = round((naive - epoch) / 900) * 900
        if -12 * 3600 <= offset <= 14 * 3600:
            return naive - offset
    offset_by_zone = wall.replace(tzinfo=zone).utcoffset() or timedelta()
    return naive - int(offset_by_zone.total_seconds())
