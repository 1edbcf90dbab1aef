"""What a single file is, what of it would load, and what is wrong with it; nothing is stored.

The file goes the way it would go in a load: the reader of its kind judges it, and its records are mapped. So what is
told here is what happens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from base.text import Text
from connectors.onec.archive import NESTED
from connectors.onec.client import OnecClient, refuse_kind
from connectors.onec.folder import FoundFile, found_file, members_of
from connectors.onec.kinds import ZIP, FileKind
from connectors.onec.reading import FileReader, kind_of, opened_kind
from connectors.onec.refusal import FileRefusal
from connectors.onec.sheets.propose import Proposal, captions_of, propose
from connectors.onec.sheets.reader import SheetReader
from connectors.stream import BadRecord, MapContext, Mapper, RawRecord, Rows, Stream

CHUNK_RECORDS = 5_000
SHOWN_PROBLEMS = 20
# Columns of the core by which rows are dated.
_DAYS = ("paid_on", "issued_on", "as_of")


@dataclass
class Would:
    """What would be loaded into one relation."""

    relation: str
    rows: int = 0
    came: Decimal = Decimal("0.00")
    left: Decimal = Decimal("0.00")
    first_on: date | None = None
    last_on: date | None = None
    own_accounts: set[str] = field(default_factory=set)
    kinds: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Problem:
    """Something that would not be loaded, or should be looked at: where, and why."""

    place: str
    message: Text
    code: str


@dataclass
class Offer:
    """A table without a mapping: the mapping proposed, if any, and the captions it has."""

    sheet: str
    captions: list[str]
    proposal: Proposal | None


@dataclass
class Inspection:
    """One file. An archive has `members` and loads nothing itself."""

    name: str
    kind: FileKind | None = None
    would: dict[str, Would] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0
    offers: list[Offer] = field(default_factory=list)
    # Rows of tables that are no records, by reason (sheets/rows.py): totals, captions, empty ones.
    skipped: Counter[str] = field(default_factory=Counter)
    members: list[Inspection] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """All of it would load."""
        return not self.problem_count and all(member.is_good for member in self.members)

    def tell(self, place: str, message: Text, code: str) -> None:
        self.problem_count += 1
        if len(self.problems) < SHOWN_PROBLEMS:
            self.problems.append(Problem(place, message, code))


@dataclass(frozen=True)
class Inspector:
    """Looks at files as one source of the configuration would read them."""

    client: OnecClient
    streams: Mapping[str, Stream[OnecClient]]
    context: MapContext

    def inspect(self, path: Path) -> Inspection:
        """Look at a file.

        Raises:
            OSError: it isn't there or can't be read.
        """
        return self._look(found_file(path, self._name_of(path)))

    def _name_of(self, path: Path) -> str:
        """The name by which mappings know the file: its path within the folder, if it lies there."""
        try:
            return path.resolve().relative_to(self.client.folder.resolve()).as_posix()
        except ValueError:
            return path.name

    def _look(self, file: FoundFile, *, is_member: bool = False) -> Inspection:
        found = Inspection(file.name)
        try:
            found.kind = kind_of(file)
            if found.kind is ZIP:
                self._look_inside(file, found, is_member)
            else:
                self._judge(file, found)
        except FileRefusal as refusal:
            found.tell(refusal.path, refusal.message, refusal.code)
        return found

    def _look_inside(self, file: FoundFile, found: Inspection, is_member: bool) -> None:
        if is_member:
            raise NESTED
        members, contents = members_of(file)
        for name, refusal in contents.refused:
            found.tell(name, refusal.message, refusal.code)
        found.members = [self._look(member, is_member=True) for member in members]

    def _judge(self, file: FoundFile, found: Inspection) -> None:
        assert found.kind is not None
        code = found.kind.code
        name, reader = next(
            ((name, reader) for name, reader in self.client.readers.items() if code in reader.kinds), ("", None)
        )
        if reader is None:
            raise refuse_kind(found.kind)
        with opened_kind(file) as (_, stream):
            try:
                self._count(name, reader, file, stream, found)
            finally:
                if isinstance(reader, SheetReader):
                    _look_closer(reader, file, stream, found)

    def _count(self, name: str, reader: FileReader, file: FoundFile, stream: BinaryIO, found: Inspection) -> None:
        """Map every record, as conforming would."""
        transform = self.streams[name].map
        judged = reader.judge(file, stream)
        rows, waiting = Rows(), 0
        with closing(judged.records) as records:
            for record in chain.from_iterable(part.singly() for part in records):
                if transform is not None:
                    raw = RawRecord(record.record_id, record.payload, 1, 1, f"{file.name}:{record.place}")
                    _map(transform, raw, self.context, rows, found, record.place)
                waiting += 1
                if waiting == CHUNK_RECORDS:
                    _add_up(rows, found)
                    rows, waiting = Rows(), 0
        _add_up(rows, found)
        for reject in judged.rejects:
            found.tell(reject.path, reject.message, reject.code)


def _map(transform: Mapper, raw: RawRecord, context: MapContext, rows: Rows, found: Inspection, place: str) -> None:
    try:
        transform(raw, context, rows)
    except BadRecord as verdict:
        found.tell(place, verdict.message, verdict.code)
    except msgspec.ValidationError as error:
        found.tell(place, Text(str(error), str(error)), "wrong_type")


def _add_up(rows: Rows, found: Inspection) -> None:
    for into, made in rows.rows.items():
        would = found.would.setdefault(into.relation, Would(into.relation))
        columns = {name: place for place, name in enumerate(into.columns)}
        for row in made:
            _add_row(would, row, columns)
        would.rows += len(made)


def _add_row(would: Would, row: tuple[Any, ...], columns: Mapping[str, int]) -> None:
    amount = row[columns["amount"]] if "amount" in columns else None
    if amount is not None and amount < 0:
        would.left -= amount
    elif amount is not None:
        would.came += amount
    day = next((row[columns[name]] for name in _DAYS if name in columns and row[columns[name]] is not None), None)
    if day is not None:
        would.first_on = min(day, would.first_on or day)
        would.last_on = max(day, would.last_on or day)
    if "own_account" in columns and (account := row[columns["own_account"]]):
        would.own_accounts.add(account)
    if "kind" in columns and (kind := row[columns["kind"]]):
        would.kinds[kind] += 1


def _look_closer(reader: SheetReader, file: FoundFile, stream: BinaryIO, found: Inspection) -> None:
    """Of tables: which rows are passed over, and mappings for those that no mapping and no standard report fits."""
    try:
        survey = reader.survey(file, stream)
    except FileRefusal:
        return
    for known in survey.tables:
        found.skipped.update(known.skipped)
    several = len(survey.tables) + len(survey.refused) > 1
    for table, refusal in survey.refused:
        if refusal.code in ("unmapped_table", "no_header", "column_missing", "columns_misfit"):
            proposal = propose(table, file.name, names_sheet=several)
            found.offers.append(Offer(table.sheet, captions_of(table), proposal))
