"""One row of a table: an entry, a row that is no entry and why, or one that can't be read."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Literal

from base.tax_ids import clean_tax_id
from base.text import Text, say
from connectors.onec.movements import clean_account
from connectors.onec.sheets.entry import StoredRow
from connectors.onec.sheets.layout import Plan
from connectors.onec.sheets.table import Row, letter_of
from connectors.onec.sheets.values import Cell, Grouping, common_amount, read_amount, read_day, read_document, text_of

Skipped = Literal["blank", "total", "header", "group", "filtered", "no_money"]
TOTALS = re.compile(r"^(?:итог|всего|оборот|сальдо|остаток|total|subtotal)", re.IGNORECASE)
AMOUNTS = ("amount", "amount_in", "amount_out")
# Beginnings of the words that tables have for the two directions.
_INCOMING = ("поступ", "приход", "зачисл", "входящ", "оплата от", "in", "дебет")
_OUTGOING = ("списан", "расход", "исходящ", "выплат", "возврат", "перечисл", "out", "кредит")


class RowError(Exception):
    """A row that should be an entry and can't be read; `column` is the one that is wrong, from 0."""

    def __init__(self, code: str, message: Text, column: int | None, *, expected: str = "", got: str = "") -> None:
        super().__init__(str(message))
        self.code = code
        self.message = message
        self.column = column
        self.expected = expected
        self.got = got


def begins_total(text: str, skip_rows: tuple[str, ...] = ()) -> bool:
    """The first filled cell of a row of totals, balances, or what the mapping passes over."""
    return bool(TOTALS.match(text)) or (bool(skip_rows) and text.casefold().startswith(skip_rows))


def first_text(cells: Row) -> str:
    """The first filled cell of a row, `""` if there is none."""
    for cell in cells:
        if cell and (text := text_of(cell)):
            return text
    return ""


class ListReader:
    """Rows of a table in which a row is a document.

    `grouping`: by field, the separator that groups thousands in its column; `groupings` notes what the columns show.
    `keeps_cells` False: entries without their cells, for judging.
    """

    def __init__(self, plan: Plan, grouping: dict[str, str] | None = None, *, keeps_cells: bool = True) -> None:
        self.plan = plan
        self._keeps_cells = keeps_cells
        # Of the entry read last, by field.
        self.last_amounts: dict[str, Decimal] = {}
        self.groupings = {name: Grouping() for name in AMOUNTS if name in plan.columns}
        self._grouping = grouping or {}
        self._columns = plan.columns
        self._mapping = plan.mapping
        self._skip_rows = tuple(text.casefold() for text in plan.mapping.skip_rows)
        self._texts = [(name, place) for name, place in plan.columns.items() if name not in _TYPED]
        self._captions = _captions(plan, len(plan.header.shown))
        self._incoming = tuple(word.casefold() for word in plan.mapping.incoming) or _INCOMING
        self._outgoing = tuple(word.casefold() for word in plan.mapping.outgoing) or _OUTGOING

    def amounts(self, cells: Row) -> dict[str, Decimal]:
        """The amounts of a row by field, empty ones left out; of a row of totals too.

        Raises:
            RowError: not an amount.
        """
        found: dict[str, Decimal] = {}
        for name, grouping in self.groupings.items():
            place = self._columns[name]
            cell = cells[place] if place < len(cells) else ""
            if not cell and cell != 0:
                continue
            known, decimal = self._grouping.get(name, ""), self._mapping.decimal
            if isinstance(cell, str):
                if common := common_amount(cell, known, decimal):
                    found[name], mark = common
                    grouping.note_decimal(mark)
                    continue
                grouping.note(cell)
            amount = _amount(cell, place, known, decimal)
            if amount is not None:
                found[name] = amount
        return found

    def __call__(self, cells: Row) -> StoredRow | Skipped:
        """Raises:
        RowError: it should be an entry and can't be read.
        """
        first = first_text(cells)
        if not first:
            return "blank"
        day, document = self._day(cells), self._document(cells)
        if day is None and document is None and begins_total(first, self._skip_rows):
            return "total"
        if self._skip_rows and first.casefold().startswith(self._skip_rows):
            return "total"
        if day is None and document is None and self.plan.header.is_repeated(cells):
            return "header"
        plan = self.plan
        if plan.required and not all(_text(cells, place) for place in plan.required):
            return "group"
        if plan.where and any(_text(cells, place).casefold() not in values for place, values in plan.where):
            return "filtered"
        if "document" in self._columns and document is None:
            return "group"
        return self._entry(cells, day, document)

    # ── parts of a row ──────────────────────────────────────────────────────────────────────────────────────────

    def _day(self, cells: Row) -> date | None:
        """The day in its column; what is no day there is judged by whoever needs one."""
        place = self._columns.get("date")
        if place is None or place >= len(cells):
            return None
        try:
            return read_day(cells[place], self._mapping.date_format)
        except ValueError:
            return None

    def _document(self, cells: Row) -> tuple[str, str, date] | None:
        place = self._columns.get("document")
        if place is None:
            return None
        return read_document(_text(cells, place).split("\n", maxsplit=1)[0])

    def _entry(self, cells: Row, day: date | None, document: tuple[str, str, date] | None) -> StoredRow | Skipped:
        amounts = self.last_amounts = self.amounts(cells)
        texts = {name: text for name, place in self._texts if (text := _text(cells, place))}
        get = texts.get
        if day is None and document is None and "date" in self._columns:
            if not texts:
                return "total" if amounts else "blank"
            raise self._bad_day(cells)
        amount, direction = self._money(amounts, cells)
        if amount is None:
            return "no_money"
        kind = self._mapping.kind
        if kind == "receivables":
            day = day or self.plan.as_of
        cell_of = self._columns.get("document")
        purpose = get("purpose") or (_below(_text(cells, cell_of)) if cell_of is not None else None)
        return StoredRow(
            kind=kind,
            amount=amount,
            date=day or (document[2] if document and kind != "receivables" else None),
            direction=direction,
            document_type=document[0] if document else None,
            number=get("number") or (document[1] if document else None),
            payment_order=get("payment_order"),
            document_on=document[2] if document else None,
            counterparty=_first_line(get("counterparty")),
            tax_id=clean_tax_id(get("tax_id")),
            account=_account(get("account")),
            own_account=_account(get("own_account")) or self.plan.own_account,
            organisation=get("organisation") or self.plan.organisation,
            purpose=purpose or None,
            operation=get("operation"),
            currency=get("currency") or self._mapping.currency,
            invoice=get("invoice"),
            contract=get("contract"),
            order=get("order"),
            deal=get("deal"),
            deal_source=self._mapping.deal_source if "deal" in texts else None,
            due_on=self._due_on(cells),
            cells=self.cells(cells) if self._keeps_cells else {},
        )

    def cells(self, cells: Row) -> dict[str, str]:
        """The row as it stands, by caption."""
        captions = self._captions
        if len(cells) > len(captions):
            captions = self._captions = _captions(self.plan, len(cells))
        found: dict[str, str] = {}
        for caption, cell in zip(captions, cells, strict=False):
            if cell:
                found[caption] = cell if isinstance(cell, str) else text_of(cell)
            elif cell is not None and cell != "":
                found[caption] = text_of(cell)  # a zero, which is no empty cell
        return found

    def _money(self, amounts: dict[str, Decimal], cells: Row) -> tuple[Decimal | None, str | None]:
        """Amount and direction; only payments have one."""
        if self._mapping.kind != "payments":
            return amounts.get("amount"), None
        came, left = amounts.get("amount_in"), amounts.get("amount_out")
        if came and left:
            message = say(
                "В строке и приход {came}, и расход {left}.",
                "The row has both money in {came} and out {left}.",
                came=came,
                left=left,
            )
            raise RowError("two_amounts", message, self._columns["amount_out"], got=f"{came} {left}")
        amount: Decimal | None = came or left or amounts.get("amount")
        direction = "in" if came else "out" if left else self._direction(cells)
        if amount is None or amount == 0:
            return None, None
        # A reversal stands with a minus: it takes back what it reverses.
        if amount < 0 and direction is not None:
            return -amount, "out" if direction == "in" else "in"
        return abs(amount), direction or ("in" if amount > 0 else "out")

    def _direction(self, cells: Row) -> str | None:
        """By its column, else by the mapping; None = by the amount's sign."""
        place = self._columns.get("direction")
        if place is None:
            return None if self._mapping.direction == "sign" else self._mapping.direction
        word = _text(cells, place).casefold()
        if word.startswith(self._incoming):
            return "in"
        if word.startswith(self._outgoing):
            return "out"
        message = say(
            "Непонятно, пришли деньги или ушли: «{word}». Впишите это слово в incoming или outgoing.",
            "It is unclear whether money came or went: «{word}». List this word in incoming or outgoing.",
            word=word,
        )
        raise RowError("unknown_direction", message, place, expected="in | out", got=word)

    def _due_on(self, cells: Row) -> date | None:
        place = self._columns.get("due_on")
        if place is None or place >= len(cells):
            return None
        try:
            return read_day(cells[place], self._mapping.date_format)
        except ValueError:
            raise _bad_day(cells[place], place) from None

    def _bad_day(self, cells: Row) -> RowError:
        place = self._columns["date"]
        return _bad_day(cells[place] if place < len(cells) else "", place)


def _captions(plan: Plan, count: int) -> list[str]:
    """The columns' captions, each once: one that comes again has its column's letter behind it."""
    found: list[str] = []
    for place in range(count):
        caption = plan.caption(place)
        found.append(caption if caption not in found else f"{caption} [{letter_of(place)}]")
    return found


# Fields that are no plain text.
_TYPED = frozenset({"date", "document", "direction", "due_on", *AMOUNTS})


def _amount(cell: Cell, place: int, grouping: str, decimal: str | None) -> Decimal | None:
    try:
        return read_amount(cell, grouping=grouping, decimal=decimal)
    except ValueError:
        shown = text_of(cell)
        message = say("Непонятная сумма: {text!r}.", "Unreadable amount: {text!r}.", text=shown)
        raise RowError("bad_amount", message, place, expected="1000.50", got=shown) from None


def _bad_day(cell: Cell, place: int) -> RowError:
    shown = text_of(cell)
    if not shown:
        message = say("В строке нет даты.", "The row has no date.")
        return RowError("no_date", message, place, expected="dd.mm.yyyy")
    message = say("Непонятная дата: {text!r}.", "Unreadable date: {text!r}.", text=shown)
    return RowError("bad_date", message, place, expected="dd.mm.yyyy", got=shown)


def _text(cells: Row, place: int) -> str:
    if place >= len(cells):
        return ""
    cell = cells[place]
    return cell.strip() if isinstance(cell, str) else text_of(cell)


def _first_line(text: str | None) -> str | None:
    return text.split("\n", maxsplit=1)[0].strip() if text else None


def _below(text: str) -> str:
    """What stands below the first line of a cell: 1C puts the purpose there."""
    return " ".join(text.split("\n", maxsplit=1)[1].split()) if "\n" in text else ""


def _account(text: str | None) -> str | None:
    """The account inside a presentation: `40702810600000000101, АО "ПРИМЕР-БАНК"`."""
    if not text:
        return None
    found = re.search(r"(?<!\d)\d{20}(?!\d)", text)
    return found[0] if found else clean_account(text.split(",", maxsplit=1)[0]) or None
