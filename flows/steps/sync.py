"""Sync: land what the sources have since the last position, then conform it. One source's failure stops no other."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import httpx

from base.clock import Clock, SystemClock
from base.errors import ConfigError, MassDisappearanceError, SourceError, TooManyRejectsError, VoronkaError
from base.points import reached
from base.text import Text, say
from base.times import start_of_day
from connectors.registry import load_connector
from connectors.stream import Connector, MapContext, Page, Runtime, Stream
from flows.project import Project, Source
from flows.steps.progress import Pace, Progress, Reached, Silent, StreamReport
from flows.steps.reading import Arrived, Counter, Ended, Opened, Readers, Reading
from warehouse import bookkeeping
from warehouse.conform import Conformer, ConformReport
from warehouse.database import Files, Warehouse, open_warehouse
from warehouse.forgotten import load_forgotten
from warehouse.land import Batch, Landing, StreamRun
from warehouse.layout import ROW_GROUP_RECORDS
from warehouse.pause import let_backup_in
from warehouse.reconcile import reconcile

# A batch is committed when it is this large or this old: memory, and what a kill costs, stay bounded.
BATCH_RECORDS = ROW_GROUP_RECORDS
BATCH_BYTES = 32 * 1024 * 1024
BATCH_SECONDS = 10.0
LOAD_MEMORY = "128MB"
# More rejects than both mean that the source, not a record, is wrong (design promise 5).
REJECT_SHARE = 0.01
REJECT_COUNT = 20
# Unreadable records and files that a report names; the rest is counted.
EXAMPLES = 5


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


@dataclass
class _Progressing:
    """A stream between its first page and its conforming."""

    stream: Stream[Any]
    run: StreamRun
    started: float
    batch: Batch = field(default_factory=Batch)
    batch_started: float = 0.0
    read: int = 0
    written: int = 0
    rejected: int = 0
    end: datetime | None = None
    began_at: datetime | None = None
    complete_until: datetime | None = None
    is_idle: bool = False
    seen: set[str] | None = None
    # Ids told to exist, once they are all there are (`Page.living`).
    living: set[str] = field(default_factory=set)
    knows_all_living: bool = False
    total: int | None = None
    # Absence proves nothing (`Page.is_partial_view`).
    is_partial_view: bool = False
    pace: Pace = field(default_factory=Pace)
    examples: list[Text] = field(default_factory=list)
    error: VoronkaError | None = None


def files_of(project: Project) -> Files:
    return Files(warehouse=project.warehouse_path, raw=project.raw_path)


def files_to_load(project: Project) -> Files:
    """The files as a load opens them. Records come by the thousand: more memory would only be kept, and threads cost
    more than they give."""
    return replace(files_of(project), memory_limit=LOAD_MEMORY, threads=1)


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
        BusyError: another command holds the warehouse.
    """
    clock = clock or SystemClock()
    progress = progress or Silent()
    chosen = choose_sources(project, sources)
    with open_warehouse(
        files_to_load(project), command="sync", clock=clock, wait_seconds=wait_seconds, on_wait=progress.say
    ) as warehouse:
        run = _Sync(project, warehouse, clock, progress, full=full, accept_deletions=accept_deletions)
        readings = [
            run.reading(
                source, find_connector(source.type).serving(source.settings), _window(project, start, end), transport
            )
            for source in chosen
        ]
        return run.run(readings)


def choose_sources(project: Project, names: Sequence[str]) -> list[Source]:
    """The named sources, or every enabled one.

    Raises:
        ConfigError: a name the configuration doesn't have.
    """
    if not names:
        return list(project.enabled_sources.values())
    unknown = [name for name in names if name not in project.sources]
    if unknown:
        raise ConfigError(
            say("Нет источника: {names}.", "No such source: {names}.", names=", ".join(unknown)),
            remedy=say("В voronka.toml есть: {known}.", "voronka.toml has: {known}.", known=", ".join(project.sources)),
        )
    return [project.sources[name] for name in names]


def sources_of(project: Project, facets: Collection[str]) -> list[str]:
    """Names of the enabled sources with a stream of one of these facets."""
    return _sources_with(project, lambda stream: stream.facet in facets)


def sweeping_sources(project: Project) -> list[str]:
    """Names of the enabled sources where a full reading finds what ordinary loads can't: the CRMs."""
    return _sources_with(project, lambda stream: stream.sweeps)


def _sources_with(project: Project, is_wanted: Callable[[Stream[Any]], bool]) -> list[str]:
    return [
        name
        for name, source in project.enabled_sources.items()
        if any(map(is_wanted, load_connector(source.type).serving(source.settings).streams))
    ]


def map_context(project: Project, source: Source) -> MapContext:
    """What the mappings of a source may know."""
    company = project.company
    return MapContext(
        source=source.name,
        settings=source.settings,
        zone=company.zone,
        country=company.calendar,
        currency=company.currency,
        own_tax_ids=company.own_tax_ids,
    )


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
    ) -> None:
        self._project = project
        self._warehouse = warehouse
        self._clock = clock
        self._progress = progress
        self._full = full
        self._accept_deletions = accept_deletions
        self._landing = Landing(
            warehouse.connection, clock, project.company.language, load_forgotten(project.state_dir)
        )
        self._counter = Counter()
        self._run_id = f"{clock.now():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        self._streams: dict[tuple[str, str], _Progressing] = {}

    def run(self, readings: Sequence[Reading]) -> SyncReport:
        self._rewind()
        self._land(readings)
        reached("sync.landed")
        report = SyncReport(self._run_id)
        for reading in readings:
            report.streams += self._conform_source(reading.source, reading.connector)
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
            vault=self._project.vault,
            transport=transport,
            on_request=self._counter.add,
        )
        positions = {s.name: self._landing.position(source.name, s.name) for s in connector.streams}
        start = start_of_day(source.start, self._project.company.zone) if source.start else None
        return Reading(source, connector, runtime, positions, start, window, self._full)

    def _rewind(self) -> None:
        rewound = bookkeeping.rewind_watermarks(self._warehouse.connection)
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

    def _land(self, readings: Sequence[Reading]) -> None:
        by_hand = any(reading.window is not None for reading in readings)
        for reading in readings:
            for stream in reading.connector.streams:
                run = StreamRun(self._run_id, reading.source.name, stream.name, stream.facet)
                whole = not by_hand and (stream.kind == "dictionary" or (self._full and stream.sweeps))
                now = self._clock.monotonic()
                self._streams[reading.source.name, stream.name] = _Progressing(
                    stream, run, now, batch_started=now, seen=set() if whole else None
                )
        with Readers(readings, self._clock, self._counter) as readers:
            for message in readers.messages():
                let_backup_in(self._warehouse.files.warehouse, self._warehouse.connection)
                state = self._streams[message.source, message.stream]
                if isinstance(message, Opened):
                    self._open(state, message)
                elif isinstance(message, Arrived):
                    self._take(state, message.page)
                elif isinstance(message, Ended):
                    self._end(state, message.error, by_hand=by_hand)

    def _open(self, state: _Progressing, message: Opened) -> None:
        state.end = message.end
        state.began_at = self._clock.now()
        state.started = state.batch_started = self._clock.monotonic()
        self._landing.begin(state.run)
        self._progress.stream_started(message.source, message.stream, state.stream.label)

    def _take(self, state: _Progressing, page: Page) -> None:
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

    def _reached(self, state: _Progressing, read_until: datetime) -> Reached:
        seconds = self._clock.monotonic() - state.started
        return Reached(
            source=state.run.source,
            stream=state.run.stream,
            label=state.stream.label,
            rows=state.read,
            read_until=read_until,
            seconds_left=state.pace.seconds_left(seconds, read_until, state.end or read_until),
        )

    def _flush(self, state: _Progressing) -> None:
        if not state.batch.is_empty:
            state.written += self._landing.write(state.run, state.batch, requests=self._requests(state))
            state.rejected += len(state.batch.rejects)
            state.examples += [example(r.record_id, r.message) for r in state.batch.rejects[:EXAMPLES]]
        state.batch = Batch()
        state.batch_started = self._clock.monotonic()

    def _end(self, state: _Progressing, error: SourceError | None, *, by_hand: bool) -> None:
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

    def _settle(self, state: _Progressing) -> SourceError | None:
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

    def _complete_until(self, state: _Progressing) -> datetime | None:
        if state.complete_until is not None or state.stream.kind == "files":
            return state.complete_until
        return state.end

    def _requests(self, state: _Progressing) -> int:
        return self._counter.of(state.run.source, state.run.stream)

    # ── conforming ──────────────────────────────────────────────────────────────────────────────────────────────

    def _conform_source(self, source: Source, connector: Connector[Any]) -> list[StreamReport]:
        conformer = Conformer(self._warehouse, self._clock, self._project.company.language)
        context = map_context(self._project, source)
        reports = []
        for stream in connector.streams:
            state = self._streams[source.name, stream.name]
            done = conformer.conform(stream, context, at_end=partial(self._judge, state))
            reports.append(self._report(state, done))
            self._progress.stream_finished(reports[-1])
        return reports

    def _judge(self, state: _Progressing, done: ConformReport) -> None:
        """Count what mapping rejected in the run's line, and fail the run if that is the rule rather than a case."""
        failure = too_many_rejects(state.run, done.rejected, done.read)
        state.error = state.error or failure
        if done.rejected:
            bookkeeping.count_rejected(
                self._warehouse.connection,
                self._run_id,
                state.run.source,
                state.run.stream,
                done.rejected,
                failure.render(self._project.company.language) if failure else None,
            )

    def _report(self, state: _Progressing, done: ConformReport) -> StreamReport:
        return StreamReport(
            source=state.run.source,
            stream=state.run.stream,
            label=state.stream.label,
            rows=state.written,
            core_rows=done.written,
            requests=self._requests(state),
            rejected=state.rejected + done.rejected,
            seconds=self._clock.monotonic() - state.started,
            error=state.error,
            examples=tuple([*state.examples, *examples_of(done)][:EXAMPLES]),
        )


def example(record_id: str, message: Text) -> Text:
    """One unreadable record or file for a report."""
    return say("{record}: {message}", "{record}: {message}", record=record_id, message=message)


def examples_of(done: ConformReport) -> list[Text]:
    return [example(reject.record_id, reject.verdict.message) for reject in done.rejects[:EXAMPLES]]


def too_many_rejects(run: StreamRun, rejected: int, read: int) -> SourceError | None:
    """The error of a stream whose records can't be read as a rule; what was loaded is kept."""
    if rejected <= REJECT_COUNT or rejected <= read * REJECT_SHARE:
        return None
    return TooManyRejectsError(
        say(
            "{source}/{stream}: не прочитано {rejected} из {read} записей, остальное загружено.",
            "{source}/{stream}: {rejected} of {read} records could not be read, the rest is loaded.",
            source=run.source,
            stream=run.stream,
            rejected=rejected,
            read=read,
        ),
        say("Посмотрите причины: voronka rejects {source}", "See why: voronka rejects {source}", source=run.source),
    )
