"""What a step tells while it works; the command line draws it, tests and schedulers need not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from base.errors import VoronkaError
from base.text import Text


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
    # The first of what could not be read: which record or file, and why.
    examples: tuple[Text, ...] = ()

    @property
    def is_ok(self) -> bool:
        return self.error is None and self.rejected == 0


class Progress(Protocol):
    def say(self, message: Text) -> None:
        """A line for the person who started the command."""

    def stream_started(self, source: str, stream: str, label: Text) -> None: ...

    def stream_advanced(self, source: str, stream: str, rows: int) -> None:
        """`rows` records of the stream have been read so far, known ones included."""

    def stream_finished(self, report: StreamReport) -> None: ...


class Silent:
    """Tells nobody."""

    def say(self, message: Text) -> None:
        return None

    def stream_started(self, source: str, stream: str, label: Text) -> None:
        return None

    def stream_advanced(self, source: str, stream: str, rows: int) -> None:
        return None

    def stream_finished(self, report: StreamReport) -> None:
        return None
