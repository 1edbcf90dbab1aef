"""Records to rows: every trap of the vendor's shapes, with the value that would be wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from amocrm_office import lead, map_payload, only_row

from connectors.amocrm import mapping, mapping_deals, mapping_log
from connectors.amocrm.settings import AmocrmSettings, FieldNames
from connectors.stream import BadRecord

MICROS = 1_000_000
AT = 1_760_000_000
ACCOUNT = {"currency": "KZT", "_embedded": {"datetime_settings": {"timezone": "Asia/Almaty"}}}


def settings(**fields: str) -> AmocrmSettings:
    return AmocrmSettings(type="amocrm", base_url="https://acme.amocrm.ru/", fields=FieldNames(**fields))


def custom(name: str, *values: Any, code: str | None = None, kind: str = "text") -> dict[str, Any]:
    shaped = [value if isinstance(value, dict) else {"value": value} for value in values]
    return {"field_id": 501, "field_name": name, "field_code": code, "field_type": kind, "values": shaped}


def event(event_type: str, *, entity: str = "lead", after: Any = (), before: Any = ()) -> dict[str, Any]:
    return {
        "id": "01k7z9d3m6r0t5c8q2w4xyabcd",
        "type": event_type,
        "entity_id": 7,
        "entity_type": entity,
        "created_by": 0,
        "created_at": AT,
        "value_after": after,
        "value_before": before,
    }


# ── deals ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_whole_lead_becomes_one_deal_and_its_contacts() -> None:
    record = lead(
        7,
        AT,
        status_id=142,
        closed_at=AT - 10,
        _embedded={
            "companies": [{"id": 77}],
            "contacts": [{"id": 41, "is_main": True}, {"id": 42, "is_main": False}],
            "loss_reason": [{"id": 1, "name": "Дорого"}],
            "source": {"id": 3, "name": "Сайт"},
        },
        custom_fields_values=[custom("Номер счёта", "238")],
    )
    rows = map_payload(mapping_deals.map_lead, record, settings=settings(invoice_number="номер счёта"), account=ACCOUNT)
    assert only_row(rows, "core.deals") == {
        "deal_id": "7",
        "pipeline_id": "7100200",
        "stage_id": "142",
        "owner_id": "1",
        "company_id": "77",
        "title": "Сделка 7",
        "amount": Decimal("100.00"),
        "currency": "KZT",
        "created_at": AT * MICROS,
        "updated_at": AT * MICROS,
        "closed_at": (AT - 10) * MICROS,
        "loss_reason": "Дорого",
        "lead_source": "Сайт",
        "invoice_number": "238",
        "contract_number": None,
        "order_id": None,
        "tax_id": None,
        "url": "https://acme.amocrm.ru/leads/detail/7",
    }
    assert rows.rows[mapping_deals.DEAL_CONTACTS] == [("7", "41", True), ("7", "42", False)]
    assert rows.owners[mapping_deals.DEAL_CONTACTS] == [("7",)]


@pytest.mark.parametrize(
    ("fields", "amount"),
    [
        ({"price": 1500, "price_with_minor_units": 1500.75}, "1500.75"),
        ({"price": 1500, "price_with_minor_units": "1500.75"}, "1500.75"),
        ({"price": 1500}, "1500.00"),
        ({"price": 0, "price_with_minor_units": 0.1}, "0.10"),
    ],
)
def test_amount_is_roubles_with_their_fraction_not_kopecks(fields: dict[str, Any], amount: str) -> None:
    rows = map_payload(mapping_deals.map_lead, lead(7, AT, **fields))
    assert only_row(rows, "core.deals")["amount"] == Decimal(amount)


def test_amount_beyond_the_column_is_rejected_not_rounded() -> None:
    with pytest.raises(BadRecord) as caught:
        map_payload(mapping_deals.map_lead, lead(7, AT, price=10**20))
    assert (caught.value.code, caught.value.path) == ("no_amount", "$.price")


def test_deleted_stub_touches_nothing_but_the_tombstone() -> None:
    stub = {"id": 5, "name": None, "price": None, "status_id": None, "created_at": None, "updated_at": AT}
    rows = map_payload(mapping_deals.map_lead, {**stub, "is_deleted": True})
    assert rows.rows == {mapping_deals.DELETED_DEALS: [("5", True)]}
    assert rows.owners == {}


@pytest.mark.parametrize("nothing", [None, [], {}])
def test_empty_objects_in_any_php_form_are_read(nothing: Any) -> None:
    record = lead(7, AT, custom_fields_values=nothing, _embedded=nothing)
    assert only_row(map_payload(mapping_deals.map_lead, record), "core.deals")["tax_id"] is None


@pytest.mark.parametrize("reason", [[{"name": "Дорого"}], {"name": "Дорого"}])
def test_loss_reason_is_read_as_a_list_and_as_an_object(reason: Any) -> None:
    rows = map_payload(mapping_deals.map_lead, lead(7, AT, _embedded={"loss_reason": reason}))
    assert only_row(rows, "core.deals")["loss_reason"] == "Дорого"


def test_tracking_field_stands_in_for_a_missing_source() -> None:
    fields = [custom("utm_source", "yandex", code="UTM_SOURCE", kind="tracking_data")]
    rows = map_payload(mapping_deals.map_lead, lead(7, AT, custom_fields_values=fields))
    assert only_row(rows, "core.deals")["lead_source"] == "yandex"


def test_robot_as_owner_is_zero_not_nobody() -> None:
    rows = map_payload(mapping_deals.map_lead, lead(7, AT, responsible_user_id=0))
    assert only_row(rows, "core.deals")["owner_id"] == "0"


def test_wrong_type_is_rejected_with_its_path_and_without_its_value() -> None:
    with pytest.raises(BadRecord) as caught:
        map_payload(mapping_deals.map_lead, lead(7, AT, status_id="тайна"))
    reject = caught.value
    assert (reject.code, reject.path, reject.got) == ("wrong_type", "$.status_id", "str")
    assert "тайна" not in str(reject)


# ── custom fields ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("numeric", "42.50", "42.50"),
        ("numeric", 14012, "14012"),
        ("numeric", 14012.0, "14012"),
        ("text", 7701234567, "7701234567"),
        ("select", {"value": "Опт", "enum_id": 9001, "enum_code": None}, "Опт"),
        ("checkbox", True, "true"),
        # Midnight of the 15th in Moscow; in UTC it is still the 14th.
        ("date", 1_760_475_600, "2025-10-15"),
        ("date", "1760475600", "2025-10-15"),
        ("date", "2025-10-15", "2025-10-15"),
        ("date", "2025-10-15T00:00:00+03:00", "2025-10-15"),
        ("birthday", -86_400 * 365 - 10_800, "1969-01-01"),
        ("legal_entity", {"value": {"name": "ООО", "vat_id": "7701234567"}}, "7701234567"),
        ("linked_entity", {"value": {"name": "Счет 5", "entity_id": 4}}, "Счет 5"),
        ("file", {"value": {"file_name": "a.pdf"}}, "a.pdf"),
        ("chained_list", {"catalog_id": 1, "catalog_element_id": 2}, None),
        ("items", {"value": {"product_id": 3}}, None),
        ("unheard_of", {"value": {"anything": [1]}}, None),
        ("text", None, None),
    ],
)
def test_every_shape_of_value_is_read_or_left_empty(kind: str, value: Any, text: str | None) -> None:
    record = lead(7, AT, custom_fields_values=[custom("Договор", value, kind=kind)])
    rows = map_payload(mapping_deals.map_lead, record, settings=settings(contract_number="Договор"))
    assert only_row(rows, "core.deals")["contract_number"] == text


def test_field_may_be_named_by_its_id_when_names_repeat() -> None:
    fields = [{**custom("Номер", "старый"), "field_id": 1}, {**custom("Номер", "новый"), "field_id": 2}]
    rows = map_payload(
        mapping_deals.map_lead, lead(7, AT, custom_fields_values=fields), settings=settings(order_id="2")
    )
    assert only_row(rows, "core.deals")["order_id"] == "новый"


# ── people ──────────────────────────────────────────────────────────────────────────────────────────────────────

PHONES = custom(
    "Телефон",
    {"value": "8 (912) 345-67-89", "enum_id": 1001, "enum_code": "WORK"},
    {"value": "+79001112233; 8 912 345 67 89", "enum": "MOB"},
    {"value": "нет", "enum_code": "OTHER"},
    code="PHONE",
    kind="multitext",
)


def contact(**fields: Any) -> dict[str, Any]:
    base = {"id": 41, "name": "Пётр Орлов", "responsible_user_id": 1, "created_at": AT - 100, "updated_at": AT}
    return {**base, "custom_fields_values": None, "_embedded": {"companies": [{"id": 77}]}, **fields}


def test_phones_and_mails_are_found_by_code_and_listed_once() -> None:
    mails = custom("Email", {"value": " P@Example.com "}, code="EMAIL", kind="multitext")
    rows = map_payload(mapping.map_contact, contact(custom_fields_values=[PHONES, mails]))
    row = only_row(rows, "core.contacts")
    assert row["phones"] == ["+79123456789", "+79001112233"]
    assert row["emails"] == ["p@example.com"]
    assert row["company_id"] == "77"
    assert rows.rows[mapping.CONTACT_PHONES] == [
        ("41", "+79123456789", AT * MICROS, AT * MICROS),
        ("41", "+79001112233", AT * MICROS, AT * MICROS),
    ]


def test_company_takes_its_tax_id_from_the_legal_entity() -> None:
    legal = custom("Юр. лицо", {"value": {"vat_id": "7701234567"}}, kind="legal_entity")
    rows = map_payload(mapping.map_company, contact(id=77, custom_fields_values=[legal]))
    assert only_row(rows, "core.companies")["tax_id"] == "7701234567"


def test_deactivated_user_stays_and_is_marked() -> None:
    user = {"id": 5, "name": "Анна", "email": "A@Example.com", "rights": {"is_admin": False, "is_active": False}}
    row = only_row(map_payload(mapping.map_user, user), "core.users")
    assert (row["external_id"], row["email"], row["is_active"], row["is_admin"]) == ("5", "a@example.com", False, False)


@pytest.mark.parametrize(
    ("group_id", "groups", "department"),
    [
        (7, [{"id": 7, "name": "Север"}], "Север"),
        (7, [], "Юг"),
        (None, [], "Отдел продаж"),
        (99, [], None),
    ],
)
def test_department_is_named_by_the_user_or_by_the_account(
    group_id: int | None, groups: list[Any], department: str | None
) -> None:
    """The default group is 0, which users write as null and only the account names."""
    account = {"_embedded": {"users_groups": [{"id": 0, "name": "Отдел продаж"}, {"id": 7, "name": "Юг"}]}}
    user = {"id": 5, "rights": {"group_id": group_id}, "_embedded": {"groups": groups, "roles": []}}
    assert only_row(map_payload(mapping.map_user, user, account=account), "core.users")["department"] == department


def test_won_and_lost_stages_carry_their_pipeline() -> None:
    """142 and 143 are the ids of won and lost in every pipeline: without it joins multiply rows."""
    pipeline = {
        "id": 7,
        "name": "Продажи",
        "_embedded": {
            "statuses": [
                {"id": 60010, "name": "Неразобранное", "sort": 10, "type": 1},
                {"id": 60011, "name": "Новая", "sort": 20, "type": 0},
                {"id": 142, "name": "Переименованная победа", "sort": 10000, "type": 0},
                {"id": 143, "name": "Отказ", "sort": 11000, "type": 0},
            ]
        },
    }
    rows = map_payload(mapping.map_pipeline, pipeline)
    assert [(row[0], row[1], row[5]) for row in rows.rows[mapping.STAGES]] == [
        ("7", "60010", "unsorted"),
        ("7", "60011", None),
        ("7", "142", "won"),
        ("7", "143", "lost"),
    ]


# ── events ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (event("lead_added"), ("created", None, None, None, None, None)),
        (
            event(
                "lead_status_changed",
                after=[{"lead_status": {"id": 142, "pipeline_id": 9}}],
                before=[{"lead_status": {"id": 60011, "pipeline_id": 8}}],
            ),
            ("stage", "60011", "142", "8", "9", "142"),
        ),
        (
            event(
                "entity_responsible_changed",
                after=[{"responsible_user": {"id": 2}}],
                before=[{"responsible_user": {"id": 0}}],
            ),
            ("owner", "0", "2", None, None, None),
        ),
        (
            event("sale_field_changed", after=[{"sale_field_value": {"sale": 1500.75}}]),
            ("amount", None, "1500.75", None, None, None),
        ),
        (
            event("sale_field_changed", after={"sale_field_value": {"sale": 7}}, before=None),
            ("amount", None, "7.00", None, None, None),
        ),
        (event("entity_merged", after=[], before=[]), ("merged", None, None, None, None, None)),
        (event("incoming_call", after=[{"note": {"id": 1}}]), ("incoming_call", None, None, None, None, None)),
        (event("something_new_in_2027", after=[{"new": {}}]), ("something_new_in_2027", None, None, None, None, None)),
    ],
)
def test_log_entries_of_a_deal(payload: dict[str, Any], expected: tuple[Any, ...]) -> None:
    row = only_row(map_payload(mapping_log.map_event, payload), "core.deal_events")
    values = ("event_type", "from_value", "to_value", "from_pipeline_id", "pipeline_id", "stage_id")
    assert tuple(row[name] for name in values) == expected
    assert (row["deal_id"], row["occurred_at"], row["user_id"], row["precision"]) == ("7", AT * MICROS, "0", "log")


@pytest.mark.parametrize(
    ("event_type", "entity", "into", "expected"),
    [
        ("lead_deleted", "lead", mapping_deals.DELETED_DEALS, ("7", True)),
        ("lead_restored", "lead", mapping_deals.DELETED_DEALS, ("7", False)),
        ("contact_deleted", "contact", mapping.DELETED_CONTACTS, ("7", True)),
        ("company_restored", "company", mapping.DELETED_COMPANIES, ("7", False)),
        ("task_deleted", "task", mapping_log.DELETED_TASKS, ("task-7", True)),
    ],
)
def test_deletions_in_the_log_mark_the_record(
    event_type: str, entity: str, into: Any, expected: tuple[Any, ...]
) -> None:
    rows = map_payload(mapping_log.map_event, event(event_type, entity=entity))
    assert rows.rows[into] == [expected]
    assert (mapping_log.DEAL_EVENTS in rows.rows) is (entity == "lead")


@pytest.mark.parametrize("entity", ["contact", "company", "customer", "catalog_4521"])
def test_change_of_a_contacts_owner_is_no_event_of_a_deal_with_the_same_id(entity: str) -> None:
    payload = event("entity_responsible_changed", entity=entity, after=[{"responsible_user": {"id": 2}}])
    assert map_payload(mapping_log.map_event, payload).rows == {}


def test_stage_change_without_a_stage_is_rejected() -> None:
    with pytest.raises(BadRecord) as caught:
        map_payload(mapping_log.map_event, event("lead_status_changed", after=[]))
    assert caught.value.code == "no_stage"


# ── call notes and tasks ────────────────────────────────────────────────────────────────────────────────────────


def note(**params: Any) -> dict[str, Any]:
    return {
        "id": 5501,
        "entity_id": 41,
        "created_by": 8,
        "created_at": AT,
        "updated_at": AT,
        "note_type": "call_in",
        "params": {"uniq": "mango-8f52", "source": "mango", "duration": 63, "phone": "89001112233", **params},
    }


def activity_of(column: Any, payload: dict[str, Any]) -> dict[str, Any]:
    return only_row(map_payload(mapping_log.note_mapper(column), payload), "core.activities")


def test_same_call_noted_on_contact_and_deal_is_one_activity_with_both_links() -> None:
    on_contact = only_row(map_payload(mapping_log.note_mapper("contact_id"), note()), "core.activities")
    on_deal = only_row(
        map_payload(mapping_log.note_mapper("deal_id"), {**note(), "id": 9, "entity_id": 7}), "core.activities"
    )
    assert on_contact["activity_id"] == on_deal["activity_id"]
    assert (on_contact["contact_id"], "deal_id" in on_contact) == ("41", False)
    assert (on_deal["deal_id"], "contact_id" in on_deal) == ("7", False)


def test_notes_without_the_telephonys_id_stay_apart() -> None:
    first = activity_of("contact_id", note(uniq=""))
    second = activity_of("deal_id", note(uniq=None))
    assert (first["activity_id"], second["activity_id"]) == ("note-contact-5501", "note-deal-5501")
    assert first["call_id"] is None


@pytest.mark.parametrize(
    ("responsible", "user"),
    [(8800101, "8800101"), ("8800101", "8800101"), ("Анна Петрова", "8"), (None, "8"), ("", "8")],
)
def test_caller_is_an_id_or_a_name(responsible: Any, user: str) -> None:
    row = only_row(
        map_payload(mapping_log.note_mapper("contact_id"), note(call_responsible=responsible)), "core.activities"
    )
    assert row["user_id"] == user


@pytest.mark.parametrize(("stated", "seconds"), [(63, 63), ("63", 63), ("0", 0), (63.0, 63), (None, None), ("", None)])
def test_duration_is_a_number_or_its_text(stated: Any, seconds: int | None) -> None:
    row = activity_of("contact_id", note(duration=stated))
    assert (row["duration_seconds"], row["direction"], row["phone"]) == (seconds, "in", "+79001112233")


def test_other_notes_are_no_calls_when_the_filter_was_ignored() -> None:
    assert map_payload(mapping_log.note_mapper("deal_id"), {**note(), "note_type": "common", "params": []}).rows == {}


def task(**fields: Any) -> dict[str, Any]:
    base = {"id": 900, "responsible_user_id": 1, "entity_id": 7, "entity_type": "leads", "task_type_id": 2}
    return {**base, "complete_till": AT, "updated_at": AT - 500, "duration": 1800, "is_completed": False, **fields}


@pytest.mark.parametrize("result", [[], {"text": "Договорились"}, [{"text": "x"}], "текст", None])
def test_task_result_in_any_form_does_not_stop_the_task(result: Any) -> None:
    row = only_row(map_payload(mapping_log.map_task, task(result=result)), "core.activities")
    assert (row["activity_id"], row["activity_type"], row["is_completed"]) == ("task-900", "meeting", False)


@pytest.mark.parametrize(
    ("entity_type", "column"),
    [("leads", "deal_id"), ("contacts", "contact_id"), ("companies", "company_id"), (None, None)],
)
def test_task_hangs_on_what_its_plural_type_says(entity_type: str | None, column: str | None) -> None:
    row = only_row(map_payload(mapping_log.map_task, task(entity_type=entity_type)), "core.activities")
    assert {name for name in ("deal_id", "contact_id", "company_id") if row[name]} == ({column} if column else set())


def test_meeting_held_early_happened_no_later_than_it_was_marked_done() -> None:
    planned = only_row(map_payload(mapping_log.map_task, task()), "core.activities")
    held = only_row(map_payload(mapping_log.map_task, task(is_completed=True)), "core.activities")
    assert (planned["occurred_at"], held["occurred_at"]) == (AT * MICROS, (AT - 500) * MICROS)
