"""The folder as streams read it: one `FileReader` a kind of file, each with its own memory of contents.

A stream takes the files of its kinds and passes over the others; exactly one of the streams tells about what nobody
takes. A file is remembered only when it was read without a finding. So an unreadable or doubtful file is told about
in every run until it is mended or taken away, and the rest of the folder loads meanwhile.

    FolderReading ── list_files, archives ──▶ identify ──▶ FileReader.judge ──▶ Judged.records ──▶ Page
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol
from zoneinfo import ZoneInfo

import pyarrow as pa

from base.columns import Column, Growing, size_of
from base.text import say
from base.times import local_day, start_of_day, to_micros
from connectors.onec.archive import NESTED
from connectors.onec.folder import FoundFile, Memory, digested, list_files, members_of
from connectors.onec.kinds import HEAD_BYTES, ZIP, FileKind, identify, is_wrapping, sniff
from connectors.onec.refusal import FileRefusal
from connectors.stream import Json, Page, Position, Reject, Request, payload_hash

# A page's records; small files share one, so that a folder of daily statements isn't a page a day.
PAGE_RECORDS = 5_000
# Pages wait for the writer by the dozen: large records make short pages.
PAGE_BYTES = 2 << 20
# Put into a page at a time: it gets as much longer than it should.
PUT_RECORDS = 512


class FileRecord(NamedTuple):
    """A record of a file on its way to a page."""

    record_id: str
    payload: bytes
    version: int  # Unix microseconds, 0 = unknown
    day: date | None  # by it windows and the source's `start` choose; None = always taken
    place: str  # line or cell; behind the file's name it is the record's origin


class FileRecords(NamedTuple):
    """The same in columns: a file's records go to pages by the hundred."""

    ids: Sequence[str]
    payloads: Sequence[bytes]
    versions: Sequence[int]
    days: Sequence[date | None]
    places: Sequence[str | int]
    hashes: Sequence[bytes] | None = None  # stream.payload_hash
    rows: Sequence[Any] | None = None  # Page.rows

    def singly(self) -> Iterator[FileRecord]:
        for record_id, payload, version, day, place in zip(*self[:5], strict=True):
            yield FileRecord(record_id, payload, version, day, str(place))

    def part(self, start: int, end: int) -> FileRecords:
        if start == 0 and end >= len(self.ids):
            return self
        return FileRecords(*(None if column is None else column[start:end] for column in self))  # type: ignore[arg-type]

    @classmethod
    def of(cls, records: Iterable[FileRecord]) -> FileRecords:
        columns = [*map(list, zip(*records, strict=True))]
        return cls(*columns) if columns else cls([], [], [], [], [])


@dataclass
class Judged:
    """A file that may be loaded: judged whole before its first record goes on."""

    # Read once, while the file is open, and closed behind the last record taken.
    records: Generator[FileRecords, None, None]
    # What is wrong with parts of it; read after the records, so that a reader may add to it on the way.
    rejects: list[Reject] = field(default_factory=list)
    # The last complete day by own account (or whatever the reader calls complete); read after the records.
    reach: Mapping[str, date] = field(default_factory=dict)
    # False: it says nothing about until when money is complete (orders, costs).
    bears: bool = True
    # Small and JSON: remembered with the file, and given to `compare` of other files.
    note: Json = None
    # What this file and others of the folder, given with their notes, say differently; called after the records.
    compare: Callable[[Sequence[tuple[FoundFile, Json]]], Iterable[Reject]] = lambda others: ()


class FileReader(Protocol):
    """What one stream does with a file. Everything else about folders is `FolderReading`'s."""

    @property
    def kinds(self) -> frozenset[str]:
        """Codes of the kinds it takes (kinds.py)."""

    def fingerprint(self) -> str:
        """Names how files are read: settings and a version. When it changes, every file is read once more."""

    def judge(self, file: FoundFile, stream: BinaryIO) -> Judged:
        """Judge an open file.

        Raises:
            FileRefusal: nothing of it may be loaded.
        """

    def complete_through(self, reach: Mapping[str, date]) -> date | None:
        """The last day that is complete, by all that was ever reached; None = none yet."""


@dataclass
class _Draft:
    """Records and rejects waiting to become a page."""

    ids: Growing[str] = field(default_factory=Growing)
    payloads: Growing[bytes] = field(default_factory=Growing)
    versions: Growing[int] = field(default_factory=Growing)
    cursors: Growing[int] = field(default_factory=Growing)
    origins: Growing[str] = field(default_factory=Growing)
    hashes: Growing[bytes] = field(default_factory=Growing)
    rows: Growing[Any] = field(default_factory=Growing)
    rejects: list[Reject] = field(default_factory=list)


# What is told about a file that no stream takes.
Refuse = Callable[[FileKind], FileRefusal]


class FolderReading:
    """One run of one stream over the folder.

    `refuse` is given to exactly one stream: the one that tells about files of no stream's kinds, `taken` being the
    kinds of all streams, and about archives. `reached` is shared by the streams of a run: an account that an earlier
    stream covers further isn't held back by what a later one has of it.
    """

    def __init__(
        self,
        folder: Path,
        reader: FileReader,
        request: Request,
        *,
        zone: ZoneInfo,
        page_records: int = PAGE_RECORDS,
        refuse: Refuse | None = None,
        taken: frozenset[str] = frozenset(),
        reached: dict[str, date] | None = None,
    ) -> None:
        self._folder = folder
        self._reader = reader
        self._request = request
        self._zone = zone
        self._page_records = page_records
        self._refuse = refuse
        self._taken = taken | reader.kinds
        self._reached = reached if reached is not None else {}
        position = None if request.full or request.window else request.position
        start = f"{request.start}" if request.start else ""
        self._memory = Memory.of(position, f"{reader.fingerprint()}|{start}")
        self._first_on = local_day(request.start, zone) if request.start else date.min
        self._last_on = local_day(request.end, zone) if request.window else date.max
        self._cursors: dict[date | None, int] = {}
        self._draft = _Draft()
        self._draft_bytes = 0
        self._sees_others = False
        self._present: dict[str, FoundFile] = {}

    def pages(self) -> Iterator[Page]:
        """Pages of the records of all new and changed files, the last one with what is complete.

        The position names a file once all its records are out, so that a killed run reads at most the files of one
        page again. A window by hand reads every file for the days asked for and moves nothing. Days before the
        source's `start` are left out.

        Raises:
            FileError: the folder isn't there or can't be listed.
        """
        memory, request = self._memory, self._request
        before = memory.position()
        for file in self._files():
            for _ in self._read_file(file):
                if len(self._draft.ids) >= self._page_records or self._draft_bytes >= PAGE_BYTES:
                    yield self._take(None if request.window else memory.position())
        after = memory.position()
        moved = not request.window and (request.position is None or after != before)
        page = self._take(after if moved else None)
        if not request.window:
            page.complete_until = self._complete_until()
            page.is_idle = not memory.has_seen and (self._refuse is None or self._sees_others)
        yield page

    def _take(self, position: Position | None) -> Page:
        """The page as filled so far; a new one is begun."""
        page = Page(**vars(self._draft), position=position)
        self._draft = _Draft()
        self._draft_bytes = 0
        return page

    def _complete_until(self) -> datetime | None:
        reach = {}
        for name, day in self._memory.accounts.items():
            reach[name] = max(date.fromisoformat(day), self._reached.get(name, date.min))
        self._reached |= reach
        through = self._reader.complete_through(reach)
        return start_of_day(through + timedelta(days=1), self._zone) if through else None

    # ── which files ─────────────────────────────────────────────────────────────────────────────────────────────

    def _files(self) -> Iterator[FoundFile]:
        """The files of this stream's kinds that are new or changed; archives are opened up."""
        files = list_files(self._folder)
        self._present = {file.name: file for file in files}
        for file in files:
            kind = self._kind_of(file)
            if kind != ZIP.code:
                if kind in self._reader.kinds:
                    yield file
                continue
            try:
                members, contents = members_of(file)
            except OSError as error:
                self._tell(file, _unreadable(error))
                continue
            for name, refusal in contents.refused:
                self._tell(file, refusal, name=f"{file.name}/{name}" if name else file.name)
            self._present |= {member.name: member for member in members}
            for member in members:
                member_kind = self._kind_of(member)
                if member_kind == ZIP.code:
                    self._tell(member, NESTED)
                elif member_kind in self._reader.kinds:
                    yield member

    def _kind_of(self, file: FoundFile) -> str:
        """A kind's code; `""` for what is known already, or can't be loaded (which is told here)."""
        memory = self._memory
        if memory.is_untouched(file):
            return ""
        known = memory.other_kind(file)
        if known is None:
            try:
                kind = kind_of(file)
            except FileRefusal as refusal:
                self._tell(file, refusal)
                return ""
            except OSError as error:
                self._tell(file, _unreadable(error))
                return ""
            known = kind.code
            if known not in self._taken and kind is not ZIP:
                # Told in every run, so it is not remembered.
                self._tell(file, self._refuse(kind) if self._refuse else None)
                return ""
            if known not in self._reader.kinds:
                memory.pass_over(file, known)
        if known not in self._reader.kinds and known != ZIP.code:
            self._sees_others = True
            return ""
        return known

    def _tell(self, file: FoundFile, refusal: FileRefusal | None, *, name: str = "") -> None:
        """Note what keeps a file of no stream from loading; one of the streams does so for all."""
        if self._refuse is not None and refusal is not None:
            self._draft.rejects.append(_refused(name or file.name, refusal))

    # ── one file ────────────────────────────────────────────────────────────────────────────────────────────────

    def _read_file(self, file: FoundFile) -> Iterator[None]:
        """Put a file's records into the draft, stopping so often that no page gets too full; remember the file."""
        memory = self._memory
        try:
            with file.open() as stream, digested(file, stream, memory) as digest:
                if digest is None:
                    return
                stream.seek(0)
                judged = self._reader.judge(file, stream)
                # It would take a processor from those who look the file through.
                digest.begin()
                memory.has_seen = memory.has_seen or judged.bears
                yield from self._put_records(file, judged)
                is_same = file.is_unchanged()
                content = digest.value()
        except FileRefusal as refusal:
            memory.has_seen = memory.has_seen or refusal.bears
            self._draft.rejects.append(_refused(file.name, refusal))
            return
        except OSError as error:
            self._draft.rejects.append(_refused(file.name, _unreadable(error)))
            return
        rejects = [*judged.rejects, *self._compare(file, judged)]
        self._draft.rejects += rejects
        if not is_same:
            self._draft.rejects.append(_refused(file.name, _CHANGING))
        elif not rejects:
            memory.remember(file, content)
        memory.note_complete(judged.reach)

    def _compare(self, file: FoundFile, judged: Judged) -> list[Reject]:
        """What the file and others read before it, in this run or an earlier one, say differently."""
        notes = self._memory.notes
        found: list[Reject] = []
        if judged.note and not self._request.window:
            others = [(self._present[name], note) for name, note in notes.items() if name in self._present]
            found += judged.compare([(other, note) for other, note in others if other.name != file.name])
            notes[file.name] = judged.note
        return found

    def _put_records(self, file: FoundFile, judged: Judged) -> Iterator[None]:
        with closing(judged.records) as columns:
            for records in columns:
                wanted = self._wanted(records)
                count, place = len(wanted.ids), 0
                while place < count:
                    room = min(max(self._page_records - len(self._draft.ids), 1), PUT_RECORDS)
                    self._put(file, wanted.part(place, place + room))
                    place += room
                    yield

    def _wanted(self, records: FileRecords) -> FileRecords:
        """The records of the days that are asked for."""
        first, last = (records.days.bounds() if isinstance(records.days, Column) else None) or (date.min, date.max)
        if self._first_on <= first and last <= self._last_on:
            return records
        return FileRecords.of(
            record for record in records.singly() if record.day is None or self._first_on <= record.day <= self._last_on
        )

    def _put(self, file: FoundFile, records: FileRecords) -> None:
        draft, name, (days, places) = self._draft, file.name, (records.days, records.places)
        draft.ids += records.ids
        draft.payloads += records.payloads
        draft.versions += records.versions
        draft.cursors += (
            days.each(self._cursor_of, pa.int64()) if isinstance(days, Column) else map(self._cursor_of, days)
        )
        draft.origins += (
            places.behind(f"{name}:") if isinstance(places, Column) else [f"{name}:{place}" for place in places]
        )
        draft.hashes += map(payload_hash, records.payloads) if records.hashes is None else records.hashes
        draft.rows += [None] * len(records.ids) if records.rows is None else records.rows
        self._draft_bytes += size_of(records.payloads)

    def _cursor_of(self, day: date | None) -> int:
        """A day's beginning, by which the stream is read; 0 = none."""
        cursor = self._cursors.get(day)
        if cursor is None:
            cursor = max(to_micros(start_of_day(day, self._zone)), 0) if day else 0
            self._cursors[day] = cursor
        return cursor


@contextmanager
def opened_kind(file: FoundFile) -> Iterator[tuple[FileKind, BinaryIO]]:
    """A file with its kind, open at its beginning.

    Raises:
        FileRefusal: a damaged archive.
        OSError: it can't be read.
    """
    with file.open() as stream:
        kind = identify(stream.read(HEAD_BYTES), stream)
        stream.seek(0)
        yield kind, stream


def kind_of(file: FoundFile) -> FileKind:
    """The kind of a file; only what is wrapped is unpacked for it. Raises like `opened_kind`."""
    kind = sniff(file.read_head(HEAD_BYTES))
    if not is_wrapping(kind):
        return kind
    with opened_kind(file) as (kind, _):
        return kind


# ── what is told about a file ───────────────────────────────────────────────────────────────────────────────────


def _refused(name: str, refusal: FileRefusal) -> Reject:
    return Reject(record_id=name, code=refusal.code, message=refusal.message, path=refusal.path)


def _unreadable(error: OSError) -> FileRefusal:
    what = say(
        "Файл не читается: {reason}.", "Can't read the file: {reason}.", reason=error.strerror or type(error).__name__
    )
    return FileRefusal("unreadable_file", what, say("Проверьте права и диск.", "Check its rights and the disk."))


_CHANGING = FileRefusal(
    "changed_while_read",
    say(
        "Файл менялся во время чтения; он будет прочитан снова в следующий раз.",
        "The file changed while it was read; it will be read again next time.",
    ),
)
