"""Columns on their way between this process and its helpers: bytes that Arrow arrays stand on as they come.

Light: a helper does without Arrow and the engine. What is made of these bytes here stands in columns.py.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate, pairwise, repeat
from types import NoneType
from typing import Any, Literal, NamedTuple

# Days of Arrow count from 1970, Python's ordinals from the year 1.
FIRST_DAY = 719_163

Kind = Literal["same", "text", "bytes", "decimal", "day", "number", "plain"]


class Sent(NamedTuple):
    """A column. `decimal` is text; where `is_there` has a 0 the value is None. `plain` are the values as they are,
    `same` is one value many times."""

    kind: Kind
    length: int
    data: Any
    ends: bytes = b""  # of texts: where each begins and the last one ends, 32 bits each
    is_there: bytes | None = None


def send(values: Sequence[Any]) -> Sent:
    """A column of whatever a mapping gives."""
    count = len(values)
    first = values[0] if count else None
    is_like_last = first is None or (first.__class__ is str and first == values[-1])
    if is_like_last and values.count(first) == count:
        return Sent("same", count, first)
    kinds = set(map(type, values))
    is_there = None
    if NoneType in kinds:
        is_there = bytes([value is not None for value in values])
        kinds.discard(NoneType)
    if len(kinds) == 1 and (pack := _PACK.get(kinds.pop())) is not None:
        try:
            return pack(count, values, is_there)
        except (UnicodeEncodeError, OverflowError):
            pass  # a lone surrogate, a number of many digits: who takes it has to say so
    return Sent("plain", count, list(values))


def receive(sent: Sent) -> Sequence[Any]:
    """The values that were sent."""
    values = _UNPACK[sent.kind](sent)
    if sent.is_there is None:
        return values
    return [value if is_there else None for value, is_there in zip(values, sent.is_there, strict=True)]


# ── packing ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _pack_texts(count: int, values: Sequence[Any], is_there: bytes | None, kind: Kind = "text") -> Sent:
    texts = values if is_there is None else ["" if value is None else value for value in values]
    joined = "".join(texts)
    data = joined.encode()
    ends = _ends(texts if len(data) == len(joined) else [text.encode() for text in texts])
    return Sent(kind, count, data, ends, is_there)


def _pack_bytes(count: int, values: Sequence[Any], is_there: bytes | None) -> Sent:
    found = values if is_there is None else [b"" if value is None else value for value in values]
    return Sent("bytes", count, b"".join(found), _ends(found), is_there)


def _pack_decimals(count: int, values: Sequence[Any], is_there: bytes | None) -> Sent:
    return _pack_texts(count, ["" if value is None else str(value) for value in values], is_there, "decimal")


def _pack_days(count: int, values: Sequence[Any], is_there: bytes | None) -> Sent:
    days = array("i", map(_number_of, values))
    return Sent("day", count, days.tobytes(), is_there=is_there)


def _pack_numbers(count: int, values: Sequence[Any], is_there: bytes | None) -> Sent:
    numbers = values if is_there is None else [value or 0 for value in values]
    return Sent("number", count, array("q", numbers).tobytes(), is_there=is_there)


@lru_cache(maxsize=4096)  # a column repeats a few days many times
def _number_of(day: date | None) -> int:
    return day.toordinal() - FIRST_DAY if day is not None else 0


def _ends(values: Iterable[str | bytes]) -> bytes:
    return array("i", accumulate(map(len, values), initial=0)).tobytes()


_PACK: dict[type, Callable[[int, Sequence[Any], bytes | None], Sent]] = {
    str: _pack_texts,
    bytes: _pack_bytes,
    Decimal: _pack_decimals,
    date: _pack_days,
    int: _pack_numbers,
}

# ── unpacking ───────────────────────────────────────────────────────────────────────────────────────────────────


def _unpack_bytes(sent: Sent) -> list[bytes]:
    data = sent.data
    return [data[start:end] for start, end in pairwise(array("i", sent.ends))]


def _unpack_texts(sent: Sent) -> list[str]:
    if not sent.data.isascii():
        return [text.decode() for text in _unpack_bytes(sent)]
    data = sent.data.decode()
    return [data[start:end] for start, end in pairwise(array("i", sent.ends))]


def _unpack_decimals(sent: Sent) -> list[Decimal | None]:
    return [Decimal(text) if text else None for text in _unpack_texts(sent)]


def _unpack_days(sent: Sent) -> list[date]:
    return [*map(_day_of, array("i", sent.data))]


@lru_cache(maxsize=4096)
def _day_of(number: int) -> date:
    return date.fromordinal(number + FIRST_DAY)


_UNPACK: dict[Kind, Callable[[Sent], Sequence[Any]]] = {
    "same": lambda sent: [*repeat(sent.data, sent.length)],
    "plain": lambda sent: sent.data,
    "bytes": _unpack_bytes,
    "text": _unpack_texts,
    "decimal": _unpack_decimals,
    "day": _unpack_days,
    "number": lambda sent: array("q", sent.data),
}
