"""Numbers and times as a head of sales expects them: `430 000 ₽`, `37,5 %`, `30.11.2026 18:00`.

A value comes as Decimal, int or float; None is a dash, never a zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Final
from zoneinfo import ZoneInfo

from base.text import Language

Number = Decimal | int | float

DASH: Final = "—"
NARROW_SPACE: Final = "\u202f"  # no-break and narrow: what Russian typography puts between thousands
SYMBOLS: Final = {"RUB": "₽", "KZT": "₸", "BYN": "Br", "UZS": "сум", "USD": "$", "EUR": "€"}
# A quotient of doubles may fall short of the true one by its last bits: 5.6 / 7 is 0.7999999999999999.
SIGNIFICANT: Final = 12


def exact(value: Number) -> Decimal:
    """The shortest decimal that stands for the value: 0.57, not 0.56999999999999995."""
    return value if isinstance(value, Decimal) else Decimal(repr(value))


@dataclass(frozen=True)
class Numbers:
    """`space` stands between thousands: narrow on a terminal, an ordinary one where text goes on to grep and awk."""

    language: Language = "ru"
    space: str = NARROW_SPACE
    zone: ZoneInfo | None = None

    def count(self, value: Number | None) -> str:
        """A whole number; what isn't whole keeps one place."""
        if value is None:
            return DASH
        number = exact(value)
        return self._group(number, 0 if number == number.to_integral_value() else 1)

    def money(self, value: Number | None, currency: str | None, *, places: int = 0) -> str:
        """An amount rounded half-up to `places`, with its sign: in tables whole units, in records kopecks too."""
        if value is None:
            return DASH
        amount = self._group(exact(value), places)
        return f"{amount}{self.space}{SYMBOLS.get(currency, currency)}" if currency else amount

    def percent(self, share: Number | None) -> str:
        """A share as a percentage, rounded half-up to one place."""
        return DASH if share is None else self._percent(exact(share) * 100, ROUND_HALF_UP)

    def attainment(self, share: Number | None) -> str:
        """A share cut to 0.1 of a percentage point (metrics.md 5): a shown 80,0 % has really been reached."""
        if share is None:
            return DASH
        number = exact(round(share, SIGNIFICANT)) if isinstance(share, float) else share
        return self._percent(exact(number) * 100, ROUND_DOWN)

    def tenths(self, value: Number | None) -> str:
        """A number with one place: seconds, minutes."""
        return DASH if value is None else self._group(exact(value), 1)

    def size(self, count: int | None) -> str:
        """Bytes in the largest unit that leaves a number above one."""
        if count is None:
            return DASH
        number, units = Decimal(count), ("Б", "КБ", "МБ", "ГБ") if self.language == "ru" else ("B", "KB", "MB", "GB")
        step = 0
        while number >= 1000 and step < 3:
            number, step = number / 1000, step + 1
        return f"{self._group(number, 1 if step and number < 100 else 0)}{self.space}{units[step]}"

    def value(self, value: Number | None, unit: str, currency: str | None = None) -> str:
        """A metric's value by its unit; a ratio that has a currency is money for one (an average check)."""
        if unit == "money" or currency:
            return self.money(value, currency)
        if unit == "ratio":
            return self.percent(value)
        return self.count(value)

    def day(self, value: date | None) -> str:
        if value is None:
            return DASH
        return f"{value:%d.%m.%Y}" if self.language == "ru" else value.isoformat()

    def moment(self, value: datetime | None) -> str:
        """An instant on the company's clock (UTC, and said so, where there is no company)."""
        if value is None:
            return DASH
        local = value.astimezone(self.zone) if self.zone else value
        pattern = "%d.%m.%Y %H:%M" if self.language == "ru" else "%Y-%m-%d %H:%M"
        return f"{local:{pattern}}" + ("" if self.zone else " UTC")

    def _group(self, number: Decimal, places: int) -> str:
        rounded = number.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
        return self._localise(rounded + 0, places)  # + 0: no minus before a zero

    def _percent(self, number: Decimal, rounding: str) -> str:
        rounded = number.quantize(Decimal("0.1"), rounding=rounding)
        gap = self.space if self.language == "ru" else ""
        return f"{self._localise(rounded + 0, 1)}{gap}%"

    def _localise(self, number: Decimal, places: int) -> str:
        text = f"{number:,.{places}f}"
        if self.language == "en":
            return text
        text = text.replace(",", self.space).replace(".", ",")
        return text.replace("-", "−") if self.space == NARROW_SPACE else text
