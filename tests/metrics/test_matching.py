"""Reading the numbers that payments and deals are recognised by."""

from __future__ import annotations

from datetime import date

import pytest

from metrics.resolve.matching import bare_number, named_numbers, read_number_keys, read_purposes
from tests.metrics.money_world import MoneyWorld


@pytest.mark.parametrize(
    ("field", "number"),
    [
        ("ТП00-000124", "ТП00-000124"),
        (" 124 ", "124"),
        ("№ 124", "124"),
        ("Счёт № 124 от 02.02.2026", "124"),
        ("Договор № 12-26/У от 20.01.2026", "12-26/У"),
        ("будет позже", "будет позже"),
    ],
)
def test_a_number_is_found_in_a_field_filled_by_hand(field: str, number: str) -> None:
    assert bare_number(field) == number


def test_every_role_a_purpose_can_name_is_kept_in_order() -> None:
    purpose = "Оплата за ООО Ромашка ИНН 0055667788 по счетам №№ 15, ТП00-000016 от 05.02.2026, договор № 7/А"
    assert named_numbers(purpose) == [
        ("invoice", "15", "15", date(2026, 2, 5)),
        ("invoice", "ТП00-000016", "16", date(2026, 2, 5)),
        ("contract", "7/А", "7/А", None),
        ("tax_id", "55667788", "55667788", None),
    ]


def test_the_number_of_a_returned_payment_loses_its_leading_zeros() -> None:
    """Banks pad payment orders: 000501 on one side would never meet 501 on the other."""
    assert named_numbers("Возврат по п/п 000501 от 02.02.2026") == [("payment_order", "501", "501", date(2026, 2, 2))]


def test_a_purpose_is_read_once_and_again_when_it_changes() -> None:
    world = MoneyWorld()
    world.pay("p1", "12", 100, "Оплата по счету № 5")
    world.pay("p2", "12", 100)
    assert read_purposes(world.connection) == 2
    assert read_purposes(world.connection) == 0
    world.connection.execute("UPDATE core.payments SET purpose = 'Оплата по счету № 6' WHERE payment_id = 'p1'")
    assert read_purposes(world.connection) == 1
    assert world.rows("SELECT number_key FROM calc.payment_numbers WHERE role = 'invoice'") == [("6",)]


def test_suppliers_purposes_are_not_read() -> None:
    world = MoneyWorld()
    world.pay("p1", "12", -100, "Оплата по счету № 5", kind="other")
    assert read_purposes(world.connection) == 0


def test_a_printed_number_is_read_once_whoever_prints_it() -> None:
    world = MoneyWorld()
    world.deal("d1", 100, invoice_number="№ 000124", contract_number="7/А")
    world.order("o1", "№ 000124", 100, "02")
    world.pay("p1", "12", 100, invoice_number="7/А")
    assert read_number_keys(world.connection) == 2
    assert read_number_keys(world.connection) == 0
    assert world.rows("SELECT * EXCLUDE (digest) FROM calc.number_keys ORDER BY number") == [
        ("7/А", "7/А", "7/А"),
        ("№ 000124", "000124", "124"),
    ]
