"""Cells to text, amounts and days. A cell of a workbook has a type of its own, one of a text file is text.

Amounts come as `14 800,00` with any of four spaces, `14,800.00` from old exports, `(500,00)` or `−500` for a minus,
`1000-50` from banks. One separator before exactly three digits is ambiguous: it groups thousands only if the whole
column does so (`Grouping`).
"""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from base.money import to_money

Cell = Any  # str, int, float, bool, date, datetime, time, timedelta

_SPACES = str.maketrans(dict.fromkeys(" \xa0\u202f\u2009'’", "") | {"\u2212": "-", "\u2013": "-"})
_CURRENCY = re.compile(r"(?:руб(?:лей|ля|ль|\.)?|р\.?|₽|rub|rur|тг|₸)\.?$", re.IGNORECASE)
_KOPECKS = re.compile(r"^(\d+)[-=](\d{2})$")
AMBIGUOUS = re.compile(r"^-?\d{1,3}([.,])\d{3}$")
# Days of Excel's 1900 system between 1954 and 2119.
_SERIALS = range(20_000, 80_001)
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - local days have no zone
_DAY = re.compile(r"^(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})(?:г\.?|\s*г\.?)?(?:[ T,]+\d{1,2}:\d{2}(?::\d{2})?)?$")
_ISO = re.compile(r"^(\d{4})[-./](\d{2})[-./](\d{2})(?:[ T]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?$")
_WORDS = re.compile(r"^(\d{1,2})\s+([а-я]+)\.?\s+(\d{4})(?:\s*г\.?|\s*года)?$", re.IGNORECASE)
_MONTHS = ("янв", "фев", "мар", "апр", "ма", "июн", "июл", "авг", "сен", "окт", "ноя", "дек")


def text_of(cell: Cell) -> str:
    """A cell as a person sees it: no `.0` behind whole numbers, ISO days."""
    if isinstance(cell, str):
        return cell.strip()
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "да" if cell else "нет"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == datetime.min.time() else cell.isoformat(" ")
    return cell.isoformat() if isinstance(cell, date) else str(cell)


# ── amounts ─────────────────────────────────────────────────────────────────────────────────────────────────────


def read_amount(cell: Cell, *, grouping: str = "", decimal: str | None = None) -> Decimal | None:
    """An amount with two places; None for an empty cell or a dash.

    `grouping`: the separator that groups thousands in this column; `decimal`: the one that is known to be decimal.

    Raises:
        ValueError: something else.
    """
    if isinstance(cell, str):
        return _amount_of(cell, grouping, decimal) if cell else None
    if cell is None:
        return None
    if isinstance(cell, bool | date | timedelta):
        raise ValueError("no amount")
    # The shortest decimal that is this binary number: what the accountant's program showed.
    return to_money(repr(cell))


def _amount_of(text: str, grouping: str, decimal: str | None) -> Decimal | None:
    plain = bare_number(text)
    if plain in ("", "-"):
        return None
    negative = plain.startswith("-")
    digits = plain.lstrip("-+")
    if kopecks := _KOPECKS.match(digits):
        digits = f"{kopecks[1]}.{kopecks[2]}"
    else:
        digits = _with_point(digits, grouping, decimal)
    amount = to_money(digits)
    return -amount if negative else amount


# An amount as programs write most: groups of three or none, and two digits behind the last separator.
_COMMON = re.compile(r"(?:\d{1,3}(?:[ \xa0]\d{3}){1,4}|\d{1,15})([.,])\d\d", re.ASCII)


def common_amount(text: str, grouping: str, decimal: str | None) -> tuple[Decimal, str] | None:
    """The amount and its decimal separator, in a fraction of the time of `read_amount` and `Grouping.note`, which say
    the same; None: look closer."""
    match = _COMMON.fullmatch(text)
    if match is None or match[1] == grouping or (decimal is not None and match[1] != decimal):
        return None
    return Decimal(text.replace(" ", "").replace("\xa0", "").replace(",", ".")), match[1]


@lru_cache(maxsize=256)  # one amount is looked at several times in a row
def bare_number(text: str) -> str:
    """The text without spaces, currency and brackets; brackets mean minus."""
    plain = text.translate(_SPACES)
    if plain and not plain[-1].isdigit():
        plain = _CURRENCY.sub("", plain)
    if plain.startswith("(") and plain.endswith(")"):
        plain = f"-{plain[1:-1]}"
    return f"-{plain[:-1]}" if plain.endswith("-") and len(plain) > 1 else plain


def _with_point(digits: str, grouping: str, decimal: str | None) -> str:
    comma, point = digits.rfind(","), digits.rfind(".")
    if comma >= 0 and point >= 0:
        mark, other = (",", ".") if comma > point else (".", ",")
        return digits.replace(other, "").replace(mark, ".")
    mark = "," if comma >= 0 else "."
    if digits.count(mark) > 1 or mark == grouping:
        return digits.replace(mark, "")
    if decimal is not None and mark != decimal and mark in digits:
        return digits.replace(mark, "")
    return digits.replace(mark, ".")


def _mark_of(text: str) -> tuple[str, bool]:
    """The last separator of an amount, and whether it may group thousands as well as cut kopecks off."""
    plain = bare_number(text)
    last = max(plain.rfind(","), plain.rfind("."))
    if last < 0:
        return "", False
    return plain[last], len(plain) - last == 4 and AMBIGUOUS.match(plain) is not None


class Grouping:
    """What a column's amounts show together: which separator, if any, groups thousands."""

    def __init__(self) -> None:
        self._ambiguous = {",": 0, ".": 0}
        self._decimal = {",": 0, ".": 0}

    def note(self, text: str) -> None:
        mark, is_ambiguous = _mark_of(text)
        if mark:
            (self._ambiguous if is_ambiguous else self._decimal)[mark] += 1

    def note_decimal(self, mark: str) -> None:
        """An amount whose last separator plainly cuts kopecks off."""
        self._decimal[mark] += 1

    def mark(self) -> str:
        """The separator that groups thousands in the whole column, or `""`."""
        return next((mark for mark in ",." if self._ambiguous[mark] and not self._decimal[mark]), "")


# ── days ────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_day(cell: Cell, date_format: str | None = None) -> date | None:
    """A local day; None for an empty cell. Numbers are Excel's serial days of the 1900 system.

    Raises:
        ValueError: something else.
    """
    if isinstance(cell, str):
        return _day_of(cell.strip(), date_format)
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    if cell is None:
        return None
    if isinstance(cell, bool | timedelta) or not isinstance(cell, int | float):
        raise ValueError("no day")
    # Not every cell with a number's type holds one: Excel's own overflow is an infinity.
    if not math.isfinite(cell) or int(cell) not in _SERIALS:
        raise ValueError("no day")
    return (_EPOCH + timedelta(days=int(cell))).date()


@lru_cache(maxsize=8192)
def _day_of(text: str, date_format: str | None) -> date | None:
    if text in ("", "-", "00.00.0000", "01.01.0001"):
        return None
    if date_format is not None:
        return datetime.strptime(text, date_format).date()  # noqa: DTZ007 - a local day
    if match := _DAY.match(text):
        return date(_full_year(match[3]), int(match[2]), int(match[1]))
    if match := _ISO.match(text):
        return date(int(match[1]), int(match[2]), int(match[3]))
    if match := _WORDS.match(text):
        word = match[2].casefold()
        month = next((place for place, stem in enumerate(_MONTHS, 1) if word.startswith(stem)), 0)
        return date(int(match[3]), month, int(match[1]))
    if text.isdecimal() and len(text) == 5 and int(text) in _SERIALS:
        return (_EPOCH + timedelta(days=int(text))).date()
    raise ValueError(f"no day: {text!r}")


def _full_year(year: str) -> int:
    return int(year) + (2000 if len(year) == 2 else 0)


# ── 1C's documents ──────────────────────────────────────────────────────────────────────────────────────────────

# `Поступление на расчетный счет 0000-001471 от 01.06.2026 17:00:00`, the hour without a leading zero.
_DOCUMENT = re.compile(
    r"^(?P<type>[^\d№]{3,}?)\s*№?\s*(?P<number>[^\s№]*\d[^\s]*)\s+от\s+(?P<day>\d{1,2}\.\d{2}\.\d{2,4})"
)


def read_document(text: str) -> tuple[str, str, date] | None:
    """Type, number and day of a document's presentation; None if it is none."""
    match = _DOCUMENT.match(text)
    if match is None:
        return None
    try:
        day = _day_of(match["day"], None)
    except ValueError:
        return None
    return (" ".join(match["type"].split()), match["number"], day) if day else None
