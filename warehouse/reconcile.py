"""Reconciliation: what a whole reading found that ordinary loads had claimed to have, and did not.

A stream says until when it is complete (`raw.coverage`). Whatever a whole reading lands from before that instant is
drift: a record no load had met (`missed`), one that changed without its time of change (`edited`), one that left
without a word (`deleted`). The counts stand in `raw.reconciliations`, the records in `raw.drift`.
"""

from __future__ import annotations

from datetime import datetime

import duckdb

from base.times import to_micros
from warehouse.database import transaction
from warehouse.land import StreamRun

# More records than both that differ at once were not edited behind our back: the answers' form has changed (a new
# custom field, another setting). They are counted and not named.
FORM_SHARE = 0.5
FORM_COUNT = 20


def reconcile(
    connection: duckdb.DuckDBPyConnection, run: StreamRun, *, listed: int, total: int | None, now: datetime
) -> None:
    """Store how a whole reading of a stream compares with what was held; before the run moves its completeness.

    `listed`: different records the source listed. `total`: how many it says there are, None where it does not say.
    Nothing is stored of a stream that was not complete until any time yet: its first load is still under way.
    """
    row = connection.execute(
        "SELECT complete_until FROM landing.raw.coverage WHERE source = ? AND stream = ?", [run.source, run.stream]
    ).fetchone()
    if row is None or row[0] is None:
        return
    key = {"run_id": run.run_id, "source": run.source, "stream": run.stream}
    believed_until: datetime = row[0]
    with transaction(connection):
        believed = {"believed_until": believed_until, "believed_micros": to_micros(believed_until)}
        connection.execute(_DRIFT, {**key, **believed, "now": now})
        connection.execute(_SUMMARY, {**key, "now": now, "listed": listed, "total": total})
        connection.execute(_FORGET_FORM, {**key, "least": max(FORM_COUNT, listed * FORM_SHARE)})


_DRIFT = """
INSERT INTO landing.raw.drift (run_id, source, stream, record_id, kind, believed_until, found_at)
SELECT $run_id, $source, $stream, r.record_id,
    CASE WHEN r.op = 'delete' THEN 'deleted' WHEN known.record_id IS NOT NULL THEN 'edited' ELSE 'missed' END,
    $believed_until, $now
FROM (
    SELECT record_id, min(seq) AS seq, arg_max(op, seq) AS op
    FROM landing.raw.records
    WHERE source = $source AND stream = $stream AND run_id = $run_id
        AND (op = 'delete' OR (cursor > 0 AND cursor < $believed_micros))
    GROUP BY record_id
) AS r
LEFT JOIN (
    SELECT record_id, min(seq) AS seq
    FROM landing.raw.records WHERE source = $source AND stream = $stream
    GROUP BY record_id
) AS known ON known.record_id = r.record_id AND known.seq < r.seq
"""
_SUMMARY = """
INSERT INTO landing.raw.reconciliations
    (run_id, source, stream, reconciled_at, listed, total, held, missed, edited, deleted)
SELECT $run_id, $source, $stream, $now, $listed, $total,
    (SELECT count(*) FROM (
        SELECT arg_max(op, seq) AS op FROM landing.raw.records
        WHERE source = $source AND stream = $stream GROUP BY record_id
    ) WHERE op <> 'delete'),
    count(*) FILTER (kind = 'missed'), count(*) FILTER (kind = 'edited'), count(*) FILTER (kind = 'deleted')
FROM landing.raw.drift WHERE run_id = $run_id AND source = $source AND stream = $stream
"""
_FORGET_FORM = """
DELETE FROM landing.raw.drift
WHERE run_id = $run_id AND source = $source AND stream = $stream AND kind = 'edited' AND (
    SELECT count(*) FROM landing.raw.drift
    WHERE run_id = $run_id AND source = $source AND stream = $stream AND kind = 'edited'
) > $least
"""
