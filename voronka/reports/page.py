"""A place to write a report: rich tables on a terminal, plain aligned text everywhere else.

Whatever comes from a source (a customer's name, a purpose of payment) is written as it is: never as markup, and
without the control characters that could move a terminal's cursor.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Literal
from zoneinfo import ZoneInfo

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text as RichText

from base.shown import clean
from base.text import Language, Text
from voronka.reports.numbers import NARROW_SPACE, Numbers

# Elsewhere than on a terminal there is no width to ask for; this one holds a team beside its company.
PLAIN_WIDTH = 120
# Between two columns: the padding and the rule's own column.
GAP = 2
# An address or a hash is broken after this many characters; a word is not.
LONGEST_WORD = 24
Justify = Literal["left", "right"]


def _least_width(column: Field, texts: Sequence[str]) -> int:
    """A wide column may be broken between words; any other is as wide as its widest cell."""
    parts = [part for text in (column.title, *texts) for part in (text.split() if column.is_wide else text.split("\n"))]
    widest = max((cell_len(part) for part in parts), default=0)
    return min(widest, LONGEST_WORD) if column.is_wide else widest


@dataclass(frozen=True)
class Cell:
    """A text with a style for terminals; plain text elsewhere."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Field:
    """A column of a table: its heading; whether it may be broken over lines; its side."""

    title: str
    justify: Justify = "left"
    is_wide: bool = False


@dataclass
class Page:
    console: Console
    language: Language
    numbers: Numbers
    _is_empty: bool = field(default=True, repr=False)

    @classmethod
    def on_stream(cls, stream: IO[str], *, language: Language, zone: ZoneInfo | None, width: int | None = None) -> Page:
        """Colours and the terminal's width on a terminal; elsewhere none, and `COLUMNS` or 120."""
        is_terminal = stream.isatty()
        columns = os.environ.get("COLUMNS", "")
        plain_width = width or (
            int(columns) if columns.isdecimal() and len(columns) < 5 and int(columns) > 0 else PLAIN_WIDTH
        )
        console = Console(
            file=stream,
            force_terminal=is_terminal,
            no_color=None if is_terminal else True,
            width=width if is_terminal else plain_width,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=False,
        )
        return cls(console, language, Numbers(language, NARROW_SPACE if is_terminal else " ", zone))

    @property
    def is_terminal(self) -> bool:
        return self.console.is_terminal

    @property
    def width(self) -> int:
        return self.console.width

    def say(self, text: Text | str, style: str = "") -> None:
        """A sentence on lines of its own, broken at the page's width."""
        rendered = text.render(self.language) if isinstance(text, Text) else text
        lines = clean(rendered, keep_lines=True)
        self.console.print(RichText(lines, style=style if self.is_terminal else ""), soft_wrap=not self.is_terminal)
        self._is_empty = False

    def verbatim(self, line: str) -> None:
        """A line to copy, a query or a command: never broken, whatever the terminal's width."""
        self.console.print(RichText(clean(line)), soft_wrap=True)
        self._is_empty = False

    def heading(self, text: Text | str) -> None:
        """A title with an empty line before it, except at the top."""
        if not self._is_empty:
            self.console.print()
        self.say(text, "bold")

    def table(self, fields: Sequence[Field], rows: Sequence[Sequence[Cell | str]]) -> None:
        """Rows below their headings. Columns keep their width; only wide ones are broken over lines."""
        cells = [[self._cell(cell) for cell in row] for row in rows]
        least = [_least_width(item, [row[index].plain for row in cells]) for index, item in enumerate(fields)]
        table = Table(
            *(
                Column(
                    header=RichText(clean(item.title, keep_lines=True)),
                    justify=item.justify,
                    no_wrap=not item.is_wide,
                    overflow="fold",
                    min_width=least[index],
                )
                for index, item in enumerate(fields)
            ),
            box=SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=(0, 1, 0, 0),
            header_style="bold" if self.is_terminal else "",
        )
        for row in cells:
            table.add_row(*row)
        self._print(table, sum(least) + GAP * (len(least) - 1))
        self._is_empty = False

    def _print(self, table: Table, least_width: int) -> None:
        """A number cut off would be another number: a table that needs more than the page's width gets it."""
        page_width = self.console.width
        self.console.width = max(page_width, least_width)
        try:
            if self.is_terminal:
                self.console.print(table)
                return
            with self.console.capture() as captured:
                self.console.print(table)
        finally:
            self.console.width = page_width
        # The padding of the last column is of no use to a file.
        self.console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))

    def _cell(self, cell: Cell | str) -> RichText:
        if isinstance(cell, Cell):
            return RichText(clean(cell.text), style=cell.style if self.is_terminal else "")
        return RichText(clean(cell))

    def render(self, text: Text) -> str:
        return text.render(self.language)


def is_interactive() -> bool:
    """A person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()
