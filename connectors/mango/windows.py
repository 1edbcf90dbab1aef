"""Windows of statistics: whole Moscow days, never as long as a month.

Report bounds are Moscow wall time to the second, both inclusive. A period of exactly 30 days is refused with 3111,
and a wrong request may lock the key, so a window is at most 29 days.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from base.times import local_day, start_of_day

MOSCOW = ZoneInfo("Europe/Moscow")
LONGEST_DAYS = 29
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Window:
    """From `start` to `end`, both inclusive, UTC, whole seconds."""

    start: datetime
    end: datetime


def split_windows(first: datetime, last: datetime, days: int = LONGEST_DAYS) -> Iterator[Window]:
    """Windows from the start of `first`'s Moscow day to `last`, oldest first, without gap or overlap.

    Whole days: narrow windows of the recent past were seen to come back empty.
    """
    last = last.replace(microsecond=0)
    day = local_day(first, MOSCOW)
    start = start_of_day(day, MOSCOW)
    while start <= last:
        day += timedelta(days=days)
        following = start_of_day(day, MOSCOW)
        yield Window(start, min(following - SECOND, last))
        start = following


def wall_time(moment: datetime) -> str:
    """`DD.MM.YYYY HH:MM:SS` on Moscow's clock; ISO dates are refused with 3104."""
    return moment.astimezone(MOSCOW).strftime("%d.%m.%Y %H:%M:%S")
