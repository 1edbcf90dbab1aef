"""How each kind of list is read: what changed since a time, what was added since an id, small lists whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime

from base.times import MICROS, from_unix, to_unix
from connectors.bitrix24.answers import RowPage, documented, read_rows
from connectors.bitrix24.client import Bitrix24Client
from connectors.bitrix24.listing import Listing
from connectors.bitrix24.php import Param
from connectors.bitrix24.refusals import MissingMethodError, MissingScopeError
from connectors.bitrix24.scan import Scan
from connectors.bitrix24.values import as_int
from connectors.stream import Page, Position, Request

logger = logging.getLogger("voronka.bitrix24")

# The cursor is the server's clock when a run began, less this: what was being written then is met next time.
OVERLAP_SECONDS = 600
# Rows of the history get their ids before they can be seen.
OVERLAP_IDS = 500
MOST_PAGES = 1000


def fetch_changed(client: Bitrix24Client, listing: Listing, request: Request) -> Iterator[Page]:
    """Records changed since the position (or in the window, or all for a full reading).

    Positions are `{"since": second}`, and within a first load also `began` and `left`, the id lanes still to be read.
    """
    held = usable_position(request)
    since = int(held["since"]) if held else start_second(request)
    scan = Scan(client, listing, time_bounds(listing.time_field, since, request), left=held.get("left"))
    keeps = not request.window and (not request.full or request.position is None)
    for found in scan.pages():
        began = int(held["began"]) if "began" in held else began_at(scan, request)
        position: Position | None = {"since": since, "began": began, "left": scan.left}
        if not scan.left:
            position = {"since": max(began - OVERLAP_SECONDS, since)}
        elif not keeps:
            position = None
        if any(row.time < since * MICROS for row in found.rows):
            logger.warning("source=%s method=%s event=filter_ignored", client.source, listing.method)
        yield as_page(found, listing, position=None if request.window else position)


def fetch_log(client: Bitrix24Client, listing: Listing, request: Request) -> Iterator[Page]:
    """Entries of a list that only grows, by id. Positions are `{"id": last}`, within a load also `left`."""
    held = usable_position(request)
    after = max(int(held.get("id", 0)) - OVERLAP_IDS, 0)
    since = 0 if held else start_second(request)
    bounds = {} if held else time_bounds(listing.time_field, since, request)
    scan = Scan(client, listing, bounds, after=after, left=held.get("left"))
    keeps = not request.window and (not request.full or request.position is None)
    highest = int(held.get("id", 0))
    for found in scan.pages():
        highest = max(highest, scan.highest)
        position: Position | None = {"id": highest}
        if scan.left:
            position = {"id": highest, "left": scan.left} if keeps else None
        yield as_page(found, listing, position=None if request.window else position)


def fetch_whole(client: Bitrix24Client, listing: Listing) -> Iterator[Page]:
    """Every record of a list without a time of change, by id."""
    for found in Scan(client, listing, {}).pages():
        yield as_page(found, listing, position=None)


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


def time_bounds(name: str, since: int, request: Request) -> dict[str, Param]:
    """Filters by a time field. With an offset: the server reads a naive time in its own zone."""
    bounds: dict[str, Param] = {}
    if name and since:
        bounds[f">={name}"] = as_iso(from_unix(since))
    if name and request.window:
        bounds[f"<={name}"] = as_iso(request.end)
    return bounds


def as_iso(moment: datetime) -> str:
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
