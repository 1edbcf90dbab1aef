"""What the warehouse remembers about conforming: watermarks, rejects of mapping, copies of landing's bookkeeping."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import duckdb
import pyarrow as pa

from base.text import Language
from connectors.stream import BadRecord
from warehouse.engine import transaction
from warehouse.mapping import DEFECT

logger = logging.getLogger("voronka.conform")


class Watermark(NamedTuple):
    seq: int
    mapping_version: str


@dataclass(frozen=True)
class MappingReject:
    """A record that was read but could not be mapped; its raw form stands in the log."""

    record_id: str
    verdict: BadRecord


def read_watermark(connection: duckdb.DuckDBPyConnection, source: str, stream: str) -> Watermark:
    row = connection.execute(
        "SELECT seq, mapping_version FROM meta.watermarks WHERE source = ? AND stream = ?", [source, stream]
    ).fetchone()
    return Watermark(*row) if row else Watermark(0, "")


def last_seq(connection: duckdb.DuckDBPyConnection, source: str, stream: str) -> int:
    # A third of what `max(seq)` takes: blocks are looked at from the last one on.
    row = connection.execute(
        "SELECT seq FROM landing.raw.records WHERE source = ? AND stream = ? ORDER BY seq DESC LIMIT 1",
        [source, stream],
    ).fetchone()
    return int(row[0]) if row else 0


def move_watermark(connection: duckdb.DuckDBPyConnection, source: str, stream: str, seq: int, version: str) -> None:
    connection.execute("DELETE FROM meta.watermarks WHERE source = ? AND stream = ?", [source, stream])
    connection.execute(
        "INSERT INTO meta.watermarks (source, stream, seq, mapping_version) VALUES (?, ?, ?, ?)",
        [source, stream, seq, version],
    )


def rewind_watermarks(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Forget the watermarks beyond the end of the log; gives their sources and streams.

    The log is then an older copy than the warehouse: what is landed next would get numbers that count as conformed.
    To be called before anything is landed. All that the log holds is conformed again, which changes nothing known.
    """
    ahead = connection.execute(
        "SELECT m.source, m.stream FROM meta.watermarks AS m LEFT JOIN ("
        " SELECT source, stream, max(seq) AS seq FROM landing.raw.records GROUP BY source, stream"
        ") AS l USING (source, stream) WHERE m.seq > coalesce(l.seq, 0)"
    ).fetchall()
    if ahead:
        with transaction(connection):
            for source, stream in ahead:
                connection.execute("DELETE FROM meta.watermarks WHERE source = ? AND stream = ?", [source, stream])
    return ahead


def judged(
    record_ids: Sequence[str], ops: Sequence[str], found: Mapping[int, BadRecord], before: list[MappingReject]
) -> list[MappingReject]:
    """What is rejected after a chunk, its verdicts given by place: a record that comes again and fits is mended."""
    if not found and not before:
        return before
    kept: dict[str, list[MappingReject]] = {}
    for reject in before:
        kept.setdefault(reject.record_id, []).append(reject)
    for place, (record_id, op) in enumerate(zip(record_ids, ops, strict=True)):
        if place in found:
            kept.setdefault(record_id, []).append(MappingReject(record_id, found[place]))
        elif op == "put":
            kept.pop(record_id, None)
    return [reject for rejects in kept.values() for reject in rejects]


def keep_rejects(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    stream: str,
    rejects: Sequence[MappingReject],
    span: tuple[int, int],
    now: datetime,
    language: Language,
) -> None:
    """Store what could not be mapped of a span of the log, behind its first `seq` up to its last, and drop the rejects
    of records that came again in it."""
    connection.execute(
        "DELETE FROM meta.rejects WHERE source = $source AND stream = $stream AND phase = 'conform' AND record_id IN"
        " (SELECT record_id FROM landing.raw.records WHERE source = $source AND stream = $stream AND seq > $first"
        " AND seq <= $last)",
        {"source": source, "stream": stream, "first": span[0], "last": span[1]},
    )
    latest = {(reject.record_id, reject.verdict.code): reject.verdict for reject in rejects}
    if not latest:
        return
    verdicts = list(latest.values())
    _warn_of_defects(source, stream, verdicts)
    table = pa.table(
        {
            "record_id": [record_id for record_id, _ in latest],
            "reason": [verdict.code for verdict in verdicts],
            "message": [verdict.message.render(language) for verdict in verdicts],
            "path": [verdict.path for verdict in verdicts],
            "expected": [verdict.expected for verdict in verdicts],
            "got": [verdict.got for verdict in verdicts],
        }
    )
    connection.register("_rejects", table)
    connection.execute(
        "INSERT INTO meta.rejects (source, stream, record_id, reason, message, path, expected, got, phase, seen_at)"
        " SELECT ?, ?, record_id, reason, message, path, expected, got, 'conform', ? FROM _rejects",
        [source, stream, now],
    )
    connection.unregister("_rejects")


def _warn_of_defects(source: str, stream: str, verdicts: Sequence[BadRecord]) -> None:
    """Mistakes of our own, a line for each kind of exception; a verdict holds no value of its record."""
    kinds = Counter(verdict.got for verdict in verdicts if verdict.code == DEFECT)
    for kind, count in kinds.items():
        logger.warning("source=%s stream=%s event=mapping_defect error=%s records=%d", source, stream, kind, count)


def carry_over(connection: duckdb.DuckDBPyConnection, source: str, stream: str) -> None:
    """Copy the stream's position, completeness, runs and unreadable records beside the core rows they speak of."""
    key = {"source": source, "stream": stream}
    is_reconciled, is_rejected = connection.execute(_RARE, key).fetchone() or (False, False)
    for query in (*_CARRY_OVER, *(_RECONCILED if is_reconciled else ()), *(_REJECTED if is_rejected else ())):
        connection.execute(query, key)


def count_rejected(
    connection: duckdb.DuckDBPyConnection, run_id: str, source: str, stream: str, rejected: int, error: str | None
) -> None:
    """Add what mapping rejected to the run's line; `error` marks the run failed."""
    connection.execute(
        "UPDATE meta.sync_runs SET rejected = rejected + ?, error = coalesce(error, ?),"
        " status = CASE WHEN ?::TEXT IS NULL THEN status ELSE 'failed' END"
        " WHERE run_id = ? AND source = ? AND stream = ?",
        [rejected, error, error, run_id, source, stream],
    )


# A run's line is copied while it is news here: later only counting rejects touches it.
_CARRY_OVER = (
    """
    MERGE INTO meta.sync_runs AS t USING (
        SELECT * FROM landing.raw.runs WHERE source = $source AND stream = $stream
    ) AS s ON t.run_id = s.run_id AND t.source = s.source AND t.stream = s.stream
    WHEN MATCHED AND t.finished_at IS NULL AND s.finished_at IS NOT NULL THEN UPDATE SET
        finished_at = s.finished_at, status = s.status, rows = s.rows, requests = s.requests,
        rejected = s.rejected, error = s.error
    WHEN NOT MATCHED THEN INSERT BY NAME *
    """,
    """
    MERGE INTO meta.positions AS t USING (
        SELECT * FROM landing.raw.positions WHERE source = $source AND stream = $stream
    ) AS s ON t.source = s.source AND t.stream = s.stream
    WHEN MATCHED AND t.position IS DISTINCT FROM s.position
        THEN UPDATE SET position = s.position, updated_at = s.updated_at
    WHEN NOT MATCHED THEN INSERT BY NAME *
    """,
    """
    MERGE INTO meta.coverage AS t USING (
        SELECT * FROM landing.raw.coverage WHERE source = $source AND stream = $stream
    ) AS s ON t.source = s.source AND t.stream = s.stream
    WHEN MATCHED AND (t.complete_until, t.facet) IS DISTINCT FROM (s.complete_until, s.facet)
        THEN UPDATE SET complete_until = s.complete_until, facet = s.facet
    WHEN NOT MATCHED THEN INSERT BY NAME *
    """,
)
# Hardly any stream has these; on a lake each statement costs though there is nothing to do.
_RARE = """
SELECT
    EXISTS (FROM landing.raw.reconciliations WHERE source = $source AND stream = $stream)
    OR EXISTS (FROM landing.raw.drift WHERE source = $source AND stream = $stream),
    EXISTS (FROM landing.raw.rejects WHERE source = $source AND stream = $stream)
    OR EXISTS (FROM meta.rejects WHERE source = $source AND stream = $stream AND phase = 'land')
"""
_RECONCILED = (
    """
    INSERT INTO meta.reconciliations BY NAME
    SELECT * FROM landing.raw.reconciliations AS s WHERE source = $source AND stream = $stream AND NOT EXISTS (
        SELECT 1 FROM meta.reconciliations AS t WHERE t.run_id = s.run_id AND t.source = s.source
        AND t.stream = s.stream)
    """,
    """
    INSERT INTO meta.drift BY NAME
    SELECT * FROM landing.raw.drift AS s WHERE source = $source AND stream = $stream AND NOT EXISTS (
        SELECT 1 FROM meta.drift AS t WHERE t.run_id = s.run_id AND t.source = s.source AND t.stream = s.stream)
    """,
)
_REJECTED = (
    """
    DELETE FROM meta.rejects AS t WHERE source = $source AND stream = $stream AND phase = 'land' AND NOT EXISTS (
        SELECT 1 FROM landing.raw.rejects AS s WHERE s.source = t.source AND s.stream = t.stream
        AND s.record_id = t.record_id AND s.reason = t.reason AND s.seen_at = t.seen_at)
    """,
    """
    INSERT INTO meta.rejects BY NAME
    SELECT source, stream, record_id, reason, message, path, expected, got, 'land' AS phase, seen_at
    FROM landing.raw.rejects AS s WHERE source = $source AND stream = $stream AND NOT EXISTS (
        SELECT 1 FROM meta.rejects AS t WHERE t.source = s.source AND t.stream = s.stream
        AND t.record_id = s.record_id AND t.reason = s.reason AND t.phase = 'land')
    """,
)
