"""The schema as SQL, straight from the models: what a fresh file gets, without Alembic and in a fifth of a second.

Migrations reach the same schema step by step; a test holds the two equal, comments included.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import sqlalchemy as sa

from models.columns import COMPRESSION
from models.revision import revision_table
from warehouse.engine import is_lake, transaction
from warehouse.quoting import quote_literal, quote_name


def create_all(
    connection: duckdb.DuckDBPyConnection,
    metadata: sa.MetaData,
    catalog: str | None = None,
    *,
    revision: str | None = None,
    comments: bool = True,
) -> None:
    """Create every schema, table and comment of `metadata` in one transaction, in an empty database or lake.

    `catalog` names an attached database; None is the current one. `revision` stamps the file, so that the next
    command knows its schema. `comments=False` is ten times quicker, for databases nobody reads (tests).

    Raises:
        duckdb.Error: a table exists already, or a transaction is open; nothing was created.
    """
    script = list(schema_statements(metadata, catalog, comments=comments, compressed=not is_lake(connection)))
    if revision is not None:
        table = revision_table(metadata)
        script.append(f"INSERT INTO {_qualify(catalog, table.schema, table.name)} VALUES ({quote_literal(revision)})")
    with transaction(connection):
        # One string: DuckDB takes half the time of a call for each statement.
        connection.execute(";\n".join(script))


def schema_statements(
    metadata: sa.MetaData, catalog: str | None = None, *, comments: bool = True, compressed: bool = True
) -> Iterator[str]:
    """The statements `create_all` runs, in order; a pure function of the models. A lake refuses methods of
    compression."""
    for schema in schema_names(metadata):
        yield f"CREATE SCHEMA IF NOT EXISTS {_qualify(catalog, schema)}"
    for table in metadata.sorted_tables:
        name = _qualify(catalog, table.schema, table.name)
        yield f"CREATE TABLE {name} ({', '.join(_column(column, compressed) for column in table.columns)})"
        if comments:
            yield from _comments(name, table.comment, {column.name: column.comment for column in table.columns})


def schema_names(metadata: sa.MetaData) -> list[str]:
    """The schemas the models stand in, sorted."""
    return sorted({table.schema for table in metadata.tables.values() if table.schema})


def _column(column: sa.Column[Any], compressed: bool) -> str:
    """A column's definition. Keys and constraints are declared in the models and never created."""
    compression = column.info.get(COMPRESSION) if compressed else None
    stored = f" USING COMPRESSION {compression}" if compression else ""
    return f"{quote_name(column.name)} {column_type(column.type)}{'' if column.nullable else ' NOT NULL'}{stored}"


def column_type(kind: sa.types.TypeEngine[Any]) -> str:
    """DuckDB's name of a model's type.

    Raises:
        TypeError: the models use a type nobody has decided about.
    """
    if isinstance(kind, sa.ARRAY):
        return f"{column_type(kind.item_type)}[]"
    if isinstance(kind, sa.TIMESTAMP):
        return "TIMESTAMP WITH TIME ZONE" if kind.timezone else "TIMESTAMP"
    # Double is a Numeric to SQLAlchemy: first what is special.
    if isinstance(kind, sa.Double):
        return "DOUBLE"
    if isinstance(kind, sa.Numeric):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    for known, name in _PLAIN_TYPES.items():
        if isinstance(kind, known):
            return name
    raise TypeError(f"no DuckDB type chosen for {kind!r}")


_PLAIN_TYPES: dict[type[sa.types.TypeEngine[Any]], str] = {
    sa.Text: "VARCHAR",
    sa.Boolean: "BOOLEAN",
    sa.BigInteger: "BIGINT",
    sa.Date: "DATE",
    sa.LargeBinary: "BLOB",
}


def _comments(name: str, comment: str | None, columns: dict[str, str | None]) -> Iterator[str]:
    if comment:
        yield f"COMMENT ON TABLE {name} IS {quote_literal(comment)}"
    for column, text in columns.items():
        if text:
            yield f"COMMENT ON COLUMN {name}.{quote_name(column)} IS {quote_literal(text)}"


def _qualify(*parts: str | None) -> str:
    return ".".join(quote_name(part) for part in parts if part is not None)
