"""What accounting's documents and the CRM's invoices say about money: one money through many channels, one due through
many documents, a payment as accounting itself divided it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from metrics.resolve import resolve
from tests.metrics.fixture_core import COMPANY, fresh_clock, insert, reference
from tests.metrics.money_world import MoneyWorld, day

ACCOUNT = {"own_account": "40702810900000000001"}


@pytest.fixture
def world() -> MoneyWorld:
    return MoneyWorld()


def _copies(world: MoneyWorld) -> list[tuple[object, ...]]:
    return world.rows("""
        SELECT payment_id, same_as_payment_id FROM calc.payments WHERE excluded_by = 'other_channel' ORDER BY ALL
    """)


def test_one_movement_in_every_channel_of_one_source_counts_once(world: MoneyWorld) -> None:
    """A folder holds the bank's file, an export of it and the order exchange; the bank's own word stands."""
    for channel in ("sheet", "statement", "commerceml", "odata"):
        world.pay(f"by-{channel}", "12", 100, channel=channel, document_number="000501", **ACCOUNT)
    world.resolve()
    assert _copies(world) == [
        ("by-commerceml", "by-statement"),
        ("by-odata", "by-statement"),
        ("by-sheet", "by-statement"),
    ]
    assert world.rows("SELECT sum(amount) FROM calc.payments WHERE excluded_by IS NULL") == [(Decimal(100),)]


def test_a_row_with_numbers_of_accounting_alone_is_the_banks_movement(world: MoneyWorld) -> None:
    """A card of account 51 beside the bank's file: 1C's own number is no payment order, and the money came once."""
    for number in ("501", "502"):
        world.pay(f"bank-{number}", "12", 100, channel="statement", document_number=number, **ACCOUNT)
    world.pay("fee", "12", 100, channel="statement", document_number=None, **ACCOUNT)
    for place in (1, 2, 3):
        world.pay(f"card-{place}", "12", 100, channel="sheet", document_number=None, **ACCOUNT)
    world.pay("other-day", "13", 100, channel="sheet", document_number=None, **ACCOUNT)
    world.resolve()
    assert {payment for payment, _ in _copies(world)} == {"card-1", "card-2", "card-3"}
    assert len({original for _, original in _copies(world)}) == 3


def test_equal_fees_of_one_channel_stay_two_beside_their_copies(world: MoneyWorld) -> None:
    for place in ("1", "2"):
        world.pay(f"fee-{place}", "12", 7, channel="statement", document_number="9", **ACCOUNT)
        world.pay(f"row-{place}", "12", 7, channel="sheet", document_number="9", **ACCOUNT)
    world.pay("row-3", "12", 7, channel="sheet", document_number="9", **ACCOUNT)
    world.resolve()
    assert _copies(world) == [("row-1", "fee-1"), ("row-2", "fee-2")]
    assert world.rows("SELECT sum(amount) FROM calc.payments WHERE excluded_by IS NULL") == [(Decimal(21),)]


def test_what_a_copy_knows_of_the_order_books_the_counted_money(world: MoneyWorld) -> None:
    """The bank's file is the authority on money, but only accounting's own record knows the order."""
    world.deal("d", 100)
    world.order("guid", "77", 100, "05", deal="d")
    world.pay("bank", "12", 100, "Оплата", channel="statement", document_number="501", **ACCOUNT)
    world.pay("odata", "12", 100, "Оплата", channel="odata", document_number="501", order_id="guid", **ACCOUNT)
    world.resolve()
    assert world.parts() == {"bank": [("d", Decimal(100), "order_id")]}


def _part(world: MoneyWorld, payment: str, order: str, amount: int) -> None:
    row = {"source": "bank", "payment_id": payment, "order_id": order, "amount": Decimal(amount)}
    world.add("core.payment_parts", row)


def test_a_payment_is_divided_as_accounting_divided_it(world: MoneyWorld) -> None:
    """Filling deals in order would put 100 on the first; and what no known order got stays on no deal."""
    for place in ("1", "2"):
        world.deal(f"d{place}", 100)
        world.order(f"o{place}", f"7{place}", 100, "05", deal=f"d{place}")
    world.pay("both", "12", 120, order_id="o1")
    _part(world, "both", "o1", 50)
    _part(world, "both", "o2", 70)
    world.pay("partly", "13", 90)
    _part(world, "partly", "o1", 20)
    _part(world, "partly", "unknown", 70)
    world.resolve()
    assert world.parts() == {
        "both": [("d1", Decimal(50), "order_id"), ("d2", Decimal(70), "order_id")],
        "partly": [("d1", Decimal(20), "order_id")],
    }


def test_an_order_and_the_invoice_made_from_it_are_due_once(world: MoneyWorld) -> None:
    world.deal("d", 1)
    world.order("order", "1", 100, "03", deal="d")
    world.order("invoice", "2", 100, "05", based_on_order_id="order")
    world.pay("p", "12", 100, order_id="invoice")
    world.resolve()
    assert world.status("d") == (100, 100, 0, "paid", "order")


def test_one_document_through_two_channels_is_due_once_and_two_equal_documents_twice(world: MoneyWorld) -> None:
    world.deal("one", 1)
    world.order("a", "5", 100, "03", deal="one", channel="odata")
    world.order("b", "5", 100, "03", deal="one", channel="commerceml")
    world.deal("two", 1)
    world.order("c", "6", 100, "03", deal="two", channel="odata")
    world.order("d", "7", 100, "03", deal="two", channel="odata")
    world.resolve()
    assert (world.status("one")[0], world.status("two")[0]) == (100, 200)


def _invoice(world: MoneyWorld, invoice: str, deal: str, **values: object) -> None:
    row = {"source": "amo", "invoice_id": invoice, "deal_source": "amo", "deal_id": deal, "amount": Decimal(1)}
    world.add("core.invoices", row | {"currency": "RUB"} | values)


def test_a_crms_invoice_says_whose_a_number_is_but_not_what_is_due(world: MoneyWorld) -> None:
    """A manager can edit it: with an amount of 1 the deal would be paid by any money."""
    world.deal("d", 100)
    _invoice(world, "i1", "d", number="В-15", is_paid=True)
    world.deal("withdrawn", 100)
    _invoice(world, "i2", "withdrawn", number="В-16", is_deleted=True)
    world.pay("p", "12", 40, "Оплата по счету № В-15")
    world.pay("q", "12", 40, "Оплата по счету № В-16")
    world.resolve()
    assert world.parts() == {"p": [("d", Decimal(40), "invoice_number")]}
    assert world.status("d") == (100, 40, 60, "partial", "deal")


def test_a_days_card_takings_belong_to_no_single_deal(world: MoneyWorld) -> None:
    """Its payer is the bank and its amount is net of the fee: equal to a deal's amount only by chance."""
    world.deal("d", "14750.50", tax_id="7700000001")
    world.pay(
        "cards", "12", "14750.50", "Операции с картами. Сумма операций 15000.00, комиссия 249.50", tax="7700009999"
    )
    world.resolve()
    assert world.parts() == {}
    assert world.candidates() == {"cards": [("d", "amount_only")]}
    assert world.rows("SELECT amount, person_id FROM calc.payments") == [(Decimal("14750.50"), None)]


def test_a_prepayment_and_the_rest_pay_a_deal_at_the_rest(world: MoneyWorld) -> None:
    world.deal("d", 100, invoice_number="88", created="12-01 10:00")
    world.pay("early", "12-05", 30, "Предоплата 30% по договору № 1, счет 88 от 01.12.2026")
    world.pay("rest", "12-20", 70, "Доплата по счету 88 от 01.12.2026")
    world.resolve()
    assert [turn[:3] for turn in world.turns("d")] == [(1, world.rows("SELECT DATE '2026-12-20'")[0][0], "rest")]


def test_several_currencies_without_a_rate_keep_their_deals_and_leave_the_sum_open(world: MoneyWorld) -> None:
    world.deal("d", 100, currency="USD")
    world.order("o", "1", 100, "03", deal="d", currency="USD")
    world.pay("p", "12", 100, order_id="o", currency="USD")
    report = world.resolve()
    assert report.excluded == {"no_rate": 1}
    assert world.status("d") == (None, 0, None, "unpaid", "order")
    assert world.rows("SELECT deal_id, amount_reporting FROM core.payments") == [("d", None)]


def test_shipments_and_costs_find_their_deal_by_order_and_number() -> None:
    """Accounting tells neither its deal: margin and accrual would be nobody's."""
    connection = reference()
    order = {"source": "accounting", "order_id": "guid", "number": "INV-1", "issued_on": day("03"), "currency": "RUB"}
    insert(connection, "core.orders", [order | {"amount": Decimal(100_000)}])
    sale = {"source": "accounting", "document_id": "s1", "number": "Р-9", "issued_on": day("13"), "order_id": "guid"}
    insert(connection, "core.sales_documents", [sale | {"amount": Decimal(100_000), "currency": "RUB"}])
    cost = {"source": "accounting", "cost_id": "c1", "number": "Р-9", "issued_on": day("30"), "currency": "RUB"}
    last_year = cost | {"cost_id": "c0", "issued_on": day("2025-11-30")}
    insert(connection, "core.costs", [row | {"amount": Decimal(70_000)} for row in (cost, last_year)])
    resolve(connection, COMPANY, fresh_clock())
    shipped = connection.execute("SELECT deal_id, person_id, amount FROM calc.shipments").fetchall()
    assert shipped == [("D1", "A", 100_000)]
    margins = connection.execute("SELECT deal_id, cost FROM calc.margins WHERE cost IS NOT NULL").fetchall()
    assert margins == [("D1", 70_000)]
