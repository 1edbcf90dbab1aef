"""Replay: core rows of a source made again from its raw records, versions in order, without a network."""

from __future__ import annotations

import duckdb

from models import WAREHOUSE


def forget_core(connection: duckdb.DuckDBPyConnection, source: str) -> None:
    """Drop what conforming made of a source, so that its whole log is read again. Call inside a transaction.

    Its completeness goes too, and comes back with the last slice of each stream.
    """
    for table in WAREHOUSE.sorted_tables:
        if table.schema == "core" and {"source", "version"} <= set(table.columns.keys()):
            connection.execute(f"DELETE FROM {table.fullname} WHERE source = ?", [source])
    connection.execute("DELETE FROM meta.watermarks WHERE source = ?", [source])
    connection.execute("UPDATE meta.coverage SET complete_until = NULL WHERE source = ?", [source])
    connection.execute("DELETE FROM meta.rejects WHERE source = ? AND phase = 'conform'", [source])
