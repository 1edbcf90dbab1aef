"""Records of a table waiting for the verdict on it, in a temporary file: nothing goes on before all of it is judged."""

from __future__ import annotations

from collections.abc import Generator
from datetime import date
from functools import lru_cache
from pathlib import Path
from tempfile import SpooledTemporaryFile

import msgspec

from connectors.onec.reading import FileRecords

CHUNK_RECORDS = 1_000
MEMORY_BYTES = 8 << 20
Stored = tuple[str, bytes, int, int, str]
Columns = tuple[list[str], list[bytes], list[int], list[int], list[str]]


class Spool:
    """Write, then read once. The file has no name and goes with the object."""

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._parts: list[Spool] = []
        # Small tables stay in memory. On disk it has no name, so that a kill leaves nothing behind.
        self._file = SpooledTemporaryFile(MEMORY_BYTES, dir=str(folder) if folder else None)  # noqa: SIM115 - goes with the object
        self._waiting: list[Stored] = []
        self._sizes: list[int] = []

    def add(self, record_id: str, payload: bytes, version: int, day: date | None, place: str) -> None:
        self._waiting.append((record_id, payload, version, day.toordinal() if day else 0, place))
        if len(self._waiting) >= CHUNK_RECORDS:
            self._flush()

    def clear(self) -> None:
        """Forget everything: the table is read again in another way."""
        self._file.seek(0)
        self._file.truncate()
        self._waiting, self._sizes = [], []

    def append(self, part: Spool) -> None:
        """Another table's records, behind what there is."""
        self._parts.append(part)

    def records(self) -> Generator[FileRecords, None, None]:
        """What was added, in its order."""
        self._flush()
        self._file.seek(0)
        decoder = msgspec.msgpack.Decoder(Columns)
        for size in self._sizes:
            ids, payloads, versions, days, places = decoder.decode(self._file.read(size))
            yield FileRecords(ids, payloads, versions, [*map(_day_of, days)], places)
        for part in self._parts:
            yield from part.records()

    def _flush(self) -> None:
        if self._waiting:
            self._sizes.append(self._file.write(msgspec.msgpack.encode([*zip(*self._waiting, strict=True)])))
            self._waiting = []


@lru_cache(maxsize=4096)
def _day_of(ordinal: int) -> date | None:
    return date.fromordinal(ordinal) if ordinal else None
