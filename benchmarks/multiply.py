"""A resolved company made many times its size, or younger, by SQL: to measure what stands behind resolve without
waiting for it.

Every record is copied with ids and phones of its own, so that copies share people, teams, stages and days, and nothing
else; the day decides the order, as it does where resolve writes.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import date

import duckdb

from base.clock import Clock
from warehouse.database import Files, open_warehouse

# What a copy needs a value of its own for.
_IDS = frozenset(
    {
        *("deal_id", "call_id", "payment_id", "event_id", "contact_id", "customer_id", "customer", "activity_id"),
        *("first_action_call_id", "first_success_call_id", "external_number", "phone", "duplicate_of", "lead_id"),
        *("same_as_payment_id", "refund_of_payment_id", "order_id"),
    }
)
# Read by metrics, flags or the ledger beside calc.*; and what of calc.* is no record.
_CORE = ("deals", "deal_events", "deal_owners", "deal_stage_visits", "payments", "payment_allocations")
NO_RECORDS = frozenset(
    {"working_days", "stage_odds", "periods", "payment_numbers", "number_keys", "match_candidates", "split_shares"}
)


def multiply(connection: duckdb.DuckDBPyConnection, copies: int) -> None:
    """Leave `copies` of every record in `calc.*`, and in what else a recompute reads; `copies` is 1 or more."""
    tables = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database() "
        "AND schema_name IN ('calc', 'core') ORDER BY ALL"
    ).fetchall()
    for schema, table in tables:
        if table in _CORE if schema == "core" else table not in NO_RECORDS:
            _multiply(connection, schema, table, copies)
    connection.execute("CHECKPOINT")


def copy_cut(whole: Files, part: Files, first: date, clock: Clock) -> None:
    """The files of `whole` as `part`, without what was over before the day `first`."""
    for copied_from, copied_to in ((whole.warehouse, part.warehouse), (whole.raw, part.raw)):
        copied_to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(copied_from, copied_to)
    with open_warehouse(part, command="benchmark", clock=clock) as warehouse:
        _cut(warehouse.connection, first)


def _cut(connection: duckdb.DuckDBPyConnection, first: date) -> None:
    """Forget what was over before the day `first`; what stood open then stays, and so do the days after it."""
    over = ("local_date", "valid_to", "left_at", "occurred_at", "closed_at", "paid_on")
    rows = connection.execute(
        "SELECT schema_name, table_name, list(column_name) FROM duckdb_columns() "
        "WHERE database_name = current_database() AND schema_name IN ('calc', 'core') GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    for schema, table, columns in rows:
        if table not in _CORE if schema == "core" else table in NO_RECORDS:
            continue
        ended = next((name for name in over if name in columns), None)
        if ended:
            connection.execute(f"DELETE FROM {schema}.{table} WHERE {ended} < $first", {"first": first})
    connection.execute(
        "DELETE FROM core.payment_allocations AS a WHERE NOT EXISTS (FROM core.payments AS p "
        "WHERE p.source = a.source AND p.payment_id = a.payment_id)"
    )
    connection.execute("CHECKPOINT")


def _multiply(connection: duckdb.DuckDBPyConnection, schema: str, table: str, copies: int) -> None:
    rows = connection.execute(
        "SELECT column_name FROM duckdb_columns() "
        "WHERE database_name = current_database() AND schema_name = ? AND table_name = ? ORDER BY column_index",
        [schema, table],
    ).fetchall()
    names = [str(name) for (name,) in rows]
    day = next((name for name in ("local_date", "valid_to") if name in names), names[0])
    connection.execute(
        f"INSERT INTO {schema}.{table} ({', '.join(names)}) SELECT {copied(names)} "
        f"FROM (SELECT *, unnest(range(1, {copies})) AS copy FROM (FROM {schema}.{table} ORDER BY {day}))"
    )


def copied(names: Sequence[str]) -> str:
    """SQL of a row's columns as its copy number `copy` has them; number 0 is the row itself."""
    return ", ".join(
        f"CASE WHEN copy > 0 AND {name} <> '' THEN {name} || '~' || copy ELSE {name} END" if name in _IDS else name
        for name in names
    )
