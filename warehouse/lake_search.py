"""A search through a lake: every row of every data file, known to the catalog or not, and the catalog's own rows.

Parquet is compressed, so its bytes tell nothing: files are read. The catalog keeps the least and the greatest value of
each column, which may be a name or a number.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

import duckdb

from warehouse.address import Lake
from warehouse.engine import ask_postgres, tell_postgres
from warehouse.lake import LAKES
from warehouse.quoting import quote_literal, quote_name

# Shorter ones would be found by chance.
LEAST_LETTERS = 6
# Where the catalog keeps values of rows; the relations' own extremes widen with every row and never narrow.
_FILE_STATS, _RELATION_STATS = "ducklake_file_column_stats", "ducklake_table_column_stats"


def lake_holds(connection: duckdb.DuckDBPyConnection, lake: Lake, words: Iterable[str]) -> list[str]:
    """Data files and relations of the catalog in which one of the words stands."""
    wanted = sorted(word for word in words if len(word) >= LEAST_LETTERS)
    if not wanted:
        return []
    return [*_files_with(connection, lake, wanted), *_catalog_with(connection, wanted)]


def _files_with(connection: duckdb.DuckDBPyConnection, lake: Lake, words: list[str]) -> list[str]:
    everywhere = f"{lake.data_path}/**"
    listed = connection.execute(f"FROM glob({quote_literal(everywhere)})").fetchall()
    paths = [path for (path,) in listed if PurePosixPath(path).suffix == ".parquet"]
    return [path for path in paths if _file_holds(connection, f"read_parquet({quote_literal(path)})", words)]


def _file_holds(connection: duckdb.DuckDBPyConnection, file: str, words: list[str]) -> bool:
    columns = connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE FROM {file})").fetchall()
    # A list as a text would have quotes of its own in it.
    texts = [
        f"array_to_string({quote_name(name)}, ' ')" if kind.endswith("[]") else f"{quote_name(name)}::VARCHAR"
        for name, kind in columns
    ]
    row = f"concat_ws(' ', {', '.join(texts)})"
    conditions = " OR ".join(f"contains({row}, {quote_literal(word)})" for word in words)
    return connection.execute(f"SELECT 1 FROM {file} WHERE {conditions} LIMIT 1").fetchone() is not None


def _catalog_with(connection: duckdb.DuckDBPyConnection, words: list[str]) -> list[str]:
    schemas = ", ".join(quote_literal(f"voronka_{name}") for name in LAKES.values())
    tables = ask_postgres(
        connection, f"SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ({schemas})"
    )
    conditions = " OR ".join(f"strpos(t::TEXT, {quote_literal(word)}) > 0" for word in words)
    asked = " UNION ALL ".join(
        f"(SELECT {quote_literal(f'{schema}.{name}')} AS place FROM {quote_name(schema)}.{quote_name(name)} AS t"
        f" WHERE {conditions} LIMIT 1)"
        for schema, name in tables
    )
    return sorted(place for (place,) in ask_postgres(connection, asked))


def forget_extremes(connection: duckdb.DuckDBPyConnection) -> None:
    """Let the catalog's extremes of texts be those of the files that are left, and PostgreSQL's pages hold no others.

    To be called by a connection that writes no more: a writer keeps the relations' extremes in mind.
    """
    for name in LAKES.values():
        schema = f"voronka_{name}"
        for column, best in (("min_value", "min"), ("max_value", "max")):
            tell_postgres(
                connection,
                f"""
                UPDATE {schema}.{_RELATION_STATS} AS r SET {column} = (
                    SELECT CASE WHEN bool_and(f.{column} IS NOT NULL OR f.value_count = f.null_count)
                        THEN {best}(f.{column} COLLATE "C") END
                    FROM {schema}.{_FILE_STATS} AS f
                    JOIN {schema}.ducklake_data_file AS d ON d.data_file_id = f.data_file_id
                    WHERE f.table_id = r.table_id AND f.column_id = r.column_id AND d.end_snapshot IS NULL
                )
                WHERE EXISTS (
                    SELECT 1 FROM {schema}.ducklake_column AS c
                    WHERE c.table_id = r.table_id AND c.column_id = r.column_id AND c.column_type = 'varchar'
                )
                """,
            )
        for table in (_FILE_STATS, _RELATION_STATS):
            # Old versions of rows stay in PostgreSQL's pages until they are written anew.
            tell_postgres(connection, f"VACUUM (FULL, ANALYZE) {schema}.{table}")
