"""Tables as files of the folder: which mapping reads a table, its records, and what is told about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatch
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

import msgspec

from base.text import Text, say
from base.times import local_day
from connectors.onec.folder import FoundFile
from connectors.onec.kinds import CSV, HEAD_BYTES, XLS, XLSX, sniff
from connectors.onec.movements import clean_account
from connectors.onec.reading import Judged
from connectors.onec.refusal import FileRefusal
from connectors.onec.settings import OnecSettings
from connectors.onec.sheets.builtin import recognise
from connectors.onec.sheets.entry import Identities, StoredRow, payload_of
from connectors.onec.sheets.layout import Plan, make_plan
from connectors.onec.sheets.removed import RowLists, with_removed
from connectors.onec.sheets.settings import SheetMapping
from connectors.onec.sheets.spool import Spool
from connectors.onec.sheets.survey import BadRow, Sink, TableSurvey, mismatch_text, survey_table
from connectors.onec.sheets.table import Table, open_workbook
from connectors.onec.sheets.text_table import open_text_table
from connectors.stream import Reject

# Raised when the same file would be read differently: every file is then read once more.
READER_VERSION = 1


@dataclass
class SheetFile:
    """A file's tables: those that load, and those that don't with the reason."""

    tables: list[TableSurvey] = field(default_factory=list)
    refused: list[tuple[Table, FileRefusal]] = field(default_factory=list)


@dataclass(frozen=True)
class SheetReader:
    """Reads workbooks and text tables by the mappings of `settings`, standard reports of 1C without one."""

    settings: OnecSettings
    zone: ZoneInfo
    today: Callable[[], date]
    # Where large tables wait for their verdict; None = the system's folder for temporary files, which may be memory.
    spool_folder: Path | None = None
    kinds: frozenset[str] = frozenset({XLSX.code, XLS.code, CSV.code})

    def fingerprint(self) -> str:
        mappings = msgspec.json.encode(self.settings.sheets, order="deterministic").decode()
        return f"{READER_VERSION}|{self.settings.encoding or ''}|{mappings}"

    def judge(self, file: FoundFile, stream: BinaryIO) -> Judged:
        """Judge every table of a file.

        Raises:
            FileRefusal: nothing of the file may be loaded.
        """
        spool = Spool(self.spool_folder)
        found = self.survey(file, stream, spool)
        if not found.tables:
            raise _whole(found)
        rejects = [_reject(file, refusal) for _, refusal in found.refused]
        for table in found.tables:
            rejects += table_rejects(file, table)
        records = spool.records()
        if self.spool_folder is not None:
            records = with_removed(records, file, RowLists(self.spool_folder), rejects)
        return Judged(
            records=records,
            rejects=rejects,
            reach=self._reach(file, found),
            bears=any(table.plan.mapping.kind == "payments" for table in found.tables),
        )

    def complete_through(self, reach: Mapping[str, date]) -> date | None:
        """The last day that the tables of every own account cover."""
        closed = {clean_account(account) for account in self.settings.closed_accounts}
        return min((day for account, day in reach.items() if clean_account(account) not in closed), default=None)

    # ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────

    def survey(self, file: FoundFile, stream: BinaryIO, spool: Spool | None = None) -> SheetFile:
        """Every table of a file judged; the records of those that load go into `spool`.

        Raises:
            FileRefusal: the file itself can't be read.
        """
        mappings = [mapping for mapping in self.settings.sheets if fits_file(mapping, file.name)]
        found = SheetFile()
        for table in self.open_tables(stream, mappings):
            # A mapping that names the sheets it is for leaves the others alone.
            suited = [mapping for mapping in mappings if _fits_sheet(mapping, table)]
            if mappings and not suited:
                continue
            part = Spool(self.spool_folder) if spool is not None else None
            sink = _sink(file, table, part) if part is not None else None
            try:
                found.tables.append(survey_table(plan_for(table, suited), sink))
            except FileRefusal as refusal:
                found.refused.append((table, refusal))
                continue
            if spool is not None and part is not None:
                spool.append(part)
        return found

    def open_tables(self, stream: BinaryIO, mappings: list[SheetMapping]) -> list[Table]:
        """The tables of a file of these kinds.

        Raises:
            FileRefusal: the file itself can't be read.
        """
        stream.seek(0)
        kind = sniff(stream.read(HEAD_BYTES))
        if kind is not CSV:
            return open_workbook(stream)
        encoding = next((mapping.encoding for mapping in mappings if mapping.encoding), self.settings.encoding)
        delimiter = next((mapping.delimiter for mapping in mappings if mapping.delimiter), None)
        return [open_text_table(stream, encoding=encoding, delimiter=delimiter)]

    # ── completeness ────────────────────────────────────────────────────────────────────────────────────────────

    def _reach(self, file: FoundFile, found: SheetFile) -> dict[str, date]:
        """The last complete day of payments by own account: a table can't know what came on the day it was made."""
        made_on = local_day(datetime.fromtimestamp(file.changed / 1e9, tz=UTC), self.zone)
        newest = min(made_on, self.today()) - timedelta(days=1)
        reach: dict[str, date] = {}
        for table in found.tables:
            stated = table.plan.period[1] if table.plan.period else table.last_on
            if table.plan.mapping.kind != "payments" or stated is None:
                continue
            for name in table.own_accounts or {_table_name(file, table.plan)}:
                reach[name] = max(min(stated, newest), reach.get(name, date.min))
        return reach


def _sink(file: FoundFile, table: Table, spool: Spool) -> Sink:
    """Where a table's entries become records. Twins are counted within the table."""
    # A table has no time of making: of two copies of a document that of the later file stands.
    version = max(file.changed // 1000, 1)
    identities = Identities()

    def take(row: int | None, entry: StoredRow | None) -> None:
        nonlocal identities
        if row is None or entry is None:
            identities = Identities()
            spool.clear()
            return
        place = table.place(row).removeprefix("line ")
        spool.add(identities.of(entry), payload_of(entry), version, entry.date or entry.document_on, place)

    return take


def plan_for(table: Table, mappings: list[SheetMapping]) -> Plan:
    """The plan of the first mapping whose captions are there, else that of a standard report of 1C.

    Raises:
        FileRefusal: no mapping fits, or nobody knows what the table is.
    """
    refusals = []
    for mapping in mappings:
        try:
            return make_plan(table, mapping)
        except FileRefusal as refusal:
            refusal.bears = mapping.kind == "payments"
            refusals.append(refusal)
    standard = recognise(table)
    if standard is not None:
        return make_plan(table, standard, is_builtin=True)
    raise refusals[0] if refusals else _unmapped(table)


def fits_file(mapping: SheetMapping, name: str) -> bool:
    """The mapping's pattern fits the path or its last part, whatever the case."""
    pattern, path = mapping.file.casefold(), name.casefold()
    return fnmatch(path, pattern) or fnmatch(path.rpartition("/")[2], pattern)


def _fits_sheet(mapping: SheetMapping, table: Table) -> bool:
    return mapping.sheet is None or not table.sheet or fnmatch(table.sheet.casefold(), mapping.sheet.casefold())


def _table_name(file: FoundFile, plan: Plan) -> str:
    """What stands for the account where a table names none: the pattern of its mapping, or the report."""
    return plan.mapping.file if not plan.is_builtin else f"{plan.mapping.layout}:{plan.organisation or ''}"


# ── what is told about a file ───────────────────────────────────────────────────────────────────────────────────


def _reject(file: FoundFile, refusal: FileRefusal) -> Reject:
    """A sheet that doesn't load while others of its file do."""
    sheet = refusal.path.partition("!")[0]
    return Reject(record_id=f"{file.name}:{sheet}", code=refusal.code, message=refusal.message, path=refusal.path)


def _whole(found: SheetFile) -> FileRefusal:
    """No table loads: the first reason stands for the file."""
    if found.refused:
        first = found.refused[0][1]
        first.bears = any(refusal.bears for _, refusal in found.refused)
        return first
    what = say("В файле нет ни одной таблицы с данными.", "The file holds no table with data.")
    return FileRefusal("no_rows", what, say("Проверьте выгрузку.", "Check the export."), bears=False)


def table_rejects(file: FoundFile, found: TableSurvey) -> Iterator[Reject]:
    """What is wrong with a table that loads."""
    place = found.plan.table.place
    for bad in found.bad_rows:
        yield _row_reject(file, found, bad)
    if found.bad_count > len(found.bad_rows):
        more = say(
            "Ещё строк не разобрано: {count}.",
            "{count} more rows can't be read.",
            count=found.bad_count - len(found.bad_rows),
        )
        yield Reject(record_id=file.name, code="more_bad_rows", message=more)
    if (mismatch := mismatch_text(found)) is not None:
        where, message = mismatch
        yield Reject(record_id=f"{file.name}:{where}", code="total_mismatch", message=message, path=where)
    if not found.count and not found.bad_count:
        message = _no_rows(found)
        yield Reject(record_id=file.name, code="no_rows", message=message, path=place(found.plan.header.row))


def _row_reject(file: FoundFile, found: TableSurvey, bad: BadRow) -> Reject:
    place = found.plan.table.place(bad.row, bad.error.column)
    caption = f" «{found.plan.caption(bad.error.column)}»" if bad.error.column is not None else ""
    return Reject(
        record_id=f"{file.name}:{place.removeprefix('line ')}",
        code=bad.error.code,
        message=bad.error.message,
        path=f"{place}{caption}",
        expected=bad.error.expected,
        got=bad.error.got,
        payload=msgspec.json.encode(bad.cells),
    )


def _no_rows(found: TableSurvey) -> Text:
    passed = sum(count for reason, count in found.skipped.items() if reason != "blank")
    return say(
        "Ни одна строка таблицы не загружена (пропущено строк: {passed}). Проверьте выгрузку и columns:"
        " voronka onec inspect ФАЙЛ.",
        "No row of the table was loaded ({passed} rows were passed over). Check the export and columns:"
        " voronka onec inspect FILE.",
        passed=passed,
    )


def _unmapped(table: Table) -> FileRefusal:
    what = say(
        "Таблица незнакомого вида: какой столбец что значит, не указано.",
        "A table of an unknown layout: nothing says which column means what.",
    )
    remedy = say(
        "Запустите voronka onec inspect ФАЙЛ и вставьте предложенное описание в voronka.toml.",
        "Run voronka onec inspect FILE and paste the mapping it proposes into voronka.toml.",
    )
    return FileRefusal("unmapped_table", what, remedy, path=table.sheet or "line 1", bears=False)
