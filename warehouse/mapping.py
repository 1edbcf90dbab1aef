"""Map: stored records become rows, or rejects with their reason; here, or side by side in helper processes.

A helper gets records and answers rows in columns: Python's own way to send a million decimals, days and Cyrillic texts
takes as long as making them. It must stay light, so nothing here knows the engine or Arrow.
"""

from __future__ import annotations

import gc
import pickle
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from types import NoneType
from typing import Any

import msgspec

from base.helpers import Crew, HelperError, serve
from base.secrets import Secret
from base.text import say
from connectors.stream import BadRecord, MapContext, Mapper, RawRecord, Rows, Settings, Target

MODULE = "warehouse.mapping"
# Sent at a time: their payloads are in memory, and in the pipe's buffers.
PIECE_RECORDS = 640
# Pieces under way: no helper waits for its next one.
PIECES_AHEAD = 3

# Record id, operation, version, fetch time, origin and payload, each a list, in landing order.
Columns = list[list[Any]]


@dataclass
class Mapped:
    """What a chunk of records gave; places are those of the records in the chunk."""

    rows: Rows
    # Records that only say whether one is gone.
    told: list[int] = field(default_factory=list)
    let_go: int = 0  # records whose payload is kept no more
    rejects: list[tuple[str, BadRecord]] = field(default_factory=list)  # record id and verdict


def map_records(transform: Mapper, context: MapContext, columns: Columns) -> Mapped:
    """Map a chunk of the log in its order."""
    mapped = Mapped(Rows())
    rows = mapped.rows
    with collector_at_rest():
        for ordinal, (record_id, op, version, fetched_at, origin, payload) in enumerate(zip(*columns, strict=True)):
            if op != "put":
                mapped.told.append(ordinal)
                continue
            if payload is None:  # retention or `forget` let it go: what the core has of it stays
                mapped.let_go += 1
                continue
            rows.begin(ordinal)
            try:
                transform(RawRecord(record_id, payload, version, fetched_at, origin), context, rows)
            except (BadRecord, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                rows.retract()
                mapped.rejects.append((record_id, _verdict(error)))
    return mapped


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


def map_side_by_side(
    transform: Mapper, context: MapContext, chunks: Iterable[Columns], crew: Crew
) -> Iterator[tuple[Columns, Mapped]]:
    """What `map_records` makes of the chunks, in their order, and cut into smaller ones.

    `transform` is a function of a module, and the context has no dictionaries: both go to the helpers.
    """
    context = replace(context, cache={}, settings=_without_secrets(context.settings))
    targets: dict[tuple[Any, ...], Target] = {}
    waiting: deque[tuple[Columns, Future[bytes]]] = deque()

    def take() -> tuple[Columns, Mapped]:
        piece, answer = waiting.popleft()
        try:
            packed = pickle.loads(answer.result())
        except HelperError:
            packed = _pack(map_records(transform, context, piece))
        return piece, _unpack(packed, targets)

    for chunk in chunks:
        for start in range(0, len(chunk[0]), PIECE_RECORDS):
            piece = [column[start : start + PIECE_RECORDS] for column in chunk]
            waiting.append((piece, crew.submit(pickle.dumps((transform, context, piece)))))
            if len(waiting) > PIECES_AHEAD:
                yield take()
    while waiting:
        yield take()


def _without_secrets(settings: Settings) -> Settings:
    """No mapping needs a secret, and none goes through a pipe."""
    names = [name for name in settings.__struct_fields__ if isinstance(getattr(settings, name), Secret)]
    return msgspec.structs.replace(settings, **dict.fromkeys(names))


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
    rejects = [(record_id, bad.code, bad.message, bad.path, bad.expected, bad.got) for record_id, bad in mapped.rejects]
    return targets, mapped.told, mapped.let_go, rejects


def _unpack(packed: Packed, targets: dict[tuple[Any, ...], Target]) -> Mapped:
    """`targets`: those met so far; rows of one relation from several helpers have one target."""
    found, told, let_go, rejects = packed
    rows = Rows()
    for key, columns, ordinals, owner_columns, owner_ordinals in found:
        into = targets.setdefault(key, Target(*key))
        if columns is not None:
            rows.rows[into], rows.ordinals[into] = _unpack_rows(columns), ordinals
        if owner_columns is not None:
            rows.owners[into], rows.owner_ordinals[into] = _unpack_rows(owner_columns), owner_ordinals
    verdicts = [
        (record_id, BadRecord(code, message, path=path, expected=expected, got=got))
        for record_id, code, message, path, expected, got in rejects
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


def _verdict(error: BadRecord | msgspec.DecodeError | UnicodeDecodeError | RecursionError) -> BadRecord:
    if isinstance(error, BadRecord):
        return error
    return _wrong_type(error) if isinstance(error, msgspec.ValidationError) else _no_json(error)


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


if __name__ == "__main__":
    serve(answer)
