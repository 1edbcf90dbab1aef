"""Customers and what accounting says beside payments (metrics.md 2.4, 4.5)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from metrics.compute import recompute
from metrics.periods import parse_period
from metrics.reading import read_absent, read_kpi
from metrics.resolve import resolve
from tests.metrics.fixture_core import COMPANY, Batch, Crm, add_call, fresh_clock, insert, phone_of, reference
from tests.metrics.test_pipeline_metrics import crm_world, some


def add_payment(target: Any, payment: str, day: str, amount: int, payer: str | None, **values: Any) -> None:
    """A customer's payment; `payer` is a taxpayer id."""
    row = {
        "source": "accounting",
        "payment_id": payment,
        "paid_on": date.fromisoformat(day),
        "amount": Decimal(amount),
        "amount_reporting": Decimal(amount),
        "currency": "RUB",
        "kind": "refund" if amount < 0 else "customer",
        "payer_tax_id": payer,
        "purpose": "Оплата",
        "is_deleted": False,
    }
    insert(target, "core.payments", [row | values])


def computed(connection: duckdb.DuckDBPyConnection, metrics: str) -> duckdb.DuckDBPyConnection:
    """Resolved, with some metrics of November: all of them take seconds."""
    resolve(connection, COMPANY, fresh_clock())
    recompute(connection, COMPANY, parse_period("2026-11"), fresh_clock(), catalogue=some(metrics))
    return connection


def numbers(connection: duckdb.DuckDBPyConnection, metric: str) -> dict[str, tuple[Any, Any, Any]]:
    rows = read_kpi(connection, "2026-11", metric)
    return {row.entity_id: (row.num, row.den, row.value) for row in rows if row.entity_type != "team"}


# ── who is a customer ───────────────────────────────────────────────────────────────────────────────────────────


def resolved(batch: Batch) -> duckdb.DuckDBPyConnection:
    connection = crm_world(batch)
    resolve(connection, COMPANY, fresh_clock())
    return connection


def customers(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    return dict(connection.execute("SELECT deal_id, customer_id FROM calc.deal_customers").fetchall())


def test_one_taxpayer_is_one_customer_whoever_the_contact_is() -> None:
    """Zeros in front are lost in sheets; the payer outweighs what a manager wrote on the deal."""
    batch = Batch()
    crm = Crm(batch)
    crm.deal("D1", "A", "02 10:00", phone=phone_of(1), invoice_number="INV-1", amount=Decimal(10))
    crm.deal("D2", "B", "03 10:00", phone=phone_of(2), tax_id="0077000001")
    crm.deal("D3", "B", "03 10:00", phone=phone_of(3), tax_id="999", invoice_number="INV-3", amount=Decimal(10))
    add_payment(batch, "P1", "2026-11-05", 10, "77000001", purpose="Оплата по счету № INV-1")
    add_payment(batch, "P3", "2026-11-05", 10, "77000003", purpose="Оплата по счету № INV-3")
    found = customers(resolved(batch))
    assert found == {"D1": "tax:77000001", "D2": "tax:77000001", "D3": "tax:77000003"}


def test_contacts_that_share_phones_in_a_chain_are_one_customer() -> None:
    """1 shares a phone with 2, 2 another one with 3; 4 shares none."""
    batch = Batch()
    crm = Crm(batch)
    for number, phones in enumerate([("11",), ("11", "22"), ("22",), ("44",)], start=1):
        crm.deal(f"D{number}", "A", "02 10:00")
        for phone in phones:
            row = {"source": "amo", "contact_id": f"c{number}", "phone": f"+791600000{phone}"}
            insert(batch, "core.contact_phones", [row])
        insert(batch, "core.contacts", [{"source": "amo", "contact_id": f"c{number}"}])
        insert(batch, "core.deal_contacts", [{"source": "amo", "deal_id": f"D{number}", "contact_id": f"c{number}"}])
    found = customers(resolved(batch))
    assert found["D1"] == found["D2"] == found["D3"] != found["D4"]
    assert found["D4"] == "contact:amo:c4"


def test_a_payer_without_a_taxpayer_id_is_told_by_the_account() -> None:
    batch = Batch()
    add_payment(batch, "P1", "2026-11-05", 10, "0", payer_account="40817", payer_name="Иванов")
    add_payment(batch, "P2", "2026-11-06", 10, None, payer_account=" 40817", payer_name="Иванов И. И.")
    connection = resolved(batch)
    rows = connection.execute("SELECT DISTINCT customer_id FROM calc.customer_payments").fetchall()
    assert rows == [("payer:40817",)]


def test_a_second_deal_of_a_customer_is_repeated_and_its_advance_is_not() -> None:
    batch = Batch()
    crm = Crm(batch)
    for number in (1, 2):
        crm.deal(f"D{number}", "A", "02 10:00", invoice_number=f"INV-{number}", amount=Decimal(100))
    add_payment(batch, "P1", "2026-11-05", 60, "77", purpose="Оплата по счету № INV-1")
    add_payment(batch, "P2", "2026-11-09", 40, "77", purpose="Оплата по счету № INV-1")
    add_payment(batch, "P3", "2026-11-10", 100, "77", purpose="Оплата по счету № INV-2")
    connection = computed(crm_world(batch), "new_customers new_customer_revenue repeat_deal_share")
    assert numbers(connection, "new_customers")["company"] == (1, None, 1)
    assert numbers(connection, "new_customer_revenue")["company"] == (100, None, 100)
    assert numbers(connection, "repeat_deal_share")["company"] == (1, 2, 0.5)


# ── over time ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_customer_silent_for_180_days_returned_and_one_silent_for_179_did_not() -> None:
    """metrics.md: last paid 1 March, pays 20 November -> 1; the second payment of that week is no second return."""
    batch = Batch()
    for day in ("2026-03-01", "2026-11-20", "2026-11-23"):
        add_payment(batch, f"R{day}", day, 10, "11")
    for day in ("2026-05-25", "2026-11-20"):
        add_payment(batch, f"S{day}", day, 10, "22")
    connection = computed(crm_world(batch), "customers_returned")
    assert numbers(connection, "customers_returned")["company"] == (1, None, 1)
    left_out = connection.execute(
        "SELECT record_id, excluded_by FROM facts.kpi_evidence WHERE metric = 'customers_returned' "
        "AND entity_type = 'company' AND excluded_by IS NOT NULL ORDER BY ALL"
    ).fetchall()
    assert left_out == [("R2026-11-23", "not_dormant"), ("S2026-11-20", "not_dormant")]


def test_a_short_history_of_payments_tells_nothing_of_returns_and_retention() -> None:
    batch = Batch()
    add_payment(batch, "P1", "2026-08-01", 10, "11")
    connection = computed(crm_world(batch), "customers_returned customer_retention_rate")
    absent = read_absent(connection, "2026-11")
    assert "180" in absent["customers_returned"]
    assert "180" in absent["customer_retention_rate"]


def test_retention_asks_whoever_paid_in_the_window_before() -> None:
    """metrics.md: 40 of 50 = 80 %. The windows end with November: 2 September and 4 June are their first days."""
    batch = Batch()
    add_payment(batch, "old", "2026-03-01", 10, "1")
    for number in range(50):
        add_payment(batch, f"before-{number}", "2026-07-01", 10, f"500{number}")
    for number in range(40):
        add_payment(batch, f"after-{number}", "2026-10-01", 10, f"500{number}")
    # Paid in the present window only, and in none of them.
    add_payment(batch, "fresh", "2026-10-01", 10, "600")
    add_payment(batch, "long-ago", "2026-05-01", 10, "700")
    connection = computed(crm_world(batch), "customer_retention_rate")
    assert numbers(connection, "customer_retention_rate")["company"] == (40, 50, 0.8)


def coverage_world() -> Batch:
    """Twenty customers of A who bought in October; D1 is B's since the 5th of November, and calls reached 17."""
    batch = Batch()
    crm = Crm(batch)
    for number in range(1, 21):
        crm.deal(
            f"D{number}",
            "A",
            "10-02 10:00",
            [("10-06 10:00", "won")],
            phone=phone_of(number),
            owner_now="B" if number == 1 else "A",
            invoice_number=f"INV-{number}",
            amount=Decimal(100),
        )
        payer = f"7700{number:02d}"
        add_payment(batch, f"P{number}", "2026-10-07", 100, payer, purpose=f"Оплата по счету № INV-{number}")
        if number <= 17:
            add_call(batch, f"C{number}", "10 12:00", "A", "out", phone_of(number), 60)
    crm.owner("D1", "05 10:00", "A", "B")
    # Too short, and of a lead that has bought nothing: neither adds a customer.
    add_call(batch, "C18", "10 12:00", "A", "out", phone_of(18), 30)
    crm.deal("D99", "A", "10-02 10:00", phone=phone_of(99))
    add_call(batch, "C99", "10 12:00", "A", "out", phone_of(99), 300)
    return batch


def test_coverage_is_of_the_customers_assigned_when_the_period_began() -> None:
    """metrics.md: 17 of 20 = 85 %, all of them A's, whoever took a deal over since."""
    found = numbers(computed(crm_world(coverage_world()), "client_coverage_rate"), "client_coverage_rate")
    assert found == {"company": (17, 20, 0.85), "A": (17, 20, 0.85), "B": (0, 0, None)}


def test_retention_falls_to_whoever_had_the_account_when_the_window_began() -> None:
    batch = coverage_world()
    add_payment(batch, "old", "2026-03-01", 10, "1")
    connection = crm_world(batch)
    resolve(connection, COMPANY, fresh_clock())
    # The present 90 days of February begin on 1 December: D1 is B's by then.
    connection.execute("UPDATE meta.coverage SET complete_until = TIMESTAMPTZ '2027-03-01 00:00:00+03'")
    catalogue = some("customer_retention_rate")
    recompute(connection, COMPANY, parse_period("2026-12..2027-02"), fresh_clock(), catalogue=catalogue)
    found = {
        (row.period, row.entity_id): (row.num, row.den)
        for period in ("2026-12", "2027-01", "2027-02")
        for row in read_kpi(connection, period, "customer_retention_rate")
    }
    assert found["2026-12", "company"] == (0, 0)
    assert [found["2027-01", entity] for entity in ("company", "A", "B")] == [(0, 20), (0, 20), (0, 0)]
    assert [found["2027-02", entity] for entity in ("company", "A", "B")] == [(0, 20), (0, 19), (0, 1)]


# ── accounting's documents ──────────────────────────────────────────────────────────────────────────────────────


def test_accrual_counts_a_shipment_on_its_own_date() -> None:
    """metrics.md: D1 shipped 13 November, D7 on 1 December -> November 100 000; D7 was B's by then."""
    connection = reference()
    for document, deal, day, amount in (
        ("S1", "D1", "2026-11-13", 120_000),
        ("S2", "D1", "2026-11-20", -20_000),
        ("S3", "D7", "2026-12-01", 150_000),
    ):
        row = {"source": "accounting", "document_id": document, "deal_source": "amo", "deal_id": deal}
        issued = {"issued_on": date.fromisoformat(day), "amount": Decimal(amount), "currency": "RUB"}
        insert(connection, "core.sales_documents", [row | issued | {"is_deleted": False}])
    deleted = {"source": "accounting", "document_id": "S4", "issued_on": date(2026, 11, 13), "amount": Decimal(7)}
    insert(connection, "core.sales_documents", [deleted | {"currency": "RUB", "is_deleted": True}])
    found = numbers(computed(connection, "revenue_accrual"), "revenue_accrual")
    assert (found["company"], found["A"], found["B"]) == (
        (100_000, None, 100_000),
        (100_000, None, 100_000),
        (0, None, 0),
    )


def add_cost(connection: duckdb.DuckDBPyConnection, deal: str, amount: str) -> None:
    row = {"source": "accounting", "cost_id": f"cost-{deal}", "issued_on": date(2026, 11, 12), "currency": "RUB"}
    insert(connection, "core.costs", [row | {"deal_source": "amo", "deal_id": deal, "amount": Decimal(amount)}])


def test_margin_is_of_the_deals_whose_cost_is_known() -> None:
    """metrics.md: D1 cost 70 000 -> 30 000 and 30 %. B has payments and no cost: no margin, not a margin of zero."""
    connection = reference()
    add_cost(connection, "D1", "70000")
    computed(connection, "gross_margin margin_rate")
    margin, rate = numbers(connection, "gross_margin"), numbers(connection, "margin_rate")
    assert (margin["company"], margin["A"], margin["B"]) == ((30_000, None, 30_000),) * 2 + ((None, None, None),)
    assert (rate["company"], rate["B"]) == ((30_000, 100_000, 0.3), (0, 0, None))


def test_the_parts_of_a_payment_bear_the_whole_cost_to_the_kopeck() -> None:
    """60 % and 40 % of 33 333.33 are no whole kopecks; a third of it would be lost or paid twice."""
    connection = reference()
    add_cost(connection, "D2", "33333.33")
    resolve(connection, COMPANY, fresh_clock())
    costs = connection.execute("SELECT cost FROM calc.margins WHERE deal_id = 'D2' ORDER BY local_date").fetchall()
    assert costs == [(Decimal("19999.99"),), (Decimal("13333.34"),)]


def test_a_refund_gives_its_part_of_the_cost_back() -> None:
    connection = reference()
    add_cost(connection, "D8", "45000")
    resolve(connection, COMPANY, fresh_clock())
    costs = connection.execute(
        "SELECT amount, cost FROM calc.margins WHERE deal_id = 'D8' ORDER BY local_date"
    ).fetchall()
    assert costs == [(90_000, 45_000), (-30_000, -15_000)]


def test_overdue_is_the_share_of_the_last_snapshot() -> None:
    """metrics.md: 150 000 of 1 000 000 = 15 %; the debts of the 15th are those of the 30th, not more of them."""
    connection = reference()
    told = [
        ("early", "2026-11-15", "2026-11-01", 500_000, "D1"),
        ("late", "2026-11-30", "2026-11-29", 150_000, "D1"),
        ("today", "2026-11-30", "2026-11-30", 250_000, "D4"),
        ("open", "2026-11-30", None, 600_000, None),
    ]
    for key, day, due, amount, deal in told:
        row = {"source": "accounting", "receivable_id": key, "as_of": date.fromisoformat(day), "currency": "RUB"}
        debt = {"due_on": date.fromisoformat(due) if due else None, "amount": Decimal(amount)}
        insert(connection, "core.receivables", [row | debt | {"deal_source": "amo" if deal else None, "deal_id": deal}])
    found = numbers(computed(connection, "overdue_share"), "overdue_share")
    assert found["company"] == (150_000, 1_000_000, 0.15)
    assert (found["A"], found["B"]) == ((150_000, 150_000, 1), (0, 250_000, 0))
    assert found["unassigned"] == (0, 600_000, 0)


@pytest.mark.parametrize("metric", ["revenue_accrual", "gross_margin", "margin_rate", "overdue_share"])
def test_what_accounting_did_not_give_is_absent_and_not_zero(metric: str) -> None:
    connection = computed(reference(), metric)
    assert read_kpi(connection, "2026-11", metric) == []
    assert "учёт не передал" in read_absent(connection, "2026-11")[metric]
