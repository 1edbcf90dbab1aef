"""Rows of a query as a table, CSV or JSON."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any

from base.shown import guard_cell
from base.text import say
from voronka.reports.page import Field, Page

Row = tuple[Any, ...]


def show_rows(page: Page, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """A table; numbers stand to the right. Values are written as DuckDB gives them, nothing is rounded."""
    if not columns:
        return
    numeric = [
        bool(rows) and all(isinstance(row[i], int | float | Decimal | None) for row in rows)
        for i in range(len(columns))
    ]
    fields = [Field(name, "right" if numeric[i] else "left", is_wide=not numeric[i]) for i, name in enumerate(columns)]
    page.table(fields, [[_text(value) for value in row] for row in rows])
    if not rows:
        page.say(say("Строк нет.", "No rows."))


def write_csv(stream: IO[str], columns: Sequence[str], batches: Iterable[Sequence[Row]]) -> None:
    """RFC 4180 with a heading line; NULL is an empty field, and no text is a formula (`base.shown.guard_cell`)."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(map(guard_cell, columns))
    for batch in batches:
        writer.writerows([[_csv_cell(value) for value in row] for row in batch])


def rows_document(columns: Sequence[str], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """An object for each row; columns of one name get their number behind it, none is lost."""
    names: list[str] = []
    for name in columns:
        number = 2
        unique = name
        while unique in names:
            unique, number = f"{name}_{number}", number + 1
        names.append(unique)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _csv_cell(value: Any) -> str:
    return guard_cell(value) if isinstance(value, str) else _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds" if value.microsecond == 0 else "microseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    return str(value)
