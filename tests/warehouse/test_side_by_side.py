"""Threads with sessions of their own on one open database: what each sees, and what an error stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from warehouse.side_by_side import side_by_side


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """As commands open files: the default catalog is attached, the zone is set."""
    with duckdb.connect(config={"threads": 3}) as connection:
        connection.execute(f"ATTACH '{tmp_path / 'w.duckdb'}' AS warehouse; USE warehouse; SET TimeZone = 'UTC'")
        yield connection


def setting(connection: duckdb.DuckDBPyConnection, name: str) -> object:
    row = connection.execute("SELECT current_setting($1)", [name]).fetchone()
    assert row is not None
    return row[0]


def test_each_has_a_session_of_its_own_set_like_the_first(opened: duckdb.DuckDBPyConnection) -> None:
    """Staged rows of a neighbour, days of another zone, or relations looked for in the wrong file."""
    both = threading.Barrier(2, timeout=60)

    def work(session: duckdb.DuckDBPyConnection, number: int) -> list[object]:
        session.execute(f"CREATE TEMP TABLE staged AS SELECT {int(number)} AS number")
        both.wait()
        found = session.execute("SELECT number, current_database() FROM staged").fetchall()
        return [*found, setting(session, "TimeZone"), setting(session, "threads")]

    # Two of the three threads are the callers', one is left to the engine beside the one it always counts.
    expected = [[(number, "warehouse"), "UTC", 2] for number in (1, 2)]
    assert side_by_side(opened, 2, work, [1, 2]) == expected
    assert setting(opened, "threads") == 3


def test_one_at_a_time_is_done_in_the_callers_session(opened: duckdb.DuckDBPyConnection) -> None:
    for jobs, pieces in ((1, [1, 2]), (4, [1]), (4, [])):
        assert side_by_side(opened, jobs, lambda session, _: session is opened, pieces) == [True] * len(pieces)


def test_after_an_error_nothing_new_is_begun_and_the_earliest_is_raised(opened: duckdb.DuckDBPyConnection) -> None:
    """Twelve months would go on for an hour behind the first that failed, or fail without saying why."""
    begun: list[int] = []
    both = threading.Barrier(2, timeout=60)

    def work(session: duckdb.DuckDBPyConnection, number: int) -> int:
        begun.append(number)
        if number < 2:
            both.wait()
            raise ValueError(number)
        time.sleep(0.05)
        return number

    with pytest.raises(ValueError, match="0"):
        side_by_side(opened, 2, work, list(range(100)))
    # What the threads took before the first error was noticed.
    assert len(begun) < 100
    assert setting(opened, "threads") == 3
