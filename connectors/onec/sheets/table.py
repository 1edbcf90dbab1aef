"""A file as tables: the sheets of a workbook, or one table of a text file. Rows may be read several times.

Workbooks are held in memory, text is streamed. A cell's place is told as in Excel (`Лист1!E12`), a text file's as a
line.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from base.text import say
from connectors.onec.archive import DAMAGED, in_words
from connectors.onec.refusal import FileRefusal
from connectors.onec.sheets.values import Cell

Row = list[Cell]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """A workbook is read into memory, and its cells take more there than unpacked in the file."""

    xlsx_bytes: int = 60 << 20
    xlsx_unpacked_bytes: int = 400 << 20
    xls_bytes: int = 100 << 20


LIMITS = Limits()
SAVE_AS_CSV = say(
    "Сохраните таблицу как CSV (такие читаются любого размера) или выгрузите за меньший срок.",
    "Save the table as CSV (which is read at any size), or export a shorter period.",
)
_EXPORT_AGAIN = say("Выгрузите таблицу ещё раз.", "Export the table again.")


@dataclass(frozen=True)
class Table:
    """`rows()` gives (number from 1, cells) and may be called again."""

    sheet: str  # "" for a text file
    rows: Callable[[], Iterator[tuple[int, Row]]]

    def place(self, row: int, column: int | None = None) -> str:
        """Where a row or cell is, as a person looks for it."""
        if not self.sheet:
            return f"line {row}"
        return f"{self.sheet}!{letter_of(column) if column is not None else ''}{row}"


def letter_of(column: int) -> str:
    """A column's letter, from 0: A, B, … Z, AA."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def open_workbook(stream: BinaryIO, limits: Limits = LIMITS) -> list[Table]:
    """The visible sheets of an XLSX or XLS that hold anything.

    Raises:
        FileRefusal: too large, damaged, or protected by a password.
    """
    _check_size(stream, limits)
    stream.seek(0)
    try:
        book = CalamineWorkbook.from_filelike(stream)
        return [
            Table(sheet.name, _rows_of(sheet))
            for data in book.sheets_metadata
            if data.visible is SheetVisibleEnum.Visible and data.typ is SheetTypeEnum.WorkSheet
            for sheet in [book.get_sheet_by_name(data.name)]
            if sheet.total_height
        ]
    except PasswordError:
        what = say("Книга закрыта паролем.", "The workbook is protected by a password.")
        remedy = say("Сохраните её без пароля.", "Save it without a password.")
        raise FileRefusal("encrypted", what, remedy, bears=False) from None
    except CalamineError as error:
        what = say(
            "Книга Excel повреждена: {reason}.", "The Excel workbook is damaged: {reason}.", reason=_reason(error)
        )
        raise FileRefusal("damaged_workbook", what, _EXPORT_AGAIN, bears=False) from None


def _reason(error: CalamineError) -> str:
    """The library's words, of which the first line says enough."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _rows_of(sheet: CalamineSheet) -> Callable[[], Iterator[tuple[int, Row]]]:
    # The library's iterator gives the empty rows above the first filled cell, and leaves out the columns before it.
    _, left = sheet.start or (0, 0)
    padding: Row = [""] * left

    def rows() -> Iterator[tuple[int, Row]]:
        for number, row in enumerate(sheet.iter_rows(), 1):
            yield number, padding + row if left else row

    return rows


def _check_size(stream: BinaryIO, limits: Limits) -> None:
    size = stream.seek(0, 2)
    stream.seek(0)
    if stream.read(2) != b"PK":
        _refuse_above(size, limits.xls_bytes)
        return
    _refuse_above(size, limits.xlsx_bytes)
    try:
        with zipfile.ZipFile(stream) as parts:
            unpacked = sum(info.file_size for info in parts.infolist())
    except DAMAGED:
        what = say("Книга Excel повреждена.", "The Excel workbook is damaged.")
        raise FileRefusal("damaged_workbook", what, _EXPORT_AGAIN, bears=False) from None
    _refuse_above(unpacked, limits.xlsx_unpacked_bytes)


def _refuse_above(size: int, limit: int) -> None:
    if size > limit:
        what = say(
            "Книга Excel слишком велика: {size}, читается не больше {limit}.",
            "The Excel workbook is too large: {size}; at most {limit} are read.",
            size=in_words(size),
            limit=in_words(limit),
        )
        raise FileRefusal("too_large", what, SAVE_AS_CSV, bears=False)
