"""Payments without a deal with the reason, and what a person may decide about them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from base.errors import UsageError
from metrics.inputs.reader import Row
from metrics.matches import Decision, decide, list_unmatched
from tests.metrics.money_world import MoneyWorld, day


@pytest.fixture(scope="module")
def world() -> MoneyWorld:
    world = MoneyWorld()
    world.deal("one", 100, invoice_number="1", tax_id="7700000001", title="Насос")
    world.deal("two", 100, invoice_number="1")
    world.deal("short", 700, invoice_number="СЧ-000323")
    world.deal("done", 100, invoice_number="610")
    world.deal("known", 100, invoice_number="611")
    world.deal("dollars", 100, currency="USD")
    world.deal("gone", 100, is_deleted=True)
    world.pay("paid", "10", 100, "Оплата по счету № 610")
    world.pay("ambiguous", "11", 50, "Оплата по счету № 1")
    world.pay("unconfirmed", "12", 60, "Оплата по счету № 323")
    world.pay("tax", "13", 33, tax="7700000001")
    world.pay("amount", "14", 700)
    world.pay("nothing", "15", 5)
    world.pay("rest", "16", 250, "Оплата счетов №№ 611, 612 от 05.11.2026")
    world.pay("refund", "17", -5)
    world.pay("supplier", "18", -5, kind="other")
    world.pay("twice", "19", 9)
    world.pay("twice", "19", 9, source="sheet")
    account = {"own_account": "40702810900000000001", "document_number": "77"}
    world.pay("counted", "20", 8, **account, channel="statement")
    world.pay("copy", "20", 8, **account, channel="sheet")
    world.resolve()
    return world


def test_each_payment_says_why_it_is_on_no_deal(world: MoneyWorld) -> None:
    reasons = {(found.source, found.payment_id): found.reason for found in list_unmatched(world.connection)}
    assert reasons == {
        ("bank", "ambiguous"): "ambiguous",
        ("bank", "unconfirmed"): "unconfirmed",
        ("bank", "tax"): "tax_id_only",
        ("bank", "amount"): "amount_only",
        ("bank", "nothing"): "no_candidate",
        ("bank", "rest"): "rest",
        ("bank", "refund"): "no_payment_before",
        ("bank", "twice"): "no_candidate",
        ("sheet", "twice"): "no_candidate",
        ("bank", "counted"): "no_candidate",
    }


def test_candidates_come_with_what_a_person_needs_to_choose(world: MoneyWorld) -> None:
    (tax,) = (found for found in list_unmatched(world.connection) if found.payment_id == "tax")
    (candidate,) = tax.candidates
    assert (candidate.source, candidate.deal_id, candidate.title) == ("amo", "one", "Насос")
    assert (candidate.amount, candidate.remaining, candidate.rule) == (100, 100, "tax_id_only")


def test_only_the_rest_of_a_payment_is_unmatched(world: MoneyWorld) -> None:
    (rest,) = (found for found in list_unmatched(world.connection) if found.payment_id == "rest")
    assert (rest.amount, rest.unmatched) == (250, 150)


def test_a_period_shows_its_days_only(world: MoneyWorld) -> None:
    found = list_unmatched(world.connection, day("12"), day("14"))
    assert [payment.payment_id for payment in found] == ["unconfirmed", "tax"]


def _decide(world: MoneyWorld, payment: str, deal: str, amount: int | None = None, *written: Any) -> Decision:
    rows = [Row(place, values) for place, values in enumerate(written, 2)]
    part = None if amount is None else Decimal(amount)
    return decide(world.connection, rows, payment, deal, part, company_currency="RUB")


def _line(payment: str, deal: str, amount: int | None) -> Mapping[str, Any]:
    money = None if amount is None else Decimal(amount)
    return {"source": "bank", "payment_id": payment, "deal_source": "amo", "deal_id": deal, "amount": money}


def test_a_whole_payment_is_decided_without_an_amount(world: MoneyWorld) -> None:
    """An amount written down would no longer follow a correction in accounting."""
    decision = _decide(world, "ambiguous", "two")
    assert decision.rows == (_line("ambiguous", "two", None),)
    assert (decision.amount, decision.kept) == (50, 0)


def test_what_a_rule_had_booked_is_kept_beside_the_decision_on_the_rest(world: MoneyWorld) -> None:
    """A person's decision replaces the rules for the whole payment: the booked part would be lost."""
    decision = _decide(world, "rest", "two")
    assert decision.rows == (_line("rest", "known", 100), _line("rest", "two", 150))


def test_a_second_decision_divides_what_the_first_left(world: MoneyWorld) -> None:
    first = _line("amount", "one", 300)
    decision = _decide(world, "amount", "two", None, first)
    assert decision.rows == (_line("amount", "two", 400),)


def test_a_refunds_part_is_written_as_a_positive_amount(world: MoneyWorld) -> None:
    assert _decide(world, "refund", "one", 3).rows == (_line("refund", "one", 3),)


def test_a_decision_on_a_copy_holds_for_the_counted_money(world: MoneyWorld) -> None:
    assert _decide(world, "copy", "one").payment_id == "counted"


@pytest.mark.parametrize(
    ("payment", "deal", "amount", "told"),
    [
        ("missing", "one", None, "There is no payment missing"),
        ("nothing", "missing", None, "There is no deal missing"),
        ("twice", "one", None, "bank:twice, sheet:twice"),
        ("paid", "one", None, "Payment paid is matched already"),
        ("paid", "done", None, "The payment is on deal done already"),
        ("supplier", "one", None, "it is neither a customer's payment nor a refund"),
        ("nothing", "dollars", None, "The payment is in RUB, the deal in USD"),
        ("nothing", "gone", None, "Deal gone was deleted in the CRM"),
        ("nothing", "one", 6, "5.00 RUB of the payment are free"),
        ("nothing", "one", 0, "The amount 0 can't be"),
    ],
)
def test_what_can_not_be_is_refused_with_the_reason(
    world: MoneyWorld, payment: str, deal: str, amount: int | None, told: str
) -> None:
    with pytest.raises(UsageError) as refused:
        _decide(world, payment, deal, amount)
    assert told in refused.value.render("en")


def test_an_id_that_several_sources_have_is_named_with_its_source(world: MoneyWorld) -> None:
    decision = _decide(world, "sheet:twice", "amo:one")
    assert (decision.payment_source, decision.payment_id, decision.deal_id) == ("sheet", "twice", "one")


def test_a_payment_decided_but_not_yet_resolved_is_not_decided_twice(world: MoneyWorld) -> None:
    """The file is ahead of the warehouse until the next night."""
    with pytest.raises(UsageError, match="matched already"):
        _decide(world, "nothing", "two", None, _line("nothing", "one", None))
