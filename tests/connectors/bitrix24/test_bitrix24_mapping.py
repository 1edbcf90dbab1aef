"""Records to rows: every shape of a value, dates by the page's rule, what is no deal and no customer."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from bitrix24_office import map_payload, only_row, rows_of

from base.times import to_micros
from connectors.bitrix24 import mapping, mapping_log
from connectors.bitrix24.settings import FieldNames
from connectors.bitrix24.values import as_day, as_flag, as_link, as_money
from connectors.stream import BadRecord

DEAL: dict[str, Any] = {
    "ID": "501",
    "TITLE": "Greenhouse kit",
    "CATEGORY_ID": "3",
    "STAGE_ID": "C3:UC_7KQ2AB",
    "STAGE_SEMANTIC_ID": "P",
    "OPPORTUNITY": "184500.50",
    "CURRENCY_ID": "RUB",
    "COMPANY_ID": "0",
    "CONTACT_ID": "912",
    "ASSIGNED_BY_ID": "7",
    "DATE_CREATE": "2026-03-02T10:11:12+03:00",
    "DATE_MODIFY": "2026-03-05T09:00:00+03:00",
    "MOVED_TIME": "2026-03-04T18:30:00+03:00",
    "CLOSEDATE": "2026-03-09T03:00:00+03:00",
    "CLOSED": "N",
    "IS_RECURRING": "N",
    "LEAD_ID": "77",
    "SOURCE_ID": "WEB",
    "UF_CRM_1": ["45", "46"],
    "UF_CRM_2": False,
    "UF_CRM_3": "1500.00|RUB",
    "UF_CRM_4": "2026-03-08T19:00:00-05:00",
}
STATUSES: dict[str, Any] = {
    "1": {"ENTITY_ID": "SOURCE", "STATUS_ID": "WEB", "NAME": "Сайт"},
    "2": {"ENTITY_ID": "DEAL_STAGE_3", "STATUS_ID": "C3:LOSE", "NAME": "Дорого"},
}
FIELDS: dict[str, Any] = {
    "UF_CRM_1": {"type": "enumeration", "formLabel": "Договор", "items": [{"ID": "45", "VALUE": "Д-45"}]},
    "UF_CRM_2": {"type": "string", "formLabel": "Счёт"},
    "UF_CRM_3": {"type": "money", "listLabel": "Заказ"},
    "UF_CRM_4": {"type": "date", "title": "День"},
}


def micros(text: str) -> int:
    return to_micros(datetime.fromisoformat(text))


def map_deal(names: dict[str, str] | None = None, **changes: Any) -> Any:
    return map_payload(
        mapping.map_deal,
        {**DEAL, **changes},
        settings={"fields": FieldNames(**(names or {}))},
        dictionaries={"statuses": STATUSES, "deal_fields": FIELDS},
    )


def test_deal_in_work() -> None:
    rows = map_deal()
    row = only_row(rows, "core.deals")
    assert (row["deal_id"], row["pipeline_id"], row["stage_id"], row["owner_id"]) == ("501", "3", "C3:UC_7KQ2AB", "7")
    assert (row["amount"], row["currency"], row["company_id"]) == (Decimal("184500.50"), "RUB", None)
    assert row["created_at"] == micros("2026-03-02T07:11:12+00:00")
    assert row["lead_source"] == "Сайт"
    assert row["url"] == "https://example.bitrix24.ru/crm/deal/details/501/"
    assert row["lead_id"] == "77"
    # Its only contact here is the first one: all of them come by another list.
    assert rows_of(rows, "core.deal_contacts") == []


def test_plan_date_is_never_the_closing_time() -> None:
    """CLOSEDATE is edited by anybody; a closed deal closed with its last move, an open one has not closed at all."""
    assert only_row(map_deal(), "core.deals")["closed_at"] is None
    closed = only_row(map_deal(CLOSED="Y", STAGE_SEMANTIC_ID="S", STAGE_ID="C3:WON"), "core.deals")
    assert closed["closed_at"] == micros("2026-03-04T15:30:00+00:00")


def test_the_first_pipeline_has_number_zero() -> None:
    assert only_row(map_deal(CATEGORY_ID="0"), "core.deals")["pipeline_id"] == "0"
    assert only_row(map_deal(CATEGORY_ID=0), "core.deals")["pipeline_id"] == "0"


def test_a_losing_stage_is_the_reason_unless_a_field_tells_it() -> None:
    lost: dict[str, Any] = {"STAGE_ID": "C3:LOSE", "STAGE_SEMANTIC_ID": "F", "CLOSED": "Y"}
    assert only_row(map_deal(**lost), "core.deals")["loss_reason"] == "Дорого"
    named = only_row(map_deal({"loss_reason": "Договор"}, **lost), "core.deals")
    assert named["loss_reason"] == "Д-45"


def test_configured_fields_are_found_by_label_and_by_code_in_every_shape() -> None:
    names = {"contract_number": "договор", "invoice_number": "Счёт", "order_id": "UF_CRM_3", "tax_id": "День"}
    row = only_row(map_deal(names), "core.deals")
    assert (row["contract_number"], row["invoice_number"]) == ("Д-45", None)
    assert (row["order_id"], row["tax_id"]) == ("1500.00", "2026-03-09")


def test_the_template_of_a_recurring_deal_is_no_deal() -> None:
    assert map_deal(IS_RECURRING="Y").rows == {}


def test_an_amount_that_is_no_amount_is_a_reject_with_its_place() -> None:
    with pytest.raises(BadRecord) as caught:
        map_deal(OPPORTUNITY={"amount": 1})
    assert (caught.value.code, caught.value.path) == ("wrong_type", "$.OPPORTUNITY")
    with pytest.raises(BadRecord) as caught:
        map_deal(OPPORTUNITY="much")
    assert (caught.value.code, caught.value.path) == ("no_amount", "$.OPPORTUNITY")


@pytest.mark.parametrize(
    ("wire", "day"),
    [
        ("2026-03-09T03:00:00+03:00", date(2026, 3, 9)),
        ("2026-03-08T19:00:00-05:00", date(2026, 3, 9)),
        ("2026-07-10T01:00:00+02:00", date(2026, 7, 10)),
        ("2026-03-09T00:00:00+03:00", date(2026, 3, 9)),
        ("2018-07-14T00:00:00+00:00", date(2018, 7, 14)),
        ("", None),
        (None, None),
    ],
)
def test_a_day_is_the_servers_day_on_any_server(wire: str | None, day: date | None) -> None:
    assert as_day(wire, "$.X") == day


def test_empty_values_in_all_their_forms_are_none() -> None:
    assert [as_link(value) for value in ("", None, "0", 0, False, "501", 501)] == [None] * 5 + ["501", "501"]
    flags = [as_flag(value) for value in ("Y", "1", 1, True, "N", "0", 0, False, "", None)]
    assert flags == [True] * 4 + [False] * 4 + [None] * 2
    raws = [msgspec.Raw(text) for text in (b'""', b"null", b"false", b"184500.5", b'"15000.00"', b"15000")]
    assert [as_money(raw, "$.S") for raw in raws] == [None] * 3 + [Decimal("184500.50")] + [Decimal("15000.00")] * 2


def test_a_time_without_an_offset_is_refused_not_guessed() -> None:
    with pytest.raises(BadRecord) as caught:
        map_deal(DATE_CREATE="2026-03-02 10:11:12")
    assert caught.value.code == "bad_time"


def test_contact_with_phones_mails_and_without() -> None:
    contact = {
        "ID": "912",
        "NAME": "Иван",
        "LAST_NAME": "Соколов",
        "COMPANY_ID": "31",
        "DATE_MODIFY": "2026-03-02T10:11:13+03:00",
        "PHONE": [{"VALUE": "8 (999) 000-11-22"}, {"VALUE": "+79990001122"}, {"VALUE": "нет"}],
        "EMAIL": [{"VALUE": "Ivan@Example.org"}],
    }
    rows = map_payload(mapping.map_contact, contact)
    row = only_row(rows, "core.contacts")
    assert (row["name"], row["phones"], row["emails"]) == ("Иван Соколов", ["+79990001122"], ["ivan@example.org"])
    assert only_row(rows, "core.contact_phones")["first_seen_at"] == micros("2026-03-02T07:11:13+00:00")
    bare = only_row(map_payload(mapping.map_contact, {"ID": "1"}), "core.contacts")
    assert (bare["phones"], bare["emails"], bare["company_id"]) == ([], [], None)


def test_own_company_is_no_customer() -> None:
    company = {"ID": "31", "TITLE": "ООО", "IS_MY_COMPANY": "N", "PHONE": False}
    assert only_row(map_payload(mapping.map_company, company), "core.companies")["name"] == "ООО"
    assert map_payload(mapping.map_company, {**company, "IS_MY_COMPANY": "Y"}).rows == {}


def test_user_with_objects_where_texts_belong_and_without_most_keys() -> None:
    user = {
        "ID": "7",
        "ACTIVE": False,
        "NAME": "Olga",
        "EMAIL": "O@example.org",
        "UF_PHONE_INNER": "107",
        "TIMESTAMP_X": {},
        "UF_DEPARTMENT": False,
    }
    row = only_row(map_payload(mapping.map_user, user), "core.users")
    assert (row["external_id"], row["extension"], row["is_active"]) == ("7", "107", False)
    assert only_row(map_payload(mapping.map_user, {"ID": 3}), "core.users")["is_active"] is True


def test_stages_of_a_pipeline_with_what_the_portal_says_they_mean() -> None:
    pipeline = {
        "category": {"id": 0, "name": "Общая"},
        "stages": [
            {"STATUS_ID": "NEW", "NAME": "Новая", "SORT": "10", "SEMANTICS": None, "EXTRA": []},
            {"STATUS_ID": "WON", "NAME": "Успех", "SORT": 60, "SEMANTICS": "S", "EXTRA": {"SEMANTICS": "success"}},
            {"STATUS_ID": "APOLOGY", "NAME": "Отказ", "SORT": "70", "SEMANTICS": "", "EXTRA": {"SEMANTICS": "apology"}},
        ],
    }
    rows = rows_of(map_payload(mapping.map_pipeline, pipeline), "core.pipeline_stages")
    told = [(row["pipeline_id"], row["stage_id"], row["position"], row["system_kind"]) for row in rows]
    assert told == [("0", "NEW", 10, None), ("0", "WON", 60, "won"), ("0", "APOLOGY", 70, "lost")]


@pytest.mark.parametrize(("kind", "event"), [(1, "created"), ("2", "stage"), (3, "stage"), ("5", "stage")])
def test_stage_history_with_text_and_number_ids(kind: Any, event: str) -> None:
    entry = {
        "ID": 90211,
        "TYPE_ID": kind,
        "OWNER_ID": "501",
        "CREATED_TIME": "2026-03-11T16:05:00+03:00",
        "CATEGORY_ID": "3",
        "STAGE_ID": "C3:WON",
    }
    row = only_row(map_payload(mapping_log.map_stage_entry, entry, record_id="90211"), "core.deal_events")
    assert (row["event_type"], row["deal_id"], row["pipeline_id"], row["stage_id"]) == (event, "501", "3", "C3:WON")
    assert row["occurred_at"] == micros("2026-03-11T13:05:00+00:00")
    assert row["precision"] == "log"


def test_a_new_kind_of_history_entry_is_a_reject() -> None:
    with pytest.raises(BadRecord, match="unknown kind 9"):
        map_payload(mapping_log.map_stage_entry, {"ID": 1, "TYPE_ID": 9, "OWNER_ID": 1, "CREATED_TIME": ""})


ACTIVITY: dict[str, Any] = {
    "ID": "6001",
    "OWNER_ID": "501",
    "OWNER_TYPE_ID": "2",
    "TYPE_ID": "2",
    "PROVIDER_ID": "VOXIMPLANT_CALL",
    "CREATED": "2026-03-03T12:00:00+03:00",
    "LAST_UPDATED": "2026-03-03T12:04:00+03:00",
    "START_TIME": "2026-03-03T12:00:00+03:00",
    "END_TIME": "2026-03-03T12:03:10+03:00",
    "DEADLINE": "",
    "COMPLETED": "Y",
    "DIRECTION": "2",
    "RESPONSIBLE_ID": "7",
    "ORIGIN_ID": "VI_externalCall.0a1b.1774000000",
    "SETTINGS": [],
    "COMMUNICATIONS": [{"TYPE": "PHONE", "VALUE": "89990001122", "ENTITY_ID": "912", "ENTITY_TYPE_ID": "3"}],
}


def test_call_activity_is_a_note_with_the_telephonys_id() -> None:
    row = only_row(map_payload(mapping_log.map_activity, ACTIVITY, record_id="activity-6001"), "core.activities")
    assert (row["activity_type"], row["deal_id"], row["contact_id"]) == ("call_note", "501", "912")
    assert (row["duration_seconds"], row["phone"], row["direction"]) == (190, "+79990001122", "out")
    assert row["call_id"] == "externalCall.0a1b.1774000000"


def test_done_task_happened_no_later_than_the_change_that_shows_it() -> None:
    task = {**ACTIVITY, "TYPE_ID": 6, "PROVIDER_ID": "CRM_TODO", "DEADLINE": "2026-03-05T12:00:00+03:00"}
    row = only_row(map_payload(mapping_log.map_activity, task), "core.activities")
    assert (row["activity_type"], row["occurred_at"]) == ("task", micros("2026-03-03T12:04:00+03:00"))
    waiting = only_row(map_payload(mapping_log.map_activity, {**task, "COMPLETED": "N"}), "core.activities")
    assert waiting["occurred_at"] == micros("2026-03-05T12:00:00+03:00")
    never = {**task, "COMPLETED": "N", "DEADLINE": "9999-12-31T00:00:00+03:00"}
    assert only_row(map_payload(mapping_log.map_activity, never), "core.activities")["occurred_at"] == micros(
        ACTIVITY["END_TIME"]
    )


@pytest.mark.parametrize(("kind", "provider", "told"), [(1, "", "meeting"), (4, "", "email"), (6, "IMOPENLINES", None)])
def test_kinds_of_activities(kind: int, provider: str, told: str | None) -> None:
    rows = map_payload(mapping_log.map_activity, {**ACTIVITY, "TYPE_ID": kind, "PROVIDER_ID": provider})
    assert [row["activity_type"] for row in rows_of(rows, "core.activities")] == ([told] if told else [])


def leg(row_id: int, user: str | None, code: str, talk: int, **changes: Any) -> dict[str, Any]:
    known = {
        "ID": str(row_id),
        "PORTAL_USER_ID": user,
        "PORTAL_NUMBER": "reg90001",
        "PHONE_NUMBER": "+79990001122",
        "CALL_TYPE": "2",
        "CALL_DURATION": str(talk),
        "CALL_START_DATE": "2026-03-03T12:00:00+03:00",
        "CALL_FAILED_CODE": code,
    }
    return {**known, **changes}


def test_a_call_of_several_rows_is_one_conversation_of_who_talked_longest() -> None:
    call = {"call_id": "c1", "rows": [leg(1, "7", "304", 0), leg(2, "8", "200", 40), leg(3, "9", "200", 190)]}
    rows = map_payload(mapping_log.map_call, call)
    row = only_row(rows, "core.calls")
    assert (row["user_id"], row["extension"], row["talk_seconds"], row["is_answered"]) == ("9", "9", 190, True)
    assert (row["direction"], row["external_number"], row["leg_count"]) == ("in", "+79990001122", 3)
    assert [found["talk_seconds"] for found in rows_of(rows, "core.call_legs")] == [0, 40, 190]


def test_missed_call_of_several_employees_is_one_call_nobody_held() -> None:
    """Three rows as three missed calls would triple the missed ones."""
    call = {"call_id": "c1", "rows": [leg(1, "7", "304", 0), leg(2, "8", "304", 0)]}
    row = only_row(map_payload(mapping_log.map_call, call), "core.calls")
    assert (row["is_answered"], row["user_id"], row["talk_seconds"]) == (False, None, 0)
    menu = {"call_id": "c2", "rows": [leg(1, None, "304", 0, PHONE_NUMBER="anonymous")]}
    row = only_row(map_payload(mapping_log.map_call, menu), "core.calls")
    assert (row["external_number"], row["external_number_raw"], row["leg_count"]) == (None, "anonymous", 0)


@pytest.mark.parametrize(("kind", "direction"), [(1, "out"), ("2", "in"), (3, "in"), (4, "out"), (5, "out")])
def test_direction_of_a_call(kind: Any, direction: str) -> None:
    call = {"call_id": "c", "rows": [leg(1, "7", "200", 5, CALL_TYPE=kind)]}
    assert only_row(map_payload(mapping_log.map_call, call), "core.calls")["direction"] == direction


def test_quote_is_an_offer_and_a_draft_is_not_yet_made() -> None:
    quote = {"ID": "5", "STATUS_ID": "SENT", "DEAL_ID": "501", "DATE_CREATE": "2026-03-03T12:00:00+03:00"}
    row = only_row(map_payload(mapping_log.map_quote, quote, record_id="quote-5"), "core.activities")
    assert (row["activity_id"], row["activity_type"], row["deal_id"], row["is_completed"]) == (
        "quote-5",
        "offer",
        "501",
        True,
    )
    draft = map_payload(mapping_log.map_quote, {**quote, "STATUS_ID": "DRAFT"})
    assert only_row(draft, "core.activities")["is_completed"] is False
