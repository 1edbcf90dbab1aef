"""The country's production calendar: working hours of every day, before calendar.csv has its word.

Days off and moved working days are those the `holidays` package knows; it is imported only when a calendar is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from importlib import metadata

COUNTRIES = ("RU", "KZ", "BY", "UZ")
FULL_DAY = 8.0
SHORT_DAY = 7.0

# Article 112 of Russia's labour code, as (month, day): the working day right before one of these is an hour shorter
# (article 95). Days off moved there by decree don't shorten anything.
_RUSSIAN_HOLIDAYS = frozenset({(1, day) for day in range(1, 9)} | {(2, 23), (3, 8), (5, 1), (5, 9), (6, 12), (11, 4)})


def package_version() -> str:
    """The version of the calendar's source; a newer one may know newer decrees. Reads no more than metadata."""
    return metadata.version("holidays")


def production_calendar(country: str, first_year: int, last_year: int) -> Iterator[tuple[date, float]]:
    """Every day of the years, in order, with its working hours: 0 on a day off.

    Raises:
        ValueError: a country outside COUNTRIES.
    """
    if country not in COUNTRIES:
        raise ValueError(f"no production calendar of {country!r}")
    import holidays

    known = holidays.country_holidays(country, years=range(first_year, last_year + 1))
    # Saturdays and Sundays that a decree made working days.
    moved = set(known.weekend_workdays)
    day = date(first_year, 1, 1)
    while day.year <= last_year:
        is_working = day in moved or (day.weekday() < 5 and day not in known)
        yield day, _hours(country, day) if is_working else 0.0
        day += timedelta(days=1)


def _hours(country: str, day: date) -> float:
    tomorrow = day + timedelta(days=1)
    is_short = country == "RU" and (tomorrow.month, tomorrow.day) in _RUSSIAN_HOLIDAYS
    return SHORT_DAY if is_short else FULL_DAY
