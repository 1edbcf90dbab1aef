"""What a step tells while it works; the command line draws it, tests and schedulers need not."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from base.errors import VoronkaError
from base.text import Text

# Before this an estimate would be a guess.
LEAST_SECONDS = 10.0
STEP_SECONDS = 10.0
RECENT_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class StreamReport:
    """How a stream's run ended."""

    source: str
    stream: str
    label: Text
    rows: int  # raw records written: new ones and new versions
    core_rows: int  # core rows written
    requests: int
    rejected: int
    seconds: float
    error: VoronkaError | None = None
    # A replay: records whose payload is kept no more, so what the core has of them was left as it is.
    let_go: int = 0
    # The first of what could not be read: which record or file, and why.
    examples: tuple[Text, ...] = ()

    @property
    def is_ok(self) -> bool:
        return self.error is None and self.rejected == 0


@dataclass(frozen=True, kw_only=True)
class Reached:
    """How far a stream that is read in the order of time has come."""

    source: str
    stream: str
    label: Text
    rows: int  # records read so far
    read_until: datetime  # everything before is read
    seconds_left: float | None  # None: too early to tell


class Pace:
    """How long the rest will take, by the time its records cover: nobody tells how many there are.

    Recent years hold more records than the first ones, so the slower of two paces counts, the whole run's and that of
    the last minutes: the estimate may fall short of the truth for a while, and then corrects itself.
    """

    def __init__(self) -> None:
        # (seconds since the stream began, instant read until), one about every `STEP_SECONDS`.
        self._marks: deque[tuple[float, datetime]] = deque()
        self._first: tuple[float, datetime] | None = None

    def seconds_left(self, seconds: float, read_until: datetime, end: datetime) -> float | None:
        """`seconds` have passed since the stream began; `end` is how far it will be read."""
        mark = (seconds, read_until)
        if self._first is None:
            self._first = mark
        if not self._marks or seconds - self._marks[-1][0] >= STEP_SECONDS:
            self._marks.append(mark)
        while len(self._marks) > 1 and seconds - self._marks[1][0] >= RECENT_SECONDS:
            self._marks.popleft()
        if seconds - self._first[0] < LEAST_SECONDS:
            return None
        paces = [_pace(self._first, mark), _pace(self._marks[0], mark)]
        known = [pace for pace in paces if pace is not None]
        slowest = min(known, default=0.0)
        return max((end - read_until).total_seconds(), 0.0) / slowest if slowest > 0 else None


def _pace(earlier: tuple[float, datetime], later: tuple[float, datetime]) -> float | None:
    """Seconds of the records' time for a second of ours."""
    took = later[0] - earlier[0]
    return (later[1] - earlier[1]).total_seconds() / took if took > 0 else None


class Progress(Protocol):
    def say(self, message: Text) -> None:
        """A line for the person who started the command."""

    def stream_started(self, source: str, stream: str, label: Text) -> None: ...

    def stream_advanced(self, source: str, stream: str, rows: int) -> None:
        """`rows` records of the stream have been read so far, known ones included."""

    def stream_reached(self, reached: Reached) -> None:
        """A page of a stream read in the order of time has come."""

    def stream_finished(self, report: StreamReport) -> None: ...


class Silent:
    """Tells nobody."""

    def say(self, message: Text) -> None:
        return None

    def stream_started(self, source: str, stream: str, label: Text) -> None:
        return None

    def stream_advanced(self, source: str, stream: str, rows: int) -> None:
        return None

    def stream_reached(self, reached: Reached) -> None:
        return None

    def stream_finished(self, report: StreamReport) -> None:
        return None
