"""What consecutive documents of a statement gave, on its way from whoever read them to the spool.

Light: helper processes need it, and do without Arrow. Packed, every column is bytes that an Arrow array can stand on.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import msgspec

from connectors.stream import payload_hash

# Days of Arrow count from 1970, Python's ordinals from the year 1.
FIRST_DAY = 719_163


@dataclass
class Kept:
    """Movements of one statement in columns, one entry a movement."""

    lines: list[int] = field(default_factory=list)  # from the first document's on
    ids: list[str] = field(default_factory=list)  # without the ordinal of a twin
    payloads: list[bytes] = field(default_factory=list)
    days: list[int] = field(default_factory=list)  # booked on, as proleptic ordinals
    own_accounts: list[str] = field(default_factory=list)
    directions: list[str] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)  # movements.natural_key
    payments: bytes = b""  # of all of them, or none (payments.py)


class Packed(msgspec.Struct, array_like=True, frozen=True):
    """`Kept` in bytes: whole numbers of 32 bits, and of texts where each begins and the last one ends."""

    count: int
    lines: bytes
    id_ends: bytes
    ids: bytes
    payload_ends: bytes
    payloads: bytes
    hashes: bytes
    days: bytes  # since 1970
    own_account_ends: bytes
    own_accounts: bytes
    direction_ends: bytes
    directions: bytes
    keys: bytes
    payments: bytes


_ENCODER = msgspec.msgpack.Encoder()


def pack(kept: Kept) -> tuple[bytes, bytes]:
    """Entries for `Spool.add`: as bytes, and their keys once more."""
    keys = b"".join(kept.keys)
    packed = Packed(
        len(kept.ids),
        _numbers(kept.lines),
        *_texts(kept.ids),
        _ends(kept.payloads),
        b"".join(kept.payloads),
        b"".join(map(payload_hash, kept.payloads)),
        _numbers([day - FIRST_DAY for day in kept.days]),
        *_texts(kept.own_accounts),
        *_texts(kept.directions),
        keys,
        kept.payments,
    )
    return _ENCODER.encode(packed), keys


def _texts(texts: Sequence[str]) -> tuple[bytes, bytes]:
    joined = "".join(texts)
    data = joined.encode()
    return _ends(texts if len(data) == len(joined) else [text.encode() for text in texts]), data


def _ends(values: Iterable[str | bytes]) -> bytes:
    return _numbers(accumulate(map(len, values), initial=0))


def _numbers(numbers: Iterable[int]) -> bytes:
    return array("i", numbers).tobytes()
