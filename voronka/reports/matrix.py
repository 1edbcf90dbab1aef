"""A table of many columns cut into several that fit the page, the first column repeated in each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from base.shown import clean
from voronka.reports.page import GAP, Cell, Field, Page

# The first column is broken over lines sooner than the page.
LABEL_WIDTH = 34


def show_matrix(page: Page, corner: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> None:
    """`rows` are a label and a cell for each of `columns`; a column's name is broken at its spaces."""
    label_width = min(LABEL_WIDTH, max([cell_len(corner), *(cell_len(label) for label, _ in rows)]))
    widths = [max(cell_len(clean(cells[index])) for _, cells in rows) for index in range(len(columns))]
    names = [_broken(name, width) for name, width in zip(columns, widths, strict=True)]
    widths = [max(width, *map(cell_len, name.split("\n"))) for name, width in zip(names, widths, strict=True)]
    for chosen in _chunks(widths, page.width - label_width):
        fields = [Field(corner, is_wide=True), *(Field(names[index], "right") for index in chosen)]
        page.table(fields, [(Cell(label), *(cells[index] for index in chosen)) for label, cells in rows])


def _broken(name: str, width: int) -> str:
    """A heading on one line if its cells are wide enough, else a word a line."""
    return name if cell_len(name) <= width else "\n".join(name.split())


def _chunks(widths: Sequence[int], room: int) -> list[list[int]]:
    """Indexes of the columns of each table, in order; a column wider than the page stands alone."""
    chunks: list[list[int]] = []
    left = 0
    for index, width in enumerate(widths):
        if not chunks or left < width + GAP:
            chunks.append([])
            left = room
        chunks[-1].append(index)
        left -= width + GAP
    return chunks
