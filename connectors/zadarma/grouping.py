"""Legs to calls: the statistics give one row a leg, a raw record is one call with all its legs.

A call's legs may stand on two pages or in two windows, so calls are handed on when their window is complete, and one
that was still young at its end waits for the next window. No request is made twice for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b

import msgspec

from base.text import say
from connectors.stream import BadRecord, Page, Reject
from connectors.zadarma.legs import PbxLeg, is_phantom, outside_number, read_wall_time, text_of

# Legs of one call begin within this time.
LONGEST_CALL = timedelta(hours=6)
# A phantom stands this near to the call it is a trace of.
PHANTOM_DISTANCE = timedelta(seconds=15)

_NOT_DIGITS = re.compile(r"\D+")
_LEG = msgspec.json.Decoder(PbxLeg)
_ROW = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass
class PendingCall:
    """Legs of one call seen so far, by leg key."""

    first: datetime
    last: datetime
    rows: dict[str, bytes] = field(default_factory=dict)
    client: str = ""
    is_phantom: bool = True

    def absorb(self, other: PendingCall) -> None:
        self.rows |= other.rows


class CallGrouper:
    """Collects rows; `drain` gives the calls that are complete."""

    def __init__(self, owned_from: datetime) -> None:
        # Calls that began earlier were told by an earlier run; only their tails are seen here.
        self._owned_from = owned_from
        self._calls: dict[str, PendingCall] = {}
        self._rejects: list[Reject] = []

    def add(self, payload: bytes) -> None:
        """One row as the vendor sent it. The order of its keys varies: it is stored with sorted ones."""
        try:
            leg = _LEG.decode(payload)
            wall = read_wall_time(leg.callstart)
        except (msgspec.ValidationError, BadRecord) as error:
            self._rejects.append(as_reject(payload, error))
            return
        row = msgspec.json.encode(_ROW.decode(payload), order="sorted")
        key = text_of(leg.call_id) or blake2b(row, digest_size=8).hexdigest()
        call_id = text_of(leg.pbx_call_id) or f"leg-{key}"
        call = self._calls.setdefault(call_id, PendingCall(wall, wall))
        call.rows[key] = row
        call.first, call.last = min(call.first, wall), max(call.last, wall)
        call.client = call.client or _digits(outside_number(leg, outbound=call_id.startswith("out_")))
        call.is_phantom = call.is_phantom and is_phantom(leg)

    def drain(self, until: datetime | None) -> Page:
        """Calls whose last leg began before `until` minus the longest call; None = all."""
        done = {
            call_id: call for call_id, call in self._calls.items() if until is None or call.last <= until - LONGEST_CALL
        }
        self._calls = {call_id: call for call_id, call in self._calls.items() if call_id not in done}
        page = Page(ids=[], payloads=[], versions=[], cursors=[], rejects=self._rejects)
        self._rejects = []
        for call_id, call in sorted(_without_phantoms(done).items(), key=lambda item: (item[1].first, item[0])):
            if call.first >= self._owned_from:
                page.put(call_id, _payload(call_id, call), cursor=wall_cursor(call.first))
        return page


def _without_phantoms(calls: dict[str, PendingCall]) -> dict[str, PendingCall]:
    """Put each phantom's rows into the call it belongs to; one that stands alone stays a failed call."""
    real: dict[str, list[PendingCall]] = {}
    for call in calls.values():
        if not call.is_phantom:
            real.setdefault(call.client, []).append(call)
    kept = {}
    for call_id, call in calls.items():
        near = next(_near(call, real.get(call.client, [])), None) if call.is_phantom and call.client else None
        if near is None:
            kept[call_id] = call
        else:
            near.absorb(call)
    return kept


def _near(phantom: PendingCall, calls: list[PendingCall]) -> Iterator[PendingCall]:
    return (call for call in calls if abs(call.first - phantom.first) <= PHANTOM_DISTANCE)


def _payload(call_id: str, call: PendingCall) -> bytes:
    rows = [msgspec.Raw(row) for row in sorted(call.rows.values())]
    return msgspec.json.encode({"call_id": call_id, "rows": rows})


def wall_cursor(wall: datetime) -> int:
    """Microseconds of the wall time: only the order matters, and it must not depend on a zone's setting."""
    return int((wall - datetime(1970, 1, 1)) / timedelta(microseconds=1))  # noqa: DTZ001 - wall time has no zone


def _digits(text: str) -> str:
    return text if text.isdigit() else _NOT_DIGITS.sub("", text)


def as_reject(payload: bytes, error: msgspec.ValidationError | BadRecord) -> Reject:
    """A row that can't be read, with its reason; it has no id of its own."""
    record_id = blake2b(payload, digest_size=8).hexdigest()
    if isinstance(error, BadRecord):
        return Reject(
            record_id=record_id,
            code=error.code,
            message=error.message,
            path=error.path,
            expected=error.expected,
            got=error.got,
            payload=payload,
        )
    message = say("Строка не читается: {error}", "The row can't be read: {error}", error=str(error))
    return Reject(record_id=record_id, code="wrong_type", message=message, payload=payload)
