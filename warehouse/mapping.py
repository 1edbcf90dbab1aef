"""Map: stored records become rows, or rejects with their reason; here, or in helper processes (ahead.py).

A helper gets records and answers rows in columns: Python's own way to send a million decimals, days and Cyrillic texts
takes as long as making them. It must stay light, so nothing here knows the engine or Arrow.
"""

from __future__ import annotations

import gc
import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import PurePath
from types import NoneType
from typing import Any

import msgspec

from base.helpers import serve
from base.text import say
from connectors.stream import BadRecord, BulkMapper, MapContext, Mapper, RawRecord, Rows, Target

MODULE = "warehouse.mapping"
# What a mapping's own mistake raises at a value nobody thought of: it costs this record and not the run.
DEFECTS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
DEFECT = "mapping_defect"
FAILURES = (BadRecord, msgspec.DecodeError, RecursionError, *DEFECTS)
# Mapped in bulk at a time: one bad record sends so many the slow way.
BULK_RECORDS = 512

# Record id, operation, version, fetch time, origin and payload, each a list, in landing order.
Columns = list[list[Any]]


@dataclass
class Mapped:
    """What a chunk of records gave; places are those of the records in the chunk."""

    rows: Rows
    # Records that only say whether one is gone.
    told: list[int] = field(default_factory=list)
    let_go: int = 0  # records whose payload is kept no more
    rejects: list[tuple[int, BadRecord]] = field(default_factory=list)  # place and verdict


def map_records(transform: Mapper, context: MapContext, columns: Columns, map_many: BulkMapper | None = None) -> Mapped:
    """Map a chunk of the log in its order."""
    mapped = Mapped(Rows())
    rows = mapped.rows
    record_ids, _, versions, fetched, origins, payloads = columns
    with collector_at_rest():
        places = _find_readable(columns, mapped)
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


def _find_readable(columns: Columns, mapped: Mapped) -> list[int]:
    """The places of records to be mapped; the others are noted."""
    places = []
    for place, (op, payload) in enumerate(zip(columns[1], columns[5], strict=True)):
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
    """What a helper makes of a piece."""
    transform, context, columns = pickle.loads(asked)
    return pickle.dumps(_pack(map_records(transform, context, columns)))


Packed = tuple[list[Any], list[int], int, list[tuple[Any, ...]]]


def _pack(mapped: Mapped) -> Packed:
    rows = mapped.rows
    targets = [
        (
            (into.relation, into.columns, into.owned_by),
            _pack_rows(rows.rows.get(into)),
            rows.ordinals.get(into),
            _pack_rows(rows.owners.get(into)),
            rows.owner_ordinals.get(into),
        )
        for into in dict.fromkeys((*rows.rows, *rows.owners))
    ]
    rejects = [(place, bad.code, bad.message, bad.path, bad.expected, bad.got) for place, bad in mapped.rejects]
    return targets, mapped.told, mapped.let_go, rejects


def unpack(answered: bytes, targets: dict[tuple[Any, ...], Target]) -> Mapped:
    """What an answer says. `targets`: those met so far; rows of one relation from several helpers have one target."""
    packed: Packed = pickle.loads(answered)
    found, told, let_go, rejects = packed
    rows = Rows()
    for key, columns, ordinals, owner_columns, owner_ordinals in found:
        into = targets.setdefault(key, Target(*key))
        if columns is not None:
            rows.rows[into], rows.ordinals[into] = _unpack_rows(columns), ordinals
        if owner_columns is not None:
            rows.owners[into], rows.owner_ordinals[into] = _unpack_rows(owner_columns), owner_ordinals
    verdicts = [
        (place, BadRecord(code, message, path=path, expected=expected, got=got))
        for place, code, message, path, expected, got in rejects
    ]
    return Mapped(rows, told, let_go, verdicts)


# ── columns on their way ────────────────────────────────────────────────────────────────────────────────────────

# Between texts, and in place of None: no text that people or programs write holds them; one that does goes plainly.
_BETWEEN, _NONE = "\x1e", "\x00"


def _pack_rows(rows: Sequence[tuple[Any, ...]] | None) -> list[tuple[str, Any]] | None:
    return None if rows is None else [_pack_column(column) for column in zip(*rows, strict=True)]


def _unpack_rows(columns: Sequence[tuple[str, Any]]) -> list[tuple[Any, ...]]:
    return list(zip(*(_UNPACK[kind](packed) for kind, packed in columns), strict=True))


def _pack_column(values: tuple[Any, ...]) -> tuple[str, Any]:
    kinds = set(map(type, values)) - {NoneType}
    if kinds == {str}:
        missing = values.count(None)
        joined = _BETWEEN.join([_NONE if value is None else value for value in values] if missing else values)
        if joined.count(_BETWEEN) == len(values) - 1 and joined.count(_NONE) == missing:
            return "text", joined.encode("utf-8", "surrogatepass")
    if kinds == {Decimal}:
        return "decimal", ["" if value is None else str(value) for value in values]
    if kinds == {date}:
        return "date", [0 if value is None else value.toordinal() for value in values]
    return "plain", values


def _unpack_text(packed: bytes) -> Sequence[Any]:
    joined = packed.decode("utf-8", "surrogatepass")
    values = joined.split(_BETWEEN)
    return [None if value == _NONE else value for value in values] if _NONE in joined else values


def _unpack_decimals(packed: Sequence[str]) -> Sequence[Any]:
    return [Decimal(text) if text else None for text in packed]


def _unpack_dates(packed: Sequence[int]) -> Sequence[Any]:
    return [*map(_day_of, packed)]


@lru_cache(maxsize=4096)
def _day_of(ordinal: int) -> date | None:
    return date.fromordinal(ordinal) if ordinal else None


_UNPACK: Mapping[str, Any] = {
    "text": _unpack_text,
    "decimal": _unpack_decimals,
    "date": _unpack_dates,
    "plain": lambda values: values,
}


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
