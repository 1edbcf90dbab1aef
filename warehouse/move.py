"""Everything of one warehouse copied into an empty one, and proven equal: files into a lake, or a lake into files.

Both are attached to one connection. Until all of it is there, and equal, the target says of itself that it isn't: a
lake by a relation in its log (`MARK`), files by their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import duckdb
import sqlalchemy as sa

from base.errors import UsageError, WarehouseError
from base.points import reached
from base.text import say
from models.revision import revision_table
from warehouse.ddl import create_all
from warehouse.engine import transaction
from warehouse.lake import LAKES
from warehouse.lake_schema import MARK, is_unfinished
from warehouse.lake_upkeep import relations_with_files
from warehouse.migrate import HISTORIES
from warehouse.quoting import quote_literal, quote_name


@dataclass(frozen=True)
class Digest:
    """What a relation holds, whatever the order of its rows: their number, and two sums of their hashes."""

    rows: int
    mixed: int
    added: int

    def __str__(self) -> str:
        return f"{self.rows:x}-{self.mixed:016x}-{self.added:x}"


@dataclass(frozen=True)
class Moved:
    """A relation that is the same on both sides; `raw` or `warehouse`, and its name there."""

    place: str
    relation: str
    digest: Digest


def copy_everything(
    connection: duckdb.DuckDBPyConnection, catalogs: Mapping[str, str], told: Callable[[Moved], None]
) -> None:
    """Copy and compare every relation of the models, between attached catalogs (source to target, under their names
    in `LAKES`).

    Raises:
        WarehouseError: what arrived differs from what was sent.
    """
    for name, (source, target) in _pairs(catalogs):
        for table in _relations(name):
            columns = ", ".join(quote_name(column.name) for column in table.columns)
            connection.execute(
                f"INSERT INTO {target}.{table.fullname} ({columns}) SELECT {columns} FROM {source}.{table.fullname}"
            )
            reached("move.copied")
            sent, arrived = (digest(connection, catalog, table) for catalog in (source, target))
            if sent != arrived:
                raise WarehouseError(
                    say(
                        "{relation} пришла не такой, какой ушла: строк {arrived} вместо {sent}.",
                        "{relation} arrived other than it was sent: {arrived} rows for {sent}.",
                        relation=table.fullname,
                        arrived=arrived.rows,
                        sent=sent.rows,
                    ),
                    say(
                        "Исходные данные целы, новыми пользоваться нельзя. Сообщите об ошибке разработчикам.",
                        "What you had is whole; the copy must not be used. Please report this.",
                    ),
                )
            told(Moved(name, table.fullname, arrived))


def digest(connection: duckdb.DuckDBPyConnection, catalog: str, table: sa.Table) -> Digest:
    """The digest of a relation of an attached catalog."""
    hashed = f"hash({', '.join(quote_name(column.name) for column in table.columns)})"
    row = connection.execute(
        f"SELECT count(*), coalesce(bit_xor({hashed}), 0), coalesce(sum({hashed}), 0) FROM {catalog}.{table.fullname}"
    ).fetchone()
    assert row is not None
    return Digest(*map(int, row))


def strangers(connection: duckdb.DuckDBPyConnection, catalogs: Mapping[str, str]) -> list[str]:
    """Relations of the source that are no part of voronka: they stay where they are."""
    found: list[str] = []
    for name, (source, _) in _pairs(catalogs):
        known = {table.fullname for table in HISTORIES[LAKES[name]].metadata.sorted_tables}
        rows = connection.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = ? ORDER BY 1", [source]
        )
        found += [relation for (relation,) in rows.fetchall() if relation not in known]
    return found


# ── a lake as the target ────────────────────────────────────────────────────────────────────────────────────────


def begin_lake(connection: duckdb.DuckDBPyConnection, origin: str) -> None:
    """Make the empty lake of the connection ready for a copy, and mark it as unfinished.

    What an earlier copy left there, marked, goes first.

    Raises:
        UsageError: there are rows in it.
    """
    if not is_unfinished(connection):
        _refuse_records(connection)
        with transaction(connection):
            connection.execute(
                f"CREATE TABLE {MARK} AS SELECT system.main.now() AS started_at, {quote_literal(origin)} AS origin"
            )
            # A lake that a command has opened, but nobody has loaded into, is empty too.
            table = revision_table(HISTORIES["raw"].metadata)
            connection.execute(f"DROP TABLE IF EXISTS landing.{table.fullname}")
    reached("move.marked")
    _clear(connection)
    for catalog, name in LAKES.items():
        history = HISTORIES[name]
        # The log's stamp comes last: without it no command opens the lake.
        revision = history.head if catalog == "warehouse" else None
        create_all(connection, history.metadata, catalog, revision=revision)


def _refuse_records(connection: duckdb.DuckDBPyConnection) -> None:
    for catalog, name in LAKES.items():
        stamp = revision_table(HISTORIES[name].metadata).fullname
        filled = [one.fullname for one in relations_with_files(connection, catalog) if one.fullname != stamp]
        if filled:
            raise UsageError(
                say(
                    "В озере уже есть данные ({lake}: {relations}): переносят только в пустое.",
                    "There is data in the lake already ({lake}: {relations}): only an empty one can be moved into.",
                    lake=f"voronka_{name}",
                    relations=", ".join(filled),
                ),
                say("Создайте другую базу PostgreSQL (createdb).", "Make another PostgreSQL database (createdb)."),
            )


def finish_lake(connection: duckdb.DuckDBPyConnection) -> None:
    """From here on the lake is one that any command opens."""
    history = HISTORIES["raw"]
    table = revision_table(history.metadata)
    with transaction(connection):
        connection.execute(f"INSERT INTO landing.{table.fullname} VALUES ({quote_literal(history.head)})")
        connection.execute(f"DROP TABLE {MARK}")
        reached("move.before_commit")


def _clear(connection: duckdb.DuckDBPyConnection) -> None:
    for catalog in reversed(LAKES):
        with transaction(connection):
            found = connection.execute(
                "SELECT 'VIEW', schema_name, view_name FROM duckdb_views() WHERE database_name = $1 AND NOT internal"
                " UNION ALL SELECT 'TABLE', schema_name, table_name FROM duckdb_tables() WHERE database_name = $1",
                [catalog],
            )
            for kind, schema, name in found.fetchall():
                if f"{catalog}.{schema}.{name}" != MARK:
                    connection.execute(f"DROP {kind} {catalog}.{quote_name(schema)}.{quote_name(name)}")


def _pairs(catalogs: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str]]]:
    for source, target in catalogs.items():
        name = next(name for name in LAKES if name in (source, target))
        yield name, (source, target)


def _relations(name: str) -> list[sa.Table]:
    metadata = HISTORIES[LAKES[name]].metadata
    stamp = revision_table(metadata).fullname
    return [table for table in metadata.sorted_tables if table.fullname != stamp]
