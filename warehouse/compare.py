"""Changes a vendor does not log, found by comparing a deal with its last loaded state (metrics.md 2.2).

What is written is an ordinary entry of `core.deal_events` with precision `load_interval`. It is dated by the changed
record's own time of change; where the vendor left that time alone, by the load that found the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb

from warehouse.staging import ORDINAL, Staged

# Column of core.deals and the kind of event its change is.
COMPARED = {"owner_id": "owner", "amount": "amount", "planned_close_on": "close_date"}
# A day is moved from one to another: that a deal got its first plan, or was closed, is no change of it.
BETWEEN_VALUES = frozenset({"close_date"})


def write_load_changes(
    connection: duckdb.DuckDBPyConnection, source: str, targets: Sequence[Staged], now: datetime
) -> int:
    """Compare staged deals with the core and with each other, before they are merged; gives the entries written.

    Entries have ids made of what they say, and one that exists stays as it is: reading the log again adds nothing.
    """
    written = 0
    for staged in targets:
        if staged.into.relation != "core.deals":
            continue
        for column, kind in COMPARED.items():
            if column in staged.into.columns:
                written += _write(connection, source, staged.rows, column, kind, now)
    return written


def _write(connection: duckdb.DuckDBPyConnection, source: str, rows: str, column: str, kind: str, now: datetime) -> int:
    known = "value IS NOT NULL AND before IS NOT NULL" if kind in BETWEEN_VALUES else "TRUE"
    query = _CHANGES.format(rows=rows, column=column, kind=kind, known=known, ordinal=ORDINAL)
    result = connection.execute(query, {"source": source, "now": now}).fetchone()
    return int(result[0]) if result else 0


# The core's state stands before staged ones of its version; in a replay it is itself among them and left out.
# A state older than the core's has nothing before it, and says nothing.
_CHANGES = """
INSERT INTO core.deal_events
    (source, event_id, deal_id, event_type, occurred_at, from_value, to_value, precision, version, loaded_at)
WITH staged AS (
    SELECT deal_id, version, {ordinal} AS place, {column} AS value, updated_at FROM {rows}
),

states AS (
    SELECT *, TRUE AS is_staged FROM staged
    UNION ALL
    SELECT d.deal_id, d.version, -1, d.{column}, d.updated_at, FALSE
    FROM core.deals AS d
    WHERE d.source = $source
        AND d.version IS NOT NULL
        AND d.deal_id IN (SELECT deal_id FROM staged)
        AND NOT EXISTS (
            SELECT 1 FROM staged AS s
            WHERE s.deal_id = d.deal_id AND s.version = d.version AND s.value IS NOT DISTINCT FROM d.{column}
        )
),

changes AS (
    SELECT
        *,
        lag(value) OVER deal AS before,
        lag(version) OVER deal AS version_before
    FROM states
    WINDOW deal AS (PARTITION BY deal_id ORDER BY version, place)
)

SELECT DISTINCT ON (event_id)
    $source,
    'load-{kind}-' || deal_id || '-' || version || '-' || coalesce(value::VARCHAR, '') AS event_id,
    deal_id,
    '{kind}',
    CASE
        WHEN version_before = version THEN $now
        ELSE coalesce(updated_at, make_timestamptz(version))
    END,
    before::VARCHAR,
    value::VARCHAR,
    'load_interval',
    version,
    $now
FROM changes
WHERE is_staged
    AND version_before IS NOT NULL
    AND value IS DISTINCT FROM before
    AND {known}
    AND NOT EXISTS (
        SELECT 1 FROM core.deal_events AS e
        WHERE e.source = $source
            AND e.event_id
                = 'load-{kind}-' || changes.deal_id || '-' || changes.version || '-' || coalesce(value::VARCHAR, '')
    )
ORDER BY event_id, place
"""
