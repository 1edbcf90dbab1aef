"""Reading the streams: dictionaries whole, calls by windows of Moscow days."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

import msgspec

from base.errors import ServerFaultError
from base.text import say
from base.times import MICROS, from_unix, to_unix
from connectors.mango.basic import BASIC_WINDOW_DAYS, fetch_basic_window
from connectors.mango.client import MangoClient
from connectors.mango.refusals import UnsupportedError
from connectors.mango.reports import PAGE_CALLS, fetch_extended_page
from connectors.mango.windows import SECOND, Window, split_windows
from connectors.stream import Page, Position, Reject, Request

logger = logging.getLogger("voronka.mango")

# How far back a first load goes when the configuration doesn't say: how long the vendor keeps calls is unknown.
FIRST_LOAD_DAYS = 365
DAY = timedelta(days=1)
# The years 2000 to 2099, in Unix seconds.
PLAUSIBLE = (946_684_800, 4_102_444_800)


# ── dictionaries ────────────────────────────────────────────────────────────────────────────────────────────────


class _UserGeneral(msgspec.Struct):
    user_id: int | str | None = None


class _UserHead(msgspec.Struct):
    general: _UserGeneral


class _LineHead(msgspec.Struct):
    line_id: int | str | None = None


class _GroupHead(msgspec.Struct):
    id: int | str | None = None


def fetch_users(client: MangoClient, request: Request) -> Iterator[Page]:
    yield _dictionary_page(client.fetch_users(), lambda raw: msgspec.json.decode(raw, type=_UserHead).general.user_id)


def fetch_lines(client: MangoClient, request: Request) -> Iterator[Page]:
    yield from _optional(
        client.fetch_lines, lambda raw: msgspec.json.decode(raw, type=_LineHead).line_id, client.source, "lines"
    )


def fetch_groups(client: MangoClient, request: Request) -> Iterator[Page]:
    yield from _optional(
        client.fetch_groups, lambda raw: msgspec.json.decode(raw, type=_GroupHead).id, client.source, "groups"
    )


def _optional(
    fetch: Callable[[], list[bytes]], identify: Callable[[bytes], int | str | None], source: str, stream: str
) -> Iterator[Page]:
    """Lines and groups only add detail: a tariff without them is no failure of the source."""
    try:
        yield _dictionary_page(fetch(), identify)
    except UnsupportedError as error:
        logger.warning("source=%s stream=%s skipped: %s", source, stream, error)


def _dictionary_page(payloads: Sequence[bytes], identify: Callable[[bytes], int | str | None]) -> Page:
    page = Page(ids=[], payloads=[], versions=[], cursors=[])
    for payload in payloads:
        try:
            record_id = identify(payload)
        except msgspec.ValidationError:
            record_id = None
        _append(page, None if record_id is None else str(record_id), payload, 0)
    return page


def _append(page: Page, record_id: str | None, payload: bytes, cursor: int) -> None:
    if not record_id:
        page.rejects.append(
            Reject(
                record_id=blake2b(payload, digest_size=8).hexdigest(),
                code="no_id",
                message=say("У записи нет идентификатора", "The record has no id"),
                payload=payload,
            )
        )
        return
    # The vendor numbers no versions: the time of fetching orders them.
    page.put(record_id, payload, cursor=cursor)


# ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Plan:
    """What a run reads: maybe the rest of a window begun before, then windows from `first` to `last`."""

    first: datetime
    last: datetime
    until: int  # Unix seconds the stored position has already reached; 0 = none
    keeps_position: bool
    begun: Window | None = None
    offset: int = 0


class _CallHead(msgspec.Struct):
    entry_id: str | int | None = None
    context_start_time: int | float | str | None = None


def fetch_calls(client: MangoClient, request: Request) -> Iterator[Page]:
    """Calls of the statistics, oldest window first; each completed window is a resting point.

    The position is `{"until": …}` in Unix seconds, exclusive; in the middle of a window of several pages also
    `window`, so that a first load that was interrupted goes on with the next page.
    """
    plan = _make_plan(client, request)
    if client.settings.statistics != "basic":
        try:
            yield from _fetch_extended(client, plan)
            return
        except UnsupportedError as error:
            if client.settings.statistics == "extended":
                raise
            logger.warning("source=%s stream=calls falls back to basic statistics: %s", client.source, error)
    first = plan.begun.start if plan.begun else plan.first
    for window in split_windows(first, plan.last, BASIC_WINDOW_DAYS):
        page = Page(ids=[], payloads=[], versions=[], cursors=[])
        for entry_id, started, payload in fetch_basic_window(client, window, plan.last):
            _append(page, entry_id, payload, started * MICROS)
        yield _finish_window(page, plan, window)


def _make_plan(client: MangoClient, request: Request) -> _Plan:
    settings = client.settings
    last = min(request.end, client.now() - timedelta(minutes=settings.lag_minutes)).replace(microsecond=0)
    start = request.start or last - timedelta(days=FIRST_LOAD_DAYS)
    position = request.position or {}
    until = int(position.get("until", 0))
    if request.window:
        return _Plan(start, last, until, keeps_position=False)
    if request.full or not position:
        return _Plan(start, last, until, keeps_position=True)
    overlap = timedelta(hours=settings.overlap_hours)
    begun = position.get("window")
    if begun:
        window = Window(from_unix(begun["from"]), from_unix(begun["to"]))
        return _Plan(window.end + SECOND - overlap, last, until, True, begun=window, offset=int(begun["offset"]))
    return _Plan(from_unix(until) - overlap, last, until, keeps_position=True)


def _fetch_extended(client: MangoClient, plan: _Plan) -> Iterator[Page]:
    if plan.begun is not None:
        yield from _fetch_window(client, plan, plan.begun, plan.offset)
    for window in split_windows(plan.first, plan.last):
        yield from _fetch_window(client, plan, window, 0)


def _fetch_window(client: MangoClient, plan: _Plan, window: Window, offset: int) -> Iterator[Page]:
    # A call that enters the window late moves the pages behind it: what was seen already is not handed on twice.
    seen: set[bytes] = set()
    while True:
        calls = fetch_extended_page(client, window, offset)
        page = Page(ids=[], payloads=[], versions=[], cursors=[])
        for payload in calls:
            digest = blake2b(payload, digest_size=16).digest()
            if digest not in seen:
                seen.add(digest)
                _append_call(page, payload)
        _refuse_another_period(client, window, page)
        offset += PAGE_CALLS
        if len(calls) < PAGE_CALLS:
            yield _finish_window(page, plan, window)
            return
        if plan.keeps_position:
            page.position = _position(plan, to_unix(window.start)) | {
                "window": {"from": to_unix(window.start), "to": to_unix(window.end), "offset": offset}
            }
        yield page


def _refuse_another_period(client: MangoClient, window: Window, page: Page) -> None:
    """A report of another period, all of it: an answer mixed up, after which the window would count as read.

    Raises:
        ServerFaultError: no call of the page lies in the window or within a day of it.
    """
    seconds = (cursor // MICROS for cursor in page.cursors)
    # What is no time of a call at all is the mapping's to reject, one by one.
    times = [from_unix(second) for second in seconds if PLAUSIBLE[0] <= second < PLAUSIBLE[1]]
    if times and not any(window.start - DAY <= time <= window.end + DAY for time in times):
        raise ServerFaultError(
            say(
                "{source}: запрошены звонки с {start:%d.%m.%Y} по {end:%d.%m.%Y}, а пришли с {first:%d.%m.%Y} по "
                "{last:%d.%m.%Y}",
                "{source}: calls from {start:%Y-%m-%d} to {end:%Y-%m-%d} were asked for, {first:%Y-%m-%d} to "
                "{last:%Y-%m-%d} came",
                source=client.source,
                start=window.start,
                end=window.end,
                first=min(times),
                last=max(times),
            ),
            say("Повторите позже: ничего из этого не загружено.", "Repeat later: nothing of it was loaded."),
        )


def _append_call(page: Page, payload: bytes) -> None:
    try:
        head = msgspec.json.decode(payload, type=_CallHead)
        seconds = int(head.context_start_time or 0)
    except (msgspec.ValidationError, ValueError, OverflowError):
        # Unreadable as a call: kept raw with whatever id it has, and rejected with a reason by the mapping.
        head, seconds = _CallHead(_any_id(payload)), 0
    _append(page, None if head.entry_id is None else str(head.entry_id), payload, seconds * MICROS)


def _any_id(payload: bytes) -> str | None:
    found = msgspec.json.decode(payload)
    value = found.get("entry_id") if isinstance(found, dict) else None
    return value if isinstance(value, str) else None


def _finish_window(page: Page, plan: _Plan, window: Window) -> Page:
    following = window.end + SECOND
    if plan.keeps_position:
        page.position = _position(plan, to_unix(following))
    page.complete_until = following
    return page


def _position(plan: _Plan, until: int) -> Position:
    # A full reading starts in the past again; what is already reached stays reached.
    return {"until": max(until, plan.until)}
