"""What a lake needs from time to time. Every write adds files and marks rows of older ones as deleted: here those rows
are taken out, small files become larger ones, and pictures of the past, with the files only they need, are let go.

Each step is a transaction under the lake's write lock, a relation at a time, so that loads go on in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

from base.clock import Clock
from base.points import reached
from warehouse.address import Lake
from warehouse.engine import again, ask_postgres, transaction
from warehouse.lake import LAKES
from warehouse.lake_owner import require_alone
from warehouse.quoting import quote_literal

# A file is written anew when more than this share of its rows is deleted.
DELETED_SHARE = 0.2
# Files below this are merged, where a relation has so many of them; larger ones are not written again each night.
SMALL_BYTES = 64 << 20
SMALL_FILES = 8
# Who reads a picture that has been let go, or is writing a file no picture has yet, gets this long.
GRACE = "INTERVAL 1 DAY"
_NOW = "system.main.now()"


@dataclass(frozen=True)
class Size:
    """What a lake's last picture consists of."""

    files: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """What was done to one lake: relations written anew, pictures let go, files removed."""

    lake: str
    before: Size
    after: Size
    rewritten: int
    merged: int
    snapshots: int
    removed: int


@dataclass(frozen=True)
class Relation:
    """A relation of a lake that has files."""

    schema: str
    name: str
    deleted: float  # the largest share of deleted rows in a file
    small: int  # files below SMALL_BYTES

    @property
    def fullname(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def arguments(self) -> str:
        return f"{quote_literal(self.name)}, schema => {quote_literal(self.schema)}"


def keep_up(connection: duckdb.DuckDBPyConnection, clock: Clock, lake: Lake) -> Iterator[Upkeep]:
    """Maintain each of the open lakes; pictures older than `snapshot_days` are let go.

    Raises:
        WarehouseError: another lake's data lies in the same place.
    """
    require_alone(connection, lake)
    for catalog, name in LAKES.items():
        before = size_of(connection, catalog)
        rewritten = _rewrite(connection, clock, catalog, DELETED_SHARE)
        reached("maintain.rewritten")
        merged = [
            _call(connection, clock, "merge_adjacent_files", catalog, one.arguments, f"max_file_size => {SMALL_BYTES}")
            for one in relations_with_files(connection, catalog)
            if one.small >= SMALL_FILES
        ]
        reached("maintain.merged")
        kept = f"older_than => {_NOW} - INTERVAL {int(lake.snapshot_days)} DAY"
        snapshots = _call(connection, clock, "expire_snapshots", catalog, kept)
        reached("maintain.expired")
        removed = remove_files(connection, clock, catalog, f"older_than => {_NOW} - {GRACE}")
        yield Upkeep(
            lake=name,
            before=before,
            after=size_of(connection, catalog),
            rewritten=rewritten,
            merged=len(merged),
            snapshots=len(snapshots),
            removed=removed,
        )


def purge(connection: duckdb.DuckDBPyConnection, clock: Clock, lake: Lake) -> None:
    """Leave nothing of deleted rows and earlier pictures in the files. The caller holds the lake alone: who reads an
    earlier picture meanwhile loses its files.

    Raises:
        WarehouseError: another lake's data lies in the same place.
    """
    require_alone(connection, lake)
    for catalog in LAKES:
        _rewrite(connection, clock, catalog, 0.0)
        reached("forget.rewritten")
        # A picture of this very second too; the last one always stays.
        _call(connection, clock, "expire_snapshots", catalog, f"older_than => {_NOW} + {GRACE}")
        remove_files(connection, clock, catalog, "cleanup_all => true")


def _rewrite(connection: duckdb.DuckDBPyConnection, clock: Clock, catalog: str, share: float) -> int:
    """Write files anew of which more than `share` is deleted; gives the number of relations that had any."""
    relations = [relation for relation in relations_with_files(connection, catalog) if relation.deleted > share]
    for relation in relations:
        _call(connection, clock, "rewrite_data_files", catalog, relation.arguments, f"delete_threshold => {share}")
    return len(relations)


def remove_files(connection: duckdb.DuckDBPyConnection, clock: Clock, catalog: str, which: str) -> int:
    """Remove files no picture needs, and those a killed writer left; gives their number. No writer is at work
    meanwhile: its file would look like a leftover."""
    old = _call(connection, clock, "cleanup_old_files", catalog, which)
    reached("maintain.cleaned")
    return len(old) + len(_call(connection, clock, "delete_orphaned_files", catalog, which))


def size_of(connection: duckdb.DuckDBPyConnection, catalog: str) -> Size:
    """Files and bytes of a lake's last picture."""
    tables = f"voronka_{LAKES[catalog]}.ducklake"
    ((files, size),) = ask_postgres(
        connection,
        "SELECT count(*), coalesce(sum(bytes), 0)::BIGINT FROM ("
        f"SELECT file_size_bytes AS bytes FROM {tables}_data_file WHERE end_snapshot IS NULL"
        f" UNION ALL SELECT file_size_bytes FROM {tables}_delete_file WHERE end_snapshot IS NULL) AS files",
    )
    return Size(files, size)


def relations_with_files(connection: duckdb.DuckDBPyConnection, catalog: str) -> list[Relation]:
    """Relations that have files, as the catalog tells: DuckLake's own functions would look at all of them."""
    tables = f"voronka_{LAKES[catalog]}.ducklake"
    rows = ask_postgres(
        connection,
        f"""
        SELECT
            s.schema_name, t.table_name,
            max(coalesce(d.delete_count, 0) / greatest(f.record_count, 1)::DOUBLE PRECISION),
            count(*) FILTER (WHERE f.file_size_bytes < {SMALL_BYTES})
        FROM {tables}_data_file AS f
        JOIN {tables}_table AS t ON t.table_id = f.table_id AND t.end_snapshot IS NULL
        JOIN {tables}_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
        LEFT JOIN {tables}_delete_file AS d ON d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL
        WHERE f.end_snapshot IS NULL
        GROUP BY s.schema_name, t.table_name
        ORDER BY s.schema_name, t.table_name
        """,
    )
    return [Relation(*row) for row in rows]


def _call(
    connection: duckdb.DuckDBPyConnection, clock: Clock, function: str, catalog: str, *arguments: str
) -> list[tuple[Any, ...]]:
    listed = ", ".join((quote_literal(catalog), *arguments))

    def work() -> list[tuple[Any, ...]]:
        with transaction(connection):
            return connection.execute(f"FROM system.main.ducklake_{function}({listed})").fetchall()

    return again(connection, clock, work)
