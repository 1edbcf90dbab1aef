"""The KPI guides' own figures (metrics.md 4 to 7), each through the recompute of records that produce them."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from metrics.compute import recompute
from metrics.periods import parse_period
from metrics.reading import KpiRow, compute_kpi, read_kpi
from tests.metrics.fixture_calc import (
    add_calendar,
    call_row,
    cover,
    credit,
    end_of,
    moment,
    payment_row,
    reference_calc,
)
from tests.metrics.fixture_core import (
    COMPANY,
    PIPELINE,
    Batch,
    add_people,
    add_stages,
    empty_warehouse,
    fresh_clock,
    insert,
    moscow,
)
from tests.metrics.test_compute import only
from voronka.reports.numbers import Numbers

(NOVEMBER,) = parse_period("2026-11")
PLAN_METRICS = "plan_attainment forecast_run_rate"


@pytest.fixture
def company() -> duckdb.DuckDBPyConnection:
    """People, stages and a calendar, complete until December, and no record."""
    batch = Batch()
    add_stages(batch)
    add_people(batch)
    connection = empty_warehouse()
    batch.flush(connection)
    add_calendar(connection)
    for source, facet in (("amo", "crm"), ("mango", "calls"), ("accounting", "money")):
        cover(connection, source, facet, "2026-12-01 00:00")
    return connection


def add_leads(connection: duckdb.DuckDBPyConnection, count: int, reached: int) -> None:
    rows = [
        {
            "source": "amo",
            "deal_id": f"L{number}",
            "pipeline_id": PIPELINE,
            **moment(moscow("02 10:00"), "created_at"),
            **credit("A"),
            "first_success_at": moscow("02 10:05") if number < reached else None,
        }
        for number in range(count)
    ]
    insert(connection, "calc.leads", rows)


def add_calls(connection: duckdb.DuckDBPyConnection, successful: int, tried: int = 0, day: str = "02") -> None:
    talks = [60] * successful + [0] * tried
    rows = [call_row(f"{day}-{number}", f"{day} 10:00", "A", "out", talk) for number, talk in enumerate(talks)]
    insert(connection, "calc.calls", rows)


def add_meetings(connection: duckdb.DuckDBPyConnection, count: int) -> None:
    touch = {"source": "amo", "kind": "meeting", "pipeline_id": PIPELINE, **credit("A")}
    at = moment(moscow("03 10:00"), "touched_at")
    insert(connection, "calc.kind_touches", [touch | at | {"deal_id": f"M{number}"} for number in range(count)])


def add_sale(connection: duckdb.DuckDBPyConnection, deal: str, day: date, amount: int, days: int = 14) -> None:
    paid = {"source": "amo", "deal_id": deal, "ordinal": 1, "sign": 1, "due_origin": "order", **credit("A")}
    insert(connection, "calc.paid_deals", [paid | {"pipeline_id": PIPELINE} | end_of(day)])
    begun = {"customer_id": f"tax:{deal}", "is_first": True, "started_on": day - timedelta(days=days)}
    insert(connection, "calc.sales", [paid | begun | end_of(day)])
    insert(connection, "calc.payments", [payment_row(f"P{deal}", day, deal, amount, "A")])


def plan(connection: duckdb.DuckDBPyConnection, metric: str, value: float) -> None:
    row = {"period": "2026-11", "entity_type": "company", "entity_id": "company", "metric": metric, "value": value}
    insert(connection, "core.plans", [row])


def november(connection: duckdb.DuckDBPyConnection, metrics: str) -> dict[str, KpiRow]:
    """The company's plain facts of November, with plan, attainment and forecast."""
    recompute(connection, COMPANY, [NOVEMBER], fresh_clock(), catalogue=only(f"{metrics} {PLAN_METRICS}"), flags=())
    return {row.metric: row for row in read_kpi(connection, "2026-11", by="company")}


def as_of(connection: duckdb.DuckDBPyConnection, day: int, metrics: str) -> dict[str, KpiRow]:
    catalogue = only(f"{metrics} {PLAN_METRICS}")
    rows, _ = compute_kpi(connection, COMPANY, catalogue, NOVEMBER, date(2026, 11, day), by="company")
    return {row.metric: row for row in rows}


def test_18_of_30_leads_were_never_reached(company: duckdb.DuckDBPyConnection) -> None:
    """4: 60 %; and 7.8: two hundred calls a week look fine meanwhile."""
    add_leads(company, 30, reached=12)
    add_calls(company, 12, tried=188)
    facts = november(company, "lead_no_contact_rate lead_contact_rate calls_attempted")
    unreached = facts["lead_no_contact_rate"]
    assert (unreached.num, unreached.den, unreached.value) == (18, 30, 0.6)
    assert facts["lead_contact_rate"].value == 0.4
    assert facts["calls_attempted"].num == 200
    assert round(4_200_000 / float(unreached.num or 0)) == 233_333


def test_20_meetings_of_1000_calls_are_two_percent(company: duckdb.DuckDBPyConnection) -> None:
    """16."""
    add_calls(company, 1000)
    add_meetings(company, 20)
    fact = november(company, "call_to_meeting_rate")["call_to_meeting_rate"]
    assert (fact.num, fact.den, fact.value) == (20, 1000, 0.02)


def test_the_dashboard_of_the_guides(company: duckdb.DuckDBPyConnection) -> None:
    """7.4 at 16 November, 10 of 20 working days: 550/1000 is 55 % and 1100; 1.2 of 3 million is 40 % and 2.4 million;
    1.8 of 2 % is 90 % and stays 1.8 %."""
    add_calls(company, 500)
    add_calls(company, 50, day="16")
    add_meetings(company, 9)
    # Half a thousand calls more of others' meetings would be another ratio: 9 of 500 is the guides' 1.8 %.
    company.execute("UPDATE calc.calls SET is_successful = FALSE WHERE call_id LIKE '16-%'")
    insert(company, "calc.payments", [payment_row("P1", 10, "", 1_200_000, None)])
    for metric, value in (("calls_attempted", 1000), ("revenue_cash", 3_000_000), ("call_to_meeting_rate", 0.02)):
        plan(company, metric, value)
    facts = as_of(company, 16, "calls_attempted revenue_cash call_to_meeting_rate")
    shown = {metric: (row.attainment, row.forecast) for metric, row in facts.items()}
    assert shown == {
        "calls_attempted": (0.55, 1100),
        "revenue_cash": (0.4, 2_400_000),
        "call_to_meeting_rate": (pytest.approx(0.9), 0.018),
    }
    assert Numbers("ru", " ").attainment(facts["call_to_meeting_rate"].attainment) == "90,0 %"


def test_110_percent_of_the_plan(company: duckdb.DuckDBPyConnection) -> None:
    """41: 3 300 000/3 000 000; the metric's own row says what it is made of."""
    insert(company, "calc.payments", [payment_row("P1", 10, "", 3_300_000, None)])
    plan(company, "revenue_cash", 3_000_000)
    assert november(company, "revenue_cash")["revenue_cash"].attainment == pytest.approx(1.1)
    (row,) = read_kpi(company, "2026-11", "plan_attainment", "company", variants=True)
    assert (row.variant, row.num, row.den) == ("metric=revenue_cash", 3_300_000, 3_000_000)
    assert (row.evidence_class, row.additivity, row.unit) == ("hard", "derived", "ratio")


def test_the_run_rate_needs_no_plan() -> None:
    """42: 250 000 × 20/10 = 500 000."""
    facts = as_of(reference_calc(), 16, "revenue_cash win_rate")
    assert (facts["revenue_cash"].forecast, facts["revenue_cash"].plan) == (500_000, None)
    assert facts["win_rate"].forecast is None


def test_the_average_check_trap(company: duckdb.DuckDBPyConnection) -> None:
    """7.9: check +15 %, revenue −20 %: paid deals −30.4 %, and a cycle of two months where it was two weeks."""
    for number in range(23):
        add_sale(company, f"O{number}", date(2026, 10, 20), 100_000)
    for number in range(16):
        add_sale(company, f"N{number}", date(2026, 11, 20), 115_000, days=60)
    catalogue = only("avg_check revenue_cash deals_paid sales_cycle_days")
    recompute(company, COMPANY, parse_period("2026-10..2026-11"), fresh_clock(), catalogue=catalogue, flags=())
    before, after = (
        {row.metric: row.value or 0.0 for row in read_kpi(company, period, by="company")}
        for period in ("2026-10", "2026-11")
    )
    change = {metric: after[metric] / before[metric] - 1 for metric in before}
    assert change["avg_check"] == pytest.approx(0.15)
    assert change["revenue_cash"] == pytest.approx(-0.2)
    assert change["deals_paid"] == pytest.approx(-0.304, abs=0.0005)
    assert (before["sales_cycle_days"], after["sales_cycle_days"]) == (14, 60)


@pytest.mark.parametrize(("days", "attainment"), [(80, 0.9375), (75, 1.0), (90, 75 / 90)])
def test_a_shorter_cycle_is_the_goal(company: duckdb.DuckDBPyConnection, days: int, attainment: float) -> None:
    """7.10: plan 75 days, fact 80 -> 75/80 = 93.75 %."""
    add_sale(company, "D1", date(2026, 11, 20), 100, days=days)
    plan(company, "sales_cycle_days", 75)
    assert november(company, "sales_cycle_days")["sales_cycle_days"].attainment == attainment


def test_goals_as_ratio_and_as_check(company: duckdb.DuckDBPyConnection) -> None:
    """7.10: conversion towards 4 %, average check towards 19 000."""
    add_calls(company, 1000)
    add_meetings(company, 30)
    add_sale(company, "D1", date(2026, 11, 20), 15_200)
    plan(company, "call_to_meeting_rate", 0.04)
    plan(company, "avg_check", 19_000)
    facts = november(company, "call_to_meeting_rate avg_check")
    assert facts["call_to_meeting_rate"].attainment == pytest.approx(0.75)
    assert facts["avg_check"].attainment == 0.8


def test_a_newcomers_plan_is_prorated_only_where_it_was_agreed(company: duckdb.DuckDBPyConnection) -> None:
    """Half of November's twenty working days: who came on the 17th is compared with half a plan."""
    for person, prorate in (("C", "true"), ("D", None), ("E", "false")):
        since = {"person_id": person, "name": person, "team": "North", "valid_from": date(2026, 11, 17)}
        insert(company, "core.people", [since])
        row: dict[str, Any] = {"period": "2026-11", "entity_type": "manager", "entity_id": person}
        insert(company, "core.plans", [row | {"metric": "revenue_cash", "value": 1000.0, "prorate": prorate}])
        paid = payment_row(f"P{person}", 20, "", 250, None) | {"person_id": person, "team": "North"}
        insert(company, "calc.payments", [paid | {"amount": Decimal(250)}])
    recompute(company, COMPANY, [NOVEMBER], fresh_clock(), catalogue=only(f"revenue_cash {PLAN_METRICS}"), flags=())
    rows = company.execute("SELECT entity_id, plan, attainment FROM facts.plan_fact ORDER BY entity_id").fetchall()
    assert rows == [("C", 500, 0.5), ("D", 1000, 0.25), ("E", 1000, 0.25)]
