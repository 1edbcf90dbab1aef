"""The PostgreSQL that holds a lake's catalog, attached as a database of its own."""

from __future__ import annotations

import duckdb

from warehouse.address import Lake
from warehouse.quoting import quote_literal

# The password's own place in a connection: an address is shown in errors and in lists of databases, this is not.
CATALOG_SECRET = "lake_catalog"


def attach_postgres(connection: duckdb.DuckDBPyConnection, lake: Lake, catalog: str, *more_options: str) -> None:
    """Attach it under the name `catalog`, and keep its password as the secret `CATALOG_SECRET`."""
    options = ", ".join(["TYPE postgres", *more_options])
    if lake.password is not None:
        connection.execute(
            f"CREATE OR REPLACE SECRET {CATALOG_SECRET}"
            f" (TYPE postgres, PASSWORD {quote_literal(lake.password.reveal())})"
        )
        options += f", SECRET {quote_literal(CATALOG_SECRET)}"
    connection.execute(f"ATTACH {quote_literal(lake.address)} AS {catalog} ({options})")
