"""Retention: payloads older than a stream's setting are let go; that a record was read, and its hash, stay.

So nothing is read twice because of it, and the core keeps its rows; only a replay can't make those anew. A record is
let go once it is in the core, and of a dictionary never the latest version: mappings of other streams need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb

from base.points import reached
from warehouse.database import Warehouse
from warehouse.engine import is_lake
from warehouse.layout import ROW_GROUP_RECORDS

# Changed and committed at a time: what is changed stays in memory until then.
SLICE_RECORDS = 10 * ROW_GROUP_RECORDS
# A file is written anew when this much of it, and at least so many bytes, are free: DuckDB gives none back.
FREE_SHARE = 0.3
FREE_BYTES = 64 << 20


@dataclass(frozen=True)
class Keeping:
    """How long the payloads of a stream are kept."""

    source: str
    stream: str
    days: int
    keeps_latest: bool  # a dictionary


@dataclass(frozen=True)
class LetGo:
    """What was let go of a stream."""

    source: str
    stream: str
    records: int
    size: int  # bytes, as the source had sent them


def let_go(warehouse: Warehouse, keepings: Sequence[Keeping], now: datetime) -> list[LetGo]:
    """Let go of what the settings no longer keep, and bring `meta.raw_sizes` up to date; nothing is in it twice."""
    connection = warehouse.connection
    with warehouse.transaction():
        connection.execute(_MEASURE)
    done = []
    for keeping in keepings:
        found = _let_go_stream(warehouse, keeping, now - timedelta(days=keeping.days))
        if found.records:
            done.append(found)
    return done


def wants_compacting(connection: duckdb.DuckDBPyConnection) -> bool:
    """The raw file holds so much free room that it should be written anew; a lake's upkeep is `voronka maintain`."""
    if is_lake(connection):
        return False
    row = connection.execute(
        "SELECT free_blocks * block_size, total_blocks * block_size FROM pragma_database_size()"
        " WHERE database_name = 'landing'"
    ).fetchone()
    assert row is not None
    free, total = row
    return bool(free >= FREE_BYTES and free >= total * FREE_SHARE)


def _let_go_stream(warehouse: Warehouse, keeping: Keeping, before: datetime) -> LetGo:
    connection = warehouse.connection
    key = {"source": keeping.source, "stream": keeping.stream}
    values: dict[str, Any] = {**key, "before": before}
    due = _DUE + (_NOT_LATEST if keeping.keeps_latest else "")
    first, last = connection.execute(f"SELECT min(seq), max(seq) {due}", values).fetchone() or (None, None)
    if first is None:
        return LetGo(keeping.source, keeping.stream, 0, 0)
    # DuckDB commits to one file at a time: after a kill between the two the stream is measured anew.
    measured = connection.execute(f"SELECT * {_OF_STREAM}", key).fetchone()
    connection.execute(f"DELETE {_OF_STREAM}", key)
    records = size = 0
    while first <= last:
        slice_ = {**values, "first": first, "next": first + SLICE_RECORDS}
        with warehouse.transaction():
            count, length = _let_go_slice(connection, due, slice_)
        records, size, first = records + count, size + length, slice_["next"]
    reached("retention.let_go")
    if measured is not None:
        source, stream, known, kept, held, _, seq = measured
        connection.execute(
            f"INSERT INTO meta.raw_sizes SELECT ?, ?, ?, ?, ?, ({_OLDEST}), ?",
            [source, stream, known, kept - records, held - size, source, stream, seq],
        )
    return LetGo(keeping.source, keeping.stream, records, size)


def _let_go_slice(connection: duckdb.DuckDBPyConnection, due: str, values: dict[str, Any]) -> tuple[int, int]:
    """Records let go of, and the bytes they had."""
    due = f"{due} AND seq >= $first AND seq < $next"
    row = connection.execute(f"SELECT count(*), coalesce(sum(strlen(payload)), 0) {due}", values).fetchone()
    assert row is not None
    if row[0]:
        connection.execute(f"UPDATE landing.raw.records SET payload = NULL WHERE seq IN (SELECT seq {due})", values)
    return int(row[0]), int(row[1])


_OF_STREAM = "FROM meta.raw_sizes WHERE source = $source AND stream = $stream"
_OLDEST = "SELECT min(fetched_at) FROM landing.raw.records WHERE source = ? AND stream = ? AND payload IS NOT NULL"
# What is behind the watermark is in the core.
_DUE = """
FROM landing.raw.records
WHERE source = $source AND stream = $stream AND op = 'put' AND fetched_at < $before AND payload IS NOT NULL
    AND seq <= (SELECT max(seq) FROM meta.watermarks WHERE source = $source AND stream = $stream)
"""
_NOT_LATEST = """
    AND seq NOT IN (
        SELECT max(seq) FROM landing.raw.records
        WHERE source = $source AND stream = $stream AND op = 'put' GROUP BY record_id
    )
"""

# Only what was landed since the last measuring is read.
_MEASURE = """
MERGE INTO meta.raw_sizes AS t USING (
    SELECT
        r.source, r.stream, count(*) AS records, count(r.payload) AS kept,
        coalesce(sum(strlen(r.payload)), 0)::BIGINT AS bytes,
        min(r.fetched_at) FILTER (r.payload IS NOT NULL) AS oldest_at,
        max(r.seq) AS seq
    FROM landing.raw.records AS r
    LEFT JOIN meta.raw_sizes AS m ON m.source = r.source AND m.stream = r.stream
    WHERE r.seq > coalesce(m.seq, 0)
    GROUP BY r.source, r.stream
) AS s ON t.source = s.source AND t.stream = s.stream
WHEN MATCHED THEN UPDATE SET
    records = t.records + s.records, kept = t.kept + s.kept, bytes = t.bytes + s.bytes,
    oldest_at = least(t.oldest_at, s.oldest_at), seq = s.seq
WHEN NOT MATCHED THEN INSERT BY NAME *
"""
