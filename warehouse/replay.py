"""Replay: core rows of a source made again from its raw records, versions in order, without a network.

Where payloads were let go (retention, `forget`) what the core has of them stays: rows whose version is that of a
record that can be read again are dropped, the others are not. Relations that add up over versions stay whole there:
deletions and spans of phones may come from a record that is gone; their keys are the vendor's, so reading again
mends their rows in place.
"""

from __future__ import annotations

import duckdb
import sqlalchemy as sa

from models import WAREHOUSE

# A span of a phone grows with every version that shows it.
_ADDED_UP = {"core.contact_phones"}
# Found by comparing versions: without the earlier one they can't be found again.
_COMPARED = {"core.deal_events": "AND precision IS DISTINCT FROM 'load_interval'"}


def forget_core(connection: duckdb.DuckDBPyConnection, source: str) -> None:
    """Drop what conforming made of a source, so that its whole log is read again. Call inside a transaction.

    Its completeness goes too, and comes back with the last slice of each stream.
    """
    is_whole = not _has_let_go(connection, source)
    for table in WAREHOUSE.sorted_tables:
        if table.schema == "core" and {"source", "version"} <= set(table.columns.keys()):
            if is_whole:
                connection.execute(f"DELETE FROM {table.fullname} WHERE source = ?", [source])
            elif not _adds_up(table):
                rest = _COMPARED.get(table.fullname, "")
                connection.execute(f"{_DROP_READABLE.format(relation=table.fullname)} {rest}", {"source": source})
    connection.execute("DELETE FROM meta.watermarks WHERE source = ?", [source])
    connection.execute("UPDATE meta.coverage SET complete_until = NULL WHERE source = ?", [source])
    connection.execute("DELETE FROM meta.rejects WHERE source = ? AND phase = 'conform'", [source])


def _has_let_go(connection: duckdb.DuckDBPyConnection, source: str) -> bool:
    query = "SELECT EXISTS (FROM landing.raw.records WHERE source = ? AND op = 'put' AND payload IS NULL)"
    row = connection.execute(query, [source]).fetchone()
    return row is not None and bool(row[0])


def _adds_up(table: sa.Table) -> bool:
    return table.fullname in _ADDED_UP or "deletion_version" in table.columns or "is_removed" in table.columns


# Several records may have one version: a row that may be of a lost one stays.
_DROP_READABLE = """
DELETE FROM {relation}
WHERE source = $source
    AND version IN (SELECT version FROM landing.raw.records WHERE source = $source AND payload IS NOT NULL)
    AND version NOT IN (
        SELECT version FROM landing.raw.records WHERE source = $source AND op = 'put' AND payload IS NULL
    )
"""
