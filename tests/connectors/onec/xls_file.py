"""A real `.xls`: one sheet in BIFF8 inside an OLE2 container, as old accounting writes it. No package writes one."""

from __future__ import annotations

import struct
from collections.abc import Sequence

SECTOR = 512
FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
# Shorter streams live in a small-block area of their own: longer ones need none.
LEAST_STREAM = 4096


def xls(name: str, rows: Sequence[Sequence[str | float]]) -> bytes:
    """Text cells as LABEL records, numbers as NUMBER records; an empty text is no cell."""
    stream = _workbook(name, rows)
    stream += bytes(max(LEAST_STREAM - len(stream), -len(stream) % SECTOR))
    sectors = len(stream) // SECTOR
    # Sector 0 is the table of sectors, 1 the directory, then the stream.
    chain = [FAT, END, *range(3, sectors + 2), END]
    table = struct.pack(f"<{SECTOR // 4}I", *chain, *[FREE] * (SECTOR // 4 - len(chain)))
    directory = _entry("Root Entry", 5, child=1, start=END, size=0) + _entry("Workbook", 2, start=2, size=len(stream))
    return _header() + table + directory.ljust(SECTOR, b"\0") + stream


def _header() -> bytes:
    fields = struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    places = struct.pack("<IIIIIIIII", 0, 1, 1, 0, LEAST_STREAM, END, 0, END, 0)
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + fields + places + struct.pack("<109I", 0, *[FREE] * 108)


def _entry(name: str, kind: int, *, child: int = FREE, start: int, size: int) -> bytes:
    text = name.encode("utf-16-le") + b"\0\0"
    return text.ljust(64, b"\0") + struct.pack("<HBBIII16x4x16xIQ", len(text), kind, 1, FREE, FREE, child, start, size)


def _workbook(name: str, rows: Sequence[Sequence[str | float]]) -> bytes:
    title = struct.pack("<BB", len(name), 1) + name.encode("utf-16-le")
    begins = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0005, 0, 0, 0, 0))
    ends = _record(0x000A, b"")
    sheet_at = len(begins) + len(_record(0x0085, bytes(6) + title)) + len(ends)
    return begins + _record(0x0085, struct.pack("<IBB", sheet_at, 0, 0) + title) + ends + _sheet(rows)


def _sheet(rows: Sequence[Sequence[str | float]]) -> bytes:
    found = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0010, 0, 0, 0, 0))
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            place = struct.pack("<HHH", number, column, 0)
            if isinstance(cell, float):
                found += _record(0x0203, place + struct.pack("<d", cell))
            elif cell:
                found += _record(0x0204, place + struct.pack("<HB", len(cell), 1) + cell.encode("utf-16-le"))
    return found + _record(0x000A, b"")


def _record(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body
