"""Scalars of Bitrix24: a number may be text, nothing may be `""`, `"0"`, null or false.

Days need care: the server writes a day as its local midnight shifted by the offset of *now*, so the text's own first
ten characters are wrong west of Greenwich and the UTC day is wrong under summer time. Twelve hours later it is right.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec

from base.money import to_money
from base.text import say
from base.times import to_micros
from connectors.stream import BadRecord

Scalar = str | int | float | bool | None
# "No deadline" may be a moment of the year 9999.
LAST_YEAR = 2900
OLD_CODES = {"RUR": "RUB", "BYR": "BYN"}


def as_int(value: Scalar) -> int | None:
    """An id or count; None for empty ones and for what is no whole number, whatever a list of ids may hold."""
    if value is None or value is False or value == "":
        return None
    try:
        return int(value)
    except (ValueError, TypeError, OverflowError):
        return None


def as_link(value: Scalar) -> str | None:
    """The id of another record as text; `0` means none."""
    number = as_int(value)
    return str(number) if number else None


def as_id(value: Scalar) -> str | None:
    """An id that may be 0: the pipeline a portal begins with."""
    number = as_int(value)
    return None if number is None else str(number)


def as_text(value: Scalar) -> str | None:
    if value is None or value is False:
        return None
    text = str(value).strip()
    return text or None


def as_flag(value: Scalar) -> bool | None:
    """`Y`, `"1"`, true; None when it is empty."""
    if value is None or value == "":
        return None
    return str(value).upper() in ("Y", "1", "TRUE")


def as_moment(value: Scalar, path: str) -> datetime | None:
    """An instant with the server's own offset.

    Raises:
        BadRecord: `bad_time`: no ISO 8601 with an offset.
    """
    if value is None or value is False or value == "":
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        message = say("{path}: не время со смещением", "{path}: no time with an offset", path=path)
        raise BadRecord("bad_time", message, path=path, expected="ISO 8601 with an offset", got=str(value)[:40])
    return None if moment.year > LAST_YEAR else moment


def as_micros(value: Scalar, path: str) -> int | None:
    moment = as_moment(value, path)
    return None if moment is None else to_micros(moment)


def as_day(value: Scalar, path: str) -> date | None:
    """The day a `date` field means."""
    moment = as_moment(value, path)
    return None if moment is None else (moment.astimezone(UTC) + timedelta(hours=12)).date()


def as_money(raw: msgspec.Raw, path: str) -> Decimal | None:
    """An amount, text in classic methods and a number in the others; never by way of float.

    Raises:
        BadRecord: `wrong_type` for an object or list, `no_amount` for anything else that is no amount.
    """
    text = bytes(raw).strip()
    if text in (b"null", b"false", b'""'):
        return None
    if text[:1] in (b"{", b"["):
        message = say("{path}: ожидалась сумма", "{path}: an amount was expected", path=path)
        raise BadRecord("wrong_type", message, path=path, expected="amount", got="object")
    try:
        return to_money(text.decode().strip('"'))
    except ValueError as error:
        message = say("{path}: не сумма: {error}", "{path}: no amount: {error}", path=path, error=str(error))
        raise BadRecord("no_amount", message, path=path, expected="DECIMAL(18,2)", got=text.decode()[:40]) from None


def as_currency(value: Scalar) -> str | None:
    code = as_text(value)
    return None if code is None else OLD_CODES.get(code.upper(), code.upper())
