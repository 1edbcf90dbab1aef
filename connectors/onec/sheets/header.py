"""Where the captions of a table are, and which column a caption names.

1C writes headers of two rows: under «Дебет» stands «Счет», and the amount is in the next column, which has no caption
at all. So a column is named by its caption (`Сумма`, `Дебет / Счет`), by a caption and steps to the right
(`Дебет +1`), or by its letter (`[F]`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from base.text import say
from connectors.onec.refusal import FileRefusal
from connectors.onec.sheets.table import Row, Table, letter_of
from connectors.onec.sheets.values import Cell, read_amount, read_day, text_of

# Above the captions stand a firm's name, a title, the period, filters; never more than this.
SEARCHED_ROWS = 60
JOINT = " / "
_UNIT = re.compile(r"[,\s]*\(?(?:тыс\.?\s*)?(?:руб(?:лей)?\.?|rub|₽)\)?$")
_STEPS = re.compile(r"^(?P<caption>.+?)\s*\+(?P<steps>\d{1,2})$")
_LETTER = re.compile(r"^\[(?P<letter>[A-Za-z]{1,3})\]$")


@dataclass(frozen=True)
class Header:
    """`shown`: the captions as they stand, by column; of two rows joined by ` / `. `top` is what stands in the first
    of two rows, stretched over the columns that it heads."""

    row: int
    height: int
    shown: tuple[str, ...]
    top: tuple[str, ...]
    above: tuple[str, ...] = ()  # the filled cells above it, in their order

    @property
    def last_row(self) -> int:
        return self.row + self.height - 1

    def find(self, address: str) -> int | None:
        """The column an address names; None if there is none.

        Raises:
            ValueError: several columns have this caption.
        """
        if match := _LETTER.match(address):
            place = 0
            for letter in match["letter"].upper():
                place = place * 26 + ord(letter) - ord("A") + 1
            return place - 1
        if match := _STEPS.match(address):
            first = self.find(match["caption"])
            return None if first is None else first + int(match["steps"])
        wanted = normalised(address)
        captions = [normalised(caption) for caption in self.shown]
        found = [place for place, caption in enumerate(captions) if caption == wanted]
        if not found:
            # The first column below a caption that heads several.
            heads = [normalised(caption) for caption in self.top]
            found = [heads.index(wanted)] if wanted in heads else []
        if len(found) > 1:
            raise ValueError(", ".join(letter_of(place) for place in found))
        return found[0] if found else None

    def is_repeated(self, cells: Row) -> bool:
        """The captions again, as at the top of a printed page."""
        matches = filled = 0
        for place, cell in enumerate(cells):
            if cell in ("", None):
                continue
            filled += 1
            if isinstance(cell, str) and place < len(self.top) and normalised(cell) in self._captions(place):
                matches += 1
        return filled >= 2 and matches == filled

    def _captions(self, place: int) -> tuple[str, str, str]:
        shown = normalised(self.shown[place])
        return shown, normalised(self.top[place]), shown.rpartition(JOINT)[2]


def normalised(cell: Cell) -> str:
    """A caption as it compares: small letters, single spaces, ё as е, without the unit."""
    text = " ".join(text_of(cell).casefold().replace("ё", "е").split())
    return _UNIT.sub("", text).strip(" :*.")


def first_rows(table: Table) -> list[tuple[int, Row]]:
    return list(islice(table.rows(), SEARCHED_ROWS))


def header_at(rows: Sequence[tuple[int, Row]], place: int) -> Header:
    """The header that begins in the row at this place of `rows`."""
    number, cells = rows[place]
    above = tuple(text for _, row in rows[:place] for cell in row if (text := text_of(cell)))
    top = [_one_line(cell) for cell in cells]
    below = rows[place + 1][1] if place + 1 < len(rows) else []
    if not _continues(top, below):
        return Header(number, 1, tuple(top), tuple(top), above)
    shown, heads, head = [], [], ""
    for column in range(max(len(top), len(below))):
        caption = top[column] if column < len(top) else ""
        under = _one_line(below[column]) if column < len(below) else ""
        head = caption or head
        heads.append(head)
        shown.append(f"{head}{JOINT}{under}" if under and head else caption or under)
    return Header(number, rows[place + 1][0] - number + 1, tuple(shown), tuple(heads), above)


def _one_line(cell: Cell) -> str:
    return " ".join(text_of(cell).split())


def _continues(top: Sequence[str], below: Row) -> bool:
    """The next row belongs to the header: only words, and nothing below the first caption."""
    filled = [text_of(cell) for cell in below if text_of(cell)]
    first = next((column for column, caption in enumerate(top) if caption), 0)
    if not filled or (first < len(below) and text_of(below[first])):
        return False
    return all(not _is_value(cell) for cell in below if text_of(cell))


def _is_value(cell: Cell) -> bool:
    for read in (read_day, read_amount):
        try:
            if read(cell) is not None:
                return True
        except ValueError:
            continue
    return False


def find_header(table: Table, wanted: Iterable[str]) -> Header | None:
    """The first row that holds most of the wanted captions, at least two of them (or the only one)."""
    rows = first_rows(table)
    captions = {caption for address in wanted if (caption := caption_of(address))}
    best, most = None, 0
    for place in candidates(rows):
        header = header_at(rows, place)
        known = {normalised(text) for text in (*header.shown, *header.top)}
        # A caption of the second row alone, so that `Счет` finds `Дебет / Счет`.
        found = len(captions & known)
        if found > most:
            best, most = header, found
    return best if most >= min(2, len(captions)) and most else None


def candidates(rows: Sequence[tuple[int, Row]]) -> Iterator[int]:
    """Places of rows with two texts or more: captions are never alone."""
    for place, (_, cells) in enumerate(rows):
        if sum(isinstance(cell, str) and bool(cell.strip()) for cell in cells) >= 2:
            yield place


def caption_of(address: str) -> str:
    """The caption inside an address, normalised; `""` for a letter."""
    if _LETTER.match(address):
        return ""
    match = _STEPS.match(address)
    return normalised(match["caption"] if match else address)


def no_header(table: Table, wanted: Iterable[str]) -> FileRefusal:
    """What is told when a table has none of the captions that its mapping names."""
    what = say(
        "В таблице нет строки с заголовками столбцов ({wanted}).",
        "The table has no row with the captions of its columns ({wanted}).",
        wanted=", ".join(f"«{caption}»" for caption in wanted),
    )
    remedy = say(
        "Сравните заголовки с columns в voronka.toml: voronka onec inspect ФАЙЛ.",
        "Compare the captions with columns in voronka.toml: voronka onec inspect FILE.",
    )
    return FileRefusal("no_header", what, remedy, path=table.sheet or "line 1")
