"""`[[sources.NAME.sheets]]`: how the columns of a table are to be understood."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Literal

import msgspec

from base.text import Text, say

Kind = Literal["payments", "orders", "sales", "costs", "receivables"]
# How rows are laid out: a row a document; 1C's card of a money account, or of settlements with customers.
Layout = Literal["list", "card", "settlements"]


class Columns(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which caption holds what. A caption as it stands in the table, `Caption +1` for the column right of it, or
    `[E]` for a column by its letter."""

    date: str | None = None  # when money moved, the document's date, or the day a debt stood
    number: str | None = None
    payment_order: str | None = None  # the bank's number of a payment, where `number` is accounting's own
    document: str | None = None  # 1C's presentation: `Поступление на расчетный счет 0000-000015 от 03.02.2026`
    amount: str | None = None
    amount_in: str | None = None
    amount_out: str | None = None
    direction: str | None = None  # words for in and out
    counterparty: str | None = None
    tax_id: str | None = None
    account: str | None = None  # the other party's bank account
    own_account: str | None = None
    organisation: str | None = None
    purpose: str | None = None
    operation: str | None = None  # 1C's kind of operation
    currency: str | None = None
    invoice: str | None = None
    contract: str | None = None
    order: str | None = None  # accounting's id of the order or invoice
    deal: str | None = None  # the deal's id in the CRM
    due_on: str | None = None

    def named(self) -> dict[str, str]:
        """The columns that are given, by field."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not None}


class SheetMapping(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One `[[sources.NAME.sheets]]` table. The first one whose `file` and `sheet` fit and whose captions are there is
    used."""

    kind: Kind
    columns: Columns = Columns()
    # Shell patterns (`*`, `?`), compared without case: the file's path or its last part, and the sheet's name.
    file: str = "*"
    sheet: str | None = None
    layout: Layout = "list"
    # Row of the captions, from 1; without it they are looked for in the first rows.
    header_row: int | None = None
    # As in strptime: `%d.%m.%Y`; without it every usual form is understood, day before month.
    date_format: str | None = None
    decimal: Literal[".", ","] | None = None
    # What an amount without a column of direction means: by its sign, or always one of the two.
    direction: Literal["sign", "in", "out"] = "sign"
    incoming: list[str] = msgspec.field(default_factory=list)
    outgoing: list[str] = msgspec.field(default_factory=list)
    # Rows that begin so are passed over, beside totals and balances.
    skip_rows: list[str] = msgspec.field(default_factory=list)
    # Rows in which one of these columns is empty are headings of groups.
    skip_if_empty: list[str] = msgspec.field(default_factory=list)
    # Caption -> values: other rows are passed over.
    where: dict[str, list[str]] = msgspec.field(default_factory=dict)
    own_account: str | None = None
    currency: str | None = None
    deal_source: str | None = None
    as_of: str | None = None  # receivables: the day the debts stood
    encoding: str | None = None
    delimiter: str | None = None


_AMOUNTS = ("amount", "amount_in", "amount_out")
_COMMON = frozenset(
    [
        "date",
        "number",
        "document",
        "amount",
        "counterparty",
        "tax_id",
        "organisation",
        "currency",
        "contract",
        "purpose",
    ]
)
# What each kind understands, and what it can't do without: one of each group.
KNOWN: dict[Kind, frozenset[str]] = {
    "payments": _COMMON
    | frozenset(
        [
            "amount_in",
            "amount_out",
            "direction",
            "account",
            "own_account",
            "operation",
            "invoice",
            "order",
            "payment_order",
        ]
    ),
    "orders": _COMMON | frozenset({"deal"}),
    "sales": _COMMON | frozenset({"deal", "operation", "order"}),
    "costs": _COMMON | frozenset({"deal", "operation", "order"}),
    "receivables": _COMMON | frozenset({"deal", "due_on"}),
}
NEEDED: dict[Kind, tuple[tuple[str, ...], ...]] = {
    "payments": (("date", "document"), _AMOUNTS),
    "orders": (("number", "document"), ("amount",)),
    "sales": (("number", "document"), ("date", "document"), ("amount",)),
    "costs": (("number", "document", "deal"), ("date", "document"), ("amount",)),
    "receivables": (("counterparty", "document", "number"), ("amount",)),
}


def sheet_problems(mappings: Sequence[SheetMapping]) -> Iterator[tuple[str, Text]]:
    """`(key below the source, problem)` of every mapping that can't work."""
    for place, mapping in enumerate(mappings):
        for key, problem in _problems(mapping):
            yield f"sheets.[{place}].{key}", problem


def _problems(mapping: SheetMapping) -> Iterator[tuple[str, Text]]:
    if mapping.layout == "list":
        yield from _column_problems(mapping)
    elif mapping.kind != "payments":
        yield "layout", say("карточка счёта — это payments", "a card of an account holds payments")
    if mapping.header_row is not None and mapping.header_row < 1:
        yield "header_row", say("строки считаются с 1", "rows are counted from 1")
    if mapping.delimiter is not None and len(mapping.delimiter) != 1:
        yield "delimiter", say("нужен один знак, например ;", "one character is needed, such as ;")
    if mapping.deal_source is None and mapping.columns.deal is not None:
        yield "deal_source", say("не указано: чьи это сделки", "is missing: whose deals these are")
    if mapping.as_of is not None and not _is_day(mapping.as_of):
        yield "as_of", say("нужна дата ГГГГ-ММ-ДД", "a date YYYY-MM-DD is needed")
    if mapping.encoding is not None and not _is_encoding(mapping.encoding):
        yield "encoding", say("нет такой кодировки; пример: cp1251", "no such encoding; example: cp1251")


def _column_problems(mapping: SheetMapping) -> Iterator[tuple[str, Text]]:
    named = mapping.columns.named()
    known = KNOWN[mapping.kind]
    for name in named:
        if name not in known:
            listed = ", ".join(sorted(known))
            yield (
                f"columns.{name}",
                say(
                    "у вида {kind} такого столбца нет; есть: {known}",
                    "kind {kind} has no such column; known are: {known}",
                    kind=mapping.kind,
                    known=listed,
                ),
            )
    for group in NEEDED[mapping.kind]:
        if not any(name in named for name in group):
            wanted = " | ".join(group)
            yield "columns", say("не указан столбец {wanted}", "the column {wanted} is missing", wanted=wanted)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_encoding(name: str) -> bool:
    try:
        codecs.lookup(name)
    except LookupError:
        return False
    return True
