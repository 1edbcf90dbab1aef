"""SQLAlchemy's DuckDB dialect as migrations need it: the models' keys and constraints are never created physically.

On a plain file a primary key makes loads about twice as slow and indexes bring known WAL bugs; DuckLake refuses both.
"""

from __future__ import annotations

from typing import Any

import duckdb_sqlalchemy
import sqlalchemy as sa


class _DDLCompiler(duckdb_sqlalchemy.DuckDBDDLCompiler):  # type: ignore[misc]
    def create_table_constraints(self, table: Any, _include_foreign_key_constraints: Any = None, **kw: Any) -> str:
        return ""


class WarehouseDialect(duckdb_sqlalchemy.Dialect):  # type: ignore[misc]
    """Columns and NOT NULL only; reflection sees the schemas of the current database by their plain names."""

    # The name stays "duckdb": Alembic's and SQLAlchemy's extensions are registered under it.
    supports_statement_cache = True
    ddl_compiler = _DDLCompiler

    def get_schema_names(self, connection: sa.Connection, **kw: Any) -> list[str]:
        # The parent lists every attached database as `database.schema`, and the models say `schema`: autogenerate
        # would then see each table twice, once missing and once superfluous.
        query = sa.text(
            "SELECT schema_name FROM duckdb_schemas() "
            "WHERE database_name = current_database() AND NOT internal ORDER BY schema_name"
        )
        return list(connection.scalars(query))


sa.dialects.registry.register("voronka_duckdb", __name__, WarehouseDialect.__name__)
