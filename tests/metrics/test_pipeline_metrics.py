"""The pipeline as it stood on a past day, its odds, milestones, and the forecast by it (metrics.md 4.3, 4.6)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import duckdb
import pytest

from metrics.catalogue import Catalogue, load_catalogue
from metrics.compute import recompute
from metrics.periods import parse_period
from metrics.reading import KpiRow, compute_kpi, read_absent, read_kpi
from metrics.resolve import resolve
from tests.metrics.fixture_calc import add_calendar, cover
from tests.metrics.fixture_core import (
    COMPANY,
    PIPELINE,
    STAGES,
    Batch,
    Crm,
    add_people,
    add_stages,
    empty_warehouse,
    fresh_clock,
    insert,
    moscow,
    reference,
)

(NOVEMBER,) = parse_period("2026-11")
ODDS = {"new": 0.1, "qualified": 0.2, "meeting": 0.4, "offer": 0.6}


def add_odds(connection: duckdb.DuckDBPyConnection) -> None:
    place = {"source": "amo", "pipeline_id": PIPELINE}
    rows = [place | {"stage_id": STAGES[stage][0], "probability": odds} for stage, odds in ODDS.items()]
    insert(connection, "core.probabilities", rows)


def some(metrics: str) -> Catalogue:
    whole = load_catalogue()
    return Catalogue({key: whole.get(key) for key in metrics.split()})


def crm_world(batch: Batch) -> duckdb.DuckDBPyConnection:
    """A warehouse with people, stages and what the batch holds; every source is complete until December."""
    add_stages(batch)
    add_people(batch)
    connection = empty_warehouse()
    batch.flush(connection)
    add_calendar(connection)
    for source, facet in (("amo", "crm"), ("mango", "calls"), ("accounting", "money")):
        cover(connection, source, facet, "2026-12-01 00:00")
    return connection


@pytest.fixture(scope="module")
def resolved() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = reference()
    add_calendar(connection)
    add_odds(connection)
    resolve(connection, COMPANY, fresh_clock())
    yield connection
    connection.close()


def as_of_16th(connection: duckdb.DuckDBPyConnection, metric: str) -> dict[str, KpiRow]:
    rows, _ = compute_kpi(connection, COMPANY, some(metric), NOVEMBER, date(2026, 11, 16), metric)
    return {row.entity_id: row for row in rows}


@pytest.mark.parametrize(
    ("metric", "company", "a", "b"),
    [
        # D3 and D9 are A's; D4, D6 and, since the 12th, D7 are B's. D10 is a duplicate.
        ("pipeline_open", 5, 2, 3),
        ("pipeline_amount", 470_000, 150_000, 320_000),
        ("pipeline_weighted", 199_000, 62_000, 137_000),
        # Payments of 250 000 and D2's unpaid 40 000 with it.
        ("forecast_weighted", 489_000, 262_000, 227_000),
    ],
)
def test_the_pipeline_of_the_16th_is_seen_at_the_months_end(
    resolved: duckdb.DuckDBPyConnection, metric: str, company: int, a: int, b: int
) -> None:
    rows = as_of_16th(resolved, metric)
    assert [rows[entity].num for entity in ("company", "A", "B")] == [company, a, b]
    assert rows["company"].value == company


def test_velocity_is_its_four_factors_at_one_moment(resolved: duckdb.DuckDBPyConnection) -> None:
    """4 open × 0.5 (D1, D8 of D1, D2, D5, D8) × 95 000 / 15 days; each factor is the metric of that name."""
    metrics = some("pipeline_velocity win_rate avg_check sales_cycle_days")
    rows, _ = compute_kpi(resolved, COMPANY, metrics, NOVEMBER, date(2026, 11, 16), variants=True)
    company = {(row.metric, row.variant): row.value for row in rows if row.entity_type == "company"}
    factors = {
        name: company["pipeline_velocity", f"factor={name}"] for name in ("open", "win_rate", "avg_check", "cycle")
    }
    assert factors == {"open": 4, "win_rate": 0.5, "avg_check": 95_000, "cycle": 15}
    assert factors["win_rate"] == company["win_rate", ""]
    assert factors["avg_check"] == company["avg_check", ""]
    assert factors["cycle"] == company["sales_cycle_days", "mean"]
    assert company["pipeline_velocity", ""] == pytest.approx(12_666.67, abs=0.005)
    # Of B's two endings one was won and paid: 90 000 in 20 days.
    managers = {row.entity_id: row.value for row in rows if (row.metric, row.variant) == ("pipeline_velocity", "")}
    assert managers["B"] == pytest.approx(2 * 0.5 * 90_000 / 20)


def test_the_pipeline_is_not_summed_over_time_and_has_no_forecast(resolved: duckdb.DuckDBPyConnection) -> None:
    """At the month's end only D6 is open: what was open on the 16th is not added to it."""
    recompute(resolved, COMPANY, [NOVEMBER], fresh_clock(), catalogue=some("pipeline_open"))
    rows = {row.entity_id: row for row in read_kpi(resolved, "2026-11", "pipeline_open")}
    assert (rows["company"].num, rows["company"].forecast) == (1, None)
    assert rows["A"].num == 0


def test_without_odds_the_weighted_pipeline_is_absent_and_says_why() -> None:
    connection = reference()
    add_calendar(connection)
    resolve(connection, COMPANY, fresh_clock())
    catalogue = some("pipeline_open pipeline_weighted forecast_weighted")
    recompute(connection, COMPANY, [NOVEMBER], fresh_clock(), catalogue=catalogue)
    absent = read_absent(connection, "2026-11")
    assert "probabilities.csv" in absent["pipeline_weighted"]
    assert "probabilities.csv" in absent["forecast_weighted"]
    assert read_kpi(connection, "2026-11", "pipeline_weighted") == []
    # Its own numbers need no odds.
    assert read_kpi(connection, "2026-11", "pipeline_open", "company")[0].num == 1


def test_thirty_closed_deals_outweigh_the_configured_odds_and_twenty_nine_do_not() -> None:
    def probability(closed: int) -> tuple[object, ...]:
        batch = Batch()
        crm = Crm(batch)
        for number in range(closed):
            crm.deal(f"L{number}", "A", "10-05 10:00", [("10-06 10:00", "lost")])
        connection = crm_world(batch)
        add_odds(connection)
        resolve(connection, COMPANY, fresh_clock())
        (row,) = connection.execute(
            "SELECT closed, probability, origin FROM calc.stage_odds WHERE stage_id = ? AND valid_from = ?",
            [STAGES["new"][0], moscow("2026-11-01 00:00")],
        ).fetchall()
        return tuple(row)

    assert probability(29) == (29, 0.1, "configured")
    assert probability(30) == (30, 0.0, "own")


def test_the_open_amount_is_the_one_the_crm_had_then() -> None:
    """An amount raised later must not raise a past pipeline."""
    batch = Batch()
    crm = Crm(batch)
    crm.deal("D1", "A", "02 10:00", amount=Decimal(900_000))
    crm.event("D1", "amount", "20 12:00", from_value="100000", to_value="900000")
    connection = crm_world(batch)
    resolve(connection, COMPANY, fresh_clock())
    assert as_of_16th(connection, "pipeline_amount")["company"].num == 100_000


def test_a_deal_deleted_and_restored_was_not_open_in_between() -> None:
    batch = Batch()
    crm = Crm(batch)
    crm.deal("D1", "A", "02 10:00", amount=Decimal(100))
    crm.event("D1", "deleted", "15 12:00")
    crm.event("D1", "restored", "18 12:00")
    connection = crm_world(batch)
    resolve(connection, COMPANY, fresh_clock())
    assert as_of_16th(connection, "pipeline_open")["company"].num == 0
    recompute(connection, COMPANY, [NOVEMBER], fresh_clock(), catalogue=some("pipeline_open"))
    assert read_kpi(connection, "2026-11", "pipeline_open", "company")[0].num == 1


# ── milestones ──────────────────────────────────────────────────────────────────────────────────────────────────


def milestones_world(lost_at: str, outcome: str = "lost") -> duckdb.DuckDBPyConnection:
    """Five deals qualified on the 3rd, two of them with an offer, and the fifth lost."""
    batch = Batch()
    crm = Crm(batch)
    for number in range(1, 6):
        moves = [("03 10:00", "qualified")] + ([("05 10:00", "offer")] if number <= 2 else [])
        lost = [(lost_at, "lost")] if number == 5 and outcome == "lost" else []
        crm.deal(f"D{number}", "A", "02 10:00", moves + lost)
    if outcome != "lost":
        crm.event("D5", outcome, lost_at)
    connection = crm_world(batch)
    place = {"source": "amo", "pipeline_id": PIPELINE}
    weights = {"qualified": 1, "offer": 3}
    insert(
        connection,
        "core.milestones",
        [place | {"stage_id": STAGES[stage][0], "weight": weight} for stage, weight in weights.items()],
    )
    resolve(connection, COMPANY, fresh_clock())
    recompute(connection, COMPANY, parse_period("2026-11..2026-12"), fresh_clock(), catalogue=some("milestones_passed"))
    return connection


@pytest.mark.parametrize("outcome", ["lost", "deleted"])
def test_a_deal_gone_within_the_clawback_days_takes_its_points_back(outcome: str) -> None:
    """metrics.md: five qualified, two offers, one lost after 10 days -> 5 + 6 - 1 = 10; deleting it is no way out."""
    connection = milestones_world("13 10:00", outcome)
    rows = {row.entity_id: row.num for row in read_kpi(connection, "2026-11", "milestones_passed")}
    assert (rows["company"], rows["A"], rows["B"]) == (10, 10, 0)


def test_points_lost_after_the_clawback_days_stay() -> None:
    connection = milestones_world("12-03 10:00")
    assert read_kpi(connection, "2026-11", "milestones_passed", "company")[0].num == 11
    assert connection.execute("SELECT count(*) FROM calc.milestones WHERE moment = 'clawback'").fetchone() == (0,)


def test_points_are_taken_back_in_the_period_of_the_loss() -> None:
    """November was already paid: December bears the minus."""
    connection = milestones_world("12-01 10:00")
    cover_until = moscow("2026-12-02 00:00")
    connection.execute("UPDATE meta.coverage SET complete_until = ?", [cover_until + timedelta(days=5)])
    recompute(connection, COMPANY, parse_period("2026-11..2026-12"), fresh_clock(), catalogue=some("milestones_passed"))
    assert read_kpi(connection, "2026-11", "milestones_passed", "company")[0].num == 11
    assert read_kpi(connection, "2026-12", "milestones_passed", "company")[0].num == -1


def test_without_milestones_the_metric_is_absent_and_says_why(resolved: duckdb.DuckDBPyConnection) -> None:
    recompute(resolved, COMPANY, [NOVEMBER], fresh_clock(), catalogue=some("milestones_passed"))
    assert "milestones.csv" in read_absent(resolved, "2026-11")["milestones_passed"]
