"""Land: raw records, rejects, position and run log of a batch commit together, in the raw file.

The log is append-only. A payload already known as the record's latest is not written again, so an unchanged rerun
writes nothing. Known payloads are looked up only from the batch's earliest cursor on: an identical payload has the
same cursor, so nothing older can be it, and a first load in cursor order looks at almost nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from base.errors import MassDisappearanceError
from base.memory import give_back
from base.points import reached
from base.text import Language, say
from base.times import to_micros
from connectors.stream import Position, Reject
from warehouse.batch import Batch
from warehouse.database import Warehouse
from warehouse.engine import transaction
from warehouse.forgotten import Forgotten
from warehouse.land_sql import APPEND, BURY, HEAL, LIFT, SWEEP

# More than both at once vanishing is not believed without a person (design promise 3).
DISAPPEARANCE_SHARE = 0.05
DISAPPEARANCE_COUNT = 20


@dataclass(frozen=True)
class StreamRun:
    """One stream of one command."""

    run_id: str
    source: str
    stream: str
    facet: str = ""


P = ParamSpec("P")
T = TypeVar("T")


def _as_a_whole(method: Callable[Concatenate[Landing, P], T]) -> Callable[Concatenate[Landing, P], T]:
    """Done again where the engine says so: what is already in the log is not written twice."""

    @wraps(method)
    def call(self: Landing, /, *values: P.args, **named: P.kwargs) -> T:
        return self._warehouse.again(lambda: method(self, *values, **named))

    return call


class Landing:
    """Writes batches of streams into the raw file; used by one thread."""

    def __init__(
        self,
        warehouse: Warehouse,
        language: Language = "ru",
        forgotten: Forgotten | None = None,
    ) -> None:
        self._warehouse = warehouse
        self._connection = warehouse.connection
        self._clock = warehouse.clock
        self._language: Language = language
        self._forgotten = forgotten

    @_as_a_whole
    def position(self, source: str, stream: str) -> Position | None:
        row = self._connection.execute(
            "SELECT position FROM landing.raw.positions WHERE source = ? AND stream = ?", [source, stream]
        ).fetchone()
        return json.loads(row[0]) if row else None

    @_as_a_whole
    def begin(self, run: StreamRun) -> None:
        with transaction(self._connection):
            self._connection.execute(
                "INSERT INTO landing.raw.runs (run_id, source, stream, started_at, status, rows, requests, rejected)"
                " VALUES (?, ?, ?, ?, 'running', 0, 0, 0)",
                [run.run_id, run.source, run.stream, self._clock.now()],
            )
            # A stream that never ended well is complete until nowhere: numbers that need it must know it exists.
            self._connection.execute(
                "INSERT INTO landing.raw.coverage (source, stream, facet) SELECT $1, $2, $3 WHERE NOT EXISTS"
                " (SELECT 1 FROM landing.raw.coverage WHERE source = $1 AND stream = $2)",
                [run.source, run.stream, run.facet],
            )

    @_as_a_whole
    def write(self, run: StreamRun, batch: Batch, *, requests: int) -> int:
        """Commit a batch with its position and the run's log; gives the number of raw records written."""
        if self._forgotten is not None:
            self._forgotten.clean(run, batch)
        with transaction(self._connection):
            reached("land.before_write")
            written = self._append(run, batch)
            written += self._append_deleted(run, batch.deleted)
            rejected = self._keep_rejects(run, batch.rejects)
            if batch.position is not None:
                self._move_position(run, batch.position)
            self._connection.execute(
                "UPDATE landing.raw.runs SET rows = rows + ?, requests = ?, rejected = rejected + ?"
                " WHERE run_id = ? AND source = ? AND stream = ?",
                [written, requests, rejected, run.run_id, run.source, run.stream],
            )
            reached("land.before_commit")
        reached("land.after_commit")
        return written

    @_as_a_whole
    def finish(
        self,
        run: StreamRun,
        *,
        requests: int,
        error: str | None = None,
        complete_until: datetime | None = None,
        is_idle: bool | None = None,
    ) -> None:
        """Close a stream's run; `complete_until` moves the date until which its data is complete.

        `is_idle`: the stream has nothing to be complete in; it leaves its facet until it has. None: as it was.
        """
        with transaction(self._connection):
            self._connection.execute(
                "UPDATE landing.raw.runs SET finished_at = ?, status = ?, error = ?, requests = ?"
                " WHERE run_id = ? AND source = ? AND stream = ?",
                [
                    self._clock.now(),
                    "failed" if error else "done",
                    error,
                    requests,
                    run.run_id,
                    run.source,
                    run.stream,
                ],
            )
            if complete_until is not None:
                self._move_coverage(run, complete_until)
            if is_idle is not None:
                self._connection.execute(
                    "UPDATE landing.raw.coverage SET facet = $1 WHERE source = $2 AND stream = $3 AND facet <> $1",
                    ["" if is_idle else run.facet, run.source, run.stream],
                )
            reached("land.before_finish")

    @_as_a_whole
    def forget_healed_files(self, run: StreamRun, since: datetime) -> None:
        """Drop the rejects of a folder that this run did not see again: the files were mended or removed."""
        with transaction(self._connection):
            self._connection.execute(
                # What was seen later than now was seen by a clock that has been set back since.
                "DELETE FROM landing.raw.rejects WHERE source = ? AND stream = ? AND (seen_at < ? OR seen_at > ?)",
                [run.source, run.stream, since, self._clock.now()],
            )

    def sweep(self, run: StreamRun, seen: Iterable[str], *, believe: bool = False) -> int:
        """Write a tombstone for every live record that a whole reading no longer met, and lift those of records that
        it met again: a vendor that answered yesterday's data, or a record brought back without a new time of change.

        `believe`: a person has said that a mass disappearance is real.

        Raises:
            MassDisappearanceError: more than 5 % and 20 records at once; nothing is written.
        """
        live, missing, back = self._look_for(run, seen)
        many = len(missing) > DISAPPEARANCE_COUNT and len(missing) > live * DISAPPEARANCE_SHARE
        if many and not believe:
            raise MassDisappearanceError(
                say(
                    "{source}/{stream}: исчезло сразу {gone} из {live} записей: похоже на потерю прав или сбой"
                    " источника, ничего не помечено удалённым.",
                    "{source}/{stream}: {gone} of {live} records vanished at once: it looks like lost rights or an"
                    " outage, nothing was marked deleted.",
                    source=run.source,
                    stream=run.stream,
                    gone=len(missing),
                    live=live,
                ),
                say(
                    "Проверьте права пользователя (voronka check). Если удаление настоящее: voronka sync --full"
                    " --accept-deletions.",
                    "Check the user's rights (voronka check). If they are really deleted: voronka sync --full"
                    " --accept-deletions.",
                ),
            )
        return self.bury(run, missing) + self._lift(run, back)

    @_as_a_whole
    def _look_for(self, run: StreamRun, seen: Iterable[str]) -> tuple[int, list[str], list[str]]:
        """How many records stand, which of them were not seen, and which were seen though they are deleted."""
        connection = self._connection
        _register(connection, "_seen", pa.table({"record_id": pa.array(list(seen), pa.string())}))
        try:
            live, gone, back = _one(connection, SWEEP, [run.source, run.stream])
        finally:
            connection.unregister("_seen")
        return live, gone or [], back or []

    @_as_a_whole
    def _lift(self, run: StreamRun, record_ids: Sequence[str]) -> int:
        """Write that deleted records are there after all."""
        if not record_ids:
            return 0
        with transaction(self._connection):
            _register(self._connection, "_back", pa.table({"record_id": pa.array(sorted(record_ids), pa.string())}))
            try:
                now = to_micros(self._clock.now())
                written = int(_one(self._connection, LIFT, [run.source, run.stream, run.run_id, now])[0])
            finally:
                self._connection.unregister("_back")
            self._count_rows(run, written)
        return written

    def _count_rows(self, run: StreamRun, written: int) -> None:
        self._connection.execute(
            "UPDATE landing.raw.runs SET rows = rows + ? WHERE run_id = ? AND source = ? AND stream = ?",
            [written, run.run_id, run.source, run.stream],
        )

    @_as_a_whole
    def bury(self, run: StreamRun, record_ids: Sequence[str]) -> int:
        """Write tombstones for records known to be gone."""
        if not record_ids:
            return 0
        with transaction(self._connection):
            written = self._append_deleted(run, record_ids)
            self._count_rows(run, written)
        return written

    # ── inside a transaction ────────────────────────────────────────────────────────────────────────────────────

    def _append(self, run: StreamRun, batch: Batch) -> int:
        if not batch.ids:
            return 0
        connection = self._connection
        fetched_at = to_micros(self._clock.now())
        table = batch.as_table(fetched_at)
        first_cursor = pc.min(table["cursor"]).as_py()
        _register(connection, "_batch", table)
        try:
            written = _one(connection, APPEND, [run.source, run.stream, run.run_id, first_cursor, fetched_at])[0]
            # What was unreadable before and is readable now is no reject any more.
            connection.execute(HEAL, [run.source, run.stream])
        finally:
            connection.unregister("_batch")
            give_back()
        return int(written)

    def _append_deleted(self, run: StreamRun, record_ids: Sequence[str]) -> int:
        if not record_ids:
            return 0
        connection = self._connection
        _register(connection, "_gone", pa.table({"record_id": pa.array(sorted(set(record_ids)), pa.string())}))
        try:
            return int(
                _one(connection, BURY, [run.source, run.stream, run.run_id, to_micros(self._clock.now())])[0],
            )
        finally:
            connection.unregister("_gone")

    def _keep_rejects(self, run: StreamRun, rejects: Sequence[Reject]) -> int:
        if not rejects:
            return 0
        now = self._clock.now()
        # The last word on a record stands for the batch.
        latest = {(reject.record_id, reject.code): reject for reject in rejects}
        for reject in latest.values():
            key = [run.source, run.stream, reject.record_id, reject.code]
            self._connection.execute(
                "DELETE FROM landing.raw.rejects WHERE source = ? AND stream = ? AND record_id = ? AND reason = ?", key
            )
            self._connection.execute(
                "INSERT INTO landing.raw.rejects (source, stream, record_id, reason, message, path, expected, got,"
                " payload, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    *key,
                    reject.message.render(self._language),
                    reject.path,
                    reject.expected,
                    reject.got,
                    reject.payload,
                    now,
                ],
            )
        return len(latest)

    def _move_position(self, run: StreamRun, position: Position) -> None:
        text = json.dumps(position, ensure_ascii=False, sort_keys=True)
        self._connection.execute(
            "MERGE INTO landing.raw.positions AS t USING (SELECT ? AS source, ? AS stream, ? AS position, ? AS moved)"
            " AS s ON t.source = s.source AND t.stream = s.stream"
            " WHEN MATCHED AND t.position IS DISTINCT FROM s.position"
            "  THEN UPDATE SET position = s.position, updated_at = s.moved"
            " WHEN NOT MATCHED THEN INSERT (source, stream, position, updated_at)"
            "  VALUES (s.source, s.stream, s.position, s.moved)",
            [run.source, run.stream, text, self._clock.now()],
        )

    def _move_coverage(self, run: StreamRun, complete_until: datetime) -> None:
        self._connection.execute(
            "MERGE INTO landing.raw.coverage AS t USING (SELECT ? AS source, ? AS stream, ?::TIMESTAMPTZ AS until,"
            " ? AS facet) AS s ON t.source = s.source AND t.stream = s.stream"
            " WHEN MATCHED AND t.complete_until IS DISTINCT FROM s.until"
            "  THEN UPDATE SET complete_until = s.until, facet = s.facet"
            " WHEN NOT MATCHED THEN INSERT (source, stream, complete_until, facet)"
            "  VALUES (s.source, s.stream, s.until, s.facet)",
            [run.source, run.stream, complete_until, run.facet],
        )


def _register(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    connection.register(name, table)


def _one(connection: duckdb.DuckDBPyConnection, query: str, values: Sequence[object]) -> tuple[Any, ...]:
    row = connection.execute(query, list(values)).fetchone()
    return row or (0,)
