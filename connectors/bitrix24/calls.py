"""The call log: one row an employee rung, gathered into one record a call.

Rows have no time of change and gain their recording and CRM links for days, so a trailing window is read again in
every run. A call whose rows lie on both sides of the window's edge must not be stored as half of itself: an hour more
is read than is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from base.times import MICROS
from connectors.bitrix24.answers import Row
from connectors.bitrix24.client import Bitrix24Client
from connectors.bitrix24.fetch import OVERLAP_SECONDS, began_at, start_second, time_bounds, usable_position
from connectors.bitrix24.listing import Listing
from connectors.bitrix24.scan import Scan
from connectors.bitrix24.values import Scalar, as_text
from connectors.decode import decode_record
from connectors.stream import Page, Position, Request

CALLS = Listing(method="voximplant.statistic.get", time_field="CALL_START_DATE", words="sort")
# Recordings and links to the CRM come later than the call.
REREAD_SECONDS = 3 * 86_400
LONGEST_CALL = 3600


class _Key(msgspec.Struct):
    CALL_ID: Scalar = None
    ID: Scalar = None


_KEY = msgspec.json.Decoder(_Key)


@dataclass
class _Pending:
    """A call whose rows may not be complete yet."""

    first_id: int
    started: int
    last: int
    rows: list[bytes] = field(default_factory=list)


class CallGroups:
    """Gathers rows by call; gives calls no later row can belong to."""

    def __init__(self) -> None:
        self._pending: dict[str, _Pending] = {}

    def add(self, row: Row) -> None:
        key = decode_record(_KEY, row.payload)
        call_id = as_text(key.CALL_ID) or f"row-{row.id}"
        call = self._pending.setdefault(call_id, _Pending(row.id, row.time, row.time))
        call.started, call.last = min(call.started, row.time), max(call.last, row.time)
        call.rows.append(row.payload)

    def finished(self, until: int | None, since: int) -> Page:
        """Calls last heard of an hour before `until` (None: all), of them those that began at `since` or later."""
        page = Page(ids=[], payloads=[], versions=[], cursors=[])
        edge = None if until is None else until - LONGEST_CALL * MICROS
        for call_id, call in list(self._pending.items()):
            if edge is not None and call.last > edge:
                continue
            del self._pending[call_id]
            if call.started >= since:
                page.put(call_id, _payload(call_id, call), cursor=call.started)
        return page

    @property
    def first_id(self) -> int | None:
        """The smallest id still held back: reading must resume before it."""
        return min((call.first_id for call in self._pending.values()), default=None)


def fetch_calls(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    """Calls begun since the position less three days. Positions are as those of `fetch_changed`."""
    held = usable_position(request)
    since = int(held["since"]) if held else start_second(request)
    wanted = max(since - REREAD_SECONDS, 0) if held else since
    bounds = time_bounds(client, CALLS, max(wanted - LONGEST_CALL, 0), request)
    # One lane: the rows of a call lie close together only in the order of ids.
    scan = Scan(client, CALLS, bounds, left=held.get("left"), lanes=1)
    keeps = not request.window and (not request.full or request.position is None)
    groups = CallGroups()
    newest = 0
    for found in scan.pages():
        for row in found.rows:
            groups.add(row)
            newest = max(newest, row.time)
        page = groups.finished(newest if scan.left else None, wanted * MICROS)
        page.rejects = found.rejects
        page.position = _position(scan, groups, held, since, request) if scan.left and keeps else None
        if not scan.left and not request.window:
            began = int(held.get("began", began_at(scan, request)))
            page.position = {"since": max(began - OVERLAP_SECONDS, since)}
        yield page


def _position(scan: Scan, groups: CallGroups, held: Position, since: int, request: Request) -> Position:
    low, high = scan.left[0]
    first = groups.first_id
    resume = low if first is None else min(low, first - 1)
    return {"since": since, "began": int(held.get("began", began_at(scan, request))), "left": [[resume, high]]}


def _payload(call_id: str, call: _Pending) -> bytes:
    return msgspec.json.encode({"call_id": call_id, "rows": [msgspec.Raw(row) for row in call.rows]})
