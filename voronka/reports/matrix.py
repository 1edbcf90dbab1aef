"""A table of many columns cut into several that fit the page, the first column repeated in each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from voronka.reports.page import Cell, Field, Page, clean

# Room between two columns, as the table is drawn.
GAP = 2
# The first column is broken over lines sooner than the page.
LABEL_WIDTH = 34


def show_matrix(page: Page, corner: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> None:
    """`rows` are a label and a cell for each of `columns`; a column's name is broken at its spaces."""
    label_width = min(LABEL_WIDTH, max([cell_len(corner), *(cell_len(label) for label, _ in rows)]))
    widths = [_width(name, [cells[index] for _, cells in rows]) for index, name in enumerate(columns)]
    for chosen in _chunks(widths, page.width - label_width):
        fields = [Field(corner, is_wide=True)]
        fields += [Field("\n".join(columns[index].split()), "right") for index in chosen]
        page.table(fields, [(Cell(label), *(cells[index] for index in chosen)) for label, cells in rows])


def _width(name: str, cells: Sequence[str]) -> int:
    return max(cell_len(clean(part)) for part in (*name.split(), *cells, ""))


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
