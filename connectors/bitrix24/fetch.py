"""How each kind of list is read: what changed since a time, what was added since an id, small lists whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from base.errors import SourceError
from base.times import MICROS, from_unix, to_unix
from connectors.bitrix24.answers import RowPage, documented, read_rows
from connectors.bitrix24.client import Bitrix24Client
from connectors.bitrix24.listing import Listing
from connectors.bitrix24.php import Param
from connectors.bitrix24.refusals import MissingMethodError, MissingScopeError
from connectors.bitrix24.scan import Scan
from connectors.bitrix24.user_fields import file_codes, without_addresses
from connectors.bitrix24.values import as_int
from connectors.stream import Page, Position, Request

logger = logging.getLogger("voronka.bitrix24")

# The cursor is the server's clock when a run began, less this: what was being written then is met next time.
OVERLAP_SECONDS = 600
# Rows of the history get their ids before they can be seen.
OVERLAP_IDS = 500
MOST_PAGES = 1000


def fetch_changed(client: Bitrix24Client, listing: Listing, request: Request) -> Iterator[Page]:
    """Records changed since the position (or in the window, or all for a full reading), and about once a day the ids
    of all, for nothing tells of a deletion. Positions are those of `read_changed`.

    A full reading from a configured start does not meet what an earlier start or a window brought: it sweeps as well.
    """
    position: Position | None = None
    if request.full and not request.window:
        yield _counted(client, listing)
    for page in read_changed(client, listing, request):
        position = page.position
        yield page
    misses_old_ones = request.full and start_second(request) > 0
    if position is not None and (misses_old_ones or is_sweep_due(client, position, request)):
        yield from _sweep(client, listing, request, position)


def read_changed(client: Bitrix24Client, listing: Listing, request: Request) -> Iterator[Page]:
    """Positions are `{"since": second, "swept": second}`; within a first load instead of `swept` `began` and `left`,
    the id lanes still to be read."""
    held = usable_position(request)
    since = int(held["since"]) if held else start_second(request)
    asked = with_user_fields(client, listing)
    files = file_codes(client, listing.method) if asked is not listing else frozenset()
    scan = Scan(client, asked, time_bounds(client, listing, since, request), left=held.get("left"))
    keeps = not request.window and (not request.full or request.position is None)
    for found in scan.pages():
        began = int(held["began"]) if "began" in held else began_at(scan, request)
        position: Position | None = {"since": since, "began": began, "left": scan.left}
        if not scan.left:
            # What was read whole from the beginning needs no sweep.
            swept = int(held.get("swept", 0)) if held and "left" not in held else began
            position = {"since": max(began - OVERLAP_SECONDS, since), "swept": swept}
        elif not keeps:
            position = None
        if any(row.time < since * MICROS for row in found.rows):
            logger.warning("source=%s method=%s event=filter_ignored", client.source, listing.method)
        page = as_page(found, listing, position=None if request.window else position)
        if files:
            page.payloads = [without_addresses(payload, files) for payload in page.payloads]
        yield page


def _counted(client: Bitrix24Client, listing: Listing) -> Page:
    """What the portal itself says there is; the records are read, so a refusal to count is no failure."""
    page = as_page(RowPage(), listing, position=None)
    try:
        page.total = as_int(client.call(listing.method, listing.counted()).total)
    except SourceError as error:
        logger.warning("source=%s method=%s event=not_counted detail=%s", client.source, listing.method, error)
    return page


def is_sweep_due(client: Bitrix24Client, position: Position, request: Request) -> bool:
    hours = client.settings.sweep_hours
    return bool(hours) and to_unix(request.end) - int(position.get("swept", 0)) >= hours * 3600


def _sweep(client: Bitrix24Client, listing: Listing, request: Request, position: Position) -> Iterator[Page]:
    """Every id there is: 2,500 of them a request."""
    scan = Scan(client, listing.ids_alone(), {})
    is_sound = True
    for found in scan.pages():
        is_sound = is_sound and not found.rejects
        page = as_page(RowPage(), listing, position=None)
        page.living = [f"{listing.prefix}{row.id}" for row in found.rows]
        if not scan.left and is_sound:
            # An id that could not be read must not pass for one that is gone.
            page.is_whole = True
            page.position = {**position, "swept": to_unix(request.end)}
        yield page


def with_user_fields(client: Bitrix24Client, listing: Listing) -> Listing:
    if client.settings.user_fields != "all" or not (listing.user_fields and listing.select):
        return listing
    return replace(listing, select=(*listing.select, "UF_*"))


def fetch_log(client: Bitrix24Client, listing: Listing, request: Request) -> Iterator[Page]:
    """Entries of a list that only grows, by id. Positions are `{"id": last}`, within a load also `left`."""
    held = usable_position(request)
    after = max(int(held.get("id", 0)) - OVERLAP_IDS, 0)
    since = 0 if held else start_second(request)
    bounds = {} if held else time_bounds(client, listing, since, request)
    scan = Scan(client, listing, bounds, after=after, left=held.get("left"))
    keeps = not request.window and (not request.full or request.position is None)
    highest = int(held.get("id", 0))
    for found in scan.pages():
        highest = max(highest, scan.highest)
        position: Position | None = {"id": highest}
        if scan.left:
            position = {"id": highest, "left": scan.left} if keeps else None
        yield as_page(found, listing, position=None if request.window else position)


def fetch_dictionary(client: Bitrix24Client, listing: Listing) -> Iterator[Page]:
    """A small list read whole by its offsets."""
    params: dict[str, Param] = dict(listing.params)
    if listing.select:
        params["select"] = list(listing.select)
    for _ in range(MOST_PAGES):
        envelope = client.call(listing.method, params)
        with documented(client.source, listing.method):
            found = read_rows(envelope.result, listing.rows_key, listing.id_field, "")
        yield as_page(found, listing, position=None)
        start = as_int(envelope.next)
        if not start:
            return
        params = {**params, "start": start}


def fetch_optional(client: Bitrix24Client, pages: Iterator[Page]) -> Iterator[Page]:
    """A list the portal may lack, or whose scope the webhook may lack: then nothing is read, and the log says so."""
    try:
        yield from pages
    except (MissingMethodError, MissingScopeError) as error:
        logger.warning("source=%s event=feature_missing detail=%s", client.source, error)


def usable_position(request: Request) -> Position:
    """The stored position, {} for a first load, a window or a full reading."""
    return {} if request.position is None or request.full or request.window else request.position


def time_bounds(client: Bitrix24Client, listing: Listing, since: int, request: Request) -> dict[str, Param]:
    """Filters by the listing's time of change."""
    name = listing.time_field
    bounds: dict[str, Param] = {}
    if name and since:
        bounds[f">={name}"] = as_stated(client, from_unix(since))
    if name and request.window:
        bounds[f"<={name}"] = as_stated(client, request.end)
    return bounds


def as_stated(client: Bitrix24Client, moment: datetime) -> str:
    """A time for a filter, with its offset: the server reads a naive one in its own zone.

    Some portals are said to find nothing by times with an offset (`naive_times`): they get their own clock's time.
    """
    if client.settings.naive_times and client.server_zone is not None:
        return moment.astimezone(client.server_zone).strftime("%Y-%m-%d %H:%M:%S")
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def as_page(found: RowPage, listing: Listing, *, position: Position | None) -> Page:
    """Rows in columns; their time is version and cursor."""
    return Page(
        ids=[f"{listing.prefix}{row.id}" for row in found.rows],
        payloads=[row.payload for row in found.rows],
        versions=[row.time for row in found.rows],
        cursors=[row.time for row in found.rows],
        rejects=found.rejects,
        position=position,
    )


def began_at(scan: Scan, request: Request) -> int:
    """The server's own clock at the first answer, never ahead of the run's bound."""
    end = to_unix(request.end)
    return end if scan.began is None else min(end, scan.began // MICROS)


def start_second(request: Request) -> int:
    return to_unix(request.start) if request.start is not None else 0
