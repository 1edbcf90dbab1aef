"""What recompute promises besides the fixture's values: same rows, no needless writes, absent and never zero."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from base.errors import ClosedPeriodError, InvariantError, UsageError
from metrics.catalogue import Catalogue, load_catalogue
from metrics.compute import PeriodReport, recompute
from metrics.explain import explain
from metrics.funnel import read_funnel
from metrics.periods import parse_period
from metrics.reading import compute_kpi, read_absent, read_completeness, read_kpi
from tests.metrics.fixture_calc import (
    add_ending,
    add_lead,
    add_paid,
    call_row,
    cover,
    payment_row,
    reference_calc,
)
from tests.metrics.fixture_core import COMPANY, add_stages, fresh_clock, insert, moscow
from tests.metrics.test_catalogue import OWN, own

NOVEMBER = parse_period("2026-11")
KEYS = "leads_new calls_attempted calls_successful call_connect_rate stage_conversion_cohort"
STORED = ("facts.kpi", "facts.funnel", "facts.plan_fact", "meta.absent_metrics", "calc.periods")


def only(keys: str) -> Catalogue:
    """A catalogue of some metrics: a test of one metric need not wait for all."""
    whole = load_catalogue()
    return Catalogue({key: whole.get(key) for key in keys.split()})


def compute(
    connection: duckdb.DuckDBPyConnection, keys: str = "", period: str = "2026-11", catalogue: Catalogue | None = None
) -> PeriodReport:
    """Recompute one period with some metrics, or all, and no flags: those have tests of their own."""
    catalogue = catalogue or (only(keys) if keys else None)
    periods = parse_period(period)
    (report,) = recompute(connection, COMPANY, periods, fresh_clock(), catalogue=catalogue, flags=())
    return report


def numbers(connection: duckdb.DuckDBPyConnection, metric: str, period: str = "2026-11") -> dict[str, tuple[Any, Any]]:
    rows = read_kpi(connection, period, metric)
    return {row.entity_id: (row.num, row.den) for row in rows if row.entity_type != "team"}


def stored(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    return {name: connection.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in STORED}


def test_a_second_recompute_writes_nothing() -> None:
    connection = reference_calc()
    assert compute(connection).rows_written > 0
    computed_at = connection.execute("SELECT computed_at FROM meta.periods").fetchall()
    assert compute(connection).rows_written == 0
    assert connection.execute("SELECT computed_at FROM meta.periods").fetchall() == computed_at


def test_periods_computed_side_by_side_are_those_computed_one_by_one() -> None:
    """Rows staged for one period seen by another, rows lost under a neighbour's, a session in another zone."""
    periods = parse_period("2026-09..2026-12")
    alone, together = reference_calc(), reference_calc()
    expected = recompute(alone, COMPANY, periods, fresh_clock())
    found = recompute(together, COMPANY, periods, fresh_clock(), jobs=3)
    assert found == expected
    assert stored(together) == stored(alone)
    again = recompute(together, COMPANY, periods, fresh_clock(), jobs=2)
    assert [report.rows_written for report in again] == [0, 0, 0, 0]
    assert (
        together.execute("SELECT current_setting('threads')").fetchone()
        == alone.execute("SELECT current_setting('threads')").fetchone()
    )


def test_a_period_that_fails_beside_others_is_undone_alone(tmp_path: Path) -> None:
    """Its error would be lost in a thread, or take what stood with it."""
    connection = reference_calc()
    text = OWN.replace("additivity: distinct", "additivity: additive").replace("1 AS num", "random() AS num")
    whole = load_catalogue(own(tmp_path, text))
    catalogue = Catalogue({key: whole.get(key) for key in ("calls_attempted", "calls_people")})
    with pytest.raises(InvariantError) as caught:
        recompute(
            connection, COMPANY, parse_period("2026-10..2026-11"), fresh_clock(), catalogue=catalogue, flags=(), jobs=2
        )
    assert "2026-11" in str(caught.value)
    assert connection.execute("SELECT DISTINCT period FROM facts.kpi").fetchall() == [("2026-10",)]


def test_facts_kept_up_step_by_step_equal_facts_made_from_nothing() -> None:
    """A row left over from an earlier state, or not brought up to date, would differ."""
    late = call_row("C99", "20 10:00", "B", "out", 100)
    grown = reference_calc()
    insert(grown, "calc.calls", [call_row("C98", "21 10:00", None, "out", 100)])
    compute(grown, KEYS)
    grown.execute("DELETE FROM calc.calls WHERE call_id = 'C98'")
    insert(grown, "calc.calls", [late])
    report = compute(grown, KEYS)
    fresh = reference_calc()
    insert(fresh, "calc.calls", [late])
    compute(fresh, KEYS)
    assert stored(grown) == stored(fresh)
    # Three call metrics of B, its team, the company, and of nobody: no other metric's rows were touched.
    assert 0 < report.rows_written < 40


def test_a_closed_period_is_refused_and_nothing_else_of_the_range_is_done() -> None:
    connection = reference_calc()
    insert(connection, "meta.periods", [{"period": "2026-11", "state": "closed"}])
    with pytest.raises(ClosedPeriodError) as caught:
        recompute(connection, COMPANY, parse_period("2026-10..2026-11"), fresh_clock())
    assert caught.value.exit_status == 2
    assert "2026-11" in str(caught.value)
    assert connection.execute("SELECT count(*) FROM facts.kpi").fetchone() == (0,)


def test_a_fact_unlike_its_evidence_undoes_the_whole_period(tmp_path: Path) -> None:
    """A query that gives another answer each time is the plainest way to disagree with one's evidence."""
    connection = reference_calc()
    compute(connection, "calls_attempted")
    before = stored(connection)
    insert(connection, "calc.calls", [call_row("C99", "20 10:00", "B", "out", 100)])
    text = OWN.replace("additivity: distinct", "additivity: additive").replace("1 AS num", "random() AS num")
    whole = load_catalogue(own(tmp_path, text))
    catalogue = Catalogue({key: whole.get(key) for key in ("calls_attempted", "calls_people")})
    with pytest.raises(InvariantError) as caught:
        compute(connection, catalogue=catalogue)
    assert "calls_people" in str(caught.value)
    assert stored(connection) == before


def test_metrics_of_a_missing_source_are_absent_and_the_others_stay() -> None:
    connection = reference_calc()
    connection.execute("DELETE FROM meta.coverage WHERE facet = 'money'")
    report = compute(connection)
    standing_on_money = {metric.key for metric in load_catalogue() if "money" in metric.facets}
    assert {"revenue_cash", "deals_paid", "win_rate"} <= standing_on_money
    # What needs an input the fixture has not is absent for that.
    assert set(report.absent) == standing_on_money | {"milestones_passed", "plan_attainment"}
    assert read_kpi(connection, "2026-11", "revenue_cash") == []
    assert "учёта" in read_absent(connection, "2026-11")["revenue_cash"]
    evidence = connection.execute("SELECT count(*) FROM facts.kpi_evidence WHERE metric = 'revenue_cash'").fetchone()
    assert evidence == (0,)
    # Without accounting a funnel has no last step, rather than one that nobody takes.
    assert {row.to_stage for row in read_funnel(connection, "2026-11")} == {"20", "30", "40", "50", "142"}
    assert read_kpi(connection, "2026-11", "stage_conversion_cohort") == []


def test_a_stream_never_completely_loaded_counts_as_missing() -> None:
    connection = reference_calc()
    cover(connection, "mango2", "calls", None)
    assert "calls_attempted" in compute(connection, "calls_attempted").absent
    assert read_completeness(connection)[-1].complete_until is None


def test_a_source_no_longer_configured_does_not_hold_back_the_others() -> None:
    connection = reference_calc()
    cover(connection, "old", "calls", "03 00:00")
    insert(connection, "meta.sources", [{"source": "old", "is_enabled": False}])
    compute(connection, "calls_attempted")
    assert numbers(connection, "calls_attempted")["company"] == (9, None)


def test_without_a_stage_map_stage_metrics_are_absent_and_calls_and_money_stay() -> None:
    connection = reference_calc()
    connection.execute("DELETE FROM core.stages")
    report = compute(connection)
    assert {"leads_new", "meetings_held", "win_rate", "stage_conversion_cohort"} <= set(report.absent)
    assert {"calls_attempted", "revenue_cash", "deals_paid"} <= set(report.metrics)


def test_a_guessed_stage_kind_keeps_only_the_metrics_that_need_it_absent() -> None:
    connection = reference_calc()
    connection.execute("UPDATE core.stages SET is_guess = TRUE WHERE kind = 'meeting'")
    absent = compute(connection, "meetings_held offers_sent stage_conversion_cohort leads_new").absent
    assert set(absent) == {"meetings_held", "stage_conversion_cohort"}
    assert "meeting" in str(absent["meetings_held"])
    connection.execute("UPDATE core.stages SET is_guess = FALSE")
    assert not compute(connection, "meetings_held offers_sent stage_conversion_cohort leads_new").absent
    assert read_absent(connection, "2026-11") == {}


def test_a_fact_that_became_absent_is_taken_away() -> None:
    connection = reference_calc()
    compute(connection, "meetings_held offers_sent")
    connection.execute("DELETE FROM core.stages WHERE kind = 'offer'")
    compute(connection, "meetings_held offers_sent")
    assert read_kpi(connection, "2026-11", "offers_sent") == []


def test_records_of_a_day_not_complete_yet_wait_and_other_sources_do_not() -> None:
    connection = reference_calc()
    # Telephony is complete until noon of the 13th: the last whole day is the 12th, so C12 and C13 wait.
    connection.execute("UPDATE meta.coverage SET complete_until = ? WHERE facet = 'calls'", [moscow("13 12:30")])
    report = compute(connection, "calls_successful revenue_cash")
    rows = {row.metric: row for row in read_kpi(connection, "2026-11", by="company")}
    assert rows["calls_successful"].num == 6
    assert rows["calls_successful"].as_of == report.as_of == moscow("13 00:00")
    assert rows["revenue_cash"].as_of == moscow("2026-12-01 00:00")
    waiting = connection.execute(
        "SELECT record_id FROM facts.kpi_evidence WHERE metric = 'calls_successful' AND entity_type = 'company' "
        "AND excluded_by = 'after_as_of' AND variant = '' ORDER BY ALL"
    ).fetchall()
    assert waiting == [("C12",), ("C13",)]


def test_before_its_first_complete_day_a_period_has_no_numbers() -> None:
    report = compute(reference_calc(until="01 15:00"), "leads_new calls_attempted")
    assert not report.metrics
    assert report.as_of is None


def test_a_cohort_goes_on_after_its_period_and_a_sum_of_the_period_does_not() -> None:
    """D6 is called in December: November's cohort gains a contact, November's calls gain nothing."""
    connection = reference_calc(until="2026-12-10 00:00")
    called = moscow("12-03 10:00")
    connection.execute(
        "UPDATE calc.leads SET first_action_at = ?, first_success_at = ? WHERE deal_id = 'D6'", [called] * 2
    )
    insert(connection, "calc.calls", [call_row("C99", "12-03 10:00", "B", "out", 100)])
    compute(connection, "leads_processed lead_contact_rate calls_attempted")
    assert numbers(connection, "leads_processed")["company"] == (8, None)
    assert numbers(connection, "lead_contact_rate")["company"] == (7, 8)
    assert numbers(connection, "calls_attempted")["company"] == (9, None)
    rows, _ = compute_kpi(
        connection, COMPANY, only("lead_contact_rate"), NOVEMBER[0], date(2026, 11, 30), "lead_contact_rate", "company"
    )
    assert [row.num for row in rows] == [6]


def test_as_of_cuts_by_the_events_time_and_stores_nothing() -> None:
    """metrics.md 4.6: at the end of 16 November A and B have 250 000 of revenue."""
    connection = reference_calc()
    compute(connection, "revenue_cash win_rate avg_check")
    before = stored(connection)
    rows, absent = compute_kpi(
        connection, COMPANY, only("revenue_cash win_rate avg_check"), NOVEMBER[0], date(2026, 11, 16), by="company"
    )
    values = {row.metric: (row.num, row.den) for row in rows}
    assert values["revenue_cash"] == (250_000, None)
    assert values["win_rate"] == (2, 4)
    assert values["avg_check"] == (190_000, 2)
    assert not absent
    assert stored(connection) == before


def test_a_deal_that_ended_twice_in_a_period_gives_its_last_ending_only() -> None:
    connection = reference_calc()
    add_ending(connection, "D1", "05 10:00", "lost", "B")
    compute(connection, "win_rate")
    assert numbers(connection, "win_rate") == {"company": (4, 8), "A": (2, 4), "B": (2, 4)}


def test_a_loss_stays_in_its_month_when_the_deal_is_won_in_the_next() -> None:
    connection = reference_calc(until="2027-01-01 00:00")
    add_ending(connection, "D3", "12-05 10:00", "won", "A")
    add_paid(connection, "D3", date(2026, 12, 6), "A")
    recompute(connection, COMPANY, parse_period("2026-11..2026-12"), fresh_clock(), catalogue=only("win_rate"))
    assert numbers(connection, "win_rate")["A"] == (2, 4)
    assert numbers(connection, "win_rate", "2026-12")["A"] == (1, 1)


def test_a_full_refund_takes_the_deal_back_in_its_own_period() -> None:
    connection = reference_calc(until="2027-01-01 00:00")
    add_paid(connection, "D1", date(2026, 12, 4), "A", ordinal=2, sign=-1)
    insert(connection, "calc.payments", [payment_row("P8", date(2026, 12, 4), "D1", -100_000, "A")])
    catalogue = only("deals_paid win_rate avg_check")
    recompute(connection, COMPANY, parse_period("2026-11..2026-12"), fresh_clock(), catalogue=catalogue)
    assert numbers(connection, "deals_paid")["company"] == (4, None)
    assert numbers(connection, "deals_paid", "2026-12")["company"] == (-1, None)
    # The deal was won and paid, and the money went back: at today's as_of it is not a paid win.
    assert numbers(connection, "win_rate")["company"] == (3, 8)
    (december,) = read_kpi(connection, "2026-12", "avg_check", "company")
    assert (december.num, december.den, december.value) == (0, -1, None)


def test_a_deal_paid_refunded_and_paid_again_brings_its_money_once() -> None:
    connection = reference_calc()
    add_paid(connection, "D1", date(2026, 11, 13), "A", ordinal=2, sign=-1)
    add_paid(connection, "D1", date(2026, 11, 14), "A", ordinal=3)
    compute(connection, "avg_check")
    assert numbers(connection, "avg_check")["A"] == (200_000, 2)


def test_unassigned_records_keep_the_parts_equal_to_the_whole() -> None:
    connection = reference_calc()
    add_lead(connection, "D11", "17 10:00", None)
    compute(connection, "leads_new")
    assert numbers(connection, "leads_new") == {
        "company": (9, None),
        "A": (5, None),
        "B": (3, None),
        "unassigned": (1, None),
    }
    teams = read_kpi(connection, "2026-11", "leads_new", "team")
    assert [(row.entity_id, row.num) for row in teams] == [("North", 5), ("South", 3), ("unassigned", 1)]


def test_whoever_was_there_gets_a_row_and_whoever_left_before_does_not() -> None:
    connection = reference_calc()
    since = {"name": "Новая", "team": "East", "valid_from": date(2026, 11, 20)}
    gone = {"name": "Бывшая", "team": "West", "valid_from": date(1900, 1, 1), "valid_to": date(2026, 10, 31)}
    insert(connection, "core.people", [{"person_id": "C"} | since, {"person_id": "D"} | gone])
    compute(connection, "leads_new lead_contact_rate")
    leads = {row.entity_id: row for row in read_kpi(connection, "2026-11", "leads_new")}
    rates = {row.entity_id: row for row in read_kpi(connection, "2026-11", "lead_contact_rate")}
    assert (leads["C"].num, leads["C"].value, leads["C"].entity_name) == (0, 0, "Новая")
    assert (rates["C"].num, rates["C"].den, rates["C"].value) == (0, 0, None)
    assert leads["East"].num == 0
    assert not {"D", "West"} & set(leads)


def test_two_crms_with_the_same_pipeline_id_keep_their_funnels_apart() -> None:
    """Pipeline ids are small numbers in some CRMs: a second account often has the same."""
    connection = reference_calc()
    add_stages(connection, source="second")
    connection.execute(
        "INSERT INTO calc.stage_passes "
        "SELECT * REPLACE ('second' AS source) FROM calc.stage_passes WHERE deal_id = 'D1'"
    )
    compute(connection, "stage_conversion_cohort")
    dens = {
        row.source: row.den
        for row in read_funnel(connection, "2026-11")
        if (row.from_name, row.to_name) == ("new", "paid")
    }
    assert dens == {"amo": 8, "second": 1}
    assert numbers(connection, "stage_conversion_cohort")["company"] == (4, 9)


def test_the_weakest_credit_of_the_records_is_the_facts() -> None:
    connection = reference_calc()
    connection.execute("UPDATE calc.leads SET credit_precision = 'load_interval' WHERE deal_id = 'D1'")
    connection.execute("UPDATE calc.leads SET credit_precision = 'current_owner' WHERE deal_id = 'D5'")
    compute(connection, "leads_new")
    rows = {row.entity_id: row.credit_precision for row in read_kpi(connection, "2026-11", "leads_new")}
    assert (rows["A"], rows["B"], rows["company"]) == ("load_interval", "current_owner", "current_owner")


def test_weeks_quarters_and_days_are_computed_by_the_same_queries() -> None:
    connection = reference_calc()
    for period, calls in (("2026-W45", 5), ("2026-Q4", 9), ("2026-11-03", 2), ("2026-12", None)):
        report = compute(connection, "calls_attempted", period)
        if calls is None:
            assert "calls_attempted" in report.absent
        else:
            assert numbers(connection, "calls_attempted", period)["company"] == (calls, None)


def test_reading_a_period_never_computed_names_the_command() -> None:
    with pytest.raises(UsageError) as caught:
        read_kpi(reference_calc(), "2026-11")
    assert "voronka recompute 2026-11" in caught.value.render("en")


def test_a_metric_of_deals_is_told_by_pipeline_beside_its_plain_form() -> None:
    """In one source the plain row stays one, whoever asks for `variant = ''` alone."""
    connection = reference_calc()
    add_lead(connection, "D11", "17 10:00", "A", pipeline_id="8")
    compute(connection, "leads_new lead_contact_rate calls_attempted")
    rows = read_kpi(connection, "2026-11", "leads_new", variants=True)
    company = {(row.variant, row.pipeline): row.num for row in rows if row.entity_type == "company"}
    assert company == {("", ""): 9, ("pipeline=7", "7"): 8, ("pipeline=8", "8"): 1}
    managers = {row.entity_id: row.num for row in rows if row.pipeline == "7" and row.entity_type == "manager"}
    assert managers == {"A": 5, "B": 3}
    found = explain(connection, only("leads_new"), "2026-11", "leads_new", variant="pipeline=8", pipeline="8")
    assert [record.record_id for record in found.counted] == ["D11"]
    # A call has no pipeline of its own.
    assert {row.pipeline for row in read_kpi(connection, "2026-11", "calls_attempted", variants=True)} == {""}


def test_two_crms_are_told_apart_by_source_even_where_their_pipelines_share_an_id() -> None:
    connection = reference_calc()
    add_stages(connection, source="second")
    add_lead(connection, "D11", "17 10:00", "A", source="second")
    compute(connection, "leads_new")
    rows = read_kpi(connection, "2026-11", "leads_new", "company", variants=True)
    assert {(row.variant, row.pipeline): row.num for row in rows} == {
        ("", ""): 9,
        ("source=amo", ""): 8,
        ("source=second", ""): 1,
        ("source=amo;pipeline=7", "7"): 8,
        ("source=second;pipeline=7", "7"): 1,
    }


@pytest.mark.parametrize(
    ("period", "leads", "calls", "revenue"),
    [
        ("2026-11-02", 2, 3, 0),
        ("2026-W46", 3, 3, 250_000),  # 9 to 15 November
        ("2026-11", 8, 9, 430_000),
        ("2026-Q4", 9, 9, 430_000),  # D8 is a lead of October
        ("2026-10..2026-11", 9, 9, 430_000),
    ],
)
def test_every_kind_of_period_counts_its_own_days(period: str, leads: int, calls: int, revenue: int) -> None:
    connection = reference_calc()
    catalogue = only("leads_new calls_attempted revenue_cash stage_conversion_cohort")
    periods = parse_period(period)
    recompute(connection, COMPANY, periods, fresh_clock(), catalogue=catalogue, flags=())
    found = [row for each in periods for row in read_kpi(connection, each.name, by="company")]
    sums = {
        metric: sum(row.num or 0 for row in found if row.metric == metric)
        for metric in ("leads_new", "calls_attempted", "revenue_cash")
    }
    assert sums == {"leads_new": leads, "calls_attempted": calls, "revenue_cash": revenue}
    # The same day by day, computed and stored nowhere.
    rows, _ = compute_kpi(connection, COMPANY, catalogue, periods[-1], periods[-1].ends_on, by="company")
    assert {row.metric for row in rows} >= {"leads_new", "calls_attempted", "revenue_cash"}
    assert all(read_funnel(connection, each.name) for each in periods)


def test_as_of_a_past_day_looks_as_it_did_then() -> None:
    """What was stored on the day itself, and what is computed of it later, are the same numbers."""
    keys = "leads_new calls_successful revenue_cash win_rate deals_paid speed_to_lead contacts_reached_unique avg_check"
    then = reference_calc(until="17 00:00")
    recompute(then, COMPANY, NOVEMBER, fresh_clock(), catalogue=only(keys), flags=())
    now = reference_calc()
    rows, _ = compute_kpi(now, COMPANY, only(keys), NOVEMBER[0], date(2026, 11, 16), variants=True)
    kept = read_kpi(then, "2026-11", variants=True, catalogue=only(keys))
    assert kept
    assert rows == kept
