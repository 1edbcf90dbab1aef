"""Which sources the company uses: one that is gone or switched off must not hold the others' numbers back."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from metrics.settings import Company
from models.arrow import arrow_type
from models.operations import SOURCES
from warehouse.database import transaction


def store_sources(connection: duckdb.DuckDBPyConnection, company: Company) -> int:
    """Write `meta.sources`: those of the configuration, and those that only have records left. Gives the rows written.

    A company without any source is one made by a test or a script that names none: nothing is known then.
    """
    if not company.source_types:
        return 0
    known = {name for (name,) in connection.execute("SELECT DISTINCT source FROM meta.coverage").fetchall()}
    names = sorted(known | set(company.source_types))
    table = pa.table(
        {
            "source": names,
            "source_type": [company.source_types.get(name) for name in names],
            "label": [None for _ in names],
            "is_enabled": [name in company.source_types and name not in company.disabled_sources for name in names],
            "priority": [company.priorities.get(name) for name in names],
        },
        schema=pa.schema([(column.name, arrow_type(column)) for column in SOURCES.columns]),
    )
    connection.register("_sources", table)
    try:
        with transaction(connection):
            columns = ", ".join(table.schema.names)
            connection.execute(
                f"DELETE FROM meta.sources AS s WHERE NOT EXISTS (SELECT 1 FROM _sources AS t WHERE"
                f" ({', '.join(f's.{name}' for name in table.schema.names)})"
                f" IS NOT DISTINCT FROM ({', '.join(f't.{name}' for name in table.schema.names)}))"
            )
            row = connection.execute(
                f"INSERT INTO meta.sources ({columns}) SELECT {columns} FROM _sources"
                " WHERE source NOT IN (SELECT source FROM meta.sources)"
            ).fetchone()
    finally:
        connection.unregister("_sources")
    return int(row[0]) if row else 0
