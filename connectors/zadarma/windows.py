"""Windows in the account's own wall time.

Rows carry wall time without an offset, and a period is asked for in it. Windows of whole wall days therefore meet
without gap or overlap whatever the clocks do: each row stands in exactly one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

# A longer period than a month is cut to 30 days without an error.
LONGEST_DAYS = 28
SECOND = timedelta(seconds=1)
QUARTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Window:
    """From `start` to `end`, both inclusive: naive wall times to the second. `is_last`: it ends at the present."""

    start: datetime
    end: datetime
    is_last: bool


def to_wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """An instant on the account's clock, to the second."""
    return moment.astimezone(zone).replace(tzinfo=None, microsecond=0)


def latest_wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """The latest wall time shown up to an instant: after clocks went back it lies before them.

    Clocks are set at whole quarters of an hour, so only the seconds before those of the last hour can be later.
    """
    quarter = datetime.fromtimestamp(moment.timestamp() // QUARTER.total_seconds() * QUARTER.total_seconds(), UTC)
    before = (quarter - number * QUARTER - SECOND for number in range(4))
    return max(to_wall(moment, zone), *(to_wall(instant, zone) for instant in before))


def wall_day(moment: datetime, zone: ZoneInfo) -> datetime:
    """The start of an instant's day on the account's clock."""
    return datetime.combine(to_wall(moment, zone).date(), time.min)


def next_window(start: datetime, last: datetime, days: int) -> Window:
    """The window that begins at `start` and ends before a midnight, at most `days` days on, or at `last`."""
    following = datetime.combine(start.date(), time.min) + timedelta(days=days)
    end = min(following - SECOND, last)
    return Window(start, end, is_last=end == last)


def wall_text(wall: datetime) -> str:
    return wall.strftime("%Y-%m-%d %H:%M:%S")
