"""In what order `calc.*` lies: a month's numbers read the blocks that its days are in."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from metrics.resolve.changes import compare_changes, staged_name, write_changes
from tests.metrics.fixture_core import empty_warehouse, insert

FIRST = datetime(2026, 11, 1, tzinfo=UTC)
SHUFFLED = [number * 7 % 20 for number in range(20)]
CALLS = [{"source": "m", "call_id": str(day), "local_date": date(2026, 11, 1 + day)} for day in SHUFFLED]
OPEN = [
    {"source": "a", "deal_id": str(day), "valid_from": FIRST, "valid_to": FIRST + timedelta(days=day)}
    for day in SHUFFLED
]


@pytest.mark.parametrize(
    ("relation", "day", "rows"), [("calc.calls", "local_date", CALLS), ("calc.open_deals", "valid_to", OPEN)]
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
