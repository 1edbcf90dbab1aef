"""What a period was computed with, as digests short enough to read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import duckdb


def input_version(connection: duckdb.DuckDBPyConnection, *, but: Sequence[str] = ()) -> str:
    """Digest of the input files in force, `but` those."""
    query = "SELECT file, digest FROM meta.inputs WHERE file <> ALL ($but) ORDER BY file"
    return _digest(connection, query, but=[*but])


def core_version(connection: duckdb.DuckDBPyConnection) -> str:
    """Digest of what the `calc.*` relations were made from: resolve leaves it whenever it makes them anew."""
    query = "SELECT name, value FROM meta.settings WHERE starts_with(name, 'resolve.') ORDER BY name"
    return _digest(connection, query)


def _digest(connection: duckdb.DuckDBPyConnection, query: str, **values: object) -> str:
    rows = connection.execute(query, values).fetchall()
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
