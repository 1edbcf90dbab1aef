"""Rows that a table no longer has after its file was replaced: they are taken back, and nothing else is.

A row goes only when the same file, by its name, once stated it, states it no longer, and still states rows of days on
both sides of it: a file that is overwritten with the next month's table takes nothing back. A row that another file
states stands. What a file stated is kept beside the source's state, rows that are gone included: a killed run takes
them back again, which changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, TextIO

import msgspec

from base.durable import flush, flush_folder
from base.text import say
from connectors.onec.folder import FoundFile
from connectors.onec.reading import FileRecords
from connectors.onec.sheets.entry import gone_payload
from connectors.onec.sheets.settings import Kind
from connectors.stream import Reject

# A filtered export under the old name looks like this: more rows gone, and more of them, than anybody deletes by hand.
MOST_ROWS = 20
MOST_SHARE = 0.5
_FOLDER = ".sheet-rows"
_log = logging.getLogger("voronka.onec")


class _Row(NamedTuple):
    kind: Kind
    day: date | None
    is_there: bool


class _OfKind(msgspec.Struct):
    kind: Kind


_KIND = msgspec.json.Decoder(_OfKind)
Rows = dict[str, _Row]


@dataclass(frozen=True)
class RowLists:
    """What each file of a source stated, a list each: a line a row. `folder` is the source's state.

    Read and written line by line: of half a million rows that are read for the first time none is held.
    """

    folder: Path

    def read(self, name: str) -> Rows:
        """Empty for a file that was never read."""
        path = self._path(name)
        return _read(path) if path.exists() else {}

    def others(self, name: str) -> Iterator[Rows]:
        own = self._path(name)
        return (_read(path) for path in sorted(own.parent.glob("*.rows")) if path != own)

    @contextmanager
    def draft(self, name: str) -> Iterator[Draft]:
        """A list that takes the place of the old one at the end, if it was kept."""
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                draft = Draft(file)
                yield draft
            if draft.is_kept:
                flush(temporary)
                temporary.replace(path)
                flush_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / _FOLDER / f"{sha256(name.encode()).hexdigest()[:32]}.rows"


@dataclass
class Draft:
    file: TextIO
    is_kept: bool = False

    def add_part(self, part: FileRecords, kind: Kind) -> None:
        """Rows that the file states."""
        rows = zip(part.ids, part.days, strict=True)
        self.file.write("".join([f"{record_id}\t{kind}\t{day or ''}\t\n" for record_id, day in rows]))

    def add(self, record_id: str, row: _Row) -> None:
        self.file.write(f"{record_id}\t{row.kind}\t{row.day or ''}\t{'' if row.is_there else 'gone'}\n")


def _read(path: Path) -> Rows:
    # Few kinds and days: rows that say the same are one object.
    known: dict[tuple[str, str, str], _Row] = {}
    rows: Rows = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            record_id, *key = line.rstrip("\n").split("\t")
            kind, day, gone = key
            row = known.get((kind, day, gone))
            if row is None:
                found = _Row(msgspec.convert(kind, Kind), date.fromisoformat(day) if day else None, not gone)
                row = known[kind, day, gone] = found
            rows[record_id] = row
    return rows


def with_removed(
    records: Generator[FileRecords, None, None], file: FoundFile, lists: RowLists, rejects: list[Reject]
) -> Generator[FileRecords, None, None]:
    """The records of a table's file, and behind them a record for each row that is gone.

    `rejects` gets one when too much is gone to be true: then nothing is taken back.
    """
    before, count = lists.read(file.name), 0
    spans: dict[Kind, tuple[date, date]] = {}
    with closing(records), lists.draft(file.name) as draft:
        for part in records:
            # A part is of one table, and a table of one kind.
            kind = _KIND.decode(part.payloads[0]).kind
            draft.add_part(part, kind)
            for record_id in part.ids if before else ():
                before.pop(record_id, None)
            days = [day for day in part.days if day is not None]
            if days:
                days += spans.get(kind, ())
                spans[kind] = min(days), max(days)
            count += len(part.ids)
            yield part
        gone = [record_id for record_id, row in before.items() if _is_within(row, spans)]
        lost = sum(before[record_id].is_there for record_id in gone)
        if lost > MOST_ROWS and lost > MOST_SHARE * (lost + count):
            rejects.append(_too_many(file, lost))
            return
        taken = _unstated(gone, lists.others(file.name)) if gone else []
        if taken:
            _log.info("file=%s event=rows_removed rows=%d", file.name, len(taken))
            yield _removed(file, {record_id: before[record_id] for record_id in taken})
        for record_id in taken:
            before[record_id] = before[record_id]._replace(is_there=False)
        for record_id, row in before.items():
            draft.add(record_id, row)
        draft.is_kept = True


def _is_within(row: _Row, spans: Mapping[Kind, tuple[date, date]]) -> bool:
    """A row of a kind, and of days, that the file states still."""
    span = spans.get(row.kind)
    return row.day is not None and span is not None and span[0] <= row.day <= span[1]


def _unstated(gone: list[str], others: Iterator[Rows]) -> list[str]:
    """Those that no other file states."""
    for rows in others:
        gone = [record_id for record_id in gone if not (row := rows.get(record_id)) or not row.is_there]
    return gone


def _removed(file: FoundFile, gone: Rows) -> FileRecords:
    """By its day a row is found again: should it come back, its old payload must not look like the last word."""
    count, version = len(gone), max(file.changed // 1000, 1)
    payloads = [gone_payload(row.kind) for row in gone.values()]
    days = [row.day for row in gone.values()]
    return FileRecords(list(gone), payloads, [version] * count, days, ["removed"] * count)


def _too_many(file: FoundFile, count: int) -> Reject:
    message = say(
        "Из файла пропало строк: {count}, больше половины за те же дни. Они остаются учтёнными. Если это другая"
        " выборка, дайте файлу другое имя; если строки удалены верно, уберите их из него в несколько приёмов.",
        "{count} rows are gone from the file, more than half of the same days. They stay counted. If this is another"
        " selection, give the file another name; if the rows were rightly deleted, take them out in several steps.",
        count=count,
    )
    return Reject(record_id=file.name, code="rows_missing", message=message, path=file.name)
