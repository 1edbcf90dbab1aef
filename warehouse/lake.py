"""A lake: DuckLake's catalog in PostgreSQL, its data in a folder that every machine sees, or in an object store.

What files are to a company on one machine, two lakes in one PostgreSQL database are to a larger one: `voronka_raw`
holds the log, `voronka_warehouse` the records and the numbers, each in a schema of its own and a folder of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from base.errors import WarehouseError
from base.text import say
from warehouse.address import Lake, ObjectStore
from warehouse.engine import LOCK_CATALOG, locked, may_pass
from warehouse.extensions import STORE_EXTENSIONS, load_extensions
from warehouse.lake_catalog import CATALOG_SECRET, attach_postgres
from warehouse.migrate import Which
from warehouse.quoting import quote_literal

# Which lake stands under which catalog's name: the same names that the two files have.
LAKES: dict[str, Which] = {"landing": "raw", "warehouse": "warehouse"}
_STORE_SECRET = "lake_store"


def attach_lake(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Attach both lakes under the names of the two files, and make the warehouse the default; an absent lake is made.

    Raises:
        WarehouseError: no extension, no PostgreSQL, or a lake whose data lies elsewhere.
    """
    load_extensions(connection)
    if lake.store is not None:
        load_extensions(connection, STORE_EXTENSIONS)
    with _told(lake):
        if lake.store is not None:
            connection.execute(_store_secret(lake.store))
        attach_postgres(connection, lake, LOCK_CATALOG)
        # Two first commands at once would both make the catalog's tables.
        with locked(connection):
            for catalog, name in LAKES.items():
                connection.execute(_attachment(lake, catalog, name))
        connection.execute("USE warehouse")


def _store_secret(store: ObjectStore) -> str:
    values = {
        "KEY_ID": store.key_id.reveal() if store.key_id else None,
        "SECRET": store.secret.reveal() if store.secret else None,
        "REGION": store.region,
        "ENDPOINT": store.endpoint,
        # Stores that aren't Amazon's need not have a host name for each bucket.
        "URL_STYLE": "path" if store.endpoint else None,
    }
    given = [f"{name} {quote_literal(value)}" for name, value in values.items() if value is not None]
    listed = ", ".join(["TYPE s3", f"USE_SSL {store.is_encrypted}", *given])
    return f"CREATE OR REPLACE SECRET {_STORE_SECRET} ({listed})"


def _attachment(lake: Lake, catalog: str, name: str) -> str:
    options = [
        f"DATA_PATH {quote_literal(lake.place(name))}",
        f"METADATA_SCHEMA 'voronka_{name}'",
        # Small batches kept inside the catalog would be read through PostgreSQL, row by row.
        "DATA_INLINING_ROW_LIMIT 0",
        *([f"META_SECRET '{CATALOG_SECRET}'"] if lake.password is not None else []),
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


@contextmanager
def loss_told() -> Iterator[None]:
    """Raise `WarehouseError` in place of an error by which PostgreSQL's going away ended what could not be done again
    there and then."""
    try:
        yield
    except duckdb.Error as error:
        if not may_pass(error):
            raise
        raise WarehouseError(
            say(
                "Связь с PostgreSQL озера прервалась: {cause}",
                "The connection to the lake's PostgreSQL was lost: {cause}",
                cause=error,
            ),
            say(
                "Загруженное цело. Когда PostgreSQL снова работает, повторите команду: она продолжит с того же места.",
                "What was loaded is whole. Once PostgreSQL is back, repeat the command: it goes on from there.",
            ),
        ) from error
