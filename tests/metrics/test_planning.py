"""The plan from the end and the coherence of plans (metrics.md 5), and the guides' own figures (metrics.md 7)."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from metrics.compute import recompute
from metrics.periods import parse_period
from metrics.plan_reading import check_period_plans, read_plans, read_working_days
from metrics.planning import (
    NO_HISTORY,
    Apart,
    History,
    Implausible,
    NoSum,
    NotPositive,
    check_plans,
    check_sum,
    decompose,
)
from tests.metrics.fixture_calc import reference_calc
from tests.metrics.fixture_core import COMPANY, fresh_clock, insert
from tests.metrics.test_compute import only

(DECEMBER,) = parse_period("2026-12")
# Of a hundred meetings twenty-five were paid, and of five thousand calls a hundred were meetings.
HISTORY = History(
    sums={"calls_successful": 5000, "meetings_held": 100, "offers_sent": 80, "deals_paid": 25},
    ratios={"avg_check": (3_750_000, 25), "call_to_meeting_rate": (100, 5000)},
)
GUIDES = {
    "revenue_cash": 3_000_000,
    "avg_check": 150_000,
    "calls_successful": 1000,
    "call_to_meeting_rate": 0.02,
    "meetings_held": 20,
}


def needed(plans: dict[str, float], history: History = NO_HISTORY, days: int = 20, **given: float) -> dict[str, object]:
    return {step.name: step.value for step in decompose(plans, history, days, given)}


def test_three_millions_take_two_hundred_calls_a_day() -> None:
    """metrics.md 5: 3 000 000/150 000 = 20 deals; at 25 % -> 80 meetings; at 2 % -> 4000 calls; /20 = 200 a day."""
    steps = needed({"revenue_cash": 3_000_000}, avg_check=150_000, meeting_to_paid=0.25, call_to_meeting_rate=0.02)
    assert steps == {
        "revenue_cash": 3_000_000,
        "avg_check": 150_000,
        "deals_paid": 20,
        "meeting_to_paid": 0.25,
        "meetings_held": 80,
        "call_to_meeting_rate": 0.02,
        "calls_successful": 4000,
        "working_days": 20,
        "calls_a_day": 200,
    }


def test_the_day_norm_of_the_guides() -> None:
    """metrics.md 7.5: 800 successful calls over 20 working days are 40 a day."""
    steps = needed({"revenue_cash": 800}, avg_check=1, meeting_to_paid=1, call_to_meeting_rate=1)
    assert (steps["calls_successful"], steps["calls_a_day"]) == (800, 40)


def test_what_was_not_planned_comes_from_the_last_six_months_and_is_marked_so() -> None:
    plans = {"revenue_cash": 3_000_000, "call_to_meeting_rate": 0.04, "meetings_held": 70.0}
    steps = {step.name: step for step in decompose(plans, HISTORY, 20)}
    assert (steps["avg_check"].value, steps["avg_check"].origin) == (150_000, "history")
    assert (steps["meeting_to_paid"].value, steps["meeting_to_paid"].origin) == (0.25, "history")
    assert (steps["call_to_meeting_rate"].value, steps["call_to_meeting_rate"].origin) == (0.04, "plan")
    assert (steps["meetings_held"].value, steps["meetings_held"].planned) == (80, 70)


def test_two_planned_rates_make_the_share_of_meetings_that_get_paid() -> None:
    plans = {"revenue_cash": 100.0, "avg_check": 10.0, "meeting_to_offer_rate": 0.8, "offer_to_payment_rate": 0.25}
    assert needed(plans, HISTORY)["meeting_to_paid"] == pytest.approx(0.2)


def test_a_factor_nobody_knows_leaves_what_stands_on_it_open() -> None:
    steps = needed({"revenue_cash": 3_000_000, "avg_check": 150_000}, days=0)
    assert steps["deals_paid"] == 20
    assert {name for name, value in steps.items() if value is None} == {
        "meeting_to_paid",
        "meetings_held",
        "call_to_meeting_rate",
        "calls_successful",
        "working_days",
        "calls_a_day",
    }


# ── coherence ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("history", [NO_HISTORY, HISTORY])
def test_the_guides_own_plan_is_implausible(history: History) -> None:
    """Twenty paid deals out of twenty meetings: every meeting would have to be paid, whatever was before."""
    found = check_plans(GUIDES, history)
    (finding,) = [each for each in found if isinstance(each, Implausible)]
    assert (finding.before, finding.after, finding.implied) == ("meetings_held", "deals_paid", 1)
    assert finding.actual == (None if history is NO_HISTORY else 0.25)
    assert found == [finding]


@pytest.mark.parametrize(("meetings", "is_implausible"), [(40, False), (39, True)])
def test_twice_the_actual_conversion_is_the_most(meetings: int, is_implausible: bool) -> None:
    """A quarter of the meetings was paid: half of them may be planned, no more."""
    found = check_plans({"deals_paid": 20, "meetings_held": meetings}, HISTORY)
    assert bool(found) == is_implausible


@pytest.mark.parametrize(("revenue", "is_apart"), [(3_157_894, False), (3_157_896, True), (2_857_142, True)])
def test_plans_that_hang_together_agree_within_five_percent(revenue: int, is_apart: bool) -> None:
    """20 deals of 150 000 are 3 000 000."""
    found = check_plans({"revenue_cash": revenue, "deals_paid": 20, "avg_check": 150_000}, NO_HISTORY)
    assert found == (
        [Apart(whole="revenue_cash", base="deals_paid", rate="avg_check", planned=revenue, implied=3_000_000)]
        if is_apart
        else []
    )


@pytest.mark.parametrize("value", [0, -5])
def test_a_plan_that_is_not_positive_is_an_error(value: float) -> None:
    assert check_plans({"revenue_cash": value, "avg_check": 10}, HISTORY) == [
        NotPositive(metric="revenue_cash", value=value)
    ]


def test_plans_below_an_entity_need_not_sum_to_its_own_but_it_is_told() -> None:
    assert check_sum("revenue_cash", 100, [50, 45]) is None
    assert check_sum("revenue_cash", 100, [50, 44]) == NoSum(metric="revenue_cash", planned=100, summed=94)
    assert check_sum("revenue_cash", 100, []) is None


# ── from the warehouse ──────────────────────────────────────────────────────────────────────────────────────────


def add_plans(connection: duckdb.DuckDBPyConnection, plans: dict[str, float], entity: str = "company:company") -> None:
    entity_type, _, entity_id = entity.partition(":")
    row = {"period": "2026-12", "entity_type": entity_type, "entity_id": entity_id}
    insert(connection, "core.plans", [row | {"metric": metric, "value": value} for metric, value in plans.items()])


@pytest.fixture
def planned() -> duckdb.DuckDBPyConnection:
    """November computed: four meetings, four paid deals of 410 000; and plans of December."""
    connection = reference_calc()
    catalogue = only("avg_check call_to_meeting_rate meetings_held deals_paid calls_successful")
    recompute(connection, COMPANY, parse_period("2026-11"), fresh_clock(), catalogue=catalogue, flags=())
    return connection


def test_history_is_the_months_before_of_that_entity_or_of_the_company(planned: duckdb.DuckDBPyConnection) -> None:
    for entity in ("company:company", "manager:A", "manager:new"):
        add_plans(planned, {"revenue_cash": 1_000_000}, entity)
    found = {each.entity_id: each for each in read_plans(planned, DECEMBER)}
    assert list(found) == ["company", "A", "new"]
    assert found["company"].history.rate("avg_check") == 102_500
    assert found["A"].history.rate("avg_check") == 100_000
    assert found["new"].history == found["company"].history
    (november,) = parse_period("2026-11")
    assert read_plans(planned, november) == []
    # A period's own facts are not its history.
    planned.execute("UPDATE core.plans SET period = '2026-11'")
    assert read_plans(planned, november)[0].history == NO_HISTORY


def test_working_days_come_from_the_calendar_or_not_at_all(planned: duckdb.DuckDBPyConnection) -> None:
    (november,) = parse_period("2026-11")
    assert read_working_days(planned, november) == 20
    planned.execute("DELETE FROM core.calendar WHERE day = '2026-11-15'")
    assert read_working_days(planned, november) == 0


def test_each_level_is_compared_with_the_one_below(planned: duckdb.DuckDBPyConnection) -> None:
    add_plans(planned, {"revenue_cash": 1_000_000, "avg_check": 90_000})
    add_plans(planned, {"revenue_cash": 600_000}, "team:North")
    add_plans(planned, {"revenue_cash": 400_000}, "team:South")
    add_plans(planned, {"revenue_cash": 500_000}, "manager:A")
    found = {entity.entity_id: findings for entity, findings in check_period_plans(planned, DECEMBER)}
    assert found == {
        "company": [],
        "North": [NoSum(metric="revenue_cash", planned=600_000, summed=500_000)],
        "South": [],
        "A": [],
    }


def test_a_person_who_left_does_not_belong_to_the_team_any_more(planned: duckdb.DuckDBPyConnection) -> None:
    planned.execute("UPDATE core.people SET valid_to = ? WHERE person_id = 'A'", [date(2026, 11, 30)])
    add_plans(planned, {"revenue_cash": 600_000}, "team:North")
    add_plans(planned, {"revenue_cash": 500_000}, "manager:A")
    assert [findings for _, findings in check_period_plans(planned, DECEMBER)] == [[], []]
