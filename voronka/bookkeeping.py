"""What is loaded and what isn't, read from the warehouse, or from the published file while a writer holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from base.errors import BusyError
from base.text import Text

if TYPE_CHECKING:
    import duckdb

    from voronka.app import App

# A reader needs the file for milliseconds: it doesn't queue behind a whole night.
WAIT_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class StreamStatus:
    """Where a stream stands."""

    source: str
    stream: str
    facet: str
    last_started_at: datetime | None
    last_finished_at: datetime | None
    last_status: str | None  # running, done, failed
    last_rows: int | None
    last_requests: int | None
    error: str | None
    last_done_at: datetime | None  # end of the last run that succeeded
    complete_until: datetime | None
    rejects: int
    position: str | None


@dataclass(frozen=True, kw_only=True)
class Reconciliation:
    """How the last whole reading of a stream compared with what was held before it."""

    source: str
    stream: str
    reconciled_at: datetime
    listed: int  # records the source listed
    total: int | None  # how many the source says there are; None = it does not say
    held: int  # records held afterwards
    missed: int
    edited: int
    deleted: int

    @property
    def agrees(self) -> bool:
        """Nothing had been missed or changed unnoticed, and the counts are equal."""
        return not (self.missed or self.edited) and self.held == (self.listed if self.total is None else self.total)


@dataclass(frozen=True, kw_only=True)
class RejectRow:
    """A record or file that could not be read."""

    source: str
    stream: str
    record_id: str
    reason: str
    message: str | None
    path: str | None
    expected: str | None
    got: str | None
    phase: str | None
    seen_at: datetime | None


@dataclass(frozen=True)
class Origin:
    """Where the bookkeeping was read, and why not from the warehouse if it wasn't."""

    path: Path
    is_published: bool
    remark: Text | None = None


@contextmanager
def bookkeeping(app: App) -> Iterator[tuple[duckdb.DuckDBPyConnection, Origin]]:
    """A connection with `meta.*`, to the warehouse, or to the published file if another voronka is writing.

    Raises:
        WarehouseError: nothing was loaded yet.
        BusyError: the warehouse is held and nothing was published yet.
    """
    from flows.steps.sources import files_of
    from voronka.loaded import require_loaded
    from warehouse.database import open_warehouse

    project = app.loaded_project or app.project(read_sources=False)
    require_loaded(project)
    try:
        opened = open_warehouse(files_of(project), command="status", clock=app.clock, wait_seconds=WAIT_SECONDS)
        with opened as warehouse:
            yield warehouse.connection, Origin(project.warehouse_path, is_published=False)
            return
    except BusyError as error:
        if not project.publish_path.is_file():
            raise
        remark = error.what
    import duckdb

    with duckdb.connect(str(project.publish_path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection, Origin(project.publish_path, is_published=True, remark=remark)


def read_streams(connection: duckdb.DuckDBPyConnection) -> list[StreamStatus]:
    """Every stream that ever ran, by source and stream."""
    return [StreamStatus(**row) for row in _rows(connection, _STREAMS)]


def read_reconciliations(connection: duckdb.DuckDBPyConnection) -> list[Reconciliation]:
    """The last one of every stream that was ever read whole again, by source and stream."""
    # A file published by an earlier version has none.
    if not connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'reconciliations'").fetchone():
        return []
    return [Reconciliation(**row) for row in _rows(connection, _RECONCILIATIONS)]


def read_rejects(connection: duckdb.DuckDBPyConnection, sources: tuple[str, ...]) -> list[RejectRow]:
    """What could not be read, newest first; of the named sources, or of all."""
    query = _REJECTS.format(where="WHERE list_contains($sources, source)" if sources else "")
    return [RejectRow(**row) for row in _rows(connection, query, {"sources": list(sources)} if sources else {})]


def _rows(
    connection: duckdb.DuckDBPyConnection, query: str, values: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    cursor = connection.execute(query, values or {})
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


_STREAMS = """
WITH last AS (
    SELECT * FROM meta.sync_runs
    QUALIFY row_number() OVER (PARTITION BY source, stream ORDER BY started_at DESC, run_id DESC) = 1
),
done AS (
    SELECT source, stream, max(finished_at) AS finished_at FROM meta.sync_runs WHERE status = 'done'
    GROUP BY source, stream
),
rejected AS (
    SELECT source, stream, count(*) AS rejects FROM meta.rejects GROUP BY source, stream
)
SELECT
    last.source,
    last.stream,
    coalesce(c.facet, '') AS facet,
    last.started_at AS last_started_at,
    last.finished_at AS last_finished_at,
    last.status AS last_status,
    last.rows AS last_rows,
    last.requests AS last_requests,
    last.error,
    done.finished_at AS last_done_at,
    c.complete_until,
    coalesce(rejected.rejects, 0) AS rejects,
    p.position
FROM last
LEFT JOIN done USING (source, stream)
LEFT JOIN rejected USING (source, stream)
LEFT JOIN meta.coverage AS c USING (source, stream)
LEFT JOIN meta.positions AS p USING (source, stream)
ORDER BY last.source, last.stream
"""

_RECONCILIATIONS = """
SELECT source, stream, reconciled_at, listed, total, held, missed, edited, deleted
FROM meta.reconciliations
QUALIFY row_number() OVER (PARTITION BY source, stream ORDER BY reconciled_at DESC, run_id DESC) = 1
ORDER BY source, stream
"""

_REJECTS = """
SELECT source, stream, record_id, reason, message, path, expected, got, phase, seen_at
FROM meta.rejects
{where}
ORDER BY seen_at DESC, source, stream, record_id
"""
