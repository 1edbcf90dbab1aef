"""Map: stored records become rows, or rejects with their reason; here, or in helper processes (ahead.py).

A helper gets records and answers rows in columns: Python's own way to send a million decimals, days and Cyrillic texts
takes as long as making them. It must stay light, so nothing here knows the engine or Arrow.
"""

from __future__ import annotations

import gc
import pickle
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, NamedTuple

import msgspec

from base.errors import DEFECTS
from base.helpers import serve
from base.text import say
from base.wire import Sent, receive, send
from connectors.stream import BadRecord, BulkMapper, MapContext, Mapper, RawRecord, Rows, Target

MODULE = "warehouse.mapping"
DEFECT = "mapping_defect"
FAILURES = (BadRecord, msgspec.DecodeError, RecursionError, *DEFECTS)
# Mapped in bulk at a time: one bad record sends so many the slow way.
BULK_RECORDS = 512

# Record id, operation, version, fetch time, origin and payload, in landing order.
Columns = Sequence[Sequence[Any]]


class SentRows(NamedTuple):
    """A target's rows, and the owners of child lists, in columns as a helper sent them; then the places of their
    records in the chunk."""

    into: Target
    rows: list[Sent] | None
    ordinals: Sent | None
    owners: list[Sent] | None
    owner_ordinals: Sent | None


@dataclass
class Mapped:
    """What a chunk of records gave; places are those of the records in the chunk."""

    made: Rows | list[SentRows]
    # Records that only say whether one is gone.
    told: list[int] = field(default_factory=list)
    let_go: int = 0  # records whose payload is kept no more
    rejects: list[tuple[int, BadRecord]] = field(default_factory=list)  # place and verdict

    @property
    def rows(self) -> Rows:
        """The rows as Python objects, of which a helper's are made here."""
        return self.made if isinstance(self.made, Rows) else _unpack_rows(self.made)


def map_records(transform: Mapper, context: MapContext, columns: Columns, map_many: BulkMapper | None = None) -> Mapped:
    """Map a chunk of the log in its order."""
    rows = Rows()
    mapped = Mapped(rows)
    record_ids, ops, versions, fetched, origins, payloads = map(list, columns)
    with collector_at_rest():
        places = _find_readable(ops, payloads, mapped)
        if map_many is not None:
            places = _map_in_bulk(map_many, context, places, payloads, rows)
        for place in places:
            rows.begin(place)
            record = RawRecord(record_ids[place], payloads[place], versions[place], fetched[place], origins[place])
            try:
                transform(record, context, rows)
            except FAILURES as error:
                rows.retract()
                mapped.rejects.append((place, _verdict(error)))
    return mapped


def _find_readable(ops: Sequence[str], payloads: Sequence[Any], mapped: Mapped) -> list[int]:
    """The places of records to be mapped; the others are noted."""
    places = []
    for place, (op, payload) in enumerate(zip(ops, payloads, strict=True)):
        if op != "put":
            mapped.told.append(place)
        elif payload is None:  # retention or `forget` let it go: what the core has of it stays
            mapped.let_go += 1
        else:
            places.append(place)
    return places


def _map_in_bulk(
    map_many: BulkMapper, context: MapContext, places: list[int], payloads: list[Any], rows: Rows
) -> list[int]:
    """Gives the places that are left to be mapped one by one."""
    left: list[int] = []
    for start in range(0, len(places), BULK_RECORDS):
        part = places[start : start + BULK_RECORDS]
        try:
            left += map_many(part, [payloads[place] for place in part], context, rows)
        except FAILURES:
            # One by one they show which of them it is.
            left += part
    return left


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Mapping makes rows by the ten thousand and no cycles: looking for some in them took a fifth of its time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


# ── side by side ────────────────────────────────────────────────────────────────────────────────────────────────


def answer(asked: bytes) -> bytes:
    """What a helper makes of a piece: pickled, a mapping, its context, and columns of the wire."""
    transform, context, columns = pickle.loads(asked)
    mapped = map_records(transform, context, [receive(column) for column in columns])
    rejects = [(place, bad.code, bad.message, bad.path, bad.expected, bad.got) for place, bad in mapped.rejects]
    return pickle.dumps((_pack_rows(mapped.rows), mapped.told, mapped.let_go, rejects), pickle.HIGHEST_PROTOCOL)


def unpack(answered: bytes, targets: dict[tuple[Any, ...], Target]) -> Mapped:
    """What an answer says. `targets`: those met so far; rows of one relation from several helpers have one target."""
    packed, told, let_go, rejects = pickle.loads(answered)
    sent = [SentRows(targets.setdefault(key, Target(*key)), *columns) for key, *columns in packed]
    verdicts = [
        (place, BadRecord(code, message, path=path, expected=expected, got=got))
        for place, code, message, path, expected, got in rejects
    ]
    return Mapped(sent, told, let_go, verdicts)


def _pack_rows(rows: Rows) -> list[tuple[Any, ...]]:
    return [
        (
            (into.relation, into.columns, into.owned_by),
            *_send_rows(rows.rows.get(into), rows.ordinals.get(into)),
            *_send_rows(rows.owners.get(into), rows.owner_ordinals.get(into)),
        )
        for into in dict.fromkeys((*rows.rows, *rows.owners))
    ]


def _send_rows(
    rows: Sequence[tuple[Any, ...]] | None, ordinals: Sequence[int] | None
) -> tuple[list[Sent] | None, Sent | None]:
    if rows is None or ordinals is None:
        return None, None
    return [send(column) for column in zip(*rows, strict=True)], send(ordinals)


def _unpack_rows(sent: Sequence[SentRows]) -> Rows:
    rows = Rows()
    for into, columns, ordinals, owners, owner_ordinals in sent:
        if columns is not None and ordinals is not None:
            rows.rows[into], rows.ordinals[into] = _receive_rows(columns), list(receive(ordinals))
        if owners is not None and owner_ordinals is not None:
            rows.owners[into], rows.owner_ordinals[into] = _receive_rows(owners), list(receive(owner_ordinals))
    return rows


def _receive_rows(columns: Sequence[Sent]) -> list[tuple[Any, ...]]:
    return list(zip(*map(receive, columns), strict=True))


# ── verdicts ────────────────────────────────────────────────────────────────────────────────────────────────────

_VALIDATION = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_EXPECTED = re.compile(r"Expected `(?P<expected>[^`]*)`(?:, got `(?P<got>[^`]*)`)?")


def _verdict(error: Exception) -> BadRecord:
    if isinstance(error, BadRecord):
        return error
    if isinstance(error, msgspec.ValidationError):
        return _wrong_type(error)
    if isinstance(error, msgspec.DecodeError | UnicodeDecodeError | RecursionError):
        return _no_json(error)
    return _defect(error)


def _wrong_type(error: msgspec.ValidationError) -> BadRecord:
    """msgspec says "Expected `int`, got `str` - at `$.price`"."""
    found = _VALIDATION.match(str(error))
    what = found["what"] if found else str(error)
    path = (found["path"] if found else None) or "$"
    types = _EXPECTED.search(what)
    return BadRecord(
        "wrong_type",
        say("Поле {path}: {what}", "Field {path}: {what}", path=path, what=what),
        path=path,
        expected=types["expected"] if types else "",
        got=(types["got"] or "") if types else "",
    )


def _no_json(error: msgspec.DecodeError | UnicodeDecodeError | RecursionError) -> BadRecord:
    return BadRecord("no_json", say("Запись не читается: {error}", "Not readable: {error}", error=str(error)))


def _defect(error: Exception) -> BadRecord:
    """The kind of exception and the line of code; its own words may hold a value of the record."""
    kind, place = type(error).__name__, _place(error)
    return BadRecord(
        DEFECT,
        say(
            "Ошибка в самой программе ({kind}, {place}): запись сохранена, но не загружена. Сообщите об этом"
            " разработчикам; после обновления её загрузит voronka replay",
            "A mistake in the program itself ({kind}, {place}): the record is kept, but not loaded. Please report it;"
            " after the update voronka replay loads it",
            kind=kind,
            place=place,
        ),
        got=kind,
    )


def _place(error: Exception) -> str:
    """File and line of the innermost Python code that raised it."""
    trace = error.__traceback__
    if trace is None:
        return "?"
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


if __name__ == "__main__":
    serve(answer)
