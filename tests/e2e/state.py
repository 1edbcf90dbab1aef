"""The state of a project's files as something that can be compared: what must be equal however it came about."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from models import WAREHOUSE
from tests.engine import look

# When something was read or written is no part of what it says. Records without a vendor's version carry the time
# of the fetch instead, which differs between two undisturbed nights as well.
TIMES = {"loaded_at", "version", "deletion_version", "computed_at", "seen_at", "core_version"}
SCHEMAS = ("core", "calc", "facts")

State = dict[str, Counter[tuple[Any, ...]]]


def read_state(warehouse: Path) -> State:
    """Rows of every relation of core, calc and facts, and the periods, as multisets."""
    state: State = {}
    with look(warehouse) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table in WAREHOUSE.sorted_tables:
            if table.schema not in SCHEMAS and table.fullname != "meta.rejects":
                continue
            columns = [f'"{column}"' for column in table.columns.keys() if column not in TIMES]  # noqa: SIM118
            rows = connection.execute(f"SELECT {', '.join(columns)} FROM {table.fullname}").fetchall()
            state[table.fullname] = Counter(tuple(map(repr, row)) for row in rows)
    return state


def read_log(raw: Path) -> Counter[tuple[Any, ...]]:
    """Every version of every record in the log, as a multiset: a version written twice shows."""
    with look(raw) as connection:
        rows = connection.execute("SELECT source, stream, record_id, op, payload_hash FROM raw.records").fetchall()
    return Counter(rows)


def duplicate_keys(warehouse: Path) -> dict[str, int]:
    """Relations in which a declared key stands twice."""
    found = {}
    with look(warehouse) as connection:
        for table in WAREHOUSE.sorted_tables:
            key = ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
            if not key:
                continue
            row = connection.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM {table.fullname} GROUP BY {key} HAVING count(*) > 1)"
            ).fetchone()
            if row and row[0]:
                found[table.fullname] = row[0]
    return found
