"""What stands beside the deals: their contacts, leads, invoices, payment marks, histories of other records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from bitrix24_office import NOW, Office, deal, empty_world, ids_of, map_payload, only_row, position_of, rows_of

from base.times import to_micros
from connectors.bitrix24 import mapping, mapping_cards, mapping_log
from demo.bitrix24 import Bitrix24World, Quirks
from demo.bitrix24.world import Table

OpenPortal = Callable[..., Office]
STATUSES: dict[str, Any] = {
    "1": {"ENTITY_ID": "STATUS", "STATUS_ID": "CONVERTED", "NAME": "Качественный лид", "SEMANTICS": "S"},
    "2": {
        "ENTITY_ID": "SMART_INVOICE_STAGE_5",
        "STATUS_ID": "DT31_5:OURS",
        "NAME": "Оплачен",
        "EXTRA": {"SEMANTICS": "success"},
    },
    "3": {"ENTITY_ID": "SMART_INVOICE_STAGE_5", "STATUS_ID": "DT31_5:P", "NAME": "Проверка", "EXTRA": []},
}


# ── contacts of deals ───────────────────────────────────────────────────────────────────────────────────────────


def links(payload: Any) -> list[tuple[str, bool]]:
    rows = rows_of(map_payload(mapping.map_deal_contacts, payload), "core.deal_contacts")
    return [(row["contact_id"], row["is_main"]) for row in rows]


def test_all_contacts_of_a_deal_are_linked_and_the_first_is_the_main_one() -> None:
    """The classic list names one: calls with the deal's other contacts would belong to nobody."""
    assert links({"id": 5, "contactId": 912, "contactIds": [31, 912, 44]}) == [
        ("912", True),
        ("31", False),
        ("44", False),
    ]
    assert links({"id": 5, "contactId": 0, "contactIds": []}) == []
    assert links({"id": 5, "contactId": None, "contactIds": ["7"]}) == [("7", True)]
    assert links({"ID": "5", "CONTACT_ID": "9", "DATE_MODIFY": ""}) == [("9", True)]


def test_a_box_without_universal_methods_gives_the_first_contacts(open_portal: OpenPortal) -> None:
    world = empty_world()
    for number in range(1, 61):
        deal(world, number, CONTACT_ID=str(1000 + number), CONTACT_IDS=[1000 + number, 1])
    office = open_portal(world, quirks=Quirks(missing_methods=frozenset({"crm.item.list"})))
    pages = office.read("deal_contacts")
    assert sorted(map(int, ids_of(pages))) == list(range(1, 61))
    assert b'"CONTACT_ID":"10' in pages[0].payloads[0]
    modern = open_portal(world).read("deal_contacts")
    assert msgspec.json.decode(modern[0].payloads[0])["contactIds"] == [1001, 1]


# ── leads ───────────────────────────────────────────────────────────────────────────────────────────────────────


LEAD: dict[str, Any] = {
    "ID": "501",
    "TITLE": "Заявка",
    "STATUS_ID": "CONVERTED",
    "STATUS_SEMANTIC_ID": "S",
    "OPPORTUNITY": "0.00",
    "CURRENCY_ID": "RUR",
    "NAME": "Иван",
    "LAST_NAME": None,
    "CONTACT_ID": "912",
    "COMPANY_ID": "0",
    "DATE_CREATE": "2026-03-01T21:00:00+03:00",
    "DATE_CLOSED": "2026-03-02T10:11:12+03:00",
    "PHONE": [{"VALUE": "8 999 000 11 22"}],
    "EMAIL": False,
}


def map_lead(**changes: Any) -> dict[str, Any]:
    rows = map_payload(mapping_cards.map_lead, {**LEAD, **changes}, dictionaries={"statuses": STATUSES})
    # A lead among the deals would count one request twice.
    assert rows_of(rows, "core.deals") == []
    return only_row(rows, "core.leads")


def test_lead_with_its_outcome_and_real_closing_time() -> None:
    row = map_lead()
    assert (row["outcome"], row["status"], row["contact_id"], row["company_id"]) == (
        "converted",
        "Качественный лид",
        "912",
        None,
    )
    assert (row["phones"], row["emails"], row["currency"]) == (["+79990001122"], [], "RUB")
    assert row["closed_at"] is not None
    opened = map_lead(STATUS_ID="IN_PROCESS", STATUS_SEMANTIC_ID="P", DATE_CLOSED="")
    assert (opened["outcome"], opened["closed_at"], opened["status"]) == ("open", None, "IN_PROCESS")
    # The portal's own dictionary says what a status means where the record does not.
    assert map_lead(STATUS_SEMANTIC_ID=None)["outcome"] == "converted"


def test_portal_without_leads_or_quotes_is_whole(open_portal: OpenPortal) -> None:
    """In the simple CRM mode leads are off; on an old box the method is not there."""
    office = open_portal(empty_world(), quirks=Quirks(missing_methods=frozenset({"crm.quote.list", "crm.lead.list"})))
    assert ids_of(office.read("leads")) == []
    assert ids_of(office.read("quotes")) == []


# ── histories of other records ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("record_id", "entry", "told"),
    [
        ("lead-7", {"STATUS_ID": "JUNK", "STATUS_SEMANTIC_ID": "F", "TYPE_ID": "3"}, ("lead", None, "JUNK", "lost")),
        (
            "invoice-7",
            {"STAGE_ID": "DT31_5:P", "STAGE_SEMANTIC_ID": "S", "CATEGORY_ID": 5},
            ("invoice", "5", "DT31_5:P", "won"),
        ),
        (
            "process-156-7",
            {"STAGE_ID": "DT156_9:NEW", "STAGE_SEMANTIC_ID": "P"},
            ("process-156", None, "DT156_9:NEW", "open"),
        ),
    ],
)
def test_history_of_a_record_that_is_no_deal(record_id: str, entry: dict[str, Any], told: tuple[Any, ...]) -> None:
    """An entry does not say whose kind it is: without the prefix a lead's history would be a deal's."""
    known = {"ID": 7, "TYPE_ID": 2, "OWNER_ID": 501, "CREATED_TIME": "2026-03-11T16:05:00+03:00"}
    row = only_row(
        map_payload(mapping_log.map_record_event, {**known, **entry}, record_id=record_id), "core.record_events"
    )
    assert (row["record_type"], row["pipeline_id"], row["stage_id"], row["outcome"]) == told
    assert (row["record_id"], row["event_id"]) == ("501", record_id)


def with_processes(*types: int) -> Bitrix24World:
    world = empty_world()
    for number, entity_type in enumerate(types, 1):
        stages = {"isStagesEnabled": "Y" if entity_type != 158 else "N"}
        world.add("types", {"id": number, "entityTypeId": entity_type, "title": "Проекты", **stages})
        world.tables[f"history_{entity_type}"] = Table()
    return world


def add_entry(world: Bitrix24World, entity_type: int, entry_id: int) -> None:
    stamp = world.stamp(NOW - timedelta(minutes=entry_id))
    entry = {"ID": entry_id, "TYPE_ID": 2, "OWNER_ID": 1, "CREATED_TIME": stamp, "STAGE_ID": "X"}
    world.tables[f"history_{entity_type}"].put(entry_id, entry)


def test_each_kind_of_records_keeps_its_own_place_in_its_history(open_portal: OpenPortal) -> None:
    """Ids of two histories overlap: one position for both would skip the shorter one, or mix their entries."""
    world = with_processes(156, 158)
    world.add("invoices", {"id": 1, "categoryId": 5, "updatedTime": world.stamp(NOW)})
    world.enter_record("invoices", 1, "DT31_5:N", "P", NOW, is_new=True)
    for number in range(1, 4):
        add_entry(world, 156, number)
    office = open_portal(world)
    pages = office.read("process_history")
    assert sorted(ids_of(pages)) == ["invoice-1", "process-156-1", "process-156-2", "process-156-3"]
    position = position_of(pages)
    assert position == {"kinds": {"invoice-": {"id": 1}, "process-156-": {"id": 3}}}
    add_entry(world, 156, 700)
    world.add("types", {"id": 9, "entityTypeId": 160, "isStagesEnabled": "Y"})
    world.tables["history_160"] = Table()
    add_entry(world, 160, 1)
    assert {"process-156-700", "process-160-1"} <= set(ids_of(office.read("process_history", position=position)))


def test_a_portal_that_hides_its_kinds_still_gives_the_invoices_history(open_portal: OpenPortal) -> None:
    world = with_processes(156)
    world.add("invoices", {"id": 1, "categoryId": 5, "updatedTime": world.stamp(NOW)})
    world.enter_record("invoices", 1, "DT31_5:N", "P", NOW, is_new=True)
    office = open_portal(world)
    office.server.fail_command = lambda method: ("ACCESS_DENIED", "no") if method == "crm.type.list" else None
    assert ids_of(office.read("process_history")) == ["invoice-1"]


# ── invoices ────────────────────────────────────────────────────────────────────────────────────────────────────


INVOICE: dict[str, Any] = {
    "id": 14,
    "accountNumber": "2026-014",
    "title": "Счёт 14",
    "stageId": "DT31_5:OURS",
    "categoryId": 5,
    "opportunity": 184500.5,
    "taxValue": 30750.08,
    "currencyId": "RUB",
    "parentId2": 501,
    "companyId": 31,
    "contactId": 0,
    "begindate": "2026-03-05T03:00:00+03:00",
    "closedate": "2026-03-11T19:00:00-05:00",
    "movedTime": "2026-03-11T16:04:00+03:00",
    "createdTime": "2026-03-05T11:00:00+03:00",
    "updatedTime": "2026-03-11T16:04:00+03:00",
}


def map_invoice(**changes: Any) -> dict[str, Any]:
    rows = map_payload(mapping_cards.map_invoice, {**INVOICE, **changes}, dictionaries={"statuses": STATUSES})
    # What a manager can edit must never decide what is due.
    assert {into.relation for into in rows.rows} == {"core.invoices"}
    return only_row(rows, "core.invoices")


def test_invoice_is_paid_by_the_portals_dictionary_not_by_a_code_known_by_heart() -> None:
    row = map_invoice()
    assert (row["is_paid"], row["status"], row["paid_at"] is not None) == (True, "Оплачен", True)
    # Here `:P` means "being checked".
    checked = map_invoice(stageId="DT31_5:P")
    assert (checked["is_paid"], checked["status"], checked["paid_at"]) == (False, "Проверка", None)


def test_invoice_with_its_number_days_and_deal() -> None:
    row = map_invoice()
    assert (row["number"], row["deal_source"], row["deal_id"], row["contact_id"]) == ("2026-014", "b24", "501", None)
    assert (row["amount"], row["tax_amount"]) == (Decimal("184500.50"), Decimal("30750.08"))
    # Days are written as the server's midnight of another zone.
    assert (row["issued_on"], row["due_on"]) == (date(2026, 3, 5), date(2026, 3, 12))
    alone = map_invoice(parentId2=None)
    assert (alone["deal_source"], alone["deal_id"]) == (None, None)


def test_invoices_are_read_by_the_universal_method(open_portal: OpenPortal) -> None:
    """Item methods refuse what classic ones drop: ids in lower case, and a reference that leads nowhere."""
    world = empty_world()
    for number in range(1, 131):
        stamp = world.stamp(NOW - timedelta(days=1))
        world.add("invoices", {"id": number, "accountNumber": str(number), "updatedTime": stamp, "parentId2": 1})
    assert sorted(map(int, ids_of(open_portal(world).read("invoices")))) == list(range(1, 131))


# ── payment marks ───────────────────────────────────────────────────────────────────────────────────────────────


def add_payment(world: Bitrix24World, number: int, *, days_ago: int, paid: bool = True, **changes: Any) -> None:
    stamp = world.stamp(NOW - timedelta(days=days_ago))
    known = {"id": number, "orderId": 500 + number, "paid": "Y" if paid else "N", "sum": 100.5, "currency": "RUB"}
    world.add("payments", {**known, "dateBill": stamp, "datePaid": stamp if paid else None, **changes})


def test_payment_mark_with_the_deal_and_invoice_of_its_order(open_portal: OpenPortal) -> None:
    world = empty_world()
    for number in range(1, 131):
        add_payment(world, number, days_ago=1)
        world.add("order_links", {"orderId": 500 + number, "ownerId": 9000 + number, "ownerTypeId": 2})
        world.add("order_links", {"orderId": 500 + number, "ownerId": 40 + number, "ownerTypeId": 31})
    pages = open_portal(world).read("payments")
    payloads = {
        key: msgspec.json.decode(raw) for page in pages for key, raw in zip(page.ids, page.payloads, strict=True)
    }
    assert sorted(map(int, payloads)) == list(range(1, 131))
    for number in (1, 25, 26, 130):
        row = only_row(map_payload(mapping_cards.map_payment, payloads[str(number)]), "core.crm_payments")
        assert (row["deal_source"], row["deal_id"], row["invoice_id"]) == ("b24", str(9000 + number), str(40 + number))
        assert (row["amount"], row["is_paid"]) == (Decimal("100.50"), True)


def test_a_return_is_negative_and_a_mark_without_an_order_stands_alone() -> None:
    payment = {"id": 204, "sum": 50, "currency": "RUB", "paid": "Y", "isReturn": "Y", "datePaid": None}
    rows = map_payload(mapping_cards.map_payment, {"payment": payment, "owners": []})
    row = only_row(rows, "core.crm_payments")
    assert (row["amount"], row["is_return"], row["deal_id"], row["deal_source"]) == (
        Decimal("-50.00"),
        True,
        None,
        None,
    )
    assert {into.relation for into in rows.rows} == {"core.crm_payments"}


def test_a_bill_marked_paid_long_after_it_was_made_is_met(open_portal: OpenPortal) -> None:
    """The list has no time of change: by the day of the bill alone the mark would be seen a day late or never."""
    world = empty_world()
    add_payment(world, 1, days_ago=40, paid=False)
    office = open_portal(world)
    position = position_of(office.read("payments"))
    office.clock.advance(3600)
    world.edit("payments", 1, None, paid="Y", datePaid=world.stamp(office.clock.now()))
    add_payment(world, 2, days_ago=-1, paid=False, dateBill=world.stamp(office.clock.now()))
    before = len(office.server.requests)
    assert sorted(ids_of(office.read("payments", position=position))) == ["1", "2"]
    assert len(office.server.requests) - before <= 4


def test_a_mark_taken_back_is_met_by_the_daily_sweep(open_portal: OpenPortal) -> None:
    world = empty_world()
    add_payment(world, 1, days_ago=40)
    add_payment(world, 2, days_ago=40)
    office = open_portal(world)
    position = position_of(office.read("payments"))
    world.edit("payments", 1, None, paid="N", datePaid=None)
    world.delete("payments", 2)
    office.clock.advance(3600)
    assert ids_of(office.read("payments", position=position)) == []
    office.clock.advance(86_400)
    [page] = office.read("payments", position=position)
    assert (page.ids, page.living, page.is_whole) == (["1"], ["1"], True)
    assert msgspec.json.decode(page.payloads[0])["payment"]["paid"] == "N"


@pytest.mark.parametrize(
    "stream", ["payments", "deal_contacts", "leads", "lead_history", "invoices", "process_history"]
)
def test_a_window_by_hand_leaves_the_position_alone(open_portal: OpenPortal, stream: str) -> None:
    """`--from`/`--to` mend a hole in the past: the next run must begin where the last one ended."""
    world = empty_world()
    for number, days_ago in ((1, 9), (2, 5), (3, 1)):
        at = NOW - timedelta(days=days_ago)
        deal(world, number, at)
        add_payment(world, number, days_ago=days_ago)
        world.add("leads", {"ID": str(number), "STATUS_ID": "NEW", "DATE_MODIFY": world.stamp(at)})
        world.add("invoices", {"id": number, "stageId": "N", "categoryId": 5, "updatedTime": world.stamp(at)})
        world.enter_record("leads", number, "NEW", "P", at, is_new=True)
        world.enter_record("invoices", number, "N", "P", at, is_new=True)
    office = open_portal(world)
    pages = office.read(stream, window=True, start=NOW - timedelta(days=6), end=NOW - timedelta(days=4))
    assert [record_id.rpartition("-")[2] for record_id in ids_of(pages)] == ["2"]
    assert position_of(pages) is None


def test_portal_without_a_shop_has_no_marks(open_portal: OpenPortal) -> None:
    office = open_portal(empty_world(), quirks=Quirks(scopes=frozenset({"crm", "user"})))
    assert ids_of(office.read("payments")) == []


# ── departments ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_user_stands_in_the_first_of_his_departments() -> None:
    """What a person's team is drafted from; people from outside have `false` for a list."""
    departments = {"5": {"ID": "5", "NAME": "Москва"}}
    user = {"ID": "7", "NAME": "Ольга", "UF_DEPARTMENT": [5, 8]}
    row = only_row(map_payload(mapping.map_user, user, dictionaries={"departments": departments}), "core.users")
    assert row["department"] == "Москва"
    for outside in (False, [], None, [99]):
        rows = map_payload(
            mapping.map_user, {**user, "UF_DEPARTMENT": outside}, dictionaries={"departments": departments}
        )
        assert only_row(rows, "core.users")["department"] is None


def test_times_of_the_log_are_instants() -> None:
    entry = {"ID": 1, "TYPE_ID": 1, "OWNER_ID": "5", "CREATED_TIME": "2026-03-11T16:05:00+03:00", "STATUS_ID": "NEW"}
    row = only_row(map_payload(mapping_log.map_record_event, entry, record_id="lead-1"), "core.record_events")
    assert (row["event_type"], row["occurred_at"]) == (
        "created",
        to_micros(NOW.replace(month=3, day=11, hour=13, minute=5)),
    )
