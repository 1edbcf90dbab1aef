"""A table judged as a whole before any of its rows goes on, and then its entries.

Totals are checked against the rows above them: all of them, or those since the total before. Too many unreadable rows
mean that the mapping is wrong, not the rows: then nothing loads.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from base.text import Text, say
from connectors.onec.refusal import FileRefusal
from connectors.onec.sheets.cards import CardReader, joined
from connectors.onec.sheets.entry import StoredRow
from connectors.onec.sheets.layout import Plan
from connectors.onec.sheets.rows import ListReader, RowError, first_text
from connectors.onec.sheets.table import Row
from connectors.onec.sheets.values import text_of

# Unreadable rows told one by one; the rest is counted.
SHOWN_ROWS = 50
# More unreadable rows than readable ones, and at least so many: the mapping doesn't fit.
MISFIT_ROWS = 5
NOTHING = Decimal("0.00")


@dataclass(frozen=True)
class BadRow:
    row: int
    error: RowError
    cells: dict[str, str]


@dataclass
class TableSurvey:
    """What a table holds. Sums are by field of the amounts' columns, as they stand."""

    plan: Plan
    grouping: Mapping[str, str]
    count: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    bad_rows: list[BadRow] = field(default_factory=list)
    bad_count: int = 0
    sums: dict[str, Decimal] = field(default_factory=lambda: defaultdict(lambda: NOTHING))
    came: Decimal = NOTHING
    left: Decimal = NOTHING
    first_on: date | None = None
    last_on: date | None = None
    own_accounts: set[str] = field(default_factory=set)
    # A total that is neither the sum of all rows nor of those since the one before: (row, field, stated, found).
    mismatch: tuple[int, str, Decimal, Decimal] | None = None

    def take(self, entry: StoredRow) -> None:
        self.count += 1
        if entry.direction == "out" or entry.amount < 0:
            self.left += abs(entry.amount)
        else:
            self.came += entry.amount
        if entry.own_account:
            self.own_accounts.add(entry.own_account)
        day = entry.date
        if day is not None:
            self.first_on = day if self.first_on is None or day < self.first_on else self.first_on
            self.last_on = day if self.last_on is None or day > self.last_on else self.last_on


# What is done with an entry and its row; `None` for both begins the table anew.
Sink = Callable[[int | None, StoredRow | None], None]


def survey_table(plan: Plan, sink: Sink | None = None) -> TableSurvey:
    """Read a table once and judge it; its entries go to `sink` in their order.

    It is read twice, if its amounts turn out to group thousands by commas or points.

    Raises:
        FileRefusal: its rows can't be what the mapping says.
    """
    found = _Judge(plan, {}, sink).read()
    if found.grouping:
        if sink is not None:
            sink(None, None)
        found = _Judge(plan, found.grouping, sink).read()
    if found.bad_count >= MISFIT_ROWS and found.bad_count > found.count:
        raise _misfit(found)
    if plan.mapping.kind == "receivables" and found.count and found.first_on is None:
        raise _no_day(plan)
    return found


class _Judge:
    def __init__(self, plan: Plan, grouping: Mapping[str, str], sink: Sink | None) -> None:
        reader = ListReader if plan.mapping.layout == "list" else CardReader
        self._reader = reader(plan, dict(grouping), keeps_cells=sink is not None)
        self._found = TableSurvey(plan, grouping)
        self._sink = sink
        # A posting waits for the next ones of its document.
        self._waits = plan.mapping.layout != "list"
        self._waiting: tuple[int, StoredRow] | None = None
        # Since the total before.
        self._part: dict[str, Decimal] = defaultdict(lambda: NOTHING)

    def read(self) -> TableSurvey:
        found, reader, last = self._found, self._reader, self._found.plan.header.last_row
        for row, cells in found.plan.table.rows():
            if row <= last:
                continue
            try:
                entry = reader(cells)
                if entry == "total":
                    self._check_total(row, cells)
            except RowError as error:
                self._reject(row, cells, error)
                continue
            if isinstance(entry, str):
                found.skipped[entry] += 1
                continue
            self._add(reader.last_amounts)
            if self._waits:
                self._wait(row, entry)
            else:
                self._emit(row, entry)
        if self._waiting is not None:
            self._emit(*self._waiting)
        found.grouping = {name: mark for name, noted in reader.groupings.items() if (mark := noted.mark())}
        return found

    def _wait(self, row: int, entry: StoredRow) -> None:
        if self._waiting is not None:
            if joined(self._waiting[1], entry) is not None:
                return
            self._emit(*self._waiting)
        self._waiting = (row, entry)

    def _emit(self, row: int, entry: StoredRow) -> None:
        self._found.take(entry)
        if self._sink is not None:
            self._sink(row, entry)

    def _add(self, amounts: Mapping[str, Decimal]) -> None:
        for name, amount in amounts.items():
            self._found.sums[name] += amount
            self._part[name] += amount

    def _check_total(self, row: int, cells: Row) -> None:
        found = self._found
        try:
            stated = self._reader.amounts(cells)
        except RowError:
            stated = {}  # words in a row of totals
        if not self._part or not stated or is_balance(cells):
            return
        found.mismatch = None
        for name, amount in stated.items():
            if amount not in (found.sums[name], self._part[name]):
                found.mismatch = (row, name, amount, found.sums[name])
        self._part.clear()

    def _reject(self, row: int, cells: Row, error: RowError) -> None:
        self._found.bad_count += 1
        if len(self._found.bad_rows) < SHOWN_ROWS:
            shown = {str(place): text for place, cell in enumerate(cells) if (text := text_of(cell))}
            self._found.bad_rows.append(BadRow(row, error, shown))


def is_balance(cells: Row) -> bool:
    """A row of balances, which are no sum of the rows («Обороты за период и сальдо на конец» is one)."""
    first = first_text(cells).casefold()
    return first.startswith(("сальдо", "остаток")) or "страниц" in first


# ── what is told ────────────────────────────────────────────────────────────────────────────────────────────────

_INSPECT = say(
    "Проверьте columns в voronka.toml: voronka onec inspect ФАЙЛ.",
    "Check columns in voronka.toml: voronka onec inspect FILE.",
)


def _misfit(found: TableSurvey) -> FileRefusal:
    first = found.bad_rows[0]
    place = found.plan.table.place(first.row, first.error.column)
    what = say(
        "Строк не разобрано: {bad} из {all}; похоже, столбцы указаны неверно. Первая: {place} — {reason}"
        " Ничего из таблицы не загружено.",
        "{bad} of {all} rows can't be read; the columns seem to be wrong. The first: {place}: {reason}"
        " Nothing of the table was loaded.",
        bad=found.bad_count,
        all=found.bad_count + found.count,
        place=place,
        reason=first.error.message,
    )
    return FileRefusal("columns_misfit", what, _INSPECT, path=place)


def _no_day(plan: Plan) -> FileRefusal:
    what = say("Не сказано, на какой день эта задолженность.", "Nothing says on which day these debts stood.")
    remedy = say(
        'Укажите as_of = "ГГГГ-ММ-ДД" или столбец date в voronka.toml.',
        'Give as_of = "YYYY-MM-DD" or the column date in voronka.toml.',
    )
    return FileRefusal("no_date", what, remedy, path=plan.table.place(plan.header.row))


def mismatch_text(found: TableSurvey) -> tuple[str, Text] | None:
    """`(place, message)` of a total that its rows don't make."""
    if found.mismatch is None or found.bad_count:
        return None
    row, name, stated, summed = found.mismatch
    message = say(
        "Итог {stated} не равен сумме строк {summed}. Строки загружены; проверьте, вся ли таблица выгружена.",
        "The total {stated} differs from the rows' sum {summed}. The rows were loaded; check whether the export is"
        " whole.",
        stated=stated,
        summed=summed,
    )
    return found.plan.table.place(row, found.plan.columns.get(name)), message
