"""A story told as amoCRM would: its deals, people and notes as records and log entries in the vendor's shapes."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from base.times import to_unix
from demo.amocrm.tables import Record
from demo.amocrm.telling_account import (
    BILL_PRICE_FIELD,
    BILL_STATUS_FIELD,
    BILL_STATUSES,
    COMPANY_TAX_FIELD,
    DEAL_TAX_FIELD,
    INVOICE_CATALOG_ID,
    INVOICE_FIELD,
    LOST,
    PHONE_FIELD,
    SYSTEM_SORT,
    loss_reasons,
    open_account,
)
from demo.amocrm.world import AmocrmWorld
from demo.story import CallNote, Deal, Story, Task


def world_from_story(story: Story, *, until: datetime | None = None) -> AmocrmWorld:
    """The account as it stands at `until` (default: the story's present). Equal stories give equal worlds."""
    now = until or story.told_at
    world = open_account(story)
    deals = [deal for deal in story.deals if deal.created_at <= now]
    reasons = loss_reasons(story)
    for deal in deals:
        _tell_deal(world, story, deal, now, reasons)
    _tell_parties(world, deals)
    for note in story.notes:
        if note.created_at <= now:
            _tell_note(world, note)
    for task in story.tasks:
        if task.created_at <= now:
            world.add("tasks", _task(task, now))
    for deal in deals:
        if deal.deleted_at is not None and deal.deleted_at <= now:
            world.delete("leads", deal.deal_id, deal.deleted_at, by=_owner_at(deal, deal.deleted_at))
    return world


# ── deals and people ────────────────────────────────────────────────────────────────────────────────────────────


def _tell_deal(world: AmocrmWorld, story: Story, deal: Deal, now: datetime, reasons: dict[str, Record]) -> None:
    """The lead as it stands at `now`, and its log."""
    world.log("lead_added", "lead", deal.deal_id, deal.created_at, by=deal.owner)
    stage_id, moved_at = _tell_moves(world, story, deal, now)
    changed_at = max(moved_at, _tell_owners(world, deal, now))
    amount, amount_changed_at = _tell_amounts(world, deal, now)
    owner = _owner_at(deal, now)
    reason = reasons[deal.loss_reason] if stage_id == LOST and deal.loss_reason else None
    tax_id = deal.tax_id if deal.company_id is None else None
    world.add(
        "leads",
        {
            "id": deal.deal_id,
            "name": deal.title,
            "price": int(amount),
            "price_with_minor_units": float(amount),
            "responsible_user_id": owner,
            "group_id": 0,
            "status_id": stage_id,
            "pipeline_id": story.pipeline_id,
            "loss_reason_id": reason["id"] if reason else None,
            "source_id": None,
            "created_by": deal.owner,
            "updated_by": owner,
            "created_at": to_unix(deal.created_at),
            "updated_at": to_unix(max(changed_at, amount_changed_at)),
            "closed_at": to_unix(moved_at) if stage_id in SYSTEM_SORT else None,
            "closest_task_at": None,
            "is_deleted": False,
            "custom_fields_values": _fields((INVOICE_FIELD, deal.invoice_number), (DEAL_TAX_FIELD, tax_id)),
            "score": None,
            "labor_cost": None,
            "is_price_computed": False,
            "_embedded": {
                "tags": [],
                "companies": [] if deal.company_id is None else [{"id": deal.company_id}],
                "contacts": [{"id": deal.contact_id, "is_main": True}],
                "loss_reason": [reason] if reason else [],
                "catalog_elements": _tell_invoice(world, deal, amount, amount_changed_at),
            },
        },
    )


def _tell_invoice(world: AmocrmWorld, deal: Deal, amount: Decimal, changed_at: datetime) -> list[Record]:
    """The deal's invoice as an element of the list of invoices; gives the deal's link to it. Its sum follows the
    deal's, and as at the vendor that moves its time of change."""
    if deal.invoice_number is None:
        return []
    option_id, label = BILL_STATUSES["created"]
    status = {"value": label, "enum_id": option_id, "enum_code": "created"}
    values = [
        {"field_id": field_id, "field_name": name, "field_code": code, "field_type": kind, "values": [value]}
        for (field_id, name, code, kind), value in (
            (BILL_STATUS_FIELD, status),
            (BILL_PRICE_FIELD, {"value": str(amount)}),
        )
    ]
    created_at = to_unix(deal.created_at)
    element = {
        "id": deal.deal_id,
        "name": f"Счет № {deal.invoice_number}",
        "created_by": deal.owner,
        "updated_by": deal.owner,
        "created_at": created_at,
        "updated_at": max(created_at, to_unix(changed_at)),
        "is_deleted": None,
        "catalog_id": INVOICE_CATALOG_ID,
        "custom_fields_values": values,
    }
    world.add(f"catalogs/{INVOICE_CATALOG_ID}/elements", element)
    return [{"id": deal.deal_id, "metadata": {"quantity": 1, "catalog_id": INVOICE_CATALOG_ID}}]


def _tell_moves(world: AmocrmWorld, story: Story, deal: Deal, now: datetime) -> tuple[int, datetime]:
    """Writes the stage changes up to `now`; gives the stage then, and when it was entered."""
    stage_id, moved_at = deal.first_stage_id, deal.created_at
    for move in sorted(deal.moves, key=lambda move: move.moved_at):
        if move.moved_at > now:
            break
        by = _owner_at(deal, move.moved_at) if move.by is None else move.by
        before = {"lead_status": {"id": stage_id, "pipeline_id": story.pipeline_id}}
        after = {"lead_status": {"id": move.stage_id, "pipeline_id": story.pipeline_id}}
        world.log("lead_status_changed", "lead", deal.deal_id, move.moved_at, by=by, before=before, after=after)
        stage_id, moved_at = move.stage_id, move.moved_at
    return stage_id, moved_at


def _tell_owners(world: AmocrmWorld, deal: Deal, now: datetime) -> datetime:
    owner, changed_at = deal.owner, deal.created_at
    for change in sorted(deal.owner_changes, key=lambda change: change.changed_at):
        if change.changed_at > now:
            break
        before, after = {"responsible_user": {"id": owner}}, {"responsible_user": {"id": change.user_id}}
        world.log(
            "entity_responsible_changed",
            "lead",
            deal.deal_id,
            change.changed_at,
            by=owner,
            before=before,
            after=after,
        )
        owner, changed_at = change.user_id, change.changed_at
    return changed_at


def _tell_amounts(world: AmocrmWorld, deal: Deal, now: datetime) -> tuple[Decimal, datetime]:
    amount, changed_at = deal.amount, deal.created_at
    for change in sorted(deal.amount_changes, key=lambda change: change.changed_at):
        if change.changed_at > now:
            break
        by = _owner_at(deal, change.changed_at)
        before, after = _sale(amount), _sale(change.amount)
        world.log("sale_field_changed", "lead", deal.deal_id, change.changed_at, by=by, before=before, after=after)
        amount, changed_at = change.amount, change.changed_at
    return amount, changed_at


def _tell_parties(world: AmocrmWorld, deals: list[Deal]) -> None:
    """Contacts and companies of the deals; a contact's phones are those of all its deals."""
    by_contact: dict[int, list[Deal]] = defaultdict(list)
    by_company: dict[int, list[Deal]] = defaultdict(list)
    for deal in sorted(deals, key=lambda deal: (deal.created_at, deal.deal_id)):
        by_contact[deal.contact_id].append(deal)
        if deal.company_id is not None:
            by_company[deal.company_id].append(deal)
    for contact_id, own in by_contact.items():
        world.log("contact_added", "contact", contact_id, own[0].created_at, by=own[0].owner)
        phones = list(dict.fromkeys(deal.phone for deal in own if deal.phone))
        companies = list(dict.fromkeys(deal.company_id for deal in own if deal.company_id is not None))
        party = _party(contact_id, own, _fields((PHONE_FIELD, phones)))
        given, _, family = own[0].customer.partition(" ")
        links = {"tags": [], "companies": [{"id": company_id} for company_id in companies[:1]]}
        names = {"first_name": given, "last_name": family, "is_unsorted": False}
        world.add("contacts", {**party, **names, "_embedded": links})
    for company_id, own in by_company.items():
        tax_id = next((deal.tax_id for deal in own if deal.tax_id), None)
        party = _party(company_id, own, _fields((COMPANY_TAX_FIELD, tax_id)))
        world.add("companies", {**party, "_embedded": {"tags": []}})


def _party(record_id: int, deals: list[Deal], fields: list[Record] | None) -> Record:
    return {
        "id": record_id,
        "name": deals[0].customer,
        "responsible_user_id": deals[0].owner,
        "group_id": 0,
        "created_by": deals[0].owner,
        "updated_by": deals[0].owner,
        "created_at": to_unix(deals[0].created_at),
        "updated_at": to_unix(deals[0].created_at),
        "closest_task_at": None,
        "is_deleted": False,
        "custom_fields_values": fields,
    }


def _tell_note(world: AmocrmWorld, note: CallNote) -> None:
    event_type = "incoming_call" if note.direction == "in" else "outgoing_call"
    after = {"note": {"id": note.note_id}}
    world.log(event_type, "contact", note.contact_id, note.created_at, by=note.user_id, after=after)
    params: Record = {
        "duration": note.duration,
        "source": "mango" if note.call_id else None,
        "link": "",
        "phone": note.phone,
        "call_result": None,
        "call_status": 4 if note.duration else 6,
        "call_responsible": note.user_id,
    }
    if note.call_id:
        params["uniq"] = note.call_id
    world.add(
        "contacts/notes",
        {
            "id": note.note_id,
            "entity_id": note.contact_id,
            "created_by": note.user_id,
            "updated_by": note.user_id,
            "created_at": to_unix(note.created_at),
            "updated_at": to_unix(note.created_at),
            "responsible_user_id": note.user_id,
            "group_id": 0,
            "note_type": f"call_{note.direction}",
            "params": params,
        },
    )


def _task(task: Task, now: datetime) -> Record:
    is_completed = task.completed_at is not None and task.completed_at <= now
    changed_at = task.completed_at if is_completed and task.completed_at else task.created_at
    return {
        "id": task.task_id,
        "created_by": task.user_id,
        "updated_by": task.user_id,
        "created_at": to_unix(task.created_at),
        "updated_at": to_unix(changed_at),
        "responsible_user_id": task.user_id,
        "group_id": 0,
        "entity_id": task.deal_id,
        "entity_type": "leads",
        "duration": 3600 if task.is_meeting else 0,
        "is_completed": is_completed,
        "task_type_id": 2 if task.is_meeting else 1,
        "text": "Встреча" if task.is_meeting else "Связаться с клиентом",
        "result": {"text": "Выполнено"} if is_completed else [],
        "complete_till": to_unix(task.due_at),
    }


def _owner_at(deal: Deal, moment: datetime) -> int:
    owner = deal.owner
    for change in sorted(deal.owner_changes, key=lambda change: change.changed_at):
        if change.changed_at <= moment:
            owner = change.user_id
    return owner


def _sale(amount: Decimal) -> Record:
    return {"sale_field_value": {"sale": int(amount) if amount == int(amount) else float(amount)}}


def _fields(*filled: tuple[tuple[int, str, str | None, str], Any]) -> list[Record] | None:
    """Custom fields of a record; empty ones are absent, and none at all is null."""
    found: list[Record] = []
    for (field_id, name, code, kind), value in filled:
        values = value if isinstance(value, list) else [value]
        if not value:
            continue
        work = {"enum_id": 1001, "enum_code": "WORK"} if kind == "multitext" else {}
        found.append(
            {
                "field_id": field_id,
                "field_name": name,
                "field_code": code,
                "field_type": kind,
                "values": [{"value": item, **work} for item in values],
            }
        )
    return found or None
