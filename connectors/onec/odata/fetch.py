"""Reading catalogues whole, and documents by a sliding window, since 1C tells nobody what has changed.

Users edit, unpost, delete and back-date documents, and there is no "modified since". So every run reads the window of
the last days again (what is the same byte for byte isn't stored twice) and looks for what has vanished from it. What
is older is compared by `--full`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from hashlib import blake2b
from typing import Any

import msgspec

from base.errors import MassDisappearanceError
from base.text import say
from base.times import local_day, start_of_day, to_micros
from connectors.onec.odata.address import moment
from connectors.onec.odata.client import OdataClient, Row
from connectors.onec.odata.paging import Place, read_set
from connectors.onec.odata.refusals import PUBLISH, MissingSetError
from connectors.onec.odata.sets import Catalogue, DocumentKind
from connectors.stream import Page, Position, Request

# Of the documents known in the window, more than both gone at once is not believed (design promise 3).
GONE_SHARE = 0.05
GONE_COUNT = 20
# Day of each document of the window, by set and key.
Known = dict[str, dict[str, str]]
_ROW = msgspec.json.Decoder(dict[str, Any])


# ── catalogues ──────────────────────────────────────────────────────────────────────────────────────────────────


def fetch_catalogue(client: OdataClient, catalogue: Catalogue) -> Iterator[Page]:
    """Every element of a catalogue's published sets; their versions become known to the client.

    Raises:
        SourceError: a leaf of the tree.
    """
    for entity_set in client.schema().published(catalogue.sets):
        for rows, _ in read_set(client, entity_set, catalogue.fields, order="Ref_Key"):
            client.known.update((row.key, row.version) for row in rows)
            yield _page(client, rows, [row.raw for row in rows])


# ── documents ───────────────────────────────────────────────────────────────────────────────────────────────────


def fetch_documents(client: OdataClient, kind: DocumentKind, request: Request) -> Iterator[Page]:
    """Documents of a kind: the whole history first, then a sliding window and what vanished from it.

    Raises:
        MissingSetError: none of the sets of a kind that must be there is published.
        MassDisappearanceError: too much of the window is gone at once.
        SourceError: another leaf of the tree.
    """
    sets = client.schema().published([each.name for each in kind.sets])
    position = request.position or {}
    if position.get("start") != _start_of(request):
        position = {}
    if not sets and kind.is_required:
        raise _nothing_published(client, kind)
    if not sets:
        yield Page(ids=[], payloads=[], versions=[], cursors=[], is_idle=True)
    elif request.window:
        yield from _window(client, kind, sets, request)
    elif request.full or "until" not in position:
        yield from _whole(client, kind, sets, request, {} if request.full else position)
    else:
        yield from _again(client, kind, sets, request, position)


def _window(client: OdataClient, kind: DocumentKind, sets: list[str], request: Request) -> Iterator[Page]:
    bounds = [f"Date le {_literal(client, request.end)}", *_since(client, request.start)]
    for entity_set in sets:
        for rows, _ in read_set(client, entity_set, kind.fields, bounds=bounds, order="Date,Ref_Key"):
            yield _documents(client, entity_set, rows)


def _whole(
    client: OdataClient, kind: DocumentKind, sets: list[str], request: Request, resting: Position
) -> Iterator[Page]:
    """Everything since the source's start; a first load that was interrupted goes on where it stopped."""
    first_day = _first_day(client, request.end).isoformat()
    known: Known = {name: dict(days) for name, days in resting.get("known", {}).items()}
    stopped = resting.get("at_set")
    left = sets[sets.index(stopped) :] if stopped in sets else sets
    met: dict[str, set[str]] = {}
    place = Place(**resting["place"]) if left is not sets and "place" in resting else None
    for entity_set in left:
        pages = read_set(
            client, entity_set, kind.fields, bounds=_since(client, request.start), order="Date,Ref_Key", place=place
        )
        place = None
        days = known.setdefault(entity_set, {})
        for rows, reached in pages:
            if request.full:
                met.setdefault(entity_set, set()).update(row.key for row in rows)
            days.update((row.key, row.date[:10]) for row in rows if row.date[:10] >= first_day)
            page = _documents(client, entity_set, rows)
            if not request.full:
                page.position = {
                    "start": _start_of(request),
                    "at_set": entity_set,
                    "place": msgspec.to_builtins(reached),
                    "known": _copy(known),
                }
            yield page
    if request.full:
        for entity_set in sets:
            yield _overlooked(client, kind, entity_set, request, met.get(entity_set, set()))
    yield _last_page(client, request, known)


def _overlooked(client: OdataClient, kind: DocumentKind, entity_set: str, request: Request, met: set[str]) -> Page:
    """Documents that were dated back behind the reader while it read: a sweep would take them for deleted."""
    missing: list[str] = []
    bounds = _since(client, request.start)
    for rows, _ in read_set(client, entity_set, ("Ref_Key", "Date"), bounds=bounds, order="Date,Ref_Key"):
        missing += [row.key for row in rows if row.key not in met]
    return _documents(client, entity_set, list(client.fetch_keys(entity_set, kind.fields, missing)))


def _again(
    client: OdataClient, kind: DocumentKind, sets: list[str], request: Request, position: Position
) -> Iterator[Page]:
    """The window before the end of the last run, and what has vanished from it."""
    before: Known = position["known"]
    since = _first_day(client, datetime.fromisoformat(position["until"]))
    start = start_of_day(since, client.zone)
    known: Known = {}
    for entity_set in sets:
        days = known[entity_set] = {}
        # A set that was published only now has a history to read.
        earliest = max(start, request.start or start) if entity_set in before else request.start
        bounds = _since(client, earliest)
        for rows, _ in read_set(client, entity_set, kind.fields, bounds=bounds, order="Date,Ref_Key"):
            days.update((row.key, row.date[:10]) for row in rows)
            yield _documents(client, entity_set, rows)
        missing = [
            key for key, day in before.get(entity_set, {}).items() if key not in days and day >= since.isoformat()
        ]
        yield _vanished(client, kind, entity_set, missing, len(before.get(entity_set, {})))
    yield _last_page(client, request, known)


def _vanished(client: OdataClient, kind: DocumentKind, entity_set: str, missing: list[str], count: int) -> Page:
    """What the window lacks is asked for by key: a document with another date lives on, only the rest is gone."""
    rows = list(client.fetch_keys(entity_set, kind.fields, missing)) if missing else []
    page = _documents(client, entity_set, rows)
    page.deleted = sorted(set(missing) - set(page.ids))
    if len(page.deleted) > GONE_COUNT and len(page.deleted) > count * GONE_SHARE:
        raise MassDisappearanceError(
            say(
                "{source}: из 1С ({name}) исчезло сразу {gone} из {count} документов: похоже на другую базу или потерю"
                " прав, ничего не помечено удалённым.",
                "{source}: {gone} of {count} documents vanished from 1C ({name}) at once: it looks like another"
                " database or lost rights, nothing was marked deleted.",
                source=client.source,
                name=entity_set,
                gone=len(page.deleted),
                count=count,
            ),
            say(
                "Проверьте права и базу (voronka check). Если удаление настоящее: voronka sync --full"
                " --accept-deletions.",
                "Check the rights and the database (voronka check). If they are really deleted: voronka sync --full"
                " --accept-deletions.",
            ),
        )
    return page


def _last_page(client: OdataClient, request: Request, known: Known) -> Page:
    """Where the next run begins. A day is complete once it is over: today's money is still being entered."""
    day = _first_day(client, request.end).isoformat()
    kept = {name: {key: on for key, on in days.items() if on >= day} for name, days in known.items()}
    page = _page(client, [], [])
    page.position = {"start": _start_of(request), "until": request.end.isoformat(), "known": kept}
    page.complete_until = start_of_day(local_day(request.end, client.zone), client.zone)
    return page


# ── pages ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _documents(client: OdataClient, entity_set: str, rows: list[Row]) -> Page:
    return _page(client, rows, [payload(row, entity_set, client.known) for row in rows])


def payload(row: Row, entity_set: str, known: Mapping[str, str]) -> bytes:
    """1C's own bytes, with the set they are from, and a digest of what the catalogues say of everything they name: a
    tax id mended there, or a counterparty entered after the catalogue was read, makes the payload a new one."""
    named = sorted(_versions(_ROW.decode(row.raw), known))
    digest = blake2b("|".join(named).encode(), digest_size=8).hexdigest()
    tail = msgspec.json.encode({"_set": entity_set, "_known": digest})
    return row.raw.removesuffix(b"}").rstrip() + b"," + tail[1:]


def _versions(record: Mapping[str, Any], known: Mapping[str, str]) -> set[str]:
    found: set[str] = set()
    for name, value in record.items():
        if isinstance(value, str) and name != "Ref_Key" and value in known:
            found.add(f"{value}:{known[value]}")
        elif isinstance(value, list):
            found.update(*(_versions(part, known) for part in value if isinstance(part, dict)))
    return found


def _page(client: OdataClient, rows: list[Row], payloads: list[bytes]) -> Page:
    """1C states no time of change: the fetch time orders the versions."""
    return Page(
        ids=[row.key for row in rows],
        payloads=payloads,
        versions=[0] * len(rows),
        cursors=[_cursor(client, row) for row in rows],
    )


def _cursor(client: OdataClient, row: Row) -> int:
    try:
        day = date.fromisoformat(row.date[:10])
    except ValueError:
        return 0
    return max(to_micros(start_of_day(day, client.zone)), 0) if day.year > 1 else 0


# ── bounds ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _first_day(client: OdataClient, end: datetime) -> date:
    return local_day(end, client.zone) - timedelta(days=client.settings.window_days)


def _start_of(request: Request) -> str:
    return request.start.isoformat() if request.start else ""


def _since(client: OdataClient, start: datetime | None) -> list[str]:
    return [f"Date ge {_literal(client, start)}"] if start else []


def _literal(client: OdataClient, instant: datetime) -> str:
    """1C's dates are local and have no zone."""
    return moment(instant.astimezone(client.zone))


def _copy(known: Known) -> Known:
    return {name: dict(days) for name, days in known.items()}


def _nothing_published(client: OdataClient, kind: DocumentKind) -> MissingSetError:
    return MissingSetError(
        say(
            "{source}: 1С не публикует ни одного вида документов «{label}»: {names}.",
            "{source}: 1C publishes none of the documents «{label}»: {names}.",
            source=client.source,
            label=kind.label,
            names=", ".join(each.name for each in kind.sets),
        ),
        PUBLISH,
    )
