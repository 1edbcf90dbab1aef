"""A lake: DuckLake's catalog in PostgreSQL, its data in a folder that every machine sees.

What files are to a company on one machine, two lakes in one PostgreSQL database are to a larger one: `voronka_raw`
holds the log, `voronka_warehouse` the records and the numbers, each in a schema of its own and a folder of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from base.errors import WarehouseError
from base.text import say
from warehouse.address import Lake
from warehouse.engine import LOCK_CATALOG, locked
from warehouse.extensions import load_extensions
from warehouse.migrate import Which
from warehouse.quoting import quote_literal

# Which lake stands under which catalog's name: the same names that the two files have.
LAKES: dict[str, Which] = {"landing": "raw", "warehouse": "warehouse"}
# The password's own place in the connection: an address is shown in errors and in lists of databases, this is not.
_SECRET = "lake_catalog"


def attach_lake(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Attach both lakes under the names of the two files, and make the warehouse the default; an absent lake is made.

    Raises:
        WarehouseError: no extension, no PostgreSQL, or a lake whose data lies elsewhere.
    """
    load_extensions(connection)
    with _told(lake):
        secret = ""
        if lake.password is not None:
            connection.execute(
                f"CREATE OR REPLACE SECRET {_SECRET} (TYPE postgres, PASSWORD {quote_literal(lake.password.reveal())})"
            )
            secret = f", SECRET '{_SECRET}'"
        connection.execute(f"ATTACH {quote_literal(lake.address)} AS {LOCK_CATALOG} (TYPE postgres{secret})")
        # Two first commands at once would both make the catalog's tables.
        with locked(connection):
            for catalog, name in LAKES.items():
                connection.execute(_attachment(lake, catalog, name, bool(secret)))
        connection.execute("USE warehouse")


def _attachment(lake: Lake, catalog: str, name: str, has_password: bool) -> str:
    options = [
        f"DATA_PATH {quote_literal(str(lake.data_path / name) + '/')}",
        f"METADATA_SCHEMA 'voronka_{name}'",
        # Small batches kept inside the catalog would be read through PostgreSQL, row by row.
        "DATA_INLINING_ROW_LIMIT 0",
        *([f"META_SECRET '{_SECRET}'"] if has_password else []),
    ]
    return f"ATTACH {quote_literal(lake.shown)} AS {catalog} ({', '.join(options)})"


@contextmanager
def _told(lake: Lake) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise WarehouseError(
            say("Озеро не открывается: {cause}", "The lake can't be opened: {cause}", cause=error),
            say(
                "Проверьте warehouse.path и warehouse.data_path в voronka.toml и что PostgreSQL работает.",
                "Check warehouse.path and warehouse.data_path in voronka.toml, and that PostgreSQL is running.",
            ),
        ) from error
