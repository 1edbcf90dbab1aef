"""Writing a remade relation: only rows that differ are touched, so an unchanged run writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import duckdb

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
    The cost is that of comparing both once, whatever changed.
    """
    table = find_relation(relation)
    columns = [column.name for column in table.columns if column.name not in _BOOKKEEPING]
    listed, staged = ", ".join(columns), staged_name(relation)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE gone AS SELECT {listed} FROM {relation} EXCEPT FROM {_pick(listed, staged)}"
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE fresh AS SELECT {listed} FROM {staged} EXCEPT FROM {_pick(listed, relation)}"
    )
    removed, written = _count(connection, "gone"), _count(connection, "fresh")
    if removed:
        connection.execute(f"DELETE FROM {relation} AS kept USING gone WHERE {_same_key(relation, 'gone')}")
    if written:
        is_stamped = "loaded_at" in table.columns
        names, values = (f"{listed}, loaded_at", f"{listed}, $now") if is_stamped else (listed, listed)
        connection.execute(
            f"INSERT INTO {relation} ({names}) SELECT {values} FROM fresh", {"now": now} if is_stamped else {}
        )
    return Change(relation=relation, removed=removed, written=written)


def _pick(listed: str, table: str) -> str:
    return f"(SELECT {listed} FROM {table})"


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0


def _same_key(relation: str, other: str) -> str:
    return " AND ".join(f"kept.{name} = {other}.{name}" for name in key_columns(find_relation(relation)))


def write_people(connection: duckdb.DuckDBPyConnection, relation: str, staged: str, now: datetime) -> Change:
    """Set `person_id` of a core relation from the staged one, only where it differs, in the caller's transaction."""
    same_key = _same_key(relation, "made")
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE fresh AS
        SELECT made.*
        FROM {staged} AS made
        JOIN {relation} AS kept ON {same_key}
        WHERE kept.person_id IS DISTINCT FROM made.person_id
        """
    )
    written = _count(connection, "fresh")
    if written:
        connection.execute(
            f"""
            UPDATE {relation} AS kept
            SET person_id = made.person_id, loaded_at = $now
            FROM fresh AS made
            WHERE {same_key}
            """,
            {"now": now},
        )
    return Change(relation=relation, written=written)
