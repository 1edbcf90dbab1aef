"""Whose the data of a lake is: a file in `data_path` named after the PostgreSQL database that is its catalog.

Files the catalog doesn't know are taken for a killed writer's and removed. In a place that two catalogs share, by a
mistake or because one is a restored copy of the other, they are the other's data.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from base.errors import WarehouseError
from base.text import say
from warehouse.address import Lake
from warehouse.engine import ask_postgres
from warehouse.quoting import quote_literal

_SUFFIX = ".voronka-lake"
# A copy of a database has another oid, or stands in another cluster.
_IDENTITY = """
SELECT md5(system_identifier || '/' || (SELECT oid FROM pg_database WHERE datname = current_database()))
FROM pg_control_system()
"""


def claim(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Say in `data_path` that it is this lake's; said once more it changes nothing."""
    ((identity,),) = ask_postgres(connection, _IDENTITY)
    if isinstance(lake.data_path, Path):
        lake.data_path.mkdir(parents=True, exist_ok=True)
    place = f"{lake.data_path}/{identity}{_SUFFIX}"
    connection.execute(f"COPY (SELECT 'voronka') TO {quote_literal(place)} (FORMAT csv, HEADER false)")


def require_alone(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Claim the data, and see that nobody else does.

    Raises:
        WarehouseError: another catalog's data lies there too.
    """
    claim(connection, lake)
    pattern = f"{lake.data_path}/*{_SUFFIX}"
    claims = connection.execute(f"SELECT file FROM glob({quote_literal(pattern)}) ORDER BY file").fetchall()
    if len(claims) > 1:
        raise WarehouseError(
            say(
                "{place} делят два озера, или база одного — копия другой: {claims}.",
                "{place} is shared by two lakes, or one's database is a copy of the other's: {claims}.",
                place=lake.data_path,
                claims=", ".join(path for (path,) in claims),
            ),
            say(
                "Дайте каждому свой data_path. Если базу перенесли и прежней больше нет, удалите эти файлы-отметки.",
                "Give each a data_path of its own. If the database has moved and the former is no more, remove these "
                "marks.",
            ),
        )
