"""When a deal became paid, what it still owes, who is credited (metrics.md 2.2, 2.6), and refunds (2.4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from metrics.resolve import resolve
from metrics.settings import Rules
from tests.metrics.fixture_core import COMPANY, PIPELINE, fresh_clock, reference
from tests.metrics.money_world import MoneyWorld, day

# ── the reference fixture (metrics.md, section 3) ───────────────────────────────────────────────────────────────


def test_the_reference_fixture() -> None:
    """D2 is paid only by its second payment, D8's partial refund doesn't un-pay it, D4's win pays nothing."""
    connection = reference()
    resolve(connection, COMPANY, fresh_clock())
    paid = connection.execute(
        "SELECT deal_id, local_date, sign, person_id FROM calc.paid_deals ORDER BY deal_id"
    ).fetchall()
    assert paid == [
        ("D1", date(2026, 11, 12), 1, "A"),
        ("D2", date(2026, 11, 20), 1, "A"),
        ("D7", date(2026, 11, 24), 1, "B"),
        ("D8", date(2026, 11, 9), 1, "B"),
    ]
    revenue = connection.execute(
        "SELECT person_id, sum(amount) FROM calc.payments GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    assert revenue == [("A", Decimal(200_000)), ("B", Decimal(210_000)), (None, Decimal(20_000))]
    statuses = dict(connection.execute("SELECT deal_id, status FROM facts.deal_payments").fetchall())
    assert {deal for deal, status in statuses.items() if status == "paid"} == {"D1", "D2", "D7", "D8"}
    assert statuses["D4"] == "unpaid"


# ── one company with a case a deal ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def world() -> MoneyWorld:
    world = MoneyWorld()
    _add_credit(world)
    _add_moved(world)
    _add_refunds(world)
    _add_dues(world)
    _add_exclusions(world)
    world.resolve()
    return world


def _pay(world: MoneyWorld, payment: str, on: str, amount: int, invoice: str, **values: Any) -> None:
    world.pay(payment, on, amount, f"{'Возврат' if amount < 0 else 'Оплата'} по счету № {invoice}", **values)


def _add_credit(world: MoneyWorld) -> None:
    world.deal("handed", 100, invoice_number="11", owners=[("02 10:00", "A"), ("12 09:00", "B")])
    _pay(world, "before-noon", "11", 40, "11")
    _pay(world, "that-day", "12", 60, "11")
    world.deal("late-crm", 100, invoice_number="12", owners=[("15 10:00", "A")], created="15 10:00")
    _pay(world, "prepaid", "12", 100, "12")


def _add_moved(world: MoneyWorld) -> None:
    world.deal("moved", 100, invoice_number="13")
    _pay(world, "in-old-1", "11", 40, "13")
    _pay(world, "in-old-2", "12", 60, "13")
    world.move("moved", "second", "13 10:00")
    _pay(world, "in-new-1", "16", 30, "13")
    _pay(world, "moved-back", "20", -130, "13")
    world.deal("moved-prepaid", 100, invoice_number="14", created="15 10:00")
    _pay(world, "before-creation", "12", 100, "14")
    world.move("moved-prepaid", "second", "16 10:00")


def _add_refunds(world: MoneyWorld) -> None:
    handed = [("02 10:00", "A"), ("10 09:00", "B")]
    world.deal("back", 100, invoice_number="21", owners=handed)
    _pay(world, "back-1", "05", 100, "21")
    _pay(world, "back-2", "25", -100, "21")
    _pay(world, "back-3", "12-05", 100, "21")
    world.deal("order-named", 200, invoice_number="22", owners=handed)
    _pay(world, "501", "05", 100, "22", tax="7700000022")
    _pay(world, "502", "12", 100, "22", tax="7700000022")
    world.pay("named", "25", -30, "Возврат по п/п 000501 от 05.11.2026", tax="7700000022")
    world.pay("by-payer", "26", -30, "Возврат излишне уплаченного", tax="7700000022")
    world.pay("too-old", "04", -30, "Возврат излишне уплаченного", tax="7700000022")
    world.pay("stranger", "26", -5, "Возврат излишне уплаченного", tax="7700009999")
    world.deal("split-a", 100, invoice_number="23")
    world.deal("split-b", 100, invoice_number="24")
    world.pay("split", "12", 200, "Оплата счетов №№ 23, 24 от 05.11.2026", tax="7700000023")
    world.pay("split-back", "20", -150, "Возврат", tax="7700000023")
    world.pay("split-named", "21", -10, "Возврат по п/п split от 12.11.2026 по счету № 24", tax="7700000023")
    world.deal("two-owners", 200, invoice_number="25", owners=handed)
    _pay(world, "601", "05", 100, "25", tax="7700000025")
    _pay(world, "602", "12", 100, "25", tax="7700000025")
    world.pay("603", "20", -100, "Возврат по п/п 602 от 12.11.2026", tax="7700000025")
    world.pay("604", "25", -100, "Возврат по п/п 601 от 05.11.2026", tax="7700000025")
    world.deal("chosen", 100)
    world.pay("chosen-in", "05", 100)
    world.decide("chosen-in", "chosen")
    world.pay("chosen-out", "25", -100)
    world.decide("chosen-out", "chosen")


def _add_dues(world: MoneyWorld) -> None:
    world.deal("ordered", 100, invoice_number="31")
    world.order("ordered", "31", 150, "03", deal="ordered")
    _pay(world, "ordered", "12", 100, "31")
    world.deal("raised", 300, invoice_number="32")
    world.event("raised", "amount", "05 10:00", from_value="100", to_value="200")
    world.event("raised", "amount", "20 10:00", from_value="200", to_value="300")
    _pay(world, "raised-1", "12", 150, "32")
    _pay(world, "raised-2", "25", 50, "32")
    world.deal("empty", 0, invoice_number="33")
    world.deal("unknown", None, invoice_number="34")
    _pay(world, "empty", "12", 10, "33")
    _pay(world, "unknown", "12", 10, "34")
    world.deal("over", 100, invoice_number="35")
    _pay(world, "over", "12", 120, "35")
    world.deal("given-up", 100, invoice_number="36")
    _pay(world, "given-up-1", "12", 40, "36")
    _pay(world, "given-up-2", "13", -40, "36")
    world.deal("twice", 100, invoice_number="37")
    _pay(world, "twice-a", "12", 60, "37")
    _pay(world, "twice-b", "12", 60, "37")


def _add_exclusions(world: MoneyWorld) -> None:
    world.deal("excluded", 100, invoice_number="41")
    world.pay("own", "12", 100, "Оплата по счету № 41", kind="own_transfer")
    world.pay("supplier", "12", -100, "Оплата по счету № 41", kind="other")
    _pay(world, "deleted", "12", 100, "41", is_deleted=True)
    _pay(world, "approved", "12", 100, "41")
    world.add("core.exclusions", {"source": "bank", "record_type": "payment", "record_id": "approved", "reason": "-"})


def _credits(world: MoneyWorld, *payments: str) -> list[tuple[Any, ...]]:
    return world.connection.execute(
        """
        SELECT payment_id, deal_id, amount, person_id, team FROM calc.payments
        WHERE list_contains($payments, payment_id) ORDER BY list_position($payments, payment_id), deal_id
        """,
        {"payments": list(payments)},
    ).fetchall()


def test_a_payments_day_counts_as_its_end_for_the_owner(world: MoneyWorld) -> None:
    """Handed over on the morning of the payment's day: the new owner is credited, the earlier payment stays."""
    assert _credits(world, "before-noon", "that-day") == [
        ("before-noon", "handed", Decimal(40), "A", "North"),
        ("that-day", "handed", Decimal(60), "B", "South"),
    ]


def test_money_paid_before_anybody_was_responsible_is_unassigned(world: MoneyWorld) -> None:
    assert _credits(world, "prepaid") == [("prepaid", "late-crm", Decimal(100), None, None)]


def test_money_stays_with_the_pipeline_the_deal_stood_in_when_it_came(world: MoneyWorld) -> None:
    """Moving a deal would take last month's money from one pipeline to another; a refund follows what it returns."""
    pipelines = dict(
        world.rows("SELECT payment_id, pipeline_id FROM calc.payments WHERE starts_with(deal_id, 'moved')")
    )
    assert pipelines == {
        "in-old-1": PIPELINE,
        "in-old-2": PIPELINE,
        "in-new-1": "second",
        "moved-back": "second",
        # Paid before the deal was made: the pipeline it came into.
        "before-creation": PIPELINE,
    }
    turns = world.rows("SELECT sign, pipeline_id FROM calc.paid_deals WHERE deal_id = 'moved' ORDER BY ordinal")
    assert turns == [(1, PIPELINE), (-1, PIPELINE)]


def test_a_full_refund_takes_the_deal_back_from_who_got_it_and_paying_again_gives_it_anew(world: MoneyWorld) -> None:
    assert world.turns("back") == [
        (1, day("05"), "back-1", "A"),
        (-1, day("25"), "back-2", "A"),
        (1, day("12-05"), "back-3", "B"),
    ]
    assert _credits(world, "back-2") == [("back-2", "back", Decimal(-100), "A", "North")]
    assert world.status("back") == (100, 100, 0, "paid", "deal")


def test_the_deal_is_taken_back_from_who_got_it_even_when_the_last_refund_returns_anothers_payment(
    world: MoneyWorld,
) -> None:
    """Else one manager would keep a deal that was wholly refunded, and the other would lose one never given."""
    assert [credit[3] for credit in _credits(world, "603", "604")] == ["B", "A"]
    assert world.turns("two-owners") == [(1, day("12"), "602", "B"), (-1, day("25"), "604", "B")]


def test_a_refund_returns_the_payment_order_it_names_else_the_payers_latest(world: MoneyWorld) -> None:
    assert _returned(world, "named", "by-payer") == [("by-payer", "502"), ("named", "501")]
    assert [credit[3] for credit in _credits(world, "named", "by-payer")] == ["A", "B"]


def test_a_refund_nothing_was_paid_before_stays_unmatched_but_counts(world: MoneyWorld) -> None:
    assert _credits(world, "too-old", "stranger") == [
        ("too-old", "", Decimal(-30), None, None),
        ("stranger", "", Decimal(-5), None, None),
    ]


def test_a_refund_of_a_payment_on_two_deals_follows_it_to_both_or_to_the_one_it_names(world: MoneyWorld) -> None:
    parts = world.parts()
    assert parts["split-back"] == [("split-a", Decimal(-100), "refund"), ("split-b", Decimal(-50), "refund")]
    assert parts["split-named"] == [("split-b", Decimal(-10), "refund")]


def test_a_decided_refund_is_credited_to_the_payment_it_returns(world: MoneyWorld) -> None:
    assert _returned(world, "chosen-out") == [("chosen-out", "chosen-in")]
    assert world.parts()["chosen-out"] == [("chosen", Decimal(-100), "manual")]
    assert world.status("chosen")[3] == "refunded"


def _returned(world: MoneyWorld, *refunds: str) -> list[tuple[Any, ...]]:
    return world.connection.execute(
        """
        SELECT payment_id, refund_of_payment_id FROM core.payment_allocations
        WHERE list_contains($refunds, payment_id) ORDER BY payment_id
        """,
        {"refunds": list(refunds)},
    ).fetchall()


@pytest.mark.parametrize(
    ("deal", "status"),
    [
        pytest.param("ordered", (150, 100, 50, "partial", "order"), id="accounting's order stands over the CRM"),
        pytest.param("raised", (200, 200, 0, "paid", "deal_log"), id="the amount at the first payment, edits ignored"),
        pytest.param("empty", (0, 10, 0, "partial", "deal"), id="an amount of 0 is never reached"),
        pytest.param("unknown", (None, 10, None, "partial", "deal"), id="nor is an unknown one"),
        pytest.param("over", (100, 120, 0, "paid", "deal"), id="overpaid, nothing remains"),
        pytest.param("given-up", (100, 0, 100, "refunded", "deal"), id="a part paid and returned"),
        pytest.param("excluded", (100, 0, 100, "unpaid", "deal"), id="excluded payments pay nothing"),
    ],
)
def test_where_a_deal_stands(world: MoneyWorld, deal: str, status: tuple[Any, ...]) -> None:
    assert world.status(deal) == status


def test_a_deal_is_paid_once_at_the_payment_that_reached_it(world: MoneyWorld) -> None:
    assert world.turns("raised") == [(1, day("25"), "raised-2", "A")]
    assert world.turns("twice") == [(1, day("12"), "twice-b", "A")]
    assert world.turns("given-up") == world.turns("empty") == world.turns("unknown") == []


def test_what_is_left_out_says_why(world: MoneyWorld) -> None:
    excluded = world.rows(
        "SELECT payment_id, excluded_by, deal_id FROM calc.payments WHERE excluded_by IS NOT NULL ORDER BY ALL"
    )
    assert excluded == [
        ("approved", "exclusion", ""),
        ("deleted", "deleted", ""),
        ("own", "own_transfer", ""),
        ("supplier", "other", ""),
    ]


def test_every_payments_parts_add_up_to_it(world: MoneyWorld) -> None:
    assert (
        world.rows("""
        SELECT payments.payment_id, payments.amount, sum(parts.amount) AS booked
        FROM core.payments AS payments LEFT JOIN calc.payments AS parts USING (source, payment_id)
        GROUP BY ALL HAVING booked IS DISTINCT FROM payments.amount
    """)
        == []
    )


# ── settings, currencies, channels, reruns ──────────────────────────────────────────────────────────────────────


def test_a_threshold_below_the_whole_pays_a_deal_early() -> None:
    world = MoneyWorld()
    world.deal("d", "333.33", invoice_number="1")
    _pay(world, "p", "12", 300, "1")
    world.resolve(replace(COMPANY, rules=Rules(paid_threshold=0.9)))
    assert world.turns("d") == [(1, day("12"), "p", "A")]
    assert world.status("d")[2:4] == (Decimal("33.33"), "paid")


def test_money_without_a_rate_keeps_its_deal_and_waits_uncounted() -> None:
    world = MoneyWorld()
    world.deal("d", 8000, invoice_number="1")
    _pay(world, "p", "12", 100, "1", currency="USD")
    assert world.resolve().excluded == {"no_rate": 1}
    assert world.rows("SELECT deal_id, amount, excluded_by FROM calc.payments") == [("d", None, "no_rate")]
    assert world.status("d")[3] == "unpaid"
    world.add("core.rates", {"rate_on": day("12"), "currency": "USD", "rate": 80.1234})
    world.resolve()
    assert world.rows("SELECT deal_id, amount, excluded_by FROM calc.payments") == [("d", Decimal("8012.34"), None)]
    assert world.rows("SELECT amount_reporting FROM core.payments") == [(Decimal("8012.34"),)]
    assert world.status("d")[3] == "paid"


def test_net_of_vat_parts_still_add_up_and_dues_stay_gross() -> None:
    world = MoneyWorld()
    for number in ("1", "2", "3"):
        world.deal(f"d{number}", "33.34", invoice_number=number)
    world.pay("p", "12", "100.01", "Оплата счетов №№ 1, 2, 3 от 05.11.2026", vat_amount=Decimal("18.03"))
    world.resolve(replace(COMPANY, vat_mode="net"))
    assert world.rows("SELECT sum(amount), count(*) FROM calc.payments") == [(Decimal("81.98"), 3)]
    assert world.rows("SELECT DISTINCT paid + remaining FROM facts.deal_payments") == [(Decimal("33.34"),)]


def _channels() -> MoneyWorld:
    """One movement in bank file and sheet; two equal fees in the bank, one of them in the sheet."""
    world = MoneyWorld()
    world.deal("d", 100, invoice_number="1")
    account = {"own_account": "40702810900000000001"}
    _pay(world, "b1", "12", 100, "1", document_number="000501", **account)
    _pay(world, "s1", "12", 100, "1", document_number="501", **account | {"source": "sheet"})
    for fee in ("b2", "b3"):
        world.pay(fee, "13", 7, document_number="9", **account)
    world.pay("s2", "13", 7, document_number="9", **account | {"source": "sheet"})
    world.pay("s3", "13", 7, document_number="9", own_account="40702810900000000002", source="sheet")
    return world


@pytest.mark.parametrize(
    ("priorities", "copies"),
    [
        ({"bank": 1, "sheet": 2}, [("s1", "b1"), ("s2", "b2")]),
        ({"bank": 2, "sheet": 1}, [("b1", "s1"), ("b2", "s2")]),
        ({"sheet": 5}, [("b1", "s1"), ("b2", "s2")]),
    ],
)
def test_the_same_money_through_two_channels_counts_once(
    priorities: dict[str, int], copies: list[tuple[str, str]]
) -> None:
    """Genuine twins of one channel stay two; another account's payment is other money."""
    world = _channels()
    world.resolve(replace(COMPANY, priorities=priorities))
    assert (
        world.rows(
            "SELECT payment_id, same_as_payment_id FROM calc.payments WHERE excluded_by = 'other_channel' ORDER BY ALL"
        )
        == copies
    )
    assert world.rows("SELECT sum(amount) FROM calc.payments WHERE excluded_by IS NULL") == [(Decimal(121),)]
    assert world.status("d")[1] == Decimal(100)


def test_a_persons_word_on_a_copy_holds_for_the_money() -> None:
    """matches.csv and exclusions.csv were written when the sheet was the only channel."""
    world = _channels()
    world.deal("other", 100)
    world.decide("s1", "other", source="sheet")
    world.add("core.exclusions", {"source": "sheet", "record_type": "payment", "record_id": "s2", "reason": "-"})
    world.resolve(replace(COMPANY, priorities={"bank": 1, "sheet": 2}))
    assert world.parts() == {"b1": [("other", Decimal(100), "manual")]}
    assert world.rows("SELECT payment_id FROM calc.payments WHERE excluded_by = 'exclusion'") == [("b2",)]


def test_a_payment_taken_back_leaves_nothing_behind() -> None:
    world = MoneyWorld()
    world.deal("d", 100, invoice_number="1")
    _pay(world, "p", "12", 100, "1")
    assert world.resolve().by_rule == {"invoice_number": 1}
    world.connection.execute("UPDATE core.payments SET is_deleted = TRUE")
    report = world.resolve()
    assert {change.relation for change in report.changes if change.rows} == {
        "core.payment_allocations",
        "calc.payments",
        "calc.paid_deals",
        "core.payments",
        "facts.deal_payments",
    }
    assert (world.parts(), world.turns("d"), world.status("d")[3]) == ({}, [], "unpaid")
    assert world.rows("SELECT deal_id, match_rule FROM core.payments") == [(None, None)]


def test_nothing_temporary_outlives_a_resolve() -> None:
    """The connection goes on to compute: leftovers would hold every payment in memory."""
    world = MoneyWorld()
    world.resolve()
    left = world.rows("""
        SELECT table_name FROM duckdb_tables() WHERE temporary AND table_name NOT IN ('gone', 'fresh')
        UNION ALL SELECT view_name FROM duckdb_views() WHERE temporary AND NOT internal
        UNION ALL SELECT function_name FROM duckdb_functions() WHERE starts_with(function_name, 'money_')
    """)
    assert left == []
