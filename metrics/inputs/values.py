"""Reading one cell of an input file, by the kind its column declares."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from base.errors import UsageError
from base.money import parse_money
from base.phones import normalise_phone
from base.text import Text, say
from metrics.inputs.declared import EVER, Field, Kind
from metrics.periods import parse_period

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_RUSSIAN_DAY = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_SPACES = re.compile(r"[\s\u00a0\u202f]")


class BadValue(ValueError):  # noqa: N818 - a verdict on a cell
    """The cell can't be read; `expected` says what would have been."""

    def __init__(self, expected: Text) -> None:
        super().__init__(str(expected))
        self.expected = expected


def parse_value(field: Field, text: str, *, country: str) -> Any:
    """The value of a cell as its relation's column holds it; None for an empty optional one.

    Raises:
        BadValue: empty though required, or not of the column's kind.
    """
    text = text.strip()
    if not text and field.kind == "from_day":
        return EVER
    if not text and field.kind == "guess":
        return False
    if not text and field.optional:
        return None
    if not text:
        raise BadValue(say("непустое значение", "a value"))
    if field.kind == "choice":
        return _parse_choice(text, field.choices)
    if field.kind == "phone":
        return _parse_phone(text, country)
    return _PARSERS[field.kind](text)


def _parse_choice(text: str, choices: tuple[str, ...]) -> str:
    if text.lower() not in choices:
        raise BadValue(say("одно из: {choices}", "one of: {choices}", choices=", ".join(choices)))
    return text.lower()


def _parse_phone(text: str, country: str) -> str:
    phone = normalise_phone(text, country=country)
    if phone.e164 is None:
        raise BadValue(say("телефонный номер", "a phone number"))
    return phone.e164


def _parse_day(text: str) -> date:
    expected = say("дата ГГГГ-ММ-ДД", "a date YYYY-MM-DD")
    try:
        # Excel with Russian settings rewrites dates as 31.12.2026.
        if match := _RUSSIAN_DAY.fullmatch(text):
            return date(int(match[3]), int(match[2]), int(match[1]))
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise BadValue(expected) from None


def _parse_integer(text: str) -> int:
    if not re.fullmatch(r"-?\d{1,9}", text):
        raise BadValue(say("целое число", "a whole number"))
    return int(text)


def _parse_number(text: str) -> Decimal:
    try:
        value = Decimal(_SPACES.sub("", text).replace(",", "."))
    except InvalidOperation:
        raise BadValue(say("число", "a number")) from None
    if not value.is_finite():
        raise BadValue(say("число", "a number"))
    return value


def _parse_share(text: str) -> Decimal:
    value = _parse_number(text)
    if not 0 < value <= 1:
        raise BadValue(say("доля больше 0 и не больше 1", "a share above 0 and at most 1"))
    return value


def _parse_amount(text: str) -> Decimal:
    try:
        return parse_money(text)
    except ValueError:
        raise BadValue(say("сумма", "an amount of money")) from None


def _parse_period(text: str) -> str:
    try:
        periods = parse_period(text)
    except UsageError:
        periods = []
    if len(periods) != 1:
        raise BadValue(
            say(
                "один период: 2026-11, 2026-Q4, 2026-W47, 2026-11-16",
                "one period: 2026-11, 2026-Q4, 2026-W47, 2026-11-16",
            )
        )
    return periods[0].name


def _parse_weekday(text: str) -> int:
    if text not in {"1", "2", "3", "4", "5", "6", "7"}:
        raise BadValue(say("день недели от 1 (понедельник) до 7", "a weekday from 1 (Monday) to 7"))
    return int(text)


def _parse_clock(text: str) -> str:
    match = _CLOCK.fullmatch(text)
    # A department that works until midnight closes at 24:00.
    if not match and text != "24:00":
        raise BadValue(say("время ЧЧ:ММ", "a time HH:MM"))
    return f"{int(match[1]):02d}:{match[2]}" if match else text


def _parse_zone(text: str) -> str:
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A path-like or mis-cased name fails in one of these ways, by platform.
        raise BadValue(say("часовой пояс, например Europe/Moscow", "a time zone such as Europe/Moscow")) from None


def _parse_currency(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{3}", text):
        raise BadValue(say("код валюты, например USD", "a currency code such as USD"))
    return text.upper()


def _parse_guess(text: str) -> bool:
    if text.lower() != "guess":
        raise BadValue(say("guess или пусто", "guess, or nothing"))
    return True


_PARSERS: dict[Kind, Callable[[str], Any]] = {
    "text": str,
    "day": _parse_day,
    "from_day": _parse_day,
    "integer": _parse_integer,
    "number": _parse_number,
    "share": _parse_share,
    "amount": _parse_amount,
    "period": _parse_period,
    "weekday": _parse_weekday,
    "clock": _parse_clock,
    "zone": _parse_zone,
    "currency": _parse_currency,
    "guess": _parse_guess,
}
