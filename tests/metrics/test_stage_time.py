"""Time in a stage, and the age of what still stands there (metrics.md 4.4, 25)."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from metrics.resolve import resolve
from tests.metrics.fixture_calc import add_calendar
from tests.metrics.fixture_core import COMPANY, STAGES, fresh_clock, reference
from tests.metrics.test_compute import compute

NEW, QUALIFIED = (f"source=amo;stage={STAGES[name][0]}" for name in ("new", "qualified"))


@pytest.fixture(scope="module")
def resolved() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = reference()
    add_calendar(connection)
    resolve(connection, COMPANY, fresh_clock())
    yield connection
    connection.close()


def evidence(
    connection: duckdb.DuckDBPyConnection, metric: str, where: str, until: str = "2026-12-01"
) -> list[tuple[object, ...]]:
    """A metric's records of November, when the CRM's data ends with the beginning of a day."""
    moment = f"{until} 00:00:00+03"
    connection.execute("UPDATE meta.coverage SET complete_until = ?::TIMESTAMPTZ WHERE facet = 'crm'", [moment])
    compute(connection, metric)
    return connection.execute(
        f"SELECT variant, record_id, num::DOUBLE, excluded_by FROM facts.kpi_evidence WHERE metric = '{metric}'"
        f" AND entity_type = 'company' AND NOT contains(variant, 'p95') AND {where} ORDER BY variant, num DESC"
    ).fetchall()


def test_a_stay_that_a_deletion_cut_off_is_no_exit(resolved: duckdb.DuckDBPyConnection) -> None:
    """D9 was deleted in qualified: if that were an exit, deleting young deals would shorten everybody's stays."""
    rows = evidence(resolved, "time_in_stage", "record_id = 'D9' AND variant <> ''")
    assert [(variant, excluded_by) for variant, _, _, excluded_by in rows] == [(NEW, None), (QUALIFIED, "gone")]


def test_what_still_stands_has_an_age(resolved: duckdb.DuckDBPyConnection) -> None:
    """D6 came on Monday the 9th at 10:00: 8 hours of that day, then 15 whole days. D10 is a duplicate."""
    assert evidence(resolved, "stage_age", "variant = ''") == [
        ("", "D6", 8 + 15 * 9, None),
        ("", "D10", 8 + 10 * 9, "duplicate"),
    ]
    (fact,) = resolved.execute(
        "SELECT value, den FROM facts.kpi WHERE metric = 'stage_age' AND variant = $1 AND entity_type = 'company'",
        [NEW],
    ).fetchall()
    assert fact == (143, 1)


def test_an_age_on_a_past_day_is_since_the_entry_of_then(resolved: duckdb.DuckDBPyConnection) -> None:
    """At the end of Sunday the 15th D3 stands in its offer since Friday 10:00, the weekend not counted; D9 in qualified
    since Friday 11:00."""
    rows = evidence(resolved, "stage_age", "variant = '' AND record_id IN ('D3', 'D9')", until="2026-11-16")
    assert rows == [("", "D3", 8, None), ("", "D9", 7, None)]
