"""Custom-field values in typed form: every shape amoCRM is known to send (amocrm.md §6)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from amocrm_office import MOSCOW, lead, map_payload

from connectors.amocrm import mapping, mapping_deals, mapping_fields, mapping_invoices
from connectors.amocrm.fields import KNOWN, MOST_KNOWN
from connectors.amocrm.settings import AmocrmSettings
from connectors.amocrm.values import VALUES
from connectors.stream import BadRecord, MapContext, RawRecord, Rows

MOSCOW_ACCOUNT = {"currency": "RUB", "_embedded": {"datetime_settings": {"timezone": "Europe/Moscow"}}}
# 2025-10-15 in Moscow is 2025-10-14T21:00Z.
MIDNIGHT = 1_760_475_600
SECOND = 1_000_000
EMPTY: dict[str, Any] = dict.fromkeys(VALUES.columns[4:])


def map_context() -> MapContext:
    settings = AmocrmSettings(type="amocrm", base_url="https://example.amocrm.ru")
    return MapContext(source="amo", settings=settings, zone=MOSCOW, country="RU", currency="RUB")


def values_of(rows: Rows) -> list[dict[str, Any]]:
    return [dict(zip(VALUES.columns, row, strict=True)) for row in rows.rows.get(VALUES, [])]


def read(kind: str, *items: Any, **options: Any) -> list[dict[str, Any]]:
    """The typed values of one field of a lead, without the key's columns."""
    held = [{"field_id": 7, "field_name": "Ф", "field_code": None, "field_type": kind, "values": list(items)}]
    made = map_payload(mapping_deals.map_lead, lead(1, 1, custom_fields_values=held), account=MOSCOW_ACCOUNT, **options)
    found = values_of(made)
    assert [row["position"] for row in found] == list(range(len(found)))
    assert {(row["entity_type"], row["record_id"], row["field_id"]) for row in found} <= {("deal", "1", "deal-7")}
    return [{name: row[name] for name in EMPTY if row[name] is not None} for row in found]


@pytest.mark.parametrize(
    ("kind", "item", "expected"),
    [
        ("text", {"value": " слово "}, {"text_value": "слово"}),
        ("text", {"value": 42}, {"text_value": "42"}),
        ("tracking_data", {"value": "yandex"}, {"text_value": "yandex"}),
        ("numeric", {"value": "42.5"}, {"text_value": "42.5", "number_value": Decimal("42.5")}),
        ("numeric", {"value": 14012.0}, {"text_value": "14012", "number_value": Decimal(14012)}),
        ("price", {"value": "1 500,75"}, {"text_value": "1 500,75", "number_value": Decimal("1500.75")}),
        ("monetary", {"value": "9e40"}, {"text_value": "9e40"}),
        ("numeric", {"value": "много"}, {"text_value": "много"}),
        ("checkbox", {"value": True}, {"text_value": "true", "number_value": Decimal(1)}),
        ("checkbox", {"value": False}, {"text_value": "false", "number_value": Decimal(0)}),
        (
            "select",
            {"value": "Опт", "enum_id": 9001, "enum_code": None},
            {"text_value": "Опт", "option_id": "9001"},
        ),
        ("category", {"value": "Насосы", "enum_id": 10663}, {"text_value": "Насосы", "option_id": "10663"}),
        (
            "multitext",
            {"value": "+79001112233", "enum_id": 1003, "enum_code": "MOB"},
            {"text_value": "+79001112233", "option_id": "1003", "option_code": "MOB"},
        ),
        ("multitext", {"value": "a@b.ru", "enum": "WORK"}, {"text_value": "a@b.ru", "option_code": "WORK"}),
        (
            "smart_address",
            {"value": "Казань", "enum_id": 3, "enum_code": "city"},
            {"text_value": "Казань", "option_id": "3", "option_code": "city"},
        ),
        ("date", {"value": MIDNIGHT}, {"text_value": "2025-10-15", "day_value": date(2025, 10, 15)}),
        ("date", {"value": str(MIDNIGHT)}, {"text_value": "2025-10-15", "day_value": date(2025, 10, 15)}),
        ("date", {"value": "2020-05-08"}, {"text_value": "2020-05-08", "day_value": date(2020, 5, 8)}),
        ("birthday", {"value": -622_858_800}, {"text_value": "1950-04-07", "day_value": date(1950, 4, 7)}),
        ("date_time", {"value": 1_760_500_800}, {"text_value": "1760500800", "time_value": 1_760_500_800 * SECOND}),
        ("date_time", {"value": "скоро"}, {"text_value": "скоро"}),
        ("chained_list", {"catalog_id": 5, "catalog_element_id": 77}, {"option_id": "77"}),
        ("chained_list", {"value": {"catalog_id": 5, "catalog_element_id": 77}}, {"option_id": "77"}),
        ("legal_entity", {"value": {"name": "ООО Ромашка", "vat_id": "7701234567"}}, {"text_value": "ООО Ромашка"}),
        ("payer", {"value": {"name": "Иванов", "type": "individual"}}, {"text_value": "Иванов"}),
        ("linked_entity", {"value": {"name": "Орлов", "entity_id": 3}}, {"text_value": "Орлов"}),
        (
            "items",
            {"value": {"product_id": 3, "description": "Насос", "total_sum": 1500.75}},
            {"text_value": "Насос", "number_value": Decimal("1500.75")},
        ),
        ("file", {"value": {"file_uuid": "u", "file_name": "счёт.pdf"}}, {"text_value": "счёт.pdf"}),
        ("from_tomorrow", {"value": {"a": 1}}, {}),
        ("from_tomorrow", {"value": [1, 2]}, {}),
    ],
)
def test_shape(kind: str, item: dict[str, Any], expected: dict[str, Any]) -> None:
    [found] = read(kind, item)
    details = found.pop("details", None)
    assert found == expected
    inner = item.get("value", item)
    # What has parts is kept with all of them.
    parts = inner if isinstance(inner, dict | list) else item if kind == "chained_list" else None
    assert (msgspec.json.decode(details) if details else None) == parts


@pytest.mark.parametrize("kind", ["text", "numeric", "date", "date_time", "checkbox", "items", "chained_list", "other"])
@pytest.mark.parametrize("item", [{"value": None}, {"value": ""}, {}, None])
def test_empty_value_makes_no_row(kind: str, item: Any) -> None:
    assert read(kind, item) == []


def test_several_values_and_a_field_that_comes_twice_go_on_counting() -> None:
    one = {"field_id": 7, "field_type": "multiselect", "values": [{"value": "а", "enum_id": 1}, {"value": "б"}]}
    two = {"field_id": 7, "field_type": "multiselect", "values": {"0": {"value": "в"}}}
    rows = map_payload(mapping.map_contact, {"id": 5, "custom_fields_values": [one, two]})
    assert [(row["field_id"], row["position"], row["text_value"]) for row in values_of(rows)] == [
        ("contact-7", 0, "а"),
        ("contact-7", 1, "б"),
        ("contact-7", 2, "в"),
    ]


def test_a_field_that_many_records_state_alike_is_read_for_each_of_them() -> None:
    """Statements are read once and shared: a record would show another one's place among its values, or its id."""
    choice = {"field_id": 7, "field_type": "select", "values": [{"value": "Опт", "enum_id": 1}]}
    context = map_context()
    rows = Rows()
    for number, held in enumerate([[choice], [choice, choice], [choice]]):
        rows.begin(number)
        payload = msgspec.json.encode(lead(number, 1, custom_fields_values=held))
        mapping_deals.map_lead(RawRecord(str(number), payload, 1, 1), context, rows)
    assert [(row["record_id"], row["position"], row["text_value"]) for row in values_of(rows)] == [
        ("0", 0, "Опт"),
        ("1", 0, "Опт"),
        ("1", 1, "Опт"),
        ("2", 0, "Опт"),
    ]


def test_more_statements_than_are_kept_in_mind_are_all_read() -> None:
    """The memory is emptied when it is full: what comes after that must be read like what came before."""
    context = map_context()
    rows = Rows()
    for number in range(MOST_KNOWN + 10):
        rows.begin(number)
        choice = {"field_id": 7, "field_type": "select", "values": [{"value": f"Вид {number}", "enum_id": number}]}
        payload = msgspec.json.encode({"id": number, "custom_fields_values": [choice]})
        mapping.map_company(RawRecord(str(number), payload, 1, 1), context, rows)
    found = [(row["record_id"], row["text_value"], row["option_id"]) for row in values_of(rows)]
    assert found == [(str(n), f"Вид {n}", str(n)) for n in range(MOST_KNOWN + 10)]
    assert len(context.cache[KNOWN]) <= MOST_KNOWN


@pytest.mark.parametrize("field", [{"field_id": "7"}, {"field_id": 7}])
@pytest.mark.parametrize("is_numbered", [False, True])
def test_every_way_to_state_a_field_says_the_same(field: dict[str, Any], is_numbered: bool) -> None:
    """Lists are read in a quicker way than objects with numbers for keys; old accounts send numbers as text."""
    stated = {**field, "field_type": "text", "values": [{"value": "слово"}]}
    held = {"0": stated} if is_numbered else [stated]
    rows = map_payload(mapping.map_company, {"id": 5, "custom_fields_values": held})
    assert [(row["field_id"], row["text_value"]) for row in values_of(rows)] == [("company-7", "слово")]


def test_a_field_of_a_wrong_shape_is_rejected_by_its_place_in_the_record() -> None:
    """Fields are read one by one: the verdict would name no place among twenty of them."""
    good = {"field_id": 7, "field_type": "text", "values": []}
    with pytest.raises(BadRecord) as told:
        map_payload(mapping.map_company, {"id": 5, "custom_fields_values": [good, {"field_name": 8}]})
    assert (told.value.code, told.value.path) == ("wrong_type", "$[1].field_name")


@pytest.mark.parametrize("nothing", [None, [], {}])
def test_record_without_fields_still_clears_what_it_had(nothing: Any) -> None:
    """amoCRM says null, Kommo says []."""
    rows = map_payload(mapping.map_company, {"id": 5, "custom_fields_values": nothing})
    assert values_of(rows) == []
    assert rows.owners[VALUES] == [("company", "5")]


def test_values_can_be_left_out_by_the_setting() -> None:
    settings = AmocrmSettings(type="amocrm", base_url="https://example.amocrm.ru", custom_fields="named")
    held = [{"field_id": 7, "field_type": "text", "values": [{"value": "а"}]}]
    rows = map_payload(mapping_deals.map_lead, lead(1, 1, custom_fields_values=held), settings=settings)
    assert VALUES not in rows.owners


def test_definition_with_a_tree_of_options() -> None:
    definition = {
        "id": 601,
        "name": "Тип",
        "type": "category",
        "code": None,
        "sort": 500,
        "enums": None,
        "nested": [{"id": 1, "parent_id": None, "value": "Насосы"}, {"id": 2, "parent_id": 1, "value": "Ручные"}],
    }
    rows = map_payload(mapping_fields.field_mapper("company"), definition)
    assert rows.rows[mapping_fields.FIELDS] == [("company-601", "company", "Тип", None, "category", 500, None)]
    assert [(row[1], row[2], row[5]) for row in rows.rows[mapping_fields.OPTIONS]] == [
        ("1", "Насосы", None),
        ("2", "Ручные", "1"),
    ]


# ── invoices ────────────────────────────────────────────────────────────────────────────────────────────────────


def bill(**fields: Any) -> dict[str, Any]:
    """The documented example, the payer as an object."""
    held = [
        ("BILL_STATUS", "select", {"value": "Деньги пришли", "enum_id": 71, "enum_code": "paid"}),
        ("BILL_PRICE", "numeric", {"value": "1500.75"}),
        ("BILL_PAYMENT_DATE", "date_time", {"value": 1_760_100_000}),
        (
            "PAYER",
            "payer",
            {"value": {"name": "ООО Ромашка", "vat_id": "77", "entity_id": 5, "entity_type": "companies"}},
        ),
    ]
    values = [
        {"field_id": place, "field_code": code, "field_type": kind, "values": [value]}
        for place, (code, kind, value) in enumerate(held)
    ]
    return {
        "id": 15,
        "name": "Счет 238",
        "created_at": 1_760_000_000,
        "updated_at": 1,
        "custom_fields_values": values,
        **fields,
    }


def invoice_of(payload: dict[str, Any]) -> dict[str, Any]:
    rows = map_payload(mapping_invoices.map_invoice, payload, account=MOSCOW_ACCOUNT)
    [row] = rows.rows[mapping_invoices.INVOICES]
    return dict(zip(mapping_invoices.INVOICES.columns, row, strict=True))


def test_invoice_is_told_by_codes_not_by_labels() -> None:
    """The label of a status is the account's own: only its code says paid."""
    found = invoice_of(bill())
    assert (found["number"], found["amount"], found["currency"]) == ("238", Decimal("1500.75"), "RUB")
    assert (found["status"], found["stage_id"], found["is_paid"]) == ("Деньги пришли", "paid", True)
    assert found["paid_at"] == 1_760_100_000 * SECOND
    assert (found["payer_name"], found["customer_tax_id"], found["company_id"], found["contact_id"]) == (
        "ООО Ромашка",
        "77",
        "5",
        None,
    )
    assert found["issued_on"] == date(2025, 10, 9)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("Счет 238", "238"),
        ("Счёт № А-12/3", "А-12/3"),
        ("238", "238"),
        ("№ 5", "5"),
        ("Invoice #77", "77"),
        ("Предоплата", "Предоплата"),
        ("", None),
        (None, None),
    ],
)
def test_number_of_an_invoice_is_its_name_without_the_word(name: str | None, number: str | None) -> None:
    assert invoice_of(bill(name=name))["number"] == number


def test_invoice_without_any_field_is_an_invoice() -> None:
    found = invoice_of({"id": 15, "custom_fields_values": None})
    assert (found["amount"], found["is_paid"], found["status"]) == (None, None, None)


def test_invoice_whose_sum_is_no_number_is_rejected() -> None:
    spoilt = bill()
    spoilt["custom_fields_values"][1]["values"] = [{"value": "около тысячи"}]
    with pytest.raises(BadRecord, match="BILL_PRICE"):
        invoice_of(spoilt)


def test_deleted_element_is_only_a_tombstone() -> None:
    rows = map_payload(mapping_invoices.map_invoice, bill(is_deleted=True, custom_fields_values=None))
    assert list(rows.rows) == [mapping_invoices.DELETED_INVOICES]
