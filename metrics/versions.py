"""What a period was computed with, as digests short enough to read."""

from __future__ import annotations

import hashlib
import json

import duckdb


def input_version(connection: duckdb.DuckDBPyConnection) -> str:
    """Digest of the input files in force."""
    return _digest(connection, "SELECT file, digest FROM meta.inputs ORDER BY file")


def core_version(connection: duckdb.DuckDBPyConnection) -> str:
    """Digest of what the `calc.*` relations were made from: resolve leaves it whenever it makes them anew."""
    query = "SELECT name, value FROM meta.settings WHERE starts_with(name, 'resolve.') ORDER BY name"
    return _digest(connection, query)


def _digest(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    rows = connection.execute(query).fetchall()
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
