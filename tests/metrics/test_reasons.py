"""Every rule that leaves a record out, raised by records through resolve, and told by `explain` in both languages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import duckdb
import pytest

from metrics.compute import recompute
from metrics.explain import explain
from metrics.periods import parse_period
from metrics.reasons import REASONS
from metrics.resolve import resolve
from tests.metrics.fixture_calc import add_calendar
from tests.metrics.fixture_core import (
    COMPANY,
    PIPELINE,
    STAGES,
    Crm,
    add_call,
    fresh_clock,
    insert,
    phone_of,
    reference,
)
from tests.metrics.test_compute import only

# Metric: form, and the records it must leave out, each with its rule. What is not of this list the fixture gives.
EXPECTED: dict[tuple[str, str], dict[str, str]] = {
    ("leads_new", ""): {"D10": "duplicate", "D6": "exclusion"},
    ("leads_processed", ""): {"L1": "no_contact_action", "D10": "duplicate"},
    ("speed_to_lead", "target=contact"): {"D5": "no_successful_call"},
    ("lead_sla_rate", ""): {"L4": "pending"},
    ("calls_attempted", ""): {"C14": "internal", "X2": "test_number", "X7": "not_an_attempt"},
    ("missed_call_rate", ""): {"X1": "ivr"},
    ("calls_successful", ""): {"C2": "not_answered", "C4": "too_short", "X6": "exclusion"},
    ("contacts_reached_unique", ""): {"X3": "hidden_number"},
    ("missed_callback_rate", ""): {"X5": "repeat_missed"},
    ("win_rate", ""): {"L2": "later_outcome"},
    ("time_in_stage", ""): {"D3": "later_exit", "D9": "gone"},
    ("won_payment_confirmation_rate", ""): {"L3": "won_again"},
    ("new_customers", ""): {"D8": "paid_before"},
    ("customers_returned", ""): {"P1": "first_payment", "P3": "not_dormant"},
    ("margin_rate", ""): {"P2": "no_cost"},
    ("pipeline_weighted", ""): {"L1": "no_odds"},
    ("revenue_cash", ""): {
        "M1": "own_transfer",
        "M2": "other",
        "M3": "other_channel",
        "M4": "no_rate",
        "M5": "deleted",
        "P7": "after_as_of",
    },
}


def add_money(connection: duckdb.DuckDBPyConnection) -> None:
    told = [
        # A customer's payment long before the CRM's first deal: D8's payer bought then.
        ("P0", "2026-03-01", 500, {"payer_tax_id": "7700000008"}),
        ("M1", "2026-11-05", 1000, {"kind": "own_transfer"}),
        ("M2", "2026-11-05", 1000, {"kind": "other"}),
        ("M3", "2026-11-12", 100_000, {"source": "sheet", "document_number": "1"}),
        ("M4", "2026-11-05", 10, {"currency": "USD", "amount_reporting": None}),
        ("M5", "2026-11-05", 1000, {"is_deleted": True}),
    ]
    for payment, day, amount, values in told:
        row = {
            "source": "accounting",
            "payment_id": payment,
            "paid_on": date.fromisoformat(day),
            "amount": Decimal(amount),
            "amount_reporting": Decimal(amount),
            "currency": "RUB",
            "kind": "customer",
            "own_account": "40702810900000000001",
            "purpose": "Оплата",
            "is_deleted": False,
        }
        insert(connection, "core.payments", [row | values])
    cost = {"source": "accounting", "cost_id": "1", "issued_on": date(2026, 11, 12), "amount": Decimal(70_000)}
    insert(connection, "core.costs", [cost | {"currency": "RUB", "deal_source": "amo", "deal_id": "D1"}])
    # The bank's file ends on the 25th.
    connection.execute("UPDATE meta.coverage SET complete_until = '2026-11-25 21:00:00Z' WHERE facet = 'money'")


def add_crm(connection: duckdb.DuckDBPyConnection) -> None:
    crm = Crm(connection)
    crm.deal("L1", "A", "20 10:00", phone=phone_of(21), amount=Decimal(100))
    lost_twice = [("06 10:00", "lost"), ("09 10:00", "meeting"), ("10 10:00", "lost")]
    crm.deal("L2", "A", "05 10:00", lost_twice, phone=phone_of(22))
    won_twice = [("05 11:00", "won"), ("06 10:00", "offer"), ("09 10:00", "won")]
    crm.deal("L3", "A", "05 10:00", won_twice, phone=phone_of(23))
    crm.deal("L4", "A", "30 17:55", phone=phone_of(24))
    approved = {"reason": "тест", "approved_by": "РОП", "approved_on": date(2026, 11, 20)}
    for source, kind, record in (("amo", "deal", "D6"), ("mango", "call", "X6")):
        insert(
            connection,
            "core.exclusions",
            [approved | {"source": source, "record_type": kind, "record_id": record}],
        )
    place = {"source": "amo", "pipeline_id": PIPELINE, "stage_id": STAGES["offer"][0], "probability": 0.6}
    insert(connection, "core.probabilities", [place])


def add_calls(connection: duckdb.DuckDBPyConnection) -> None:
    add_call(connection, "X1", "17 10:00", None, "in", "+79990000011", 0, leg_count=0)
    add_call(connection, "X2", "17 11:00", "A", "out", "+79990000012", 60)
    insert(connection, "core.test_numbers", [{"phone": "+79990000012", "reason": "тест"}])
    add_call(connection, "X3", "17 12:00", "A", "in", None, 60)
    add_call(connection, "X4", "17 13:00", None, "in", "+79990000014", 0)
    add_call(connection, "X5", "17 13:10", None, "in", "+79990000014", 0)
    add_call(connection, "X6", "17 14:00", "A", "out", "+79990000016", 60)
    # The telephony did not say who called whom.
    add_call(connection, "X7", "17 15:00", "A", None, "+79990000017", 60)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def computed() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = reference()
    add_calendar(connection)
    add_crm(connection)
    add_calls(connection)
    add_money(connection)
    resolve(connection, COMPANY, fresh_clock())
    catalogue = only(" ".join(dict.fromkeys(metric for metric, _ in EXPECTED)))
    recompute(connection, COMPANY, parse_period("2026-11"), fresh_clock(), catalogue=catalogue, flags=())
    yield connection
    connection.close()


def test_every_rule_is_in_this_test() -> None:
    """A rule nobody raises may be worded wrongly, or never hold."""
    assert {rule for records in EXPECTED.values() for rule in records.values()} == set(REASONS)


@pytest.mark.parametrize(("metric", "variant"), EXPECTED)
def test_explain_tells_why_a_record_is_left_out(computed: duckdb.DuckDBPyConnection, metric: str, variant: str) -> None:
    found = explain(computed, only(metric), "2026-11", metric, variant=variant)
    rules: dict[str, set[str]] = {}
    for record in found.left_out:
        rules.setdefault(record.record_id, set()).add(str(record.excluded_by))
        assert record.reason is not None
        assert record.reason.render("ru") != record.reason.render("en")
    expected = EXPECTED[metric, variant]
    assert {record: rules.get(record) for record in expected} == {record: {rule} for record, rule in expected.items()}
    # What is left out is not counted besides (but a deal may have other endings and visits that do count).
    counted = {record.record_id for record in found.counted}
    repeated = {"later_outcome", "later_exit", "gone", "won_again"}
    assert not counted & {record for record, rule in expected.items() if rule not in repeated}


def test_a_call_and_a_payment_open_the_card_of_their_deal(computed: duckdb.DuckDBPyConnection) -> None:
    computed.execute("UPDATE core.deals SET url = 'https://crm/' || deal_id")
    calls = explain(computed, only("calls_successful"), "2026-11", "calls_successful")
    cards = {record.record_id: record.url for record in calls.counted}
    assert (cards["C1"], cards["X3"]) == ("https://crm/D1", None)
    money = explain(computed, only("revenue_cash"), "2026-11", "revenue_cash")
    assert {record.record_id: record.url for record in money.counted}["P4"] == "https://crm/D7"
