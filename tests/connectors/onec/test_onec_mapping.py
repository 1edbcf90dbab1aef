"""Stored movements to payments: signs, kinds, who paid, currency, VAT."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from onec_files import CUSTOMER, EXAMPLE, OWN, SECOND, TRANSIT, document, read, statement

from connectors.onec.mapping import PAYMENTS, map_movement
from connectors.onec.settings import OnecSettings
from connectors.stream import BadRecord, MapContext, RawRecord, Rows


def context(**keys: Any) -> MapContext:
    own_accounts = keys.pop("own_accounts", [])
    settings = OnecSettings(type="onec", path="/exports", own_accounts=own_accounts)
    return MapContext(
        **{
            "source": "accounting",
            "settings": settings,
            "zone": ZoneInfo("Europe/Moscow"),
            "country": "RU",
            "currency": "RUB",
            **keys,
        }
    )


def payments(data: bytes | str, **keys: Any) -> list[dict[str, Any]]:
    rows = Rows()
    for record_id, payload, _ in read(data)[1]:
        map_movement(RawRecord(record_id, payload, 1, 1, "february.txt:20"), context(**keys), rows)
    return [dict(zip(PAYMENTS.columns, row, strict=True)) for row in rows.rows[PAYMENTS]]


def payment(**keys: str) -> dict[str, Any]:
    (only,) = payments(statement(document(**keys)))
    return only


def outgoing(purpose: str, payee: str = CUSTOMER, **keys: str) -> dict[str, Any]:
    return payment(payer=OWN, payee=payee, НазначениеПлатежа=purpose, **keys)


def test_whole_rows_of_the_example() -> None:
    rows = payments(EXAMPLE)
    assert rows[0] == {
        "payment_id": "2026-02-02_501_74508b48f98933df",
        "paid_on": date(2026, 2, 2),
        "amount": Decimal("122000.00"),
        "currency": "RUB",
        "amount_reporting": Decimal("122000.00"),
        "vat_amount": Decimal("22000.00"),
        "kind": "customer",
        "payer_name": 'ООО "РОМАШКА-ТЕСТ"',
        "payer_tax_id": "0055667788",
        "payer_account": "40702810400000000201",
        "own_account": "40702810600000000101",
        "purpose": "Оплата по счету № 123 от 01.02.2026 за услуги. В т.ч. НДС (22%) 22000-00",
        "document_number": "501",
        "document_on": date(2026, 2, 2),
        "file": "february.txt:20",
        "channel": "statement",
    }
    assert [(row["amount"], row["kind"], row["payer_tax_id"], row["vat_amount"]) for row in rows[1:]] == [
        (Decimal("61000.00"), "customer", "0099887766", Decimal("11000.00")),
        (Decimal("-50000.00"), "other", "0033445566", Decimal("0.00")),
        (Decimal("-22000.00"), "refund", "0055667788", Decimal("-3967.21")),
        (Decimal("14750.50"), "customer", None, Decimal("0.00")),
        (Decimal("30500.00"), "customer", "001234567887", Decimal("0.00")),
    ]


def test_purpose_in_parts_is_joined_and_never_doubled() -> None:
    assert payments(EXAMPLE)[5]["purpose"] == (
        "Оплата по счету №123/2 и № 123/3 от 04 февраля 2026 г. НДС не облагается"
    )
    assert payment(НазначениеПлатежа="счет 5", НазначениеПлатежа1="счет 5")["purpose"] == "счет 5"


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ({"НазначениеПлатежа": "Оплата по счету 5"}, "customer"),
        ({"НазначениеПлатежа": "Возврат по счету 5 от поставщика"}, "other"),
        ({"НазначениеПлатежа": "Возвратная тара по счету 5"}, "customer"),
        ({"НазначениеПлатежа": "Предоставление процентного займа по договору 1"}, "other"),
        ({"НазначениеПлатежа": "Заем по договору 1"}, "other"),
        ({"НазначениеПлатежа": "Выдача кредита по договору 7"}, "other"),
        ({"НазначениеПлатежа": "Оплата за кредитный отчет"}, "customer"),
        ({"НазначениеПлатежа": "Выплата процентов по депозиту"}, "other"),
        ({"НазначениеПлатежа": "Взнос учредителя"}, "other"),
        ({"НазначениеПлатежа": "Взнос наличных через терминал", "payer": TRANSIT}, "other"),
        ({"НазначениеПлатежа": "Самоинкассация"}, "other"),
        ({"НазначениеПлатежа": "Зачисление средств по операциям с картами", "payer": TRANSIT}, "customer"),
        ({"НазначениеПлатежа": "неверно указан счет получателя", "payer": "47416810000000000001"}, "other"),
        ({"НазначениеПлатежа": "Оплата по СБП", "payer": "47422810000000000001"}, "customer"),
        ({"НазначениеПлатежа": "Решение о возмещении", "payer": "03100643000000017300"}, "other"),
        ({"НазначениеПлатежа": "Проценты", "payer": "47426810000000000001"}, "other"),
        ({"НазначениеПлатежа": "Выдача", "payer": "45207810000000000001"}, "other"),
        ({"НазначениеПлатежа": "Оплата заказа 5", "payer": "42301810000000000001"}, "customer"),
    ],
)
def test_incoming_kinds(keys: dict[str, str], kind: str) -> None:
    assert payment(**keys)["kind"] == kind


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (outgoing("Возврат по п/п 501"), "refund"),
        (outgoing("ЧАСТИЧНЫЙ ВОЗВРАТ по счёту 5"), "refund"),
        (outgoing("Возврат займа по договору 1"), "other"),
        (outgoing("Возврат кредита", payee="45207810000000000001"), "other"),
        (outgoing("Оплата поставщику"), "other"),
        (outgoing("Комиссия", payee="70601810000000000001"), "other"),
        (outgoing("Возврат переплаты", payee="03100643000000018500"), "other"),
        (outgoing("Возврат", ПоказательКБК="18201061201010000510"), "other"),
        (outgoing("Возврат", ПоказательКБК="0", СтатусСоставителя="0"), "refund"),
    ],
)
def test_outgoing_kinds(row: dict[str, Any], kind: str) -> None:
    assert row["kind"] == kind
    assert row["amount"] == Decimal("-1000.00")


def test_own_transfers_by_account_by_taxpayer_and_by_configuration() -> None:
    same = {"ПлательщикИНН": "7701234567", "ПолучательИНН": "7701234567"}
    assert payment(**same)["kind"] == "own_transfer"
    # A cash machine's document names our own tax id on both sides: it is no transfer between accounts.
    assert payment(payer=TRANSIT, НазначениеПлатежа="Внесение наличных", **same)["kind"] == "other"
    assert payment(ПлательщикИНН="", ПолучательИНН="")["kind"] == "customer"
    data = statement(document(ПлательщикИНН="7709999999"))
    assert payments(data, own_tax_ids=frozenset({"7709999999"}))[0]["kind"] == "own_transfer"
    assert payments(data, own_accounts=["40702.810.4.00000000201"])[0]["kind"] == "own_transfer"
    both = payments(statement(document(payer=SECOND, debited="02.02.2026", credited=""), accounts=(OWN, SECOND)))
    assert [(row["amount"], row["kind"], row["own_account"]) for row in both] == [
        (Decimal("-1000.00"), "own_transfer", SECOND),
        (Decimal("1000.00"), "own_transfer", OWN),
    ]


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ({"Плательщик": 'ИНН 7700000000\\770101001 ООО "А"'}, 'ООО "А"'),
        ({"Плательщик": '7777777777, ООО "А"'}, 'ООО "А"'),
        ({"Плательщик": 'ИНН 7700000000 ООО "А" р/с 40702810400000000201 в БАНК'}, 'ООО "А"'),
        ({"Плательщик": "7700000000 ООО", "Плательщик1": 'АО "Б"'}, 'АО "Б"'),
        ({"Плательщик": "Иванов Иван//г Москва, ул Ленина, 1//"}, "Иванов Иван"),
        ({}, None),
    ],
)
def test_payer_names_without_what_banks_glue_to_them(keys: dict[str, str], name: str | None) -> None:
    assert payment(**keys)["payer_name"] == name


@pytest.mark.parametrize("tax_id", ["", "0", "000000000000"])
def test_placeholders_are_no_tax_id(tax_id: str) -> None:
    assert payment(ПлательщикИНН=tax_id)["payer_tax_id"] is None


@pytest.mark.parametrize(
    ("account", "currency", "reporting"),
    [
        ("40702840600000000101", "USD", None),
        ("40702810600000000101", "RUB", Decimal("1000.00")),
        ("KZ12345ABCDEFGH", "RUB", Decimal("1000.00")),
    ],
)
def test_currency_stands_in_the_account(account: str, currency: str, reporting: Decimal | None) -> None:
    (row,) = payments(statement(document(payee=account, credited="02.02.2026", debited=""), accounts=(account,)))
    assert (row["currency"], row["amount_reporting"]) == (currency, reporting)


def test_an_unknown_currency_is_not_taken_for_roubles() -> None:
    account = "40702555600000000101"
    with pytest.raises(BadRecord) as caught:
        payments(statement(document(payee=account, credited="02.02.2026", debited=""), accounts=(account,)))
    assert (caught.value.code, caught.value.got) == ("unknown_currency", "555")


def test_more_vat_than_money_was_misread() -> None:
    assert payment(НазначениеПлатежа="НДС 22% 22000.00")["vat_amount"] is None


def test_paid_on_is_the_own_sides_day_and_not_the_orders() -> None:
    row = payment(day="31.01.2026", credited="03.02.2026", debited="02.02.2026")
    assert (row["paid_on"], row["document_on"]) == (date(2026, 2, 3), date(2026, 1, 31))


def test_a_stored_payload_that_stopped_making_sense_is_rejected_with_its_key() -> None:
    stored = b'{"document": {"\xd0\xa1\xd1\x83\xd0\xbc\xd0\xbc\xd0\xb0": "x", "\xd0\x94\xd0\xb0\xd1\x82\xd0\xb0": "01.02.2026"}, "own_account": "1", "direction": "in", "is_between_own": false}'  # noqa: E501
    with pytest.raises(BadRecord) as caught:
        map_movement(RawRecord("1", stored, 1, 1), context(), Rows())
    assert (caught.value.code, caught.value.path, caught.value.got) == ("bad_amount", "$.document.Сумма", "x")
