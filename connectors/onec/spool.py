"""What a file gave, kept aside until the file is judged whole: in memory while small, else in an unnamed file.

So a statement of a gigabyte is decoded once, and not one of its records goes on before its end was seen.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import SpooledTemporaryFile

import msgspec

from connectors.onec.movements import KEY_BYTES

# Kept in memory; a larger spool goes to disk. Its name is removed at once, so that a kill leaves nothing behind.
MEMORY_BYTES = 8 << 20
LENGTH_BYTES = 8


class Kept(msgspec.Struct, array_like=True):
    """Movements of consecutive documents of one statement in columns, one entry a movement."""

    part: int
    first_line: int = 0  # what the lines count from
    lines: list[int] = []
    ids: list[str] = []  # without the ordinal of a twin
    payloads: list[bytes] = []
    days: list[int] = []  # booked on, as proleptic ordinals
    own_accounts: list[str] = []
    directions: list[str] = []
    keys: list[bytes] = []  # movements.natural_key

    def chosen(self, places: Sequence[int]) -> Kept:
        """Some of the entries."""
        return Kept(
            self.part,
            self.first_line,
            [self.lines[place] for place in places],
            [self.ids[place] for place in places],
            [self.payloads[place] for place in places],
            [self.days[place] for place in places],
            [self.own_accounts[place] for place in places],
            [self.directions[place] for place in places],
            [self.keys[place] for place in places],
        )


class Spool:
    """Entries in the file's order. Write all, then read all; `close` gives the space back."""

    def __init__(self, folder: Path | None = None, *, memory_bytes: int = MEMORY_BYTES) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._file = SpooledTemporaryFile(max_size=memory_bytes, dir=str(folder) if folder else None)  # noqa: SIM115 - closed by `close`
        # Keys as numbers: eight bytes each, where a set of a million keys would take a hundred megabytes.
        self._keys = array("Q")

    def add(self, part: int, first_line: int, packed: bytes, keys: bytes) -> None:
        """Entries as `pack` gives them, and where they stand in the file."""
        self._keys.frombytes(keys)
        for number in (len(packed), part, first_line):
            self._file.write(number.to_bytes(LENGTH_BYTES, "big"))
        self._file.write(packed)

    def repeated_keys(self) -> frozenset[bytes]:
        """Keys that more than one movement has."""
        ordered = sorted(self._keys)
        return frozenset(
            key.to_bytes(KEY_BYTES, sys.byteorder) for key, following in pairwise(ordered) if key == following
        )

    def read(self) -> Iterator[Kept]:
        decode = msgspec.msgpack.Decoder(Kept).decode
        self._file.seek(0)
        while head := self._file.read(3 * LENGTH_BYTES):
            length, part, first_line = (
                int.from_bytes(head[place : place + LENGTH_BYTES], "big") for place in range(0, len(head), LENGTH_BYTES)
            )
            kept = decode(self._file.read(length))
            kept.part, kept.first_line = part, first_line
            yield kept

    def close(self) -> None:
        self._file.close()


_ENCODER = msgspec.msgpack.Encoder()


def pack(kept: Kept) -> tuple[bytes, bytes]:
    """Entries for `Spool.add`: as bytes, and their keys once more."""
    return _ENCODER.encode(kept), b"".join(kept.keys)
