"""What a file gave, kept aside until the file is judged whole: in memory while small, else in an unnamed file.

So a statement of a gigabyte is decoded once, and not one of its records goes on before its end was seen.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from base.columns import Column, array_on
from connectors.onec import payments
from connectors.onec.kept import Packed
from connectors.onec.movements import KEY_BYTES
from connectors.stream import HASH_BYTES

# Kept in memory; a larger spool goes to disk. Its name is removed at once, so that a kill leaves nothing behind.
MEMORY_BYTES = 8 << 20
LENGTH_BYTES = 8
# A payment in a page's `rows`; amounts are texts until they are given the core's types.
PAYMENT = pa.struct([(name, pa.date32() if name.endswith("_on") else pa.string()) for name in payments.NAMES])


@dataclass(frozen=True)
class Stretch:
    """Movements of consecutive documents of one statement in columns, one entry a movement."""

    part: int
    first_line: int  # what the lines count from
    lines: Column[int]
    ids: Column[str]  # without the ordinal of a twin
    payloads: Column[bytes]
    hashes: Column[bytes]
    days: Column[date]  # booked on
    own_accounts: Column[str]
    directions: Column[str]
    keys: Column[bytes]  # movements.natural_key
    rows: Column[Any] | None = None  # payments, where they are mapped already (payments.py)

    @classmethod
    def of(cls, part: int, first_line: int, packed: Packed) -> Stretch:
        count = packed.count
        return cls(
            part,
            first_line,
            Column(_fixed(pa.int32(), count, packed.lines)),
            _texts(count, packed.id_ends, packed.ids),
            _texts(count, packed.payload_ends, packed.payloads, as_bytes=True),
            Column(_fixed(pa.binary(HASH_BYTES), count, packed.hashes)),
            Column(_fixed(pa.date32(), count, packed.days)),
            _texts(count, packed.own_account_ends, packed.own_accounts),
            _texts(count, packed.direction_ends, packed.directions),
            Column(_fixed(pa.binary(KEY_BYTES), count, packed.keys)),
            _payments(packed.payments),
        )

    def chosen(self, places: Sequence[int]) -> Stretch:
        """Some of the entries."""
        columns: dict[str, Any] = {
            name: value.take(places) for name, value in vars(self).items() if isinstance(value, Column)
        }
        return replace(self, **columns)


def _fixed(kind: pa.DataType, count: int, data: bytes) -> pa.Array:
    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(data)])


def _texts(count: int, ends: bytes, data: bytes, *, as_bytes: bool = False) -> Column[Any]:
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(data)]
    return Column(pa.Array.from_buffers(pa.string(), count, buffers), as_bytes=as_bytes)


def _payments(packed: bytes) -> Column[Any] | None:
    sent = payments.read(packed)
    if sent is None:
        return None
    texts = [column._replace(kind="text") if column.kind == "decimal" else column for column in sent]
    arrays = [array_on(column, field.type) for column, field in zip(texts, PAYMENT, strict=True)]
    if any(array is None for array in arrays):
        return None
    return Column(pa.StructArray.from_arrays(arrays, fields=[*PAYMENT]))


class Spool:
    """Entries in the file's order. Write all, then read all; `close` gives the space back."""

    def __init__(self, folder: Path | None = None, *, memory_bytes: int = MEMORY_BYTES) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._file = SpooledTemporaryFile(max_size=memory_bytes, dir=str(folder) if folder else None)  # noqa: SIM115 - closed by `close`
        # Keys as numbers: eight bytes each, where a set of a million keys would take a hundred megabytes.
        self._keys = array("Q")

    def add(self, part: int, first_line: int, packed: bytes, keys: bytes) -> None:
        """Entries as `kept.pack` gives them, and where they stand in the file."""
        self._keys.frombytes(keys)
        for number in (len(packed), part, first_line):
            self._file.write(number.to_bytes(LENGTH_BYTES, "big"))
        self._file.write(packed)

    def repeated_keys(self) -> frozenset[bytes]:
        """Keys that more than one movement has."""
        keys = _fixed(pa.binary(KEY_BYTES), len(self._keys), self._keys.tobytes())
        found = keys.value_counts()
        return frozenset(found.field("values").filter(pc.greater(found.field("counts"), 1)).to_pylist())

    def read(self) -> Iterator[Stretch]:
        decode = msgspec.msgpack.Decoder(Packed).decode
        self._file.seek(0)
        while head := self._file.read(3 * LENGTH_BYTES):
            length, part, first_line = (
                int.from_bytes(head[place : place + LENGTH_BYTES], "big") for place in range(0, len(head), LENGTH_BYTES)
            )
            yield Stretch.of(part, first_line, decode(self._file.read(length)))

    def close(self) -> None:
        self._file.close()
