from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from metrics.catalogue import Catalogue, load_catalogue
from metrics.periods import parse_period
from metrics.reading import compute_kpi, read_kpi
from tests.metrics.fixture_calc import call_row, reference_calc
from tests.metrics.fixture_core import COMPANY, insert
from tests.metrics.test_catalogue import OWN, own
from tests.metrics.test_compute import compute, only

KEYS = "revenue_cash lead_contact_rate calls_attempted plan_attainment forecast_run_rate"


def plan(connection: duckdb.DuckDBPyConnection, metric: str, value: float, entity: str = "company:company") -> None:
    entity_type, _, entity_id = entity.partition(":")
    row = {"period": "2026-11", "entity_type": entity_type, "entity_id": entity_id, "metric": metric, "value": value}
    insert(connection, "core.plans", [row])


def planned(connection: duckdb.DuckDBPyConnection, day: int, keys: str = KEYS) -> dict[str, Any]:
    """Plan rows as of the end of a day of November, by metric and entity."""
    rows, _ = compute_kpi(connection, COMPANY, only(keys), parse_period("2026-11")[0], date(2026, 11, day))
    return {f"{row.metric} {row.entity_id}": row for row in rows if row.plan is not None}


def test_run_rate_scales_money_by_working_days_of_the_calendar() -> None:
    """metrics.md 42: 250 000 at the end of 16 November, 10 of 20 days: 500 000."""
    connection = reference_calc()
    plan(connection, "revenue_cash", 1_000_000)
    row = planned(connection, 16)["revenue_cash company"]
    assert (row.attainment, row.forecast) == (0.25, 500_000)


def test_the_calendar_is_part_of_the_answer() -> None:
    """The guides' 550 of 1000: 1100 by the RU calendar, 1050 by a calendar without the holiday (11 of 21 days)."""
    connection = reference_calc()
    insert(connection, "calc.calls", [call_row(f"X{number}", "12 10:00", "A", "out", 50) for number in range(542)])
    plan(connection, "calls_attempted", 1000)
    row = planned(connection, 16)["calls_attempted company"]
    assert (row.num, row.attainment, row.forecast) == (551, 0.551, 1102)
    connection.execute("UPDATE core.calendar SET hours = 8 WHERE day = DATE '2026-11-04'")
    assert planned(connection, 16)["calls_attempted company"].forecast == 551 * 21 / 11


def test_a_ratio_is_not_scaled_and_is_compared_with_its_planned_ratio() -> None:
    connection = reference_calc()
    plan(connection, "lead_contact_rate", 0.5)
    row = planned(connection, 16)["lead_contact_rate company"]
    assert row.forecast == row.value == 0.75
    assert row.attainment == 1.5


def test_before_the_first_working_day_there_is_no_forecast_and_after_the_end_it_is_the_fact() -> None:
    connection = reference_calc()
    plan(connection, "revenue_cash", 1_000_000)
    assert planned(connection, 1)["revenue_cash company"].forecast is None
    assert planned(connection, 30)["revenue_cash company"].forecast == 430_000


def test_a_calendar_with_a_hole_gives_no_forecast_rather_than_a_wrong_one() -> None:
    connection = reference_calc()
    plan(connection, "revenue_cash", 1_000_000)
    connection.execute("DELETE FROM core.calendar WHERE day = DATE '2026-11-27'")
    row = planned(connection, 16)["revenue_cash company"]
    assert (row.attainment, row.forecast) == (0.25, None)


def test_absences_shift_the_working_days_of_that_person_alone() -> None:
    connection = reference_calc()
    for entity in ("manager:A", "manager:B", "company:company"):
        plan(connection, "calls_attempted", 10, entity)
    away = {"from_on": date(2026, 11, 17), "to_on": date(2026, 11, 17) + timedelta(days=1)}
    insert(connection, "core.absences", [{"person_id": "A"} | away])
    rows = planned(connection, 16)
    assert rows["calls_attempted A"].forecast == 7 * 18 / 10
    assert rows["calls_attempted B"].forecast == 2 * 20 / 10
    assert rows["calls_attempted company"].forecast == 9 * 20 / 10


def test_a_plan_of_zero_has_no_attainment_and_a_plan_without_a_fact_stays_visible() -> None:
    connection = reference_calc()
    plan(connection, "revenue_cash", 0)
    plan(connection, "revenue_cash", 500, "manager:nobody")
    compute(connection, KEYS)
    rows = connection.execute(
        "SELECT entity_id, plan, fact, attainment FROM facts.plan_fact ORDER BY entity_id"
    ).fetchall()
    assert rows == [("company", 0, 430_000, None), ("nobody", 500, None, None)]


def test_a_changed_plan_changes_its_row_and_a_plan_taken_back_takes_it_away() -> None:
    connection = reference_calc()
    plan(connection, "revenue_cash", 860_000)
    compute(connection, KEYS)
    assert read_kpi(connection, "2026-11", "revenue_cash", "company")[0].attainment == 0.5
    connection.execute("UPDATE core.plans SET value = 430000")
    # The old row and the new one, of the plan and of the metric made of it, and the period's own.
    assert compute(connection, KEYS).rows_written == 5
    assert read_kpi(connection, "2026-11", "revenue_cash", "company")[0].attainment == 1
    connection.execute("DELETE FROM core.plans")
    compute(connection, KEYS)
    assert read_kpi(connection, "2026-11", "revenue_cash", "company")[0].plan is None


@pytest.mark.parametrize(("direction", "attainment"), [("up", 0.5), ("down", 2.0)])
def test_less_is_better_turns_the_quotient_round(tmp_path: Path, direction: str, attainment: float) -> None:
    connection = reference_calc()
    text = OWN.replace("-- counts_until", f"-- direction: {direction}\n-- counts_until")
    text = text.replace("additivity: distinct", "additivity: additive") + "WHERE c.is_attempt\n"
    metric = load_catalogue(own(tmp_path, text)).get("calls_people")
    plan(connection, metric.key, 18)
    catalogue = Catalogue({metric.key: metric} | dict(only("plan_attainment").metrics))
    compute(connection, catalogue=catalogue)
    assert read_kpi(connection, "2026-11", metric.key, "company")[0].attainment == attainment
    connection.execute("DELETE FROM calc.calls")
    compute(connection, catalogue=catalogue)
    nothing = {"up": 0.0, "down": float("inf")}[direction]
    assert read_kpi(connection, "2026-11", metric.key, "company")[0].attainment == nothing
