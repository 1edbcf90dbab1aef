"""The raw log of a stream, a chunk of records at a time."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from base.columns import Column
from warehouse.mapping import Columns

# As many as the engine has at hand: to hand over more at once it copies their payloads.
VECTOR_ROWS = 2_048


def chunk_ends(
    connection: duckdb.DuckDBPyConnection, source: str, stream: str, *, start: int, records: int, most: int
) -> list[int]:
    """The last `seq` of each of at most so many chunks of so many records behind `start`."""
    found = connection.execute(
        "SELECT max(seq) FROM landing.raw.records WHERE source = $1 AND stream = $2 AND seq > $3"
        " GROUP BY seq // $4 ORDER BY max(seq) LIMIT $5",
        [source, stream, start, records, most],
    )
    return [end for (end,) in found.fetchall()]


def read_chunk(connection: duckdb.DuckDBPyConnection, source: str, stream: str, first: int, last: int) -> Columns:
    """Record id, operation, version, fetch time, origin and payload of the records behind `first`, up to `last`, in
    landing order."""
    chunk = connection.execute(
        "SELECT record_id, op, version, epoch_us(fetched_at) AS fetched_at, origin, payload, seq"
        " FROM landing.raw.records WHERE source = ? AND stream = ? AND seq > ? AND seq <= ?",
        [source, stream, first, last],
    ).to_arrow_table(VECTOR_ROWS)
    # The log lies in its order; asking the engine for it would have it copy all payloads once more.
    if not _is_ascending(chunk["seq"]):
        chunk = chunk.sort_by("seq")
    # The payload stays bytes: the typed decoders read them without a detour over text.
    columns: list[Column[Any]] = [Column(column) for column in chunk.columns[:5]]
    return [*columns, Column(chunk["payload"], as_bytes=True)]


def _is_ascending(numbers: pa.ChunkedArray) -> bool:
    return pc.all(pc.less(numbers[:-1], numbers[1:])).as_py() is not False
