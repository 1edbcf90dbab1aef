"""Every "Fixture" value of metrics.md for the metrics there are.

Once out of hand-written `calc.*` rows, once out of those resolve makes of the fixture's records: what fails only the
second time is resolve's.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import duckdb
import pytest

from metrics.compute import recompute
from metrics.funnel import read_funnel
from metrics.periods import parse_period
from metrics.reading import read_kpi
from metrics.resolve import resolve
from tests.metrics.fixture_calc import CALLS, NOTES, NUMBERS, add_calendar, reference_calc
from tests.metrics.fixture_core import COMPANY, STAGES, USERS, fresh_clock, insert, moscow, phone_of, reference


@pytest.fixture(scope="module", params=["by hand", "resolved"])
def computed(request: pytest.FixtureRequest) -> Iterator[duckdb.DuckDBPyConnection]:
    if request.param == "by hand":
        connection = reference_calc()
    else:
        connection = reference()
        insert(connection, "core.lines", [{"source": "mango", "line": "74951234567", "team": "North"}])
        add_calendar(connection)
        _add_notes(connection)
        _add_july(connection)
        resolve(connection, COMPANY, fresh_clock())
    recompute(connection, COMPANY, parse_period("2026-11"), fresh_clock())
    yield connection
    connection.close()


def _add_notes(connection: duckdb.DuckDBPyConnection) -> None:
    """A CRM stamps a note when the talk is over; the last one speaks of a call nobody made."""
    talks = {call: talk for call, *_, talk in CALLS}
    notes = []
    for number, (at, person, call) in enumerate(NOTES):
        seconds = talks[call] if call else 180
        note = {"source": "amo", "activity_id": f"note-{number}", "activity_type": "call_note"}
        about = {"phone": phone_of(NUMBERS[call] if call else 6), "duration_seconds": seconds}
        when = {"occurred_at": moscow(at) + timedelta(seconds=seconds), "user_id": USERS[person][0]}
        notes.append(note | about | when)
    insert(connection, "core.activities", notes)


def _add_july(connection: duckdb.DuckDBPyConnection) -> None:
    """D8's customer bought in July, before there was a CRM: only accounting knows."""
    paid = {"source": "accounting", "payment_id": "P0", "paid_on": date(2026, 7, 15), "payer_tax_id": "7700000008"}
    money = {"amount": Decimal(50_000), "amount_reporting": Decimal(50_000), "currency": "RUB", "kind": "customer"}
    insert(connection, "core.payments", [paid | money | {"purpose": "Оплата", "is_deleted": False}])


# Metric: company, A, B, unassigned; a pair is num / den, None = no such row.
EXPECTED = {
    "leads_new": (8, 5, 3, None),
    "leads_processed": (7, 5, 2, None),
    "lead_contact_rate": ((6, 8), (5, 5), (1, 3), None),
    "lead_no_contact_rate": ((2, 8), (0, 5), (2, 3), None),
    "calls_attempted": (9, 7, 2, None),
    "calls_successful": (8, 5, 3, None),
    "call_connect_rate": ((6, 9), (5, 7), (1, 2), None),
    # D1's number spoke to both.
    "contacts_reached_unique": (6, 5, 2, None),
    "meetings_held": (4, 2, 2, None),
    "offers_sent": (6, 3, 3, None),
    "call_to_meeting_rate": ((4, 8), (2, 5), (2, 3), None),
    "meeting_to_offer_rate": ((6, 4), (3, 2), (3, 2), None),
    "offer_to_payment_rate": ((4, 6), (2, 3), (2, 3), None),
    "qualified_to_paid_rate": ((3, 6), (3, 5), (0, 1), None),
    # Cohort of eight leads: 20 stages passed between base and won.
    "stage_skip_rate": ((4, 20), (2, 13), (2, 7), None),
    "backward_move_rate": ((1, 24), (1, 15), (0, 9), None),
    "lead_sla_rate": ((5, 8), (4, 5), (1, 3), None),
    "new_customers": (3, 2, 1, None),
    "new_customer_revenue": (350_000, 200_000, 150_000, None),
    "repeat_deal_share": ((1, 4), (0, 2), (1, 2), None),
    "won_payment_confirmation_rate": ((4, 5), (2, 2), (2, 3), None),
    "crm_call_confirmation_rate": ((4, 5), (3, 3), (1, 2), None),
    "stage_conversion_cohort": ((3, 8), (3, 5), (0, 3), None),
    "stage_conversion_period": ((4, 8), (2, 5), (2, 3), None),
    "win_rate": ((4, 8), (2, 4), (2, 4), None),
    "revenue_cash": (430_000, 200_000, 210_000, 20_000),
    "deals_paid": (4, 2, 2, None),
    "avg_check": ((410_000, 4), (200_000, 2), (210_000, 2), None),
    "refund_rate": ((30_000, 460_000), (0, 200_000), (30_000, 240_000), (0, 20_000)),
}


@pytest.mark.parametrize("metric", EXPECTED)
def test_a_metric_has_the_fixtures_values(computed: duckdb.DuckDBPyConnection, metric: str) -> None:
    rows = {
        row.entity_id: row for row in read_kpi(computed, "2026-11", metric) if row.entity_type in ("manager", "company")
    }
    for entity, expected in zip(("company", "A", "B", "unassigned"), EXPECTED[metric], strict=True):
        if expected is None:
            assert entity not in rows
            continue
        row = rows[entity]
        num, den = expected if isinstance(expected, tuple) else (expected, None)
        assert (row.num, row.den) == (num, den), entity
        assert row.value == (num if den is None else num / den)


def form(connection: duckdb.DuckDBPyConnection, metric: str, variant: str) -> tuple[object, object]:
    """The company's num and den in one form of a metric."""
    (row,) = [
        row for row in read_kpi(connection, "2026-11", metric, "company", variants=True) if row.variant == variant
    ]
    return row.num, row.den


@pytest.mark.parametrize(("variant", "calls"), [("direction=in", 2), ("direction=out", 6), ("cold", 3), ("warm", 5)])
def test_successful_calls_split_by_direction_and_by_who_was_known(
    computed: duckdb.DuckDBPyConnection, variant: str, calls: int
) -> None:
    assert form(computed, "calls_successful", variant) == (calls, None)


@pytest.mark.parametrize(("stage", "parts"), [("meeting", (1, 5)), ("invoice", (3, 4)), ("qualified", (0, 6))])
def test_a_skipped_stage_is_told_stage_by_stage(
    computed: duckdb.DuckDBPyConnection, stage: str, parts: tuple[int, int]
) -> None:
    assert form(computed, "stage_skip_rate", f"source=amo;stage={STAGES[stage][0]}") == parts


def test_a_fixed_horizon_waits_for_its_days(computed: duckdb.DuckDBPyConnection) -> None:
    """No deal qualified in November has had its sixty days by the end of the month."""
    variants = {row.variant for row in read_kpi(computed, "2026-11", "qualified_to_paid_rate", variants=True)}
    assert variants == {"", "pipeline=7"}


@pytest.mark.parametrize(
    ("metric", "variant", "value", "count"),
    [
        ("speed_to_lead", "", 12, 7),
        ("speed_to_lead", "p95", 27.7, 7),  # of 3, 4, 10, 12, 15, 20, 31
        ("speed_to_lead", "target=contact", 21.5, 6),
        ("sales_cycle_days", "", 16, 4),
        ("sales_cycle_days", "mean", 15.5, 4),
    ],
)
def test_a_distribution_is_taken_over_its_records(
    computed: duckdb.DuckDBPyConnection, metric: str, variant: str, value: float, count: int
) -> None:
    rows = read_kpi(computed, "2026-11", metric, "company", variants=True)
    (row,) = [row for row in rows if row.variant == variant]
    assert (row.value, row.num, row.den) == (pytest.approx(value, abs=1e-9), None, count)


def test_time_in_a_stage_is_summed_over_the_visits(computed: duckdb.DuckDBPyConnection) -> None:
    """D3 left its meeting twice: 14 and 8 working hours, 52 by the clock."""
    rows = computed.execute(
        "SELECT num, excluded_by FROM facts.kpi_evidence WHERE period = '2026-11' AND metric = 'time_in_stage'"
        " AND variant = ? AND record_id = 'D3' AND entity_type = 'company' ORDER BY occurred_at",
        [f"source=amo;stage={STAGES['meeting'][0]}"],
    ).fetchall()
    assert rows == [(14, "later_exit"), (22, None)]


def test_one_of_two_missed_calls_was_returned_in_time(computed: duckdb.DuckDBPyConnection) -> None:
    rows = {row.entity_id: (row.num, row.den) for row in read_kpi(computed, "2026-11", "missed_callback_rate")}
    assert rows == {"company": (1, 2), "North": (1, 2), "South": (0, 0)}


def test_missed_calls_belong_to_the_lines_team_and_to_no_manager(computed: duckdb.DuckDBPyConnection) -> None:
    rows = {
        (row.entity_type, row.entity_id): (row.num, row.den, row.value)
        for row in read_kpi(computed, "2026-11", "missed_call_rate")
    }
    assert rows == {
        ("company", "company"): (2, 4, 0.5),
        ("team", "North"): (2, 4, 0.5),
        ("team", "South"): (0, 0, None),
    }


def test_the_cohort_funnel_counts_november_leads(computed: duckdb.DuckDBPyConnection) -> None:
    steps = {(row.from_name, row.to_name): row for row in read_funnel(computed, "2026-11", "cohort")}
    reached = [int(steps["new", stage].num) for stage in ("qualified", "meeting", "offer", "invoice", "won", "paid")]
    assert steps["new", "paid"].den == 8
    assert reached == [6, 5, 5, 4, 4, 3]
    # The offer cohort of the text to metric 18, with D8 of October's leads.
    assert (steps["offer", "paid"].num, steps["offer", "paid"].den) == (4, 6)
    assert (steps["qualified", "paid"].num, steps["qualified", "paid"].den) == (3, 6)
    assert all(row.value is None or row.value <= 1 for row in steps.values())


def test_the_period_funnel_counts_passes_and_is_not_clipped(computed: duckdb.DuckDBPyConnection) -> None:
    steps = {(row.from_name, row.to_name): row for row in read_funnel(computed, "2026-11", "period")}
    names = ("qualified", "meeting", "offer", "invoice", "won", "paid")
    assert [int(steps["new", stage].num) for stage in names] == [6, 5, 6, 5, 5, 4]
    assert steps["meeting", "offer"].value == 1.2


@pytest.mark.parametrize("form", ["cohort", "period"])
def test_the_funnel_holds_every_ordered_pair_of_stages_in_their_order(
    computed: duckdb.DuckDBPyConnection, form: str
) -> None:
    names = [name for name in STAGES if name != "lost"] + ["paid"]
    pairs = [(a, b) for place, a in enumerate(names) for b in names[place + 1 :]]
    assert [(row.from_name, row.to_name) for row in read_funnel(computed, "2026-11", form)] == pairs  # type: ignore[arg-type]


def test_maturity_is_the_share_of_the_cohort_that_ended(computed: duckdb.DuckDBPyConnection) -> None:
    """Of eight November leads only D6 is still open; of the six offers all have ended."""
    steps = {(row.from_name, row.to_name): row.maturity for row in read_funnel(computed, "2026-11", "cohort")}
    assert steps["new", "paid"] == 7 / 8
    assert steps["offer", "won"] == 1.0


def test_what_was_computed_with_is_on_every_fact(computed: duckdb.DuckDBPyConnection) -> None:
    rows = computed.execute(
        "SELECT count(*), count(rule_version), count(input_version), count(as_of), count(entity_name) FROM facts.kpi"
    ).fetchall()
    assert len(set(rows[0])) == 1
    classes = {row.metric: row.evidence_class for row in read_kpi(computed, "2026-11", by="company")}
    # The fixture has no order documents: the amount due is the CRM's.
    assert (classes["revenue_cash"], classes["deals_paid"], classes["leads_new"]) == ("hard", "logged", "logged")
    currencies = {row.metric: row.currency for row in read_kpi(computed, "2026-11", by="company")}
    assert (currencies["revenue_cash"], currencies["avg_check"], currencies["leads_new"]) == ("RUB", "RUB", None)
