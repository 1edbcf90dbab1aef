"""Reading the streams: extensions and own numbers whole, calls by windows of the account's days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from base.times import from_unix, to_unix
from connectors.stream import BadRecord, Page, Position, Request
from connectors.zadarma.client import PAGE_ROWS, ZadarmaClient
from connectors.zadarma.grouping import LONGEST_CALL, CallGrouper, as_reject, wall_cursor
from connectors.zadarma.legs import BilledCall, read_wall_time, text_of
from connectors.zadarma.windows import LONGEST_DAYS, SECOND, Window, latest_wall, next_window, wall_day, wall_text

# How far back a first load goes when the configuration doesn't say.
FIRST_LOAD_DAYS = 365
# A window is held in memory until its calls are whole, and a kill reads it again; a smaller one wastes a larger part
# of its last page.
PAGES_PER_WINDOW = 50

PBX = "statistics/pbx/"
# The billing statistics: outgoing calls, and incoming ones in a method of their own.
BILLED = (("out", "statistics/"), ("in", "statistics/incoming-calls/"))


# ── dictionaries ────────────────────────────────────────────────────────────────────────────────────────────────


class _Number(msgspec.Struct):
    number: int | str | None = None


def fetch_extensions(client: ZadarmaClient, request: Request) -> Iterator[Page]:
    page = Page(ids=[], payloads=[], versions=[], cursors=[])
    if client.settings.statistics == "pbx":
        for extension in client.fetch_extensions():
            card = {"number": extension}
            if client.settings.extension_names:
                card["name"] = text_of(client.fetch_extension_card(extension).get("name"))
            page.put(extension, msgspec.json.encode(card))
    yield page


def fetch_own_numbers(client: ZadarmaClient, request: Request) -> Iterator[Page]:
    page = Page(ids=[], payloads=[], versions=[], cursors=[])
    for payload in client.fetch_own_numbers():
        number = msgspec.json.decode(payload, type=_Number).number
        if number is not None and str(number):
            page.put(str(number), payload)
    yield page


# ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Plan:
    """Wall times a run reads, and how far the stored position has already come (Unix seconds; 0 = nowhere)."""

    first: datetime
    last: datetime
    end: datetime  # `last` as an instant
    until: int
    keeps_position: bool


def fetch_calls(client: ZadarmaClient, request: Request) -> Iterator[Page]:
    """Calls of the chosen statistics, oldest window first; each window is a resting point.

    The position is `{"until": …}` in Unix seconds, exclusive.
    """
    plan = _make_plan(client, request)
    yield from _fetch_pbx(client, plan) if client.settings.statistics == "pbx" else _fetch_billed(client, plan)


def _make_plan(client: ZadarmaClient, request: Request) -> _Plan:
    settings, zone = client.settings, client.zone
    end = min(request.end, client.now() - timedelta(minutes=settings.lag_minutes)).replace(microsecond=0)
    until = int((request.position or {}).get("until", 0))
    first = request.start or end - timedelta(days=FIRST_LOAD_DAYS)
    if until and not request.window and not request.full:
        first = from_unix(until) - timedelta(hours=settings.overlap_hours)
    return _Plan(wall_day(first, zone), latest_wall(end, zone), end, until, not request.window)


def _fetch_pbx(client: ZadarmaClient, plan: _Plan) -> Iterator[Page]:
    grouper = CallGrouper(plan.first)
    # Legs of a call that began the evening before are needed to know that it did.
    start, days = plan.first - LONGEST_CALL, LONGEST_DAYS
    while start <= plan.last:
        window = next_window(start, plan.last, days)
        period = {"start": wall_text(window.start), "end": wall_text(window.end)}
        pages = 0
        for rows in _pages(client, PBX, period | {"version": "2"}):
            pages += 1
            for row in rows:
                grouper.add(row)
        yield _rest(grouper.drain(None if window.is_last else window.end), client, plan, window)
        days = adapt_days(days, window, pages)
        start = window.end + SECOND


def adapt_days(days: int, window: Window, pages: int) -> int:
    """Days of the next window, by how dense this one was."""
    if pages <= 1:
        return min(days * 2, LONGEST_DAYS)
    width = (window.end - window.start + SECOND) / timedelta(days=1)
    return max(1, min(LONGEST_DAYS, int(width * PAGES_PER_WINDOW / pages)))


def _pages(client: ZadarmaClient, path: str, parameters: dict[str, str]) -> Iterator[list[bytes]]:
    skip = 0
    while True:
        rows = client.fetch_page(path, parameters, skip)
        yield rows
        if len(rows) < PAGE_ROWS:
            return
        skip += PAGE_ROWS


def _fetch_billed(client: ZadarmaClient, plan: _Plan) -> Iterator[Page]:
    start = plan.first
    while start <= plan.last:
        window = next_window(start, plan.last, LONGEST_DAYS)
        period = {"start": wall_text(window.start), "end": wall_text(window.end)}
        page = Page(ids=[], payloads=[], versions=[], cursors=[])
        for direction, path in BILLED:
            for rows in _pages(client, path, period):
                for row in rows:
                    _append_billed(page, direction, row)
        yield _rest(page, client, plan, window)
        start = window.end + SECOND


def _append_billed(page: Page, direction: str, payload: bytes) -> None:
    """A billing row with the method it came from: the row itself doesn't tell a call in from a call out."""
    try:
        row = msgspec.json.decode(payload, type=BilledCall)
        wall = read_wall_time(row.callstart)
    except (msgspec.ValidationError, BadRecord) as error:
        page.rejects.append(as_reject(payload, error))
        return
    card = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    record = msgspec.json.encode({"direction": direction, "row": card}, order="sorted")
    page.put(f"{direction}-{text_of(row.id)}", record, cursor=wall_cursor(wall))


def _rest(page: Page, client: ZadarmaClient, plan: _Plan, window: Window) -> Page:
    reached = plan.end if window.is_last else window.end.replace(tzinfo=client.zone)
    until = to_unix(reached) + 1
    if plan.keeps_position:
        page.position = _position(until, plan)
    page.complete_until = from_unix(until)
    return page


def _position(until: int, plan: _Plan) -> Position:
    # A full reading starts in the past again; what is already reached stays reached.
    return {"until": max(until, plan.until)}
