"""Keeping `calc.*` in the order of days, night after night.

A night appends: its blocks hold what is new and, here and there, something old that changed. A month then reads every
block that came after it; and a block keeps the memory of what once stood open in it, so that whoever asks for what is
open reads them all. A relation that has come to this is written anew, in order.
"""

from __future__ import annotations

import duckdb
import sqlalchemy as sa

from models import WAREHOUSE
from warehouse.engine import is_lake, transaction

# So many blocks of a relation may hold a day, or a share of all of them if that is more: what it costs to write the
# relation grows with it, and is to come as seldom as its reading is cheap.
DEEP = 4
DEEP_SHARE = 1 / 16

# Rows of a block, by which the engine passes over what nobody asks for.
BLOCK_ROWS = 122_880

# What decides the order of a relation's rows, in order of preference.
_DAYS = ("local_date", "valid_to")
_COPY = "temp.kept_in_order"


def order_column(table: sa.Table) -> str | None:
    """The column by which a relation's rows are written; None = they are not ordered.

    Rows of a day stand together, so that a month's numbers read the month's blocks and not the history's: DuckDB
    passes over a block whose least and greatest day tell that nothing in it is asked for.
    """
    if table.schema != "calc":
        return None
    return next((name for name in _DAYS if name in table.columns), None)


def keep_order(connection: duckdb.DuckDBPyConnection, *, block_rows: int = BLOCK_ROWS) -> str | None:
    """Write the relation that lies worst anew, in a transaction of its own, if its days are scattered; its name.

    One a call: a night bears one of them. A lake's files are its own affair.
    """
    if is_lake(connection):
        return None
    depths = {table: _depth(connection, table) for table in _large(connection, DEEP * block_rows)}
    worst = max(depths, key=lambda table: depths[table], default=None)
    if worst is None or depths[worst] <= 1:
        return None
    column = order_column(worst)
    with transaction(connection):
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {_COPY} AS FROM {worst.fullname}")
        connection.execute(f"DELETE FROM {worst.fullname}")
        connection.execute(f"INSERT INTO {worst.fullname} BY NAME FROM {_COPY} ORDER BY {column}")
    connection.execute(f"DROP TABLE {_COPY}")
    # Only then the blocks that were left are gone, and count no more.
    connection.execute("CHECKPOINT")
    return worst.fullname


def _large(connection: duckdb.DuckDBPyConnection, rows: int) -> list[sa.Table]:
    """The ordered relations of more than so many rows: of fewer, no day can lie in too many blocks."""
    found = connection.execute(
        "SELECT table_name FROM duckdb_tables() "
        "WHERE database_name = current_database() AND schema_name = 'calc' AND estimated_size > $rows",
        {"rows": rows},
    ).fetchall()
    names = {f"calc.{name}" for (name,) in found}
    return [table for table in WAREHOUSE.sorted_tables if table.fullname in names and order_column(table)]


# Of a block: the least and the greatest of its days, as the engine remembers them. Where it has met none but infinity
# it names ends of its calendar.
_DEPTH = """
WITH blocks AS (
    SELECT
        row_group_id,
        min(coalesce(try_cast(regexp_extract(stats, 'Min: ([^,\\]]+)', 1) AS TIMESTAMPTZ), 'infinity')) AS least,
        max(coalesce(try_cast(regexp_extract(stats, 'Max: ([^,\\]]+)', 1) AS TIMESTAMPTZ), 'infinity')) AS greatest
    FROM pragma_storage_info($relation)
    WHERE column_name = $column AND segment_type <> 'VALIDITY'
    GROUP BY row_group_id
),
-- A block that holds nothing but what stands open is as well placed as it can be.
dated AS (SELECT * FROM blocks WHERE least < TIMESTAMPTZ '9999-01-01 00:00:00+00'),
turns AS (SELECT DISTINCT unnest([least, greatest]) AS turn FROM dated),
stretches AS (SELECT turn, lead(turn) OVER (ORDER BY turn) AS until FROM turns),
held AS (
    SELECT count(block.least) AS depth
    FROM stretches AS stretch
    LEFT JOIN dated AS block ON block.least <= stretch.turn AND block.greatest >= stretch.until
    WHERE stretch.until IS NOT NULL
    GROUP BY stretch.turn
)
SELECT coalesce(avg(depth), 0) / greatest($deep, $share * (SELECT count(*) FROM blocks)) FROM held
"""


def _depth(connection: duckdb.DuckDBPyConnection, table: sa.Table) -> float:
    """In how many blocks a day of the relation lies on average, measured by what it may be."""
    row = connection.execute(
        _DEPTH,
        {"relation": table.fullname, "column": order_column(table), "deep": DEEP, "share": DEEP_SHARE},
    ).fetchone()
    return float(row[0]) if row else 0.0
