"""Documents of 1C as core rows: what is money, whose it is, and what it was paid for, in three configurations."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from odata_office import OWN_ACCOUNT, PARTY, map_row, receipt_values, rows_of

from connectors.onec.currencies import currency_code
from connectors.onec.odata.client import Row
from connectors.onec.odata.fetch import payload
from connectors.onec.odata.mapping import map_order, map_payment, map_sale
from connectors.onec.odata.operations import kind_of_operation
from connectors.stream import BadRecord
from demo.onec.world import INVOICES, NO_DATE, NO_KEY, RECEIPTS, ROUBLE, SALES, WRITE_OFFS

FILES = Path(__file__).parent / "files"
INVOICE, OTHER_INVOICE = "77777777-0000-4000-8000-000000000123", "77777777-0000-4000-8000-000000000124"
CONTRACT = "66666666-0000-4000-8000-000000000001"
OTHER_ACCOUNT = "66666666-0000-4000-8000-000000000002"
UT_RECEIPTS = "Document_ПоступлениеБезналичныхДенежныхСредств"
CASH_RECEIPTS = "Document_ПриходныйКассовыйОрдер"
CATALOGUES: dict[str, dict[str, Any]] = {
    "counterparties": {PARTY: {"Description": "Ромашка", "НаименованиеПолное": "ООО «Ромашка»", "ИНН": "0055667788"}},
    "bank_accounts": {
        OWN_ACCOUNT: {"НомерСчета": "40702810600000000101"},
        OTHER_ACCOUNT: {"НомерСчета": "30233810700000000001"},
    },
    "currencies": {ROUBLE: {"Code": "643", "Description": "руб."}},
    "contracts": {CONTRACT: {"Номер": "15/26-У"}},
}


def document(entity_set: str = RECEIPTS, **values: Any) -> dict[str, Any]:
    known = {"Ref_Key": "rec-1", "_set": entity_set, "Number": "0000-000031  ", "Date": "2026-11-02T12:00:01"}
    return {**known, "Posted": True, "DeletionMark": False, **values}


def payment(entity_set: str = RECEIPTS, **values: Any) -> dict[str, Any]:
    rows = map_row(map_payment, document(entity_set, **{**receipt_values(), **values}), CATALOGUES)
    (row,) = rows_of(rows, "core.payments", "amount")
    (stands,) = rows_of(rows, "core.payments", "is_deleted")
    return {
        **row,
        **stands,
        "parts": {each["order_id"]: each["amount"] for each in rows_of(rows, "core.payment_parts")},
    }


# ── the example page ────────────────────────────────────────────────────────────────────────────────────────────


def example_rows() -> list[bytes]:
    page = msgspec.json.decode((FILES / "odata_receipts_page.json").read_bytes(), type=dict[str, msgspec.Raw])
    raws = msgspec.json.decode(page["value"], type=list[msgspec.Raw])
    return [payload(Row(str(number), bytes(raw)), RECEIPTS, {}) for number, raw in enumerate(raws)]


def test_the_example_page() -> None:
    """One allocated, one not, one unposted with two rows and no incoming date, one marked for deletion."""
    payments = []
    for raw in example_rows():
        rows = map_row(map_payment, raw)
        (row,) = rows_of(rows, "core.payments", "amount")
        (stands,) = rows_of(rows, "core.payments", "is_deleted")
        chosen = (row["amount"], row["order_id"], row["document_number"], row["document_on"], stands["is_deleted"])
        payments.append(chosen)
    assert payments == [
        (Decimal("122000.00"), INVOICE, "501", date(2026, 2, 2), False),
        (Decimal("61000.00"), None, "77", date(2026, 2, 3), False),
        (Decimal("30500.00"), None, "000009", None, True),
        (Decimal("30500.50"), None, "9", date(2026, 2, 5), True),
    ]


def test_a_pretty_printed_row_stays_json_with_the_set_added() -> None:
    """1C's own bytes are kept; a cut in the wrong place would make every payload unreadable."""
    stored = payload(Row("a", b'{\n "Ref_Key": "a"\n }'), RECEIPTS, {})
    assert msgspec.json.decode(stored)["_set"] == RECEIPTS


# ── payments ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_receipt_has_everything_that_matching_needs() -> None:
    part = {"СуммаПлатежа": 100, "СуммаНДС": 18.03, "СчетНаОплату_Key": INVOICE, "ДоговорКонтрагента_Key": CONTRACT}
    row = payment(РасшифровкаПлатежа=[part])
    assert {key: row[key] for key in row if key not in ("payment_id", "parts")} == {
        "paid_on": date(2026, 11, 2),
        "amount": Decimal("100.00"),
        "currency": "RUB",
        "amount_reporting": Decimal("100.00"),
        "vat_amount": Decimal("18.03"),
        "kind": "customer",
        "payer_name": "ООО «Ромашка»",
        "payer_tax_id": "0055667788",
        "payer_account": None,
        "own_account": "40702810600000000101",
        "purpose": "Оплата по счету 7",
        "document_number": "501",
        "document_on": date(2026, 11, 2),
        "order_id": INVOICE,
        "contract_number": "15/26-У",
        "channel": "odata",
        "is_deleted": False,
    }
    assert row["parts"] == {INVOICE: Decimal("100.00")}


def test_a_payment_of_two_invoices_is_of_neither_alone_and_keeps_its_split() -> None:
    """Booked by the header on one of them it would overpay it and leave the other open."""
    parts = [
        {"СуммаПлатежа": 60, "СчетНаОплату_Key": INVOICE},
        {"СуммаПлатежа": 30, "СчетНаОплату_Key": OTHER_INVOICE},
        {"СуммаПлатежа": 10, "СчетНаОплату_Key": INVOICE},
    ]
    row = payment(РасшифровкаПлатежа=parts)
    assert row["order_id"] is None
    assert row["parts"] == {INVOICE: Decimal("70.00"), OTHER_INVOICE: Decimal("30.00")}


def test_a_part_without_an_invoice_leaves_the_payment_without_one() -> None:
    """Half of it may be for something else."""
    parts = [{"СуммаПлатежа": 60, "СчетНаОплату_Key": INVOICE}, {"СуммаПлатежа": 40, "СчетНаОплату_Key": NO_KEY}]
    row = payment(РасшифровкаПлатежа=parts)
    assert row["order_id"] is None
    assert row["parts"] == {INVOICE: Decimal("60.00")}


@pytest.mark.parametrize(
    ("part", "order"),
    [
        ({"Заказ": INVOICE, "Заказ_Type": "StandardODATA.Document_ЗаказКлиента"}, INVOICE),
        ({"ОснованиеПлатежа": INVOICE, "ОснованиеПлатежа_Type": "StandardODATA.Document_СчетНаОплатуКлиенту"}, INVOICE),
        ({"Заказ": CONTRACT, "Заказ_Type": "StandardODATA.Catalog_ДоговорыКонтрагентов"}, None),
        ({"Заказ": "", "Заказ_Type": "StandardODATA.Undefined"}, None),
        ({"СчетНаОплату": INVOICE, "СчетНаОплату_Type": "StandardODATA.Document_СчетНаОплатуПокупателю"}, INVOICE),
    ],
)
def test_a_reference_is_read_in_either_form_and_only_to_an_order(part: dict[str, Any], order: str | None) -> None:
    """The same attribute is a key in one release and composite in another, and may name a contract instead."""
    assert payment(РасшифровкаПлатежа=[{"Сумма": 100, **part}])["order_id"] == order


@pytest.mark.parametrize(
    ("entity_set", "values", "is_deleted"),
    [
        (RECEIPTS, {"Posted": False}, True),
        (RECEIPTS, {"DeletionMark": True, "Posted": False}, True),
        (UT_RECEIPTS, {"ПроведеноБанком": False}, True),
        (UT_RECEIPTS, {"ПроведеноБанком": True}, False),
        (CASH_RECEIPTS, {"ПроведеноБанком": False}, False),
    ],
)
def test_only_posted_and_executed_documents_are_money(
    entity_set: str, values: dict[str, Any], is_deleted: bool
) -> None:
    """Drafts loaded from a bank stay unposted for days; no bank executes a cash order."""
    assert payment(entity_set, **values)["is_deleted"] is is_deleted


def test_money_is_dated_by_the_bank_where_it_is_kept_apart() -> None:
    assert payment(UT_RECEIPTS, ДатаПроведенияБанком="2026-11-05T00:00:00")["paid_on"] == date(2026, 11, 5)
    assert payment(UT_RECEIPTS, ДатаПроведенияБанком=NO_DATE)["paid_on"] == date(2026, 11, 2)


def test_money_out_is_negative_with_its_vat_and_parts() -> None:
    part = {"СуммаПлатежа": 100, "СуммаНДС": "18.03", "СчетНаОплату_Key": INVOICE}
    row = payment(WRITE_OFFS, ВидОперации="ВозвратПокупателю", РасшифровкаПлатежа=[part])
    assert (row["amount"], row["vat_amount"], row["kind"]) == (Decimal("-100.00"), Decimal("-18.03"), "refund")
    assert row["parts"] == {INVOICE: Decimal("-100.00")}


def test_a_cash_order_has_its_reason_for_a_purpose_and_no_account() -> None:
    values = {"НазначениеПлатежа": "", "Основание": "По счету 7", "ПринятоОт": "Иванов", "Контрагент": NO_KEY}
    row = payment(CASH_RECEIPTS, **{**values, "СчетОрганизации_Key": NO_KEY})
    assert (row["purpose"], row["payer_name"], row["own_account"]) == ("По счету 7", "Иванов", None)


def test_the_tax_id_of_a_bank_in_between_is_nobodys() -> None:
    """Card settlements come from the bank's transit account: it would pay for all customers at once."""
    assert payment(СчетКонтрагента_Key=OTHER_ACCOUNT)["payer_tax_id"] is None


def test_amounts_sent_as_text_and_as_numbers_are_the_same() -> None:
    """A float would lose kopecks."""
    assert payment(СуммаДокумента="30500.10")["amount"] == payment(СуммаДокумента=30500.1)["amount"]


@pytest.mark.parametrize(
    ("operation", "sign", "kind"),
    [
        ("ОплатаПокупателя", 1, "customer"),
        ("ПоступлениеОплатыОтКлиента", 1, "customer"),
        ("ОтПокупателя", 1, "customer"),
        ("ПоступлениеОплатыПоПлатежнымКартам", 1, "customer"),
        ("РозничнаяВыручка", 1, "customer"),
        ("ВозвратОтПоставщика", 1, "other"),
        ("ПолучениеКредитаВБанке", 1, "other"),
        ("РасчетыПоКредитамИЗаймам", 1, "other"),
        ("ПереводСДругогоСчета", 1, "own_transfer"),
        ("ВзносНаличными", 1, "own_transfer"),
        ("Инкассация", 1, "own_transfer"),
        ("ВозвратОтПодотчетногоЛица", 1, "other"),
        ("ПрочееПоступление", 1, "other"),
        ("ВозвратПокупателю", -1, "refund"),
        ("ВозвратОплатыКлиенту", -1, "refund"),
        ("ОплатаПоставщику", -1, "other"),
        ("ПереводНаДругойСчет", -1, "own_transfer"),
        ("ПеречислениеДенежныхСредствНаДругойСчет", -1, "own_transfer"),
        ("УплатаНалога", -1, "other"),
        ("ЧтоТоСовсемНовое", -1, "other"),
        ("", 1, None),
    ],
)
def test_kinds_by_the_operations_of_all_configurations(operation: str, sign: int, kind: str | None) -> None:
    """Revenue would hold loans, suppliers' refunds and the firm's own transfers."""
    assert kind_of_operation(operation, sign) == kind


def test_without_an_operation_the_purpose_tells_the_kind() -> None:
    assert payment(ВидОперации="", НазначениеПлатежа="Возврат по акту сверки")["kind"] == "other"
    assert payment(ВидОперации="")["kind"] == "customer"


def test_money_from_ourselves_is_a_transfer() -> None:
    own = {**CATALOGUES, "counterparties": {PARTY: {"Description": "Мы", "ИНН": "7701234567"}}}
    rows = map_row(map_payment, document(**receipt_values()), own)
    assert rows_of(rows, "core.payments", "amount")[0]["kind"] == "own_transfer"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"Date": "вчера"}, "bad_date"),
        ({"Date": NO_DATE}, "no_date"),
        ({"СуммаДокумента": -5}, "bad_amount"),
        ({"СуммаДокумента": None}, "bad_amount"),
        ({"СуммаДокумента": "1e30"}, "bad_amount"),
        ({"_set": "Document_Прочее"}, "unknown_set"),
    ],
)
def test_what_cannot_be_read_is_rejected_by_name(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRecord) as refused:
        map_row(map_payment, document(**{**receipt_values(), **values}), CATALOGUES)
    assert refused.value.code == reason


def test_an_unknown_currency_is_rejected_and_a_nameless_one_is_the_accounts() -> None:
    """Counted as roubles, a thousand of something else would be revenue."""
    unknown = {**CATALOGUES, "currencies": {ROUBLE: {"Code": "999", "Description": "у.е."}}}
    with pytest.raises(BadRecord, match="999"):
        map_row(map_payment, document(**receipt_values()), unknown)
    accounts = {OWN_ACCOUNT: {"НомерСчета": "40702840600000000101"}}
    dollars = {**CATALOGUES, "currencies": {}, "bank_accounts": accounts}
    (row,) = rows_of(map_row(map_payment, document(**receipt_values()), dollars), "core.payments", "amount")
    assert (row["currency"], row["amount_reporting"]) == ("USD", None)


@pytest.mark.parametrize(
    ("text", "code"), [("643", "RUB"), ("руб.", "RUB"), ("RUR", "RUB"), ("810", "RUB"), ("usd", "USD"), ("у.е", None)]
)
def test_currencies_have_many_names(text: str, code: str | None) -> None:
    assert currency_code(text) == code


# ── orders and sales ────────────────────────────────────────────────────────────────────────────────────────────


def test_an_invoice_is_valid_unposted_and_an_order_is_not() -> None:
    values = {"СуммаДокумента": 100, "Контрагент_Key": PARTY, "Posted": False}
    for entity_set, is_deleted in ((INVOICES, False), ("Document_ЗаказКлиента", True)):
        rows = map_row(map_order, document(entity_set, **values), CATALOGUES)
        assert rows_of(rows, "core.orders", "is_deleted")[0]["is_deleted"] is is_deleted
        (row,) = rows_of(rows, "core.orders", "amount")
        assert (row["number"], row["customer_tax_id"]) == ("0000-000031", "0055667788")


def test_an_invoice_made_from_an_order_names_it() -> None:
    """Both are in the books: what is due would be due twice."""
    values = {"ДокументОснование": INVOICE, "ДокументОснование_Type": "StandardODATA.Document_ЗаказКлиента"}
    rows = map_row(map_order, document("Document_СчетНаОплатуКлиенту", СуммаДокумента=1, **values), CATALOGUES)
    assert rows_of(rows, "core.orders", "amount")[0]["based_on_order_id"] == INVOICE


def test_a_return_is_a_negative_sale() -> None:
    for entity_set, amount in ((SALES, "100.00"), ("Document_ВозвратТоваровОтПокупателя", "-100.00")):
        values = {"СуммаДокумента": 100, "СчетНаОплатуПокупателю_Key": INVOICE}
        rows = map_row(map_sale, document(entity_set, **values), CATALOGUES)
        (row,) = rows_of(rows, "core.sales_documents", "amount")
        assert (row["amount"], row["order_id"]) == (Decimal(amount), INVOICE)
