"""Writing a remade relation: only rows that differ are touched, so an unchanged run writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import duckdb
import sqlalchemy as sa

from models.arrow import find_relation, key_columns

# What a core row carries about its own loading; it never makes two rows differ.
_BOOKKEEPING = ("version", "loaded_at")


@dataclass(frozen=True, kw_only=True)
class Change:
    """What became of one relation: rows taken out and put in; a row that differs is both."""

    relation: str
    removed: int = 0
    written: int = 0

    @property
    def rows(self) -> int:
        return max(self.removed, self.written)


def staged_name(relation: str) -> str:
    """The temporary table a step makes for a relation: `calc.leads` is made as `next_leads`."""
    return f"next_{relation.partition('.')[2]}"


def write_changes(connection: duckdb.DuckDBPyConnection, relation: str, now: datetime) -> Change:
    """Make `relation` equal to its staged table, in the caller's transaction.

    Rows that left or differ are deleted, new and differing ones inserted; keys in the staged table are unique.
    The cost is that of one join by key, whatever changed.
    """
    table = find_relation(relation)
    columns = [column.name for column in table.columns if column.name not in _BOOKKEEPING]
    fresh, removed = staged_name(relation), 0
    if _count(connection, relation):
        _compare(connection, relation, columns)
        fresh, removed = "fresh_rows", _count(connection, "gone_keys")
    if removed:
        connection.execute(f"DELETE FROM {relation} AS kept USING gone_keys AS gone WHERE {_same_key(table, 'gone')}")
    written = _count(connection, fresh)
    if written:
        stamp = {"now": now} if "loaded_at" in table.columns else {}
        names = ", ".join([*columns, "loaded_at"] if stamp else columns)
        values = ", ".join([*columns, "$now"] if stamp else columns)
        connection.execute(f"INSERT INTO {relation} ({names}) SELECT {values} FROM {fresh}", stamp)
    return Change(relation=relation, removed=removed, written=written)


def write_people(connection: duckdb.DuckDBPyConnection, relation: str, staged: str, now: datetime) -> Change:
    """Set `person_id` of a core relation from the staged one, only where it differs, in the caller's transaction."""
    same_key = _same_key(find_relation(relation), "made")
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE fresh_rows AS
        SELECT made.*
        FROM {staged} AS made
        JOIN {relation} AS kept ON {same_key}
        WHERE kept.person_id IS DISTINCT FROM made.person_id
        """
    )
    written = _count(connection, "fresh_rows")
    if written:
        connection.execute(
            f"""
            UPDATE {relation} AS kept
            SET person_id = made.person_id, loaded_at = $now
            FROM fresh_rows AS made
            WHERE {same_key}
            """,
            {"now": now},
        )
    return Change(relation=relation, written=written)


def _compare(connection: duckdb.DuckDBPyConnection, relation: str, columns: list[str]) -> None:
    """Make `fresh_rows` (new and differing rows) and `gone_keys` (keys of rows that left or differ)."""
    table, staged = find_relation(relation), staged_name(relation)
    keys = key_columns(table)
    same_key = _same_key(table, "made")
    kept_keys = ", ".join(f"kept.{name}" for name in keys)
    differs = " OR ".join(f"kept.{name} IS DISTINCT FROM made.{name}" for name in columns if name not in keys)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE fresh_rows AS
        SELECT {", ".join(f"made.{name}" for name in columns)}
        FROM {staged} AS made
        LEFT JOIN {relation} AS kept ON {same_key}
        WHERE kept.{keys[0]} IS NULL OR {differs or "FALSE"};

        CREATE OR REPLACE TEMP TABLE gone_keys AS
        SELECT {kept_keys}
        FROM {relation} AS kept
        ANTI JOIN {staged} AS made ON {same_key}
        UNION ALL
        SELECT {kept_keys}
        FROM {relation} AS kept
        SEMI JOIN fresh_rows AS made ON {same_key}
        """
    )


def _same_key(table: sa.Table, other: str) -> str:
    return " AND ".join(f"kept.{name} = {other}.{name}" for name in key_columns(table))


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0
