"""Publish: a consistent picture of the warehouse replaces the analysts' file in one step.

With all personal data it is a copy of the file; without (warehouse/mask.py) it is written anew.

Analysts never open the working file: a writer locks it against every reader, and an open reader blocks the writer.
Who holds the old file open keeps a consistent old picture; who opens it next sees the new one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import duckdb

from base.durable import flush, flush_folder
from base.points import reached
from warehouse.company_key import CompanyKey
from warehouse.database import WAREHOUSE_CATALOG
from warehouse.mask import Mode, write_anew, write_masked
from warehouse.quoting import quote_literal, quote_name

READ_ONLY = 0o444


def publish_copy(warehouse: Path, published: Path) -> int:
    """Copy the closed, checkpointed warehouse; gives the size in bytes. The caller holds the writer's lock."""
    return publish_with(warehouse, published, lambda temporary: shutil.copyfile(warehouse, temporary))


def publish_masked(warehouse: Path, published: Path, mode: Mode, key: CompanyKey) -> int:
    """Write the file without personal data; gives the size in bytes. The caller holds the writer's lock."""
    return publish_with(warehouse, published, lambda temporary: write_masked(warehouse, temporary, mode, key))


# Of views: what is said of each column.
Words = Mapping[str, Mapping[str, str]]


def publish_lake(
    connection: duckdb.DuckDBPyConnection, published: Path, mode: Mode | None, key: CompanyKey, words: Words
) -> int:
    """Write the file from the lake the connection has open, with all personal data if there is no `mode`; gives the
    size in bytes. Nobody needs to rest for it: one transaction sees one picture. A lake keeps no `words` on a view's
    columns: they are said here."""

    def write(temporary: Path) -> None:
        write_anew(connection, WAREHOUSE_CATALOG, temporary, mode, key)
        _comment_views(connection, words)

    try:
        return put_in_place(published, write)
    finally:
        connection.execute(f"USE {WAREHOUSE_CATALOG}")
        connection.execute("DETACH DATABASE IF EXISTS published")


def publish_with(warehouse: Path, published: Path, write: Callable[[Path], object]) -> int:
    """Put what `write` makes of the warehouse's file in the published file's place, whole or not at all."""
    _checkpoint(warehouse)
    return put_in_place(published, write)


def _comment_views(connection: duckdb.DuckDBPyConnection, words: Words) -> None:
    """Say of the columns of the published views what is known of them; views of an older catalogue have others."""
    columns = connection.execute(
        "SELECT c.schema_name, c.table_name, c.column_name FROM duckdb_columns() AS c"
        " SEMI JOIN duckdb_views() AS v ON v.view_oid = c.table_oid AND v.database_oid = c.database_oid"
        " WHERE c.database_name = 'published' AND NOT c.internal"
    ).fetchall()
    connection.execute("BEGIN")
    for schema, view, column in columns:
        said = words.get(f"{schema}.{view}", {}).get(column)
        if said is not None:
            connection.execute(
                f"COMMENT ON COLUMN {quote_name(schema)}.{quote_name(view)}.{quote_name(column)}"
                f" IS {quote_literal(said)}"
            )
    connection.execute("COMMIT")
    connection.execute("CHECKPOINT published")


def put_in_place(published: Path, write: Callable[[Path], object]) -> int:
    """Put what `write` makes in the published file's place, whole or not at all; gives the size in bytes."""
    published.parent.mkdir(parents=True, exist_ok=True)
    temporary = published.with_name(f".{published.name}.new")
    try:
        _remove(temporary)
        write(temporary)
        flush(temporary)
        temporary.chmod(READ_ONLY)
        reached("publish.before_replace")
        _remove_stale_wal(published)
        os.replace(temporary, published)
        flush_folder(published.parent)
    finally:
        _remove(temporary)
    return published.stat().st_size


def _remove(temporary: Path) -> None:
    """What a killed publishing left, and what DuckDB keeps beside a file while it is written."""
    for path in (temporary, temporary.with_name(f"{temporary.name}.wal")):
        path.unlink(missing_ok=True)
    shutil.rmtree(temporary.with_name(f"{temporary.name}.tmp"), ignore_errors=True)


def _checkpoint(warehouse: Path) -> None:
    """Move the write-ahead log into the file, so that the file alone is the whole."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("CHECKPOINT")


def _remove_stale_wal(published: Path) -> None:
    """Somebody who managed to open an older copy read-write left a log that the new file would replay."""
    published.with_name(f"{published.name}.wal").unlink(missing_ok=True)
