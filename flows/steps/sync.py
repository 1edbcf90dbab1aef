"""Sync: land what the sources have since the last position, then conform it. One source's failure stops no other."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from base.clock import Clock, SystemClock
from base.errors import MassDisappearanceError, SourceError, VoronkaError
from base.points import reached
from base.text import say
from base.times import start_of_day
from connectors.registry import load_connector
from connectors.states import States
from connectors.stream import Connector, Page, Runtime
from flows.project import Project, Source
from flows.steps.conforming import EXAMPLES, SourceConforming, example, too_many_rejects
from flows.steps.progress import Progress, Reached, Silent, StreamReport
from flows.steps.reading import Arrived, Counter, Ended, Opened, Readers, Reading
from flows.steps.sharing import shared_states
from flows.steps.sources import choose_sources, files_to_load, map_context
from flows.steps.state import StreamState
from warehouse import bookkeeping
from warehouse.batch import Batch
from warehouse.database import Warehouse, open_warehouse
from warehouse.forgotten import load_forgotten
from warehouse.land import Landing, StreamRun
from warehouse.layout import ROW_GROUP_RECORDS
from warehouse.pause import let_backup_in
from warehouse.reconcile import reconcile
from warehouse.source_lock import source_locks

if TYPE_CHECKING:
    import httpx

# A batch is committed when it is this large or this old: memory, and what a kill costs, stay bounded.
BATCH_RECORDS = ROW_GROUP_RECORDS
BATCH_BYTES = 32 * 1024 * 1024
BATCH_SECONDS = 10.0


@dataclass
class SyncReport:
    """What a sync did, stream by stream, in the order the streams are declared."""

    run_id: str
    streams: list[StreamReport] = field(default_factory=list)

    @property
    def is_ok(self) -> bool:
        return all(stream.is_ok for stream in self.streams)

    @property
    def errors(self) -> list[VoronkaError]:
        return [stream.error for stream in self.streams if stream.error is not None]


def sync(
    project: Project,
    *,
    sources: Sequence[str] = (),
    full: bool = False,
    start: date | None = None,
    end: date | None = None,
    accept_deletions: bool = False,
    clock: Clock | None = None,
    wait_seconds: float = 60.0,
    progress: Progress | None = None,
    transport: httpx.BaseTransport | None = None,
    find_connector: Callable[[str], Connector[Any]] = load_connector,
) -> SyncReport:
    """Land and conform the named sources (default: all enabled ones).

    `start` and `end` are local days, both inclusive: a window read by hand, which leaves the positions alone.

    Raises:
        ConfigError: an unknown source name.
        BusyError: another command holds the warehouse, or on a lake one of the sources.
    """
    clock = clock or SystemClock()
    progress = progress or Silent()
    chosen = choose_sources(project, sources)
    names = [source.name for source in chosen]
    with (
        open_warehouse(
            files_to_load(project), command="sync", clock=clock, wait_seconds=wait_seconds, on_wait=progress.say
        ) as warehouse,
        source_locks(warehouse.connection, names, clock=clock, wait_seconds=wait_seconds, on_wait=progress.say),
        shared_states(project, clock) as shared,
    ):
        run = _Sync(project, warehouse, clock, progress, full=full, accept_deletions=accept_deletions, shared=shared)
        readings = [
            run.reading(
                source, find_connector(source.type).serving(source.settings), _window(project, start, end), transport
            )
            for source in chosen
        ]
        return run.run(readings)


def _window(project: Project, start: date | None, end: date | None) -> tuple[datetime | None, datetime | None] | None:
    if start is None and end is None:
        return None
    zone = project.company.zone
    return (
        start_of_day(start, zone) if start else None,
        start_of_day(end + timedelta(days=1), zone) - timedelta(microseconds=1) if end else None,
    )


class _Sync:
    def __init__(
        self,
        project: Project,
        warehouse: Warehouse,
        clock: Clock,
        progress: Progress,
        *,
        full: bool,
        accept_deletions: bool,
        shared: States | None,
    ) -> None:
        self._project = project
        self._shared = shared
        self._warehouse = warehouse
        self._clock = clock
        self._progress = progress
        self._full = full
        self._accept_deletions = accept_deletions
        self._landing = Landing(warehouse, project.company.language, load_forgotten(project.state_dir))
        self._counter = Counter()
        self._run_id = f"{clock.now():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        self._streams: dict[tuple[str, str], StreamState] = {}
        self._conformings: dict[str, SourceConforming] = {}

    def run(self, readings: Sequence[Reading]) -> SyncReport:
        self._rewind()
        by_hand = any(reading.window is not None for reading in readings)
        conformings = [self._begin(reading, by_hand=by_hand) for reading in readings]
        report = SyncReport(self._run_id)
        with ExitStack() as helpers:
            for conforming in conformings:
                helpers.callback(conforming.close)
            self._land(readings, conformings, by_hand=by_hand)
            reached("sync.landed")
            for conforming in conformings:
                for finished in conforming.finish():
                    report.streams.append(finished)
                    self._progress.stream_finished(finished)
        return report

    def reading(
        self,
        source: Source,
        connector: Connector[Any],
        window: tuple[datetime | None, datetime | None] | None,
        transport: httpx.BaseTransport | None,
    ) -> Reading:
        runtime = Runtime(
            source=source.name,
            clock=self._clock,
            zone=self._project.company.zone,
            state_dir=self._project.state_dir,
            shared=self._shared,
            vault=self._project.vault,
            transport=transport,
            mapping=map_context(self._project, source),
            on_request=self._counter.add,
        )
        positions = {s.name: self._landing.position(source.name, s.name) for s in connector.streams}
        start = start_of_day(source.start, self._project.company.zone) if source.start else None
        return Reading(source, connector, runtime, positions, start, window, self._full)

    def _rewind(self) -> None:
        connection = self._warehouse.connection
        rewound = self._warehouse.again(lambda: bookkeeping.rewind_watermarks(connection))
        if rewound:
            self._progress.say(
                say(
                    "Журнал {raw} старее хранилища (восстановлен из копии?): недостающее читается заново, записи "
                    "разбираются ещё раз. Чего у источников уже нет, уберёт voronka replay после этой загрузки.",
                    "The log {raw} is older than the warehouse (restored from a copy?): what it lacks is read again "
                    "and its records are conformed anew. `voronka replay` after this drops what sources don't have any "
                    "more.",
                    raw=self._project.raw_path,
                )
            )

    # ── landing ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, reading: Reading, *, by_hand: bool) -> SourceConforming:
        """States for the streams of a source, and their conforming."""
        now = self._clock.monotonic()
        states = []
        for stream in reading.connector.streams:
            run = StreamRun(self._run_id, reading.source.name, stream.name, stream.facet)
            whole = not by_hand and (stream.kind == "dictionary" or (self._full and stream.sweeps))
            states.append(StreamState(stream, run, now, batch_started=now, seen=set() if whole else None))
            self._streams[reading.source.name, stream.name] = states[-1]
        conforming = SourceConforming(
            self._warehouse, self._clock, self._project, reading.source, states, self._requests
        )
        self._conformings[reading.source.name] = conforming
        return conforming

    def _land(self, readings: Sequence[Reading], conformings: Sequence[SourceConforming], *, by_hand: bool) -> None:
        with Readers(readings, self._clock, self._counter) as readers:
            for message in readers.messages(meanwhile=lambda: any(source.ahead() for source in conformings)):
                let_backup_in(self._warehouse.files.warehouse, self._warehouse.connection)
                state = self._streams[message.source, message.stream]
                if isinstance(message, Opened):
                    self._open(state, message)
                elif isinstance(message, Arrived):
                    self._take(state, message.page)
                elif isinstance(message, Ended):
                    self._end(state, message.error, by_hand=by_hand)
                for source in conformings:
                    source.keep_up()

    def _open(self, state: StreamState, message: Opened) -> None:
        state.end = message.end
        state.began_at = self._clock.now()
        state.started = state.batch_started = self._clock.monotonic()
        self._landing.begin(state.run)
        self._progress.stream_started(message.source, message.stream, state.stream.label)

    def _take(self, state: StreamState, page: Page) -> None:
        state.batch.add(page)
        state.read += len(page.ids) + len(page.rejects)
        if state.seen is not None:
            state.seen.update(page.ids)
        state.living.update(page.living)
        state.knows_all_living = state.knows_all_living or page.is_whole
        state.total = page.total if page.total is not None else state.total
        state.is_partial_view = state.is_partial_view or page.is_partial_view
        if page.complete_until is not None:
            state.complete_until = max(page.complete_until, state.complete_until or page.complete_until)
        state.is_idle = page.is_idle
        self._progress.stream_advanced(state.run.source, state.run.stream, state.read)
        if page.reached_at is not None:
            self._progress.stream_reached(self._reached(state, page.reached_at))
        age = self._clock.monotonic() - state.batch_started
        if state.batch.size >= BATCH_BYTES or age >= BATCH_SECONDS:
            self._flush(state)
        while len(state.batch.ids) >= BATCH_RECORDS:
            full, rest = state.batch.split(BATCH_RECORDS)
            state.batch = full
            self._flush(state)
            state.batch = rest

    def _reached(self, state: StreamState, read_until: datetime) -> Reached:
        seconds = self._clock.monotonic() - state.started
        return Reached(
            source=state.run.source,
            stream=state.run.stream,
            label=state.stream.label,
            rows=state.read,
            read_until=read_until,
            seconds_left=state.pace.seconds_left(seconds, read_until, state.end or read_until),
        )

    def _flush(self, state: StreamState) -> None:
        if not state.batch.is_empty:
            written = self._landing.write(state.run, state.batch, requests=self._requests(state))
            state.written += written
            state.waiting += written
            state.rejected += len(state.batch.rejects)
            self._conformings[state.run.source].bring(state, written)
            state.examples += [example(r.record_id, r.message) for r in state.batch.rejects[:EXAMPLES]]
        state.batch = Batch()
        state.batch_started = self._clock.monotonic()

    def _end(self, state: StreamState, error: SourceError | None, *, by_hand: bool) -> None:
        if state.began_at is None:
            # Its source failed before its turn came: the run is still told.
            state.began_at = self._clock.now()
            self._landing.begin(state.run)
        self._flush(state)
        if error is None:
            error = self._settle(state)
        state.error = error or too_many_rejects(state.run, state.rejected, state.read)
        complete_until = None if state.error or by_hand else self._complete_until(state)
        self._landing.finish(
            state.run,
            requests=self._requests(state),
            error=state.error.render(self._project.company.language) if state.error else None,
            complete_until=complete_until,
            is_idle=None if state.error or by_hand else state.is_idle,
        )
        state.has_ended = True

    def _settle(self, state: StreamState) -> SourceError | None:
        """After a whole reading or a sweep: what vanished gets a tombstone, what was mended is no reject any more."""
        if state.stream.kind == "files" and state.began_at is not None:
            self._landing.forget_healed_files(state.run, state.began_at)
        seen = state.living if state.knows_all_living else state.seen
        if seen is None or state.is_partial_view:
            return None
        try:
            state.written += self._landing.sweep(state.run, seen, believe=self._accept_deletions)
        except MassDisappearanceError as error:
            return error
        if self._full and state.stream.sweeps:
            connection, now = self._warehouse.connection, self._clock.now()
            reconcile(connection, state.run, listed=len(seen), total=state.total, now=now)
        return None

    def _complete_until(self, state: StreamState) -> datetime | None:
        if state.complete_until is not None or state.stream.kind == "files":
            return state.complete_until
        return state.end

    def _requests(self, state: StreamState) -> int:
        return self._counter.of(state.run.source, state.run.stream)
