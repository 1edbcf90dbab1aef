"""A mapping met with a table: where each field stands, and what the lines above the captions say."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from base.text import Text, say
from connectors.onec.movements import clean_account
from connectors.onec.refusal import FileRefusal
from connectors.onec.sheets.header import Header, find_header, first_rows, header_at, no_header
from connectors.onec.sheets.settings import SheetMapping
from connectors.onec.sheets.table import Table, letter_of
from connectors.onec.sheets.values import read_day

# Of a card of 1C; under the last two stand the other account and, without a caption, the amount.
CARD_CAPTIONS = ("Период", "Документ", "Аналитика Дт", "Аналитика Кт", "Дебет", "Кредит")
ACCOUNT = re.compile(r"(?<!\d)\d{20}(?!\d)")
# `за 01.10.2023 - 01.12.2023`, `с 01.12.2023 по 31.12.2023`, `за период с … по …`, `Период: 01.07.2026 – 31.07.2026`.
_PERIOD = re.compile(r"(\d{2}\.\d{2}\.\d{4})\s*(?:г\.?)?\s*(?:-|–|—|по)\s*(\d{2}\.\d{2}\.\d{4})")
# `на 31.01.2026`, `по состоянию на 31.01.2026`.
_AS_OF = re.compile(r"(?<!\w)на\s+(?:дату\s+)?(\d{2}\.\d{2}\.\d{4})")
_FIX = say(
    "Исправьте columns в voronka.toml (заголовки таблицы покажет voronka onec inspect ФАЙЛ).",
    "Correct columns in voronka.toml (voronka onec inspect FILE shows the table's captions).",
)


@dataclass(frozen=True)
class Plan:
    """A table that can be read. `columns` is by field, from 0."""

    table: Table
    mapping: SheetMapping
    header: Header
    columns: dict[str, int]
    where: tuple[tuple[int, frozenset[str]], ...] = ()
    required: tuple[int, ...] = ()
    is_builtin: bool = False
    notes: list[Text] = field(default_factory=list)

    def caption(self, column: int) -> str:
        """A column's caption, or its letter in brackets."""
        shown = self.header.shown[column] if column < len(self.header.shown) else ""
        return shown or f"[{letter_of(column)}]"

    @cached_property
    def period(self) -> tuple[date, date] | None:
        """The days that the lines above the captions name."""
        for text in self.header.above:
            if match := _PERIOD.search(text):
                first_on, last_on = read_day(match[1]), read_day(match[2])
                if first_on and last_on:
                    return first_on, last_on
        return None

    @cached_property
    def as_of(self) -> date | None:
        """The day a balance is for: of the mapping, else of the title."""
        if self.mapping.as_of:
            return read_day(self.mapping.as_of)
        for text in self.header.above:
            if match := _AS_OF.search(text):
                return read_day(match[1])
        return self.period[1] if self.period else None

    @cached_property
    def own_account(self) -> str | None:
        """The only account named above the captions (1C: «Отбор: Банковские счета Равно …»), or the mapping's."""
        if self.mapping.own_account:
            return clean_account(self.mapping.own_account)
        named = {account for text in self.header.above for account in ACCOUNT.findall(text)}
        return named.pop() if len(named) == 1 else None

    @cached_property
    def organisation(self) -> str | None:
        """The firm whose report it is: 1C writes it in the first line."""
        is_report = self.mapping.layout != "list" and len(self.header.above) > 1
        return self.header.above[0] if is_report else None


def make_plan(table: Table, mapping: SheetMapping, *, is_builtin: bool = False) -> Plan:
    """Find the captions and columns of a mapping.

    Raises:
        FileRefusal: no captions, a column missing, or a caption that several columns have.
    """
    wanted = mapping.columns.named() if mapping.layout == "list" else {name: name for name in CARD_CAPTIONS}
    header = _header_of(table, mapping, [*wanted.values(), *mapping.where, *mapping.skip_if_empty])
    places = {name: _find(header, address, table) for name, address in wanted.items()}
    filters = {caption: _find(header, caption, table) for caption in mapping.where}
    required = {caption: _find(header, caption, table) for caption in mapping.skip_if_empty}
    found = {**{wanted[name]: place for name, place in places.items()}, **filters, **required}
    missing = [address for address, place in found.items() if place is None]
    if missing:
        raise _column_missing(table, header, missing)
    return Plan(
        table=table,
        mapping=mapping,
        header=header,
        columns={name: place for name, place in places.items() if place is not None},
        where=tuple(
            (place, frozenset(value.casefold().strip() for value in mapping.where[caption]))
            for caption, place in filters.items()
            if place is not None
        ),
        required=tuple(place for place in required.values() if place is not None),
        is_builtin=is_builtin,
    )


def _header_of(table: Table, mapping: SheetMapping, wanted: list[str]) -> Header:
    if mapping.header_row is None:
        header = find_header(table, wanted)
        if header is None:
            raise no_header(table, wanted)
        return header
    rows = first_rows(table)
    place = next((place for place, (number, _) in enumerate(rows) if number == mapping.header_row), None)
    if place is None:
        raise no_header(table, wanted)
    return header_at(rows, place)


def _find(header: Header, address: str, table: Table) -> int | None:
    try:
        return header.find(address)
    except ValueError as error:
        what = say(
            "Заголовок «{caption}» стоит над несколькими столбцами ({letters}).",
            "The caption «{caption}» stands above several columns ({letters}).",
            caption=address,
            letters=str(error),
        )
        remedy = say(
            "Укажите в columns букву столбца в скобках, например [{letter}].",
            "Name the column by its letter in brackets, such as [{letter}], in columns.",
            letter=str(error).split(",", maxsplit=1)[0],
        )
        raise FileRefusal("ambiguous_column", what, remedy, path=table.place(header.row)) from None


def _column_missing(table: Table, header: Header, missing: list[str]) -> FileRefusal:
    what = say(
        "Нет столбца {missing}; в строке заголовков стоят: {there}.",
        "No column {missing}; the captions are: {there}.",
        missing=", ".join(f"«{caption}»" for caption in missing),
        there=", ".join(f"«{caption}»" for caption in dict.fromkeys(header.shown) if caption),
    )
    return FileRefusal("column_missing", what, _FIX, path=table.place(header.row))
