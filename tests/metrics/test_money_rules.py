"""Which deal a payment is booked on, rule by rule (metrics.md 2.4), and what is left to a person.

One company holds all cases, so that a rule too wide is seen in its neighbours; numbers and tax ids are a case's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from tests.metrics.fixture_core import moscow
from tests.metrics.money_world import MoneyWorld, Parts


def build_world() -> MoneyWorld:
    world = MoneyWorld()
    _add_ids(world)
    _add_invoices(world)
    _add_ambiguous(world)
    _add_contracts(world)
    _add_amounts(world)
    _add_decisions(world)
    return world


def _add_ids(world: MoneyWorld) -> None:
    world.deal("guid", 500, order_id="0a1b")
    world.pay("guid", "12", 500, "Оплата по счету № 9001", order_id="0a1b")
    world.deal("guid-other", 500, invoice_number="9001")
    world.deal("by-document", 700)
    world.order("doc-guid", "7001", 700, "03", deal="by-document")
    world.pay("by-document", "12", 700, order_id="doc-guid")


def _add_invoices(world: MoneyWorld) -> None:
    world.deal("latin", 100, invoice_number="TП00-000124")
    world.pay("latin", "12", 100, "Оплата по счету №ТП00-000124 от 02.11.2026")
    world.deal("short-payer", 100, invoice_number="СЧ-000321", tax_id="7700000321")
    world.pay("short-payer", "12", 60, "Оплата по счету № 321", tax="7700000321")
    world.deal("short-date", 100)
    world.order("short-date", "СЧ-000322", 100, "02", deal="short-date")
    world.pay("short-date", "12", 60, "Оплата по счету № 322 от 02.11.2026")
    world.deal("short-alone", 100, invoice_number="СЧ-000323")
    world.pay("short-alone", "12", 60, "Оплата по счету № 323")
    world.deal("last-year", 100, invoice_number="511", created="2025-11-02 10:00", closed_at=moscow("2025-11-20 10:00"))
    world.deal("this-year", 100, invoice_number="511")
    world.pay("this-year", "12", 100, "Оплата по счету № 511 от 03.11.2026")
    world.deal("third-party", 100, invoice_number="512", tax_id="7700000512")
    world.pay("third-party", "12", 100, "Оплата по счету № 512", tax="7700009999")
    world.pay("document", "12", 50, "Оплата услуг", invoice_number="№ 513")
    world.deal("document", 100, invoice_number="513")
    world.deal("first", 100, invoice_number="601", tax_id="7700000601")
    world.deal("second", 100, invoice_number="602", tax_id="7700000601")
    world.pay("before", "10", 70, "Оплата по счету № 601")
    world.pay("both", "12", 100, "Оплата счетов №№ 601, 602 от 05.11.2026")
    world.deal("known", 100, invoice_number="611")
    world.pay("half-known", "12", 250, "Оплата счетов №№ 611, 612 от 05.11.2026")


def _add_ambiguous(world: MoneyWorld) -> None:
    world.deal("same-a", 100, invoice_number="701")
    world.deal("same-b", 200, invoice_number="701")
    world.pay("same", "12", 50, "Оплата по счету № 701")
    world.deal("narrow-a", 100, invoice_number="702", tax_id="7700000702")
    world.deal("narrow-b", 200, invoice_number="702", tax_id="7700000702")
    world.pay("narrowed", "12", 200, "Оплата по счету № 702", tax="7700000702")
    world.deal("merged-away", 100, invoice_number="703", is_deleted=True)
    world.deal("survivor", 100, invoice_number="703")
    world.pay("merged", "12", 50, "Оплата по счету № 703")
    world.deal("contradicted-a", 100, invoice_number="704")
    world.deal("contradicted-b", 100, invoice_number="704")
    world.deal("contradicted-c", 900, tax_id="7700000704")
    world.pay("contradicted", "12", 900, "Оплата по счету № 704", tax="7700000704")


def _add_contracts(world: MoneyWorld) -> None:
    world.deal("contract", 100, contract_number="12-26/У", tax_id="7700000801")
    world.pay("contract", "12", 40, "Оплата по договору № 12-26/У", tax="7700000801")
    world.pay("contract-stranger", "12", 40, "Оплата по договору № 12-26/У", tax="7700000802")


def _add_amounts(world: MoneyWorld) -> None:
    world.deal("open", 1001, tax_id="7700001001")
    world.pay("open", "12", 1001, tax="7700001001")
    world.pay("other-amount", "12", 1002, tax="7700001001")
    world.pay("no-tax", "12", 1001)
    world.pay("too-early", "01", 1001, tax="7700001001")
    world.add("core.companies", {"source": "amo", "company_id": "co", "tax_id": "7700001003"})
    world.deal("by-company", 1003, company_id="co")
    world.pay("by-company", "12", 1003, tax="7700001003")
    world.add("core.contacts", {"source": "amo", "contact_id": "ct", "tax_id": "7700001004"})
    world.add("core.deal_contacts", {"source": "amo", "deal_id": "by-contact", "contact_id": "ct"})
    world.deal("by-contact", 1004)
    world.pay("by-contact", "12", 1004, tax="7700001004")
    world.deal("won", 1005, tax_id="7700001005", stages=[("05 10:00", "won")])
    world.pay("ten-days-after", "15", 1005, tax="7700001005")
    world.pay("eleven-days-after", "16", 1005, tax="7700001005")
    world.deal("lost", 1006, tax_id="7700001006", stages=[("12 10:00", "lost")])
    world.pay("lost-that-day", "12", 1006, tax="7700001006")
    world.pay("lost-next-day", "11", 1006, tax="7700001006")
    for twin in ("twin-a", "twin-b"):
        world.deal(twin, 1007, tax_id="7700001007")
    world.pay("twin", "12", 1007, tax="7700001007")
    world.deal("edited", 5000, tax_id="7700001008")
    world.event("edited", "amount", "20 10:00", from_value="1008", to_value="5000")
    world.pay("edited", "12", 1008, tax="7700001008")
    world.deal("zero-tax", 1009, tax_id="0000000000")
    world.pay("zero-tax", "12", 1009, tax="0")


def _add_decisions(world: MoneyWorld) -> None:
    world.deal("decided", 100)
    world.deal("not-this", 100, invoice_number="901")
    world.pay("decided", "12", 100, "Оплата по счету № 901")
    world.decide("decided", "decided")
    world.deal("part-a", 100)
    world.deal("part-b", 100)
    world.pay("divided", "12", 150, "Оплата")
    world.decide("divided", "part-a", 90)
    world.decide("divided", "part-b", 40)
    world.pay("supplier", "12", 3, "Оплата", kind="other")
    world.decide("supplier", "decided")
    world.pay("misspelt", "12", 3, "Оплата")
    world.decide("misspelt", "no-such-deal")


@pytest.fixture(scope="module")
def world() -> MoneyWorld:
    world = build_world()
    report = world.resolve()
    assert report.idle_decisions == 2
    return world


@pytest.fixture(scope="module")
def parts(world: MoneyWorld) -> Parts:
    return world.parts()


@pytest.fixture(scope="module")
def candidates(world: MoneyWorld) -> Mapping[str, list[tuple[str, str]]]:
    return world.candidates()


@pytest.mark.parametrize(
    ("payment", "deal", "amount", "rule"),
    [
        pytest.param("guid", "guid", 500, "order_id", id="a stored id stands over a printed number"),
        pytest.param("by-document", "by-document", 700, "order_id", id="an id of the deal's order"),
        pytest.param("latin", "latin", 100, "invoice_number", id="Latin look-alikes in a number"),
        pytest.param("short-payer", "short-payer", 60, "invoice_number", id="short number confirmed by the payer"),
        pytest.param("short-date", "short-date", 60, "invoice_number", id="short number confirmed by the date"),
        pytest.param("this-year", "this-year", 100, "invoice_number", id="numbers restart each year"),
        pytest.param("third-party", "third-party", 100, "invoice_number", id="somebody else pays the invoice"),
        pytest.param("document", "document", 50, "invoice_number", id="accounting's own number"),
        pytest.param(
            "merged", "survivor", 50, "invoice_number", id="the deal that was merged away has its twin's number"
        ),
        pytest.param("narrowed", "narrow-b", 200, "tax_id_amount", id="the amount chooses among deals of one number"),
        pytest.param("contract", "contract", 40, "contract_number", id="contract and payer"),
        pytest.param("open", "open", 1001, "tax_id_amount", id="payer and amount of an open deal"),
        pytest.param("by-company", "by-company", 1003, "tax_id_amount", id="the company's tax id"),
        pytest.param("by-contact", "by-contact", 1004, "tax_id_amount", id="the contact's tax id"),
        pytest.param("ten-days-after", "won", 1005, "tax_id_amount", id="the last day after the win"),
        pytest.param("lost-next-day", "lost", 1006, "tax_id_amount", id="the day before it was lost"),
        pytest.param("edited", "edited", 1008, "tax_id_amount", id="the amount as it stood at the payment"),
        pytest.param("decided", "decided", 100, "manual", id="a person's decision stands over a number"),
    ],
)
def test_a_payment_is_booked_by_its_rule(parts: Parts, payment: str, deal: str, amount: int, rule: str) -> None:
    assert parts[payment] == [(deal, Decimal(amount), rule)]


@pytest.mark.parametrize(
    ("payment", "listed"),
    [
        pytest.param(
            "same", [("same-a", "invoice_number"), ("same-b", "invoice_number")], id="one number on two deals"
        ),
        pytest.param("twin", [("twin-a", "tax_id_amount"), ("twin-b", "tax_id_amount")], id="two deals of one amount"),
        pytest.param("short-alone", [("short-alone", "invoice_number")], id="a short number alone proves nothing"),
        pytest.param("other-amount", [("open", "tax_id_only")], id="payer alone"),
        pytest.param("no-tax", [("open", "amount_only")], id="amount alone"),
        pytest.param("contract-stranger", [], id="another payer's contract is not even a candidate"),
        pytest.param("too-early", [], id="paid before the deal was there"),
        pytest.param("eleven-days-after", [], id="too long after the win"),
        pytest.param("lost-that-day", [], id="a day counts as its end: the deal was lost by then"),
        pytest.param("zero-tax", [("zero-tax", "amount_only")], id="a tax id of zeros is nobody's"),
        pytest.param(
            "contradicted",
            [
                ("contradicted-a", "invoice_number"),
                ("contradicted-b", "invoice_number"),
                ("contradicted-c", "tax_id_amount"),
            ],
            id="payer and amount don't overrule a number that names other deals",
        ),
        pytest.param("misspelt", [], id="a decision for a deal nobody knows waits"),
    ],
)
def test_unsure_money_stays_unmatched_and_lists_its_candidates(
    parts: Parts, candidates: Mapping[str, list[tuple[str, str]]], payment: str, listed: list[tuple[str, str]]
) -> None:
    assert payment not in parts
    assert candidates.get(payment, []) == listed


def test_several_invoices_are_filled_in_the_order_named_after_what_was_paid_before(parts: Parts) -> None:
    assert parts["both"] == [
        ("first", Decimal(30), "invoice_number"),
        ("second", Decimal(70), "invoice_number"),
    ]


def test_an_invoice_of_no_known_deal_keeps_its_money_out_of_the_others(world: MoneyWorld, parts: Parts) -> None:
    assert parts["half-known"] == [("known", Decimal(100), "invoice_number")]
    assert _rest(world, "half-known") == [(Decimal(150), None)]


def test_declared_parts_are_booked_as_decided_and_the_rest_stays_unmatched(world: MoneyWorld, parts: Parts) -> None:
    assert parts["divided"] == [("part-a", Decimal(90), "manual"), ("part-b", Decimal(40), "manual")]
    assert _rest(world, "divided") == [(Decimal(20), None)]


def test_a_payment_names_its_deal_only_when_it_has_one(world: MoneyWorld) -> None:
    found = world.rows("""
        SELECT payment_id, deal_id, match_rule FROM core.payments
        WHERE payment_id IN ('open', 'both', 'same') ORDER BY payment_id
    """)
    assert found == [("both", None, None), ("open", "open", "tax_id_amount"), ("same", None, None)]


def test_a_second_resolve_writes_nothing(world: MoneyWorld) -> None:
    report = world.resolve()
    assert (report.rows, report.purposes_read) == (0, 0)


def test_the_order_of_loading_changes_nothing(world: MoneyWorld) -> None:
    turned = build_world()
    for relation in ("core.payments", "core.deals", "core.orders", "core.matches", "calc.stage_events"):
        turned.connection.execute(
            f"CREATE TEMP TABLE turned AS SELECT * FROM {relation} ORDER BY rowid DESC; DELETE FROM {relation};"
            f"INSERT INTO {relation} SELECT * FROM turned; DROP TABLE turned"
        )
    turned.resolve()
    for query in (
        "FROM calc.payments ORDER BY ALL",
        "FROM calc.match_candidates ORDER BY ALL",
        "FROM calc.paid_deals ORDER BY ALL",
    ):
        assert turned.rows(query) == world.rows(query)


def _rest(world: MoneyWorld, payment: str) -> list[tuple[object, ...]]:
    return world.connection.execute(
        "SELECT amount, person_id FROM calc.payments WHERE payment_id = $payment AND deal_id = ''", {"payment": payment}
    ).fetchall()
