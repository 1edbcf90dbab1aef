"""Conform: map what was landed since the stream's watermark, and merge it into the core.

Idempotent, in landing order, and a slice at a time. A slice's core rows, rejects and watermark commit together in the
warehouse file, and with the last slice the copies of landing's bookkeeping.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pyarrow as pa

from base.clock import Clock
from base.helpers import Crew, HelperError, Helpers
from base.points import reached
from base.text import Language
from connectors.stream import MapContext, Stream
from models.shapes import find_shape
from warehouse import bookkeeping
from warehouse.ahead import Ahead
from warehouse.batch import Batch
from warehouse.brought import BroughtAlong, BroughtRows
from warehouse.compare import write_load_changes
from warehouse.database import Warehouse
from warehouse.layout import WAREHOUSE_ROW_GROUP
from warehouse.log_chunks import chunk_ends, read_chunk
from warehouse.mapping import MODULE, Columns, Mapped, collector_at_rest, map_records
from warehouse.mapping_version import mapping_version
from warehouse.merge import Merger
from warehouse.pause import let_backup_in
from warehouse.staging import ORDINAL, Staging

# Mapped at a time: their payloads are in memory.
CHUNK_RECORDS = 5_120
# Merged and committed at a time: their rows are. Each MERGE reads the keys of the whole relation, so it should be
# worth it; and a slice of new records fills a row group.
SLICE_CHUNKS = WAREHOUSE_ROW_GROUP // CHUNK_RECORDS
# From so many waiting records on their mapping is done by helper processes: it is most of the work, and what is left
# here keeps up with two.
LARGE_RECORDS = 50_000
MOST_HELPERS = 2
# Ends of chunks looked up at a time, for helpers.
ENDS_READ = 32


@dataclass
class ConformReport:
    """What conforming one stream did: raw records read, core rows written, records rejected."""

    read: int = 0
    written: int = 0
    rejected: int = 0
    let_go: int = 0  # records whose payload is kept no more
    rejects: list[bookkeeping.MappingReject] = field(default_factory=list)
    # False: more records wait for the next transaction.
    is_whole: bool = True

    def with_(self, later: ConformReport) -> ConformReport:
        """What both slices did."""
        return ConformReport(
            read=self.read + later.read,
            written=self.written + later.written,
            rejected=self.rejected + later.rejected,
            let_go=self.let_go + later.let_go,
            rejects=self.rejects + later.rejects,
            is_whole=later.is_whole,
        )


def start_helpers() -> Helpers:
    return Helpers(MODULE, MOST_HELPERS)


class Conformer:
    """Conforms streams of one warehouse, `chunk_records` times `slice_chunks` records of the log at a time."""

    def __init__(
        self,
        warehouse: Warehouse,
        clock: Clock,
        language: Language = "ru",
        *,
        chunk_records: int = CHUNK_RECORDS,
        slice_chunks: int = SLICE_CHUNKS,
        large_records: int = LARGE_RECORDS,
        start_crew: Callable[[], AbstractContextManager[Crew]] = start_helpers,
    ) -> None:
        self._warehouse = warehouse
        self._connection = warehouse.connection
        self._clock = clock
        self._language: Language = language
        self._chunk_records = chunk_records
        self._slice_chunks = slice_chunks
        self.large_records = large_records
        self._start_crew = start_crew
        self._brought = BroughtAlong()
        # While a large stream is conformed: which one, its mapping by helpers, and where these end.
        self._large: tuple[str, str] | None = None
        self._ahead: Ahead | None = None
        self._helpers = ExitStack()

    def conform(
        self,
        stream: Stream[Any],
        context: MapContext,
        at_end: Callable[[ConformReport], None] = lambda report: None,
        so_far: ConformReport | None = None,
    ) -> ConformReport:
        """Bring a stream's core rows up to its last raw record: a transaction a slice, so that memory does not grow
        with the log and a kill loses one slice. `at_end` may write too, in the last transaction; it and the caller
        are given what all slices did, those of `so_far` (`conform_some`) included.
        """
        report = replace(so_far or ConformReport(), is_whole=False)
        try:
            self._call_helpers(stream, context)
            while not report.is_whole:
                report = self._commit_slice(stream, context, report, at_end)
        finally:
            self.close()
        return report

    @property
    def has_helpers(self) -> bool:
        return self._ahead is not None

    def bring(self, stream: Stream[Any], source: str, batch: Batch, written: int) -> None:
        """Rows that came along with a batch which has just landed: they need not be mapped."""
        if stream.brings is not None and not stream.needs and batch.rows.kind is not None:
            last = bookkeeping.last_seq(self._connection, source, stream.name)
            self._brought.add(source, stream, batch, written, last)

    def has_slice(self, stream: Stream[Any], source: str) -> bool:
        """Rows for a whole slice came along and wait."""
        return self._brought.waiting(source, stream.name) >= self._slice_chunks * self._chunk_records

    def close(self) -> None:
        """Send helpers home."""
        self._large = self._ahead = None
        self._helpers.close()

    def conform_some(self, stream: Stream[Any], context: MapContext, *, chunks: int) -> ConformReport:
        """One slice of at most so many chunks, while the stream is still being read: nothing is said of how complete
        it is, that is for `conform` at its end."""
        return self._commit_slice(stream, context, ConformReport(), at_end=None, chunks=chunks)

    def keep_up(self, stream: Stream[Any], context: MapContext) -> ConformReport | None:
        """While a large stream of files lands, helpers map what has landed, and what they are through with, or what
        came with its rows, is conformed. None: nothing was. From the first call on that finds it large, its helpers
        stay until `conform`."""
        if not (self._call_helpers(stream, context) or self.has_slice(stream, context.source)):
            return None
        start = self._start_of(stream, context)
        ahead = self._ahead_of(stream, context, start)
        if ahead is not None:
            self._hand_out(stream, context, ahead, until=start)
        # Whole slices fill row groups, which go straight to their place in the file: less would go through its log.
        chunks = self._slice_chunks
        ends = self._chunk_ends(stream, context, start, chunks)
        if len(ends) < chunks:
            return None
        is_mapped = ahead is not None and ahead.mapped_until() >= ends[-1]
        if not is_mapped and not any(self._brought_chunks(stream, context, start, ends)):
            self._brought.forget(context.source, stream.name, ends[-1])
            return None
        return self.conform_some(stream, context, chunks=chunks)

    def _call_helpers(self, stream: Stream[Any], context: MapContext) -> bool:
        """Start them for a large stream. Only files come by the gigabyte, and their mappings need nothing but the
        payload."""
        large = (context.source, stream.name)
        if self._large is None and self._is_large(stream, context) and (os.cpu_count() or 1) > 1:
            assert stream.map is not None
            # Without room for processes it takes longer, that is all.
            with suppress(HelperError):
                crew = self._helpers.enter_context(self._start_crew())
                self._ahead = Ahead(stream.map, context, crew, self._start_of(stream, context))
                self._large = large
        return self._large == large

    def _is_large(self, stream: Stream[Any], context: MapContext) -> bool:
        if stream.kind != "files" or stream.needs or stream.map is None:
            return False
        connection, name = self._connection, stream.name

        def waiting() -> int:
            last = bookkeeping.last_seq(connection, context.source, name)
            return last - bookkeeping.read_watermark(connection, context.source, name).seq

        waits = self._warehouse.again(waiting) - self._brought.waiting(context.source, name)
        return waits >= self.large_records

    def _ahead_of(self, stream: Stream[Any], context: MapContext, start: int) -> Ahead | None:
        """What helpers map of the stream, from `start` on; None: it has none."""
        if self._large != (context.source, stream.name) or self._ahead is None:
            return None
        if self._ahead.taken != start:
            # A slice is done again, or the whole log with other settings.
            self._ahead.restart(start)
        return self._ahead

    def _hand_out(self, stream: Stream[Any], context: MapContext, ahead: Ahead, *, until: int) -> None:
        """Give helpers what they have room for; of a chunk that may still grow only what is up to `until`."""
        while ahead.has_room():
            if not ahead.ends:
                ends = self._chunk_ends(stream, context, ahead.given, ENDS_READ, halves=True)
                ahead.ends.extend(ends if ends and ends[-1] <= until else ends[:-1])
                if not ahead.ends:
                    return
            end = ahead.ends.popleft()
            ahead.give(read_chunk(self._connection, context.source, stream.name, ahead.given, end), end)

    def _commit_slice(
        self,
        stream: Stream[Any],
        context: MapContext,
        so_far: ConformReport,
        at_end: Callable[[ConformReport], None] | None,
        chunks: int | None = None,
    ) -> ConformReport:
        """A slice in a transaction of its own; gives what it and those before it did."""

        def commit() -> ConformReport:
            with self._warehouse.transaction():
                done = so_far.with_(self.conform_slice(stream, context, chunks=chunks))
                if done.is_whole and at_end is not None:
                    at_end(done)
            return done

        done = self._warehouse.again(commit)
        self._brought.forget(context.source, stream.name, self._start_of(stream, context))
        reached("conform.after_commit")
        let_backup_in(self._warehouse.files.warehouse, self._connection)
        return done

    def conform_slice(self, stream: Stream[Any], context: MapContext, chunks: int | None = None) -> ConformReport:
        """One slice of it, in the caller's transaction. Only the last one says how complete the stream is, and none
        of a given number of `chunks`: more is being read."""
        connection, source = self._connection, context.source
        version, mark = self._mark(stream, context)
        start = _start(version, mark)
        end = last = bookkeeping.last_seq(connection, source, stream.name)
        report = ConformReport()
        if last > start and stream.map is not None:
            ends = self._chunk_ends(stream, context, start, chunks or self._slice_chunks)
            self._conform_chunks(stream, self._with_dictionaries(stream, context), start, ends, report)
            end = ends[-1]
        if last > start or mark.mapping_version != version:
            bookkeeping.move_watermark(connection, source, stream.name, end, version)
        report.is_whole = end == last
        if report.is_whole and chunks is None:
            bookkeeping.carry_over(connection, source, stream.name)
        reached("conform.before_commit")
        return report

    def _mark(self, stream: Stream[Any], context: MapContext) -> tuple[str, bookkeeping.Watermark]:
        """How records are mapped now, and how far they were and in which way."""
        version = mapping_version(context, self._landed_dictionaries(stream, context.source))
        return version, bookkeeping.read_watermark(self._connection, context.source, stream.name)

    def _start_of(self, stream: Stream[Any], context: MapContext) -> int:
        """The `seq` behind which conforming goes on."""
        return _start(*self._mark(stream, context))

    def _conform_chunks(
        self, stream: Stream[Any], context: MapContext, start: int, ends: Sequence[int], report: ConformReport
    ) -> None:
        connection = self._connection
        merger = Merger(connection, source=context.source, zone=context.zone.key, now=self._clock.now())
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE _tombstones"
            f" (record_id TEXT, is_gone BOOLEAN, version BIGINT, {ORDINAL} BIGINT)"
        )
        # Between chunks it would walk all staged rows.
        with collector_at_rest(), Staging(connection) as staging:
            for columns, mapped in self._mapped(stream, context, start, ends):
                self._stage(columns, mapped, staging, report)
            merger.note_first_versions(staging.targets)
            if stream.compares_loads:
                report.written += write_load_changes(connection, context.source, staging.targets, self._clock.now())
            report.written += sum(merger.merge(staged) for staged in staging.targets)
        for relation in stream.tombstones:
            report.written += merger.bury(find_shape(relation), "temp._tombstones")
        bookkeeping.keep_rejects(
            connection,
            context.source,
            stream.name,
            report.rejects,
            (start, ends[-1]),
            self._clock.now(),
            self._language,
        )

    def _chunk_ends(
        self, stream: Stream[Any], context: MapContext, start: int, most: int, *, halves: bool = False
    ) -> list[int]:
        records = self._chunk_records // 2 if halves and self._chunk_records % 2 == 0 else self._chunk_records
        return chunk_ends(self._connection, context.source, stream.name, start=start, records=records, most=most)

    def _mapped(
        self, stream: Stream[Any], context: MapContext, start: int, ends: Sequence[int]
    ) -> Iterator[tuple[Columns, Mapped | BroughtRows]]:
        """The chunks of a slice with what the mapping made of them, in landing order."""
        assert stream.map is not None
        brought = self._brought_chunks(stream, context, start, ends)
        ahead = self._ahead_of(stream, context, start)
        if ahead is None or any(brought):
            for chunk, found in zip(pairwise((start, *ends)), brought, strict=True):
                if found is not None:
                    yield found.head, found
                    continue
                columns = read_chunk(self._connection, context.source, stream.name, *chunk)
                yield columns, map_records(stream.map, context, columns, stream.map_many)
            return
        while ahead.taken != ends[-1]:
            # The helpers are to have more to do while what they gave is merged.
            self._hand_out(stream, context, ahead, until=ends[-1])
            yield ahead.take()

    def _brought_chunks(
        self, stream: Stream[Any], context: MapContext, start: int, ends: Sequence[int]
    ) -> list[BroughtRows | None]:
        return [self._brought.find(context.source, stream, *chunk) for chunk in pairwise((start, *ends))]

    def _stage(self, columns: Columns, mapped: Mapped | BroughtRows, staging: Staging, report: ConformReport) -> None:
        versions: Sequence[int] = columns[2]
        if isinstance(mapped, BroughtRows):
            staging.append_table(mapped.into, mapped.rows, versions, report.read)
            mapped, misfits = Mapped([]), {}
        else:
            misfits = staging.append(mapped.made, versions, report.read)
        report.rejects = bookkeeping.judged(columns[0], columns[1], {**dict(mapped.rejects), **misfits}, report.rejects)
        if mapped.told:
            self._stage_tombstones(columns, mapped.told, report.read)
        report.let_go += mapped.let_go
        report.read += len(versions)
        report.rejected = len(report.rejects)

    def _stage_tombstones(self, columns: Columns, places: list[int], first: int) -> None:
        """The records of a chunk that only say whether one is gone (`delete`) or there after all (`restore`)."""
        record_ids, ops, versions = columns[:3]
        table = pa.table(
            {
                "record_id": [record_ids[place] for place in places],
                "is_gone": [ops[place] == "delete" for place in places],
                "version": [versions[place] for place in places],
                ORDINAL: pa.array([first + place for place in places], pa.int64()),
            }
        )
        self._connection.register("_gone", table)
        self._connection.execute("INSERT INTO temp._tombstones SELECT * FROM _gone")
        self._connection.unregister("_gone")

    def _landed_dictionaries(self, stream: Stream[Any], source: str) -> list[str]:
        return [name for name in stream.needs if bookkeeping.last_seq(self._connection, source, name)]

    def _with_dictionaries(self, stream: Stream[Any], context: MapContext) -> MapContext:
        dictionaries: dict[str, Mapping[str, bytes]] = {}
        for name in stream.needs:
            found = self._connection.execute(
                "SELECT record_id, encode(arg_max(payload, seq)) FROM landing.raw.records"
                " WHERE source = ? AND stream = ? AND op = 'put' GROUP BY record_id ORDER BY record_id",
                [context.source, name],
            ).fetchall()
            dictionaries[name] = dict(found)
        return replace(context, dictionaries=dictionaries, cache={})


def _start(version: str, mark: bookkeeping.Watermark) -> int:
    # What decides a record's meaning has changed: everything is read again.
    return mark.seq if mark.mapping_version == version else 0
