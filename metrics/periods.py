"""Periods as people write them, and their bounds on the company's clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from base.errors import UsageError
from base.text import say
from base.times import start_of_day

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_QUARTER = re.compile(r"(\d{4})-Q([1-4])")
_WEEK = re.compile(r"(\d{4})-W(\d{2})")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

# A range longer than this is a slip of the finger (2006 for 2026), not a wish.
LONGEST_RANGE = 120


@dataclass(frozen=True, order=True)
class Period:
    """Local days `[starts_on, ends_on)`; `name` is the only spelling stored: `2026-11`, `2026-Q4`, `2026-W47`,
    `2026-11-16`."""

    starts_on: date
    ends_on: date
    name: str

    def starts_at(self, zone: ZoneInfo) -> datetime:
        """The first instant of the period, UTC."""
        return start_of_day(self.starts_on, zone)

    def ends_at(self, zone: ZoneInfo) -> datetime:
        """The first instant after the period, UTC."""
        return start_of_day(self.ends_on, zone)


def parse_period(text: str) -> list[Period]:
    """The periods a person named: one, or the months of a range `2026-01..2026-06`, in order.

    Raises:
        UsageError: no such period; the remedy shows every accepted form.
    """
    first, dots, last = text.strip().upper().partition("..")
    if not dots:
        return [_parse_one(first, text)]
    start, end = _parse_month(first, text), _parse_month(last, text)
    if end < start:
        raise _unknown(text)
    months = [start]
    while months[-1] < end and len(months) <= LONGEST_RANGE:
        months.append(month_of(months[-1].ends_on))
    if len(months) > LONGEST_RANGE:
        raise _unknown(text)
    return months


def month_of(day: date) -> Period:
    """The calendar month a local day belongs to."""
    starts_on = day.replace(day=1)
    return Period(starts_on, add_months(starts_on, 1), f"{day:%Y-%m}")


def _parse_one(name: str, text: str) -> Period:
    try:
        if match := _MONTH.fullmatch(name):
            return month_of(date(int(match[1]), int(match[2]), 1))
        if match := _QUARTER.fullmatch(name):
            starts_on = date(int(match[1]), 3 * int(match[2]) - 2, 1)
            return Period(starts_on, add_months(starts_on, 3), name)
        if match := _WEEK.fullmatch(name):
            monday = date.fromisocalendar(int(match[1]), int(match[2]), 1)
            return Period(monday, monday + timedelta(days=7), name)
        if _DAY.fullmatch(name):
            day = date.fromisoformat(name)
            return Period(day, day + timedelta(days=1), name)
    except (ValueError, OverflowError):
        # The right form, but no such date: 2026-02-30, 2026-W54, year 0.
        raise _unknown(text) from None
    raise _unknown(text)


def _parse_month(name: str, text: str) -> Period:
    if not _MONTH.fullmatch(name):
        raise _unknown(text)
    return _parse_one(name, text)


def add_months(first_of_month: date, count: int) -> date:
    """The first of the month so many later, or earlier where `count` is negative."""
    months = first_of_month.year * 12 + first_of_month.month - 1 + count
    return date(months // 12, months % 12 + 1, 1)


def _unknown(text: str) -> UsageError:
    return UsageError(
        say("Непонятный период «{text}».", "Unknown period {text!r}.", text=text),
        remedy=say(
            "Пишите так: 2026-11 (месяц), 2026-Q4 (квартал), 2026-W47 (неделя), 2026-11-16 (день), "
            "2026-01..2026-06 (шесть месяцев).",
            "Write it like this: 2026-11 (month), 2026-Q4 (quarter), 2026-W47 (week), 2026-11-16 (day), "
            "2026-01..2026-06 (six months).",
        ),
    )
