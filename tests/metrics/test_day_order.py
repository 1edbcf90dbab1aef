"""In what order `calc.*` lies: a month's numbers read the blocks that its days are in."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from metrics.resolve.changes import compare_changes, staged_name, write_changes
from metrics.resolve.order import keep_order
from models import WAREHOUSE
from tests.metrics.fixture_core import empty_warehouse, insert
from warehouse.ddl import schema_statements

FIRST = datetime(2026, 11, 1, tzinfo=UTC)
SHUFFLED = [number * 7 % 20 for number in range(20)]
ONE_A_DAY = [{"source": "m", "call_id": str(day), "local_date": date(2026, 11, 1 + day)} for day in SHUFFLED]
OPEN = [
    {"source": "a", "deal_id": str(day), "valid_from": FIRST, "valid_to": FIRST + timedelta(days=day)}
    for day in SHUFFLED
]


@pytest.mark.parametrize(
    ("relation", "day", "rows"), [("calc.calls", "local_date", ONE_A_DAY), ("calc.open_deals", "valid_to", OPEN)]
)
def test_rows_of_a_day_are_written_together(relation: str, day: str, rows: list[dict[str, Any]]) -> None:
    """In the order that joins happen to give, every block holds every month, and a month reads the whole history."""
    connection = empty_warehouse()
    insert(connection, relation, rows)
    connection.execute(f"CREATE TEMP TABLE {staged_name(relation)} AS FROM {relation}")
    connection.execute(f"DELETE FROM {relation}")
    compare_changes(connection, relation)
    assert write_changes(connection, relation, FIRST).written == 20
    days = [row[0] for row in connection.execute(f"SELECT {day}::VARCHAR FROM {relation} ORDER BY rowid").fetchall()]
    assert days == sorted(days)


# ── many nights ─────────────────────────────────────────────────────────────────────────────────────────────────

BLOCK_ROWS = 2048  # the smallest there is
NIGHTS = 24
A_DAY = 700

# What resolve would make on a night. A deal moves every third day, three times, then it is over; each tenth stands
# where it began for ever.
OPEN_DEALS = f"""
    SELECT 'amo' AS source, range::VARCHAR AS deal_id, $first + to_days(begun) AS valid_from,
        CASE WHEN stays OR begun + 3 > $night THEN 'infinity' ELSE $first + to_days(begun + 3) END AS valid_to
    FROM (
        SELECT range, range % 10 = 0 AS stays, unnest([0, 1, 2]) AS stage,
            (range // {A_DAY} + 3 * stage)::INTEGER AS begun
        FROM range({A_DAY * NIGHTS})
    )
    WHERE begun <= $night AND (stage = 0 OR NOT stays)
"""
# Each night a few calls of any day are found to be somebody else's.
CALLS = f"""
    SELECT 'mango' AS source, range::VARCHAR AS call_id, $first::DATE + (range // {A_DAY})::INTEGER AS local_date,
        (($night + range * 31) // 2003)::VARCHAR AS person_id
    FROM range({A_DAY} * ($night + 1))
"""
LAST = FIRST + timedelta(days=NIGHTS - 1)
STILL_OPEN = f"FROM calc.open_deals WHERE valid_from < TIMESTAMPTZ '{LAST}' AND valid_to >= TIMESTAMPTZ '{LAST}'"
EARLY = f"FROM calc.calls WHERE local_date BETWEEN '{FIRST.date() + timedelta(5)}' AND '{FIRST.date() + timedelta(6)}'"
LATEST = f"FROM calc.calls WHERE local_date > '{LAST.date() - timedelta(5)}'"


@cache
def after_nights(relation: str, query: str) -> duckdb.DuckDBPyConnection:
    """`relation` as so many nights have left it in a file, each of which wrote what had changed."""
    path = Path(tempfile.mkdtemp()) / "nights.duckdb"
    connection = duckdb.connect()
    connection.execute(f"ATTACH '{path}' AS nights (ROW_GROUP_SIZE {BLOCK_ROWS}); USE nights; SET TimeZone = 'UTC'")
    connection.execute("SET threads = 1; CREATE SCHEMA calc")
    for statement in schema_statements(WAREHOUSE, comments=False):
        if f"{relation} (" in statement.replace('"', ""):
            connection.execute(statement)
    staged = staged_name(relation)
    for night in range(NIGHTS):
        connection.execute(f"CREATE TEMP TABLE {staged} AS FROM {relation} LIMIT 0")
        connection.execute(f"INSERT INTO {staged} BY NAME {query}", {"first": FIRST, "night": night})
        compare_changes(connection, relation)
        write_changes(connection, relation, FIRST)
    connection.execute("CHECKPOINT")
    return connection


def rows_read(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, int]:
    """How many rows a query finds, and how many its scan went through."""
    ((_, answer),) = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT sum(length(source)) {query}").fetchall()
    waiting, scanned = [json.loads(answer)], 0
    while waiting:
        operator = waiting.pop()
        waiting += operator.get("children", [])
        scanned += operator.get("operator_rows_scanned", 0)
    ((found,),) = connection.execute(f"SELECT count(*) {query}").fetchall()
    return found, scanned


def test_the_latest_days_need_no_help() -> None:
    """What was appended before they began holds none of them."""
    found, scanned = rows_read(after_nights("calc.calls", CALLS), LATEST)
    assert found == 5 * A_DAY
    assert scanned <= found + 3 * BLOCK_ROWS


@pytest.mark.parametrize(
    ("relation", "made", "asked"), [("calc.open_deals", OPEN_DEALS, STILL_OPEN), ("calc.calls", CALLS, EARLY)]
)
def test_scattered_days_are_brought_together_once(relation: str, made: str, asked: str) -> None:
    """Nights append: every block holds a deal that stands open still, or an old call that changed, and all are read.

    In order it is left alone: to write ten million calls each night would cost more than the night.
    """
    connection = after_nights(relation, made)
    digest = f"SELECT count(*), bit_xor(hash(COLUMNS(*))) FROM {relation}"
    whole = connection.execute(digest).fetchall()
    found, scanned = rows_read(connection, asked)
    assert scanned > 2 * (found + 2 * BLOCK_ROWS)
    assert keep_order(connection) is None  # small: a few blocks of the usual size
    assert keep_order(connection, block_rows=BLOCK_ROWS) == relation
    assert keep_order(connection, block_rows=BLOCK_ROWS) is None
    same, scanned = rows_read(connection, asked)
    assert same == found
    assert scanned <= found + 2 * BLOCK_ROWS
    assert connection.execute(digest).fetchall() == whole
