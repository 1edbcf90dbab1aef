"""Reading sources side by side: a thread a stream within the source's budget, pages to one writer through a queue."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from queue import Empty, Full, Queue
from typing import Any

from base.clock import Clock
from base.errors import (
    BlockedError,
    BudgetError,
    CredentialsError,
    SourceError,
    UnreachableError,
)
from base.times import from_unix
from connectors.stream import Connector, Page, Position, Request, Runtime, Stream
from flows.project import Source

# A page is some hundred kilobytes: the reader stays a little ahead of the writer, no more.
QUEUED_PAGES = 8
POLL_SECONDS = 0.1
# How long an interrupted command waits for its readers; they are daemons and hold nothing worth saving.
GRACE_SECONDS = 2.0

# Moments of a position, all connectors call them so: Unix seconds by the vendor's clock, or text by this machine's.
MOMENTS = ("updated_at", "created_at", "since", "until")
# Clocks of a vendor's servers differ by less, and so does an overlap; what is read by our clock overlaps by weeks.
AHEAD_SECONDS, AHEAD_DAYS = 600, 2

logger = logging.getLogger("voronka.sync")

# What no other stream of the source can expect to be spared.
HOPELESS = (CredentialsError, UnreachableError, BlockedError, BudgetError)


class Stopped(Exception):  # noqa: N818 - a signal between threads, not a failure
    """The writer gave up; readers end."""


def is_ahead(position: Position, end: datetime) -> bool:
    """A clock was ahead when this position was stored: what came since then stands before it and was not read.

    Nobody knows since when, so the stream is loaded as for the first time; what is known is not written again.
    """
    for moment in (position[name] for name in MOMENTS if name in position):
        if isinstance(moment, str):
            latest, limit = datetime.fromisoformat(moment), end + timedelta(days=AHEAD_DAYS)
        else:
            latest, limit = from_unix(int(moment)), end + timedelta(seconds=AHEAD_SECONDS)
        if latest > limit:
            return True
    return False


@dataclass(frozen=True)
class Opened:
    """A stream's reading begins; `end` is the vendor's clock at that moment."""

    source: str
    stream: str
    end: datetime


@dataclass(frozen=True)
class Arrived:
    source: str
    stream: str
    page: Page


@dataclass(frozen=True)
class Ended:
    """A stream's reading is over."""

    source: str
    stream: str
    error: SourceError | None = None


Message = Opened | Arrived | Ended


@dataclass
class Reading:
    """What one source is asked for."""

    source: Source
    connector: Connector[Any]
    runtime: Runtime
    positions: Mapping[str, Position | None]
    start: datetime | None
    # `--from`/`--to`: a window by hand, which leaves positions alone.
    window: tuple[datetime | None, datetime | None] | None = None
    full: bool = False


@dataclass
class Counter:
    """Requests by stream: the client counts in the thread that asks."""

    by_thread: dict[int, tuple[str, str]] = field(default_factory=dict)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def attach(self, source: str, stream: str) -> None:
        with self.lock:
            self.by_thread[threading.get_ident()] = (source, stream)
            self.counts.setdefault((source, stream), 0)

    def add(self, count: int) -> None:
        with self.lock:
            key = self.by_thread.get(threading.get_ident())
            if key is not None:
                self.counts[key] += count

    def of(self, source: str, stream: str) -> int:
        with self.lock:
            return self.counts.get((source, stream), 0)


class Readers:
    """Threads that read; iterate `messages` until every stream has ended."""

    def __init__(self, readings: Sequence[Reading], clock: Clock, counter: Counter) -> None:
        self._readings = readings
        self._clock = clock
        self._counter = counter
        self._queue: Queue[Message] = Queue(maxsize=QUEUED_PAGES)
        self._stop = threading.Event()
        self._failure: list[BaseException] = []
        self._threads = [
            threading.Thread(
                target=self._guard,
                args=(partial(self._read_source, reading),),
                name=f"read-{reading.source.name}",
                daemon=True,
            )
            for reading in readings
        ]

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=GRACE_SECONDS)

    def messages(self, meanwhile: Callable[[], bool] = lambda: False) -> Iterator[Message]:
        """Every message in the order of arrival; a defect of a reader is raised here.

        While none waits `meanwhile` is called, for as long as it finds something to do.
        """
        while True:
            try:
                if self._queue.empty() and meanwhile():
                    continue
                yield self._queue.get(timeout=POLL_SECONDS)
            except Empty:
                if self._failure:
                    raise self._failure[0] from None
                if not any(thread.is_alive() for thread in self._threads) and self._queue.empty():
                    return

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Stopped:
            return
        except BaseException as error:  # carried to the writer's thread and raised there
            self._failure.append(error)

    def _read_source(self, reading: Reading) -> None:
        streams = list(reading.connector.streams)
        done: set[str] = set()
        try:
            with reading.connector.open(reading.source.settings, reading.runtime) as client:
                first, rest = streams[0], streams[1:]
                # The first stream alone: a wrong token costs one request, and some vendors lock a key for more.
                hopeless = self._read_stream(reading, client, first)
                done.add(first.name)
                if hopeless is None:
                    self._read_side_by_side(reading, client, rest)
                    return
                self._give_up(reading, rest, hopeless)
        except SourceError as error:
            self._give_up(reading, [stream for stream in streams if stream.name not in done], error)

    def _read_side_by_side(self, reading: Reading, client: Any, streams: Sequence[Stream[Any]]) -> None:
        waiting: Queue[Stream[Any]] = Queue()
        for stream in streams:
            waiting.put(stream)

        def work() -> None:
            with suppress(Empty):
                while True:
                    self._read_stream(reading, client, waiting.get_nowait())

        # Daemons, not a pool: an interrupted command must not wait for a vendor's five-minute pause to end.
        workers = [
            threading.Thread(target=self._guard, args=(work,), name=f"read-{reading.source.name}-{n}", daemon=True)
            for n in range(min(reading.connector.parallel, len(streams)))
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _read_stream(self, reading: Reading, client: Any, stream: Stream[Any]) -> SourceError | None:
        """Gives the error if it leaves no hope for the source's other streams."""
        source = reading.source.name
        self._counter.attach(source, stream.name)
        try:
            end = client.now()
            self._put(Opened(source, stream.name, end))
            for page in stream.fetch(client, self._request(reading, stream, end)):
                self._put(Arrived(source, stream.name, page))
        except SourceError as error:
            self._put(Ended(source, stream.name, error))
            return error if isinstance(error, HOPELESS) else None
        self._put(Ended(source, stream.name))
        return None

    def _request(self, reading: Reading, stream: Stream[Any], end: datetime) -> Request:
        if reading.window is not None:
            start, until = reading.window
            upper = end if until is None else min(until, end)
            return Request(position=None, start=start or reading.start, end=upper, window=True)
        position = reading.positions.get(stream.name)
        if position is not None and is_ahead(position, end):
            logger.warning(
                "source=%s stream=%s event=position_ahead position=%s", reading.source.name, stream.name, position
            )
            position = None
        return Request(
            position=None if reading.full else position,
            start=reading.start,
            end=end,
            full=reading.full or stream.kind == "dictionary",
        )

    def _give_up(self, reading: Reading, streams: Sequence[Stream[Any]], error: SourceError) -> None:
        for stream in streams:
            self._put(Ended(reading.source.name, stream.name, error))

    def _put(self, message: Message) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(message, timeout=POLL_SECONDS)
                return
            except Full:
                continue
        raise Stopped
