"""What a file gave, kept aside until the file is judged whole: in memory while small, else in an unnamed file.

So a statement of a gigabyte is decoded once, and not one of its records goes on before its end was seen.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import SpooledTemporaryFile

import msgspec

from connectors.onec.movements import Movement, natural_key

# Kept in memory; a larger spool goes to disk. Its name is removed at once, so that a kill leaves nothing behind.
MEMORY_BYTES = 8 << 20
DOCUMENTS_A_BLOCK = 256
LENGTH_BYTES = 8


class Side(msgspec.Struct, array_like=True, frozen=True):
    """A movement without what the document says itself."""

    own_account: str
    direction: str
    is_between_own: bool
    booked_on: str  # ISO
    number: str
    key: bytes  # movements.natural_key


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """A document that gave movements: one, or two between own accounts."""

    part: int
    line: int
    document: bytes  # its keys as JSON
    sides: list[Side]


class Spool:
    """Documents in the file's order. Write all, then read all; `close` gives the space back."""

    def __init__(self, folder: Path | None = None, *, memory_bytes: int = MEMORY_BYTES) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._file = SpooledTemporaryFile(max_size=memory_bytes, dir=str(folder) if folder else None)  # noqa: SIM115 - closed by `close`
        self._block: list[Kept] = []
        # Keys as numbers: eight bytes each, where a set of a million keys would take a hundred megabytes.
        self._keys = array("Q")
        self._encode = msgspec.msgpack.Encoder().encode

    def add(self, part: int, line: int, document: bytes, movements: list[Movement]) -> None:
        sides = []
        for movement in movements:
            key = natural_key(movement)
            self._keys.append(int.from_bytes(key, "big"))
            side = Side(
                movement.own_account,
                movement.direction,
                movement.is_between_own,
                str(movement.booked_on),
                movement.number,
                key,
            )
            sides.append(side)
        self._block.append(Kept(part, line, document, sides))
        if len(self._block) == DOCUMENTS_A_BLOCK:
            self._flush()

    def repeated_keys(self) -> frozenset[bytes]:
        """Keys that more than one movement has."""
        ordered = sorted(self._keys)
        return frozenset(key.to_bytes(8, "big") for key, following in pairwise(ordered) if key == following)

    def read(self) -> Iterator[Kept]:
        self._flush()
        decode = msgspec.msgpack.Decoder(list[Kept]).decode
        self._file.seek(0)
        while length := self._file.read(LENGTH_BYTES):
            yield from decode(self._file.read(int.from_bytes(length, "big")))

    def close(self) -> None:
        self._file.close()

    def _flush(self) -> None:
        if self._block:
            block = self._encode(self._block)
            self._file.write(len(block).to_bytes(LENGTH_BYTES, "big"))
            self._file.write(block)
            self._block = []
