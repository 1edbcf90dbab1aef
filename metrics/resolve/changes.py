"""Writing a remade relation: only rows that differ are touched, so an unchanged run writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import duckdb
import sqlalchemy as sa

from metrics.resolve.order import order_column
from models.arrow import find_relation, key_columns
from warehouse.engine import temporary_tables

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


def add_up(changes: Iterable[Change]) -> tuple[Change, ...]:
    """One change a relation, of changes in any order."""
    removed: Counter[str] = Counter()
    written: Counter[str] = Counter()
    for change in changes:
        removed[change.relation] += change.removed
        written[change.relation] += change.written
    return tuple(Change(relation=name, removed=removed[name], written=written[name]) for name in written)


def staged_name(relation: str) -> str:
    """The temporary table a step makes for a relation: `calc.leads` is made as `next_leads`."""
    return f"next_{relation.partition('.')[2]}"


def compare_changes(connection: duckdb.DuckDBPyConnection, relation: str, *, even_empty: bool = False) -> None:
    """Find what makes `relation` differ from its staged table, for `write_changes`; keys in the latter are unique.

    The cost is that of one join by key, whatever changed. Nothing is compared with an empty relation, but `even_empty`:
    then the staged table isn't needed any more.
    """
    if not even_empty and not _count(connection, relation):
        return
    table = find_relation(relation)
    columns = [column.name for column in table.columns if column.name not in _BOOKKEEPING]
    _compare(connection, relation, columns)


def write_changes(connection: duckdb.DuckDBPyConnection, relation: str, now: datetime) -> Change:
    """Make `relation` equal to its staged table by what `compare_changes` found, in the caller's transaction: rows that
    left or differ are deleted, new and differing ones inserted. What was staged is dropped."""
    table = find_relation(relation)
    columns = [column.name for column in table.columns if column.name not in _BOOKKEEPING]
    staged, fresh, gone = staged_name(relation), _fresh_name(relation), _gone_name(relation)
    tables = temporary_tables(connection)
    rows, removed = staged, 0
    if fresh in tables:
        rows, removed = fresh, _count(connection, gone)
    if removed:
        connection.execute(f"DELETE FROM {relation} AS kept USING {gone} AS gone WHERE {_same_key(table, 'gone')}")
    written = _count(connection, rows)
    if written:
        stamp = {"now": now} if "loaded_at" in table.columns else {}
        names = ", ".join([*columns, "loaded_at"] if stamp else columns)
        values = ", ".join([*columns, "$now"] if stamp else columns)
        connection.execute(f"INSERT INTO {relation} ({names}) SELECT {values} FROM {rows}{_in_order(table)}", stamp)
    for name in {staged, fresh, gone} & tables:
        connection.execute(f"DROP TABLE temp.{name}")
    return Change(relation=relation, removed=removed, written=written)


def _in_order(table: sa.Table) -> str:
    column = order_column(table)
    return f" ORDER BY {column}" if column else ""


def held_names(relation: str, tables: set[str]) -> set[str]:
    """Of the temporary `tables`, those `write_changes` will need: once compared, the staged one is not among them."""
    compared = {_fresh_name(relation), _gone_name(relation)}
    return compared if compared <= tables else {staged_name(relation)}


def _fresh_name(relation: str) -> str:
    return f"fresh_{relation.partition('.')[2]}"


def _gone_name(relation: str) -> str:
    return f"gone_{relation.partition('.')[2]}"


def write_people(connection: duckdb.DuckDBPyConnection, relation: str, staged: str, now: datetime) -> Change:
    """Set `person_id` of a core relation from the staged rows, in the caller's transaction; only records whose person
    differs are staged."""
    written = _count(connection, staged)
    if written:
        connection.execute(
            f"""
            UPDATE {relation} AS kept
            SET person_id = made.person_id, loaded_at = $now
            FROM {staged} AS made
            WHERE {_same_key(find_relation(relation), "made")}
            """,
            {"now": now},
        )
    return Change(relation=relation, written=written)


def _compare(connection: duckdb.DuckDBPyConnection, relation: str, columns: list[str]) -> None:
    """Make the fresh table (new and differing rows) and the one of keys that are gone (of rows that left or differ)."""
    table, staged = find_relation(relation), staged_name(relation)
    fresh, gone = _fresh_name(relation), _gone_name(relation)
    keys = key_columns(table)
    same_key = _same_key(table, "made")
    kept_keys = ", ".join(f"kept.{name}" for name in keys)
    differs = " OR ".join(f"kept.{name} IS DISTINCT FROM made.{name}" for name in columns if name not in keys)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE {fresh} AS
        SELECT {", ".join(f"made.{name}" for name in columns)}
        FROM {staged} AS made
        LEFT JOIN {relation} AS kept ON {same_key}
        WHERE kept.{keys[0]} IS NULL OR {differs or "FALSE"};

        CREATE OR REPLACE TEMP TABLE {gone} AS
        SELECT {kept_keys}
        FROM {relation} AS kept
        ANTI JOIN {staged} AS made ON {same_key}
        UNION ALL
        SELECT {kept_keys}
        FROM {relation} AS kept
        SEMI JOIN {fresh} AS made ON {same_key}
        """
    )


def _same_key(table: sa.Table, other: str) -> str:
    return " AND ".join(f"kept.{name} = {other}.{name}" for name in key_columns(table))


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0
