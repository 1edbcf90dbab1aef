"""The end of a campaign: is what the lake holds what files hold, of the same records and of the same vendors?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import sqlalchemy as sa

from models import WAREHOUSE
from tests.e2e.state import SCHEMAS, TIMES
from warehouse.address import Lake
from warehouse.lake import attach_lake
from warehouse.move import Digest

# The last word on each record; a version landed again right behind itself would be a double.
_LAST = """
SELECT source, stream, record_id, arg_max(op, seq), arg_max(payload_hash, seq) FROM landing.raw.records GROUP BY ALL
"""
_DOUBLED = """
SELECT source, stream, record_id, seq FROM (
    SELECT *, lag((op, payload_hash)) OVER (PARTITION BY source, stream, record_id ORDER BY seq) AS before
    FROM landing.raw.records
) WHERE before = (op, payload_hash)
"""


@dataclass
class Compared:
    """Relations that were compared, their rows on the lake, and what differs, in words."""

    relations: int = 0
    rows: int = 0
    fact_rows: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        facts = f"{self.rows} rows, {self.fact_rows} of them facts"
        return f"{self.relations} relations, {facts}: {len(self.wrong)} differences"


def opened(place: Lake | Path) -> duckdb.DuckDBPyConnection:
    """A lake, or the two files of a `var` folder, under the names both have for commands."""
    connection = duckdb.connect(config={"threads": 1, "autoinstall_known_extensions": False})
    connection.execute("SET TimeZone = 'UTC'")
    if isinstance(place, Lake):
        attach_lake(connection, place)
        return connection
    connection.execute(f"ATTACH '{place}/raw.duckdb' AS landing (READ_ONLY)")
    connection.execute(f"ATTACH '{place}/warehouse.duckdb' AS warehouse (READ_ONLY)")
    connection.execute("USE warehouse")
    return connection


def compare(lake: duckdb.DuckDBPyConnection, files: duckdb.DuckDBPyConnection) -> Compared:
    """Every relation of core, calc and facts by its digest, but for the columns that say when it was read."""
    found = Compared()
    for table in WAREHOUSE.sorted_tables:
        if table.schema not in SCHEMAS and table.fullname != "meta.rejects":
            continue
        ours, theirs = _digest(lake, table), _digest(files, table)
        if ours != theirs:
            found.wrong.append(
                f"{table.fullname}: {ours.rows} rows on the lake, {theirs.rows} in the file; {ours}, {theirs}"
            )
        found.relations += 1
        found.rows += ours.rows
        found.fact_rows += ours.rows if table.schema == "facts" else 0
    return found


def compare_logs(lake: duckdb.DuckDBPyConnection, files: duckdb.DuckDBPyConnection) -> list[str]:
    """What a load in one go has and the lake's log lacks, or the other way round; the lake may know more versions."""
    ours, theirs = (Counter(connection.execute(_LAST).fetchall()) for connection in (lake, files))
    wrong = [f"lost from the log: {row}" for row in list(theirs - ours)[:3]]
    wrong += [f"only in the lake's log: {row}" for row in list(ours - theirs)[:3]]
    return wrong + [f"landed twice: {row}" for row in lake.execute(_DOUBLED).fetchall()[:3]]


def _digest(connection: duckdb.DuckDBPyConnection, table: sa.Table) -> Digest:
    """As `voronka move` compares, without the moments of loading."""
    columns = [f'"{column.name}"' for column in table.columns if column.name not in TIMES]
    row = connection.execute(
        f"SELECT count(*), coalesce(bit_xor(h), 0), coalesce(sum(h), 0)"
        f" FROM (SELECT hash({', '.join(columns)}) AS h FROM {table.fullname})"
    ).fetchone()
    assert row is not None
    return Digest(*map(int, row))
