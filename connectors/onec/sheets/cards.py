"""1C's card of an account («Карточка счета 51»): a row a posting, and a header of two rows.

Debit of a money account is money that came. On a card of settlements (62) credit is the customer's payment, and only
postings against a money account are money: `62.02 → 62.01` merely sets an advance off. Consecutive postings of one
document are one movement.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

from base.text import say
from connectors.onec.sheets.entry import StoredRow
from connectors.onec.sheets.layout import ACCOUNT, CARD_CAPTIONS, Plan
from connectors.onec.sheets.rows import RowError, Skipped, begins_total, first_text
from connectors.onec.sheets.table import Row
from connectors.onec.sheets.values import Grouping, read_amount, read_day, read_document, text_of

MONEY_ACCOUNTS = ("50", "51", "52", "55", "57")
# The second row of a posting: in currency, by tax accounting, by quantity.
_OTHER_MEASURES = frozenset({"вал", "вал.", "ну", "пр", "вр", "кол", "кол.", "количество", "контроль"})
_CHART_ACCOUNT = re.compile(r"^\d{2}(?:\.\w{1,3}){0,3}$")
_CONTRACT = re.compile(r"^(?:договор\s*)?№?\s*(?P<number>\S*\d\S*)(?:\s+от\s.*)?$", re.IGNORECASE)
_INVOICE = re.compile(r"^сч[её]т\s+на\s+оплату", re.IGNORECASE)
DAY, DOCUMENT, DEBIT_PARTY, CREDIT_PARTY, DEBIT, CREDIT = CARD_CAPTIONS


class CardReader:
    """Rows of a card. `amounts` gives `amount_in` and `amount_out` of postings and of totals."""

    def __init__(self, plan: Plan, grouping: dict[str, str] | None = None, *, keeps_cells: bool = True) -> None:
        self.plan = plan
        self._keeps_cells = keeps_cells
        self.last_amounts: dict[str, Decimal] = {}
        self.groupings = {"amount_in": Grouping(), "amount_out": Grouping()}
        self._grouping = grouping or {}
        header = plan.header
        self._places = {caption: header.find(caption) or 0 for caption in CARD_CAPTIONS}
        # The amounts: every column of the group but its first, which holds the account.
        self._debit = self._group(DEBIT)
        self._credit = self._group(CREDIT)
        self._is_settlements = plan.mapping.layout == "settlements"

    def _group(self, caption: str) -> range:
        first = self._places[caption]
        top = self.plan.header.top
        end = next((place for place in range(first + 1, len(top)) if top[place] != top[first]), len(top))
        return range(first, max(end, first + 2))

    def amounts(self, cells: Row) -> dict[str, Decimal]:
        """Raises:
        RowError: not an amount.
        """
        sides = (("amount_in", self._debit), ("amount_out", self._credit))
        if self._is_settlements:
            sides = (("amount_in", self._credit), ("amount_out", self._debit))
        return {name: amount for name, group in sides if (amount := self._amount(cells, name, group)) is not None}

    def __call__(self, cells: Row) -> StoredRow | Skipped:
        """Raises:
        RowError: a posting that can't be read.
        """
        first = first_text(cells)
        if not first:
            return "blank"
        day = self._day(cells)
        if day is None:
            if begins_total(first):
                return "total"
            if any(text_of(cell).casefold() in _OTHER_MEASURES for cell in cells):
                return "filtered"
            if self.plan.header.is_repeated(cells):
                return "header"
            return self._undated(cells, first)
        return self._entry(cells, day)

    def _undated(self, cells: Row, first: str) -> Skipped:
        """Day by day subtotals have only sums; anything else without a day is a posting that lost it."""
        if not text_of(self._cell(cells, DOCUMENT)):
            return "total"
        message = say("Непонятная дата: {text!r}.", "Unreadable date: {text!r}.", text=first)
        raise RowError("bad_date", message, self._places[DAY], expected="dd.mm.yyyy", got=first)

    def _entry(self, cells: Row, day: date) -> StoredRow | Skipped:
        amounts = self.last_amounts = self.amounts(cells)
        came, left = amounts.get("amount_in"), amounts.get("amount_out")
        if not came and not left:
            return "no_money"
        amount, direction = (came, "in") if came else (left, "out")
        assert amount is not None
        debit, credit = self._account(cells, DEBIT), self._account(cells, CREDIT)
        # On a money card the other side of what came is on credit; on a settlements card the money itself is.
        other = credit if (direction == "in") != self._is_settlements else debit
        if self._is_settlements and not other.startswith(MONEY_ACCOUNTS):
            return "no_money"
        party = self._lines(cells, CREDIT_PARTY if direction == "in" else DEBIT_PARTY)
        own = self._lines(cells, DEBIT_PARTY if direction == "in" else CREDIT_PARTY)
        document = self._lines(cells, DOCUMENT)
        known = read_document(document[0]) if document else None
        return StoredRow(
            kind="payments",
            amount=abs(amount),
            date=day,
            direction=direction if amount > 0 else ("out" if direction == "in" else "in"),
            document_type=known[0] if known else None,
            number=known[1] if known else None,
            document_on=known[2] if known else None,
            counterparty=party[0] if party else None,
            corr_account="62" if self._is_settlements else other,
            own_account=next((found[0] for line in own if (found := ACCOUNT.findall(line))), self.plan.own_account),
            organisation=self.plan.organisation,
            purpose=" ".join(document[1:]) or None,
            invoice=next((known[1] for line in party if _INVOICE.match(line) and (known := read_document(line))), None),
            contract=_contract(party[1]) if len(party) > 1 else None,
            cells=self._shown(cells) if self._keeps_cells else {},
        )

    def _shown(self, cells: Row) -> dict[str, str]:
        return {self.plan.caption(place): text for place, cell in enumerate(cells) if (text := text_of(cell))}

    # ── cells ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _cell(self, cells: Row, caption: str) -> object:
        place = self._places[caption]
        return cells[place] if place < len(cells) else ""

    def _lines(self, cells: Row, caption: str) -> list[str]:
        return [line.strip() for line in text_of(self._cell(cells, caption)).splitlines() if line.strip()]

    def _day(self, cells: Row) -> date | None:
        try:
            return read_day(self._cell(cells, DAY))
        except ValueError:
            return None

    def _account(self, cells: Row, caption: str) -> str:
        """The account of the chart; a number cell has lost the zero of `62.10`, which no rule needs."""
        text = text_of(self._cell(cells, caption))
        return text if _CHART_ACCOUNT.match(text) else ""

    def _amount(self, cells: Row, name: str, group: range) -> Decimal | None:
        for place in group[1:]:
            cell = cells[place] if place < len(cells) else ""
            if cell in ("", None):
                continue
            if isinstance(cell, str):
                self.groupings[name].note(cell)
            try:
                return read_amount(cell, grouping=self._grouping.get(name, ""))
            except ValueError:
                shown = text_of(cell)
                message = say("Непонятная сумма: {text!r}.", "Unreadable amount: {text!r}.", text=shown)
                raise RowError("bad_amount", message, place, expected="1000.50", got=shown) from None
        return None


def _contract(line: str) -> str | None:
    """A contract's number; «Основной договор» and «Без договора» have none."""
    match = _CONTRACT.match(line)
    return match["number"] if match and not _INVOICE.match(line) else None


def joined(first: StoredRow, second: StoredRow) -> StoredRow | None:
    """Two consecutive postings as one movement, if they are of one document and one nature."""
    same = ("number", "document_on", "document_type", "direction", "date", "own_account", "organisation")
    if first.number is None or any(getattr(first, name) != getattr(second, name) for name in same):
        return None
    if (first.corr_account or "")[:2] != (second.corr_account or "")[:2]:
        return None
    first.amount += second.amount
    if first.invoice != second.invoice:
        first.invoice = None
    return first
