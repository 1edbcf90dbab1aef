"""A story told as a Bitrix24 portal would: the present state, and of the past only the stage history."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from demo.bitrix24.telling_cards import tell_invoices, tell_leads, tell_payments
from demo.bitrix24.telling_portal import SEMANTICS, open_portal, stage_code
from demo.bitrix24.world import Bitrix24World, Record
from demo.story import Call, CallNote, Deal, Leg, Story, Task

INVOICE_FIELD, TAX_FIELD = "UF_CRM_INVOICE", "UF_CRM_TAX_ID"
ANSWERED, MISSED, CANCELLED = "200", "304", "603-S"


def world_from_story(story: Story, *, until: datetime | None = None) -> Bitrix24World:
    """The portal as it stands at `until` (default: the story's present). Equal stories give equal worlds."""
    now = until or story.told_at
    world = Bitrix24World(ZoneInfo(story.timezone))
    open_portal(world, story)
    deals = [
        deal for deal in story.deals if deal.created_at <= now and (deal.deleted_at is None or deal.deleted_at > now)
    ]
    for deal in deals:
        world.add("deals", _deal(world, story, deal, now))
    for moment, deal, stage_id, is_new in sorted(_entries(deals, now), key=lambda entry: (entry[0], entry[1].deal_id)):
        semantics = SEMANTICS.get(_kind(story, stage_id), "P")
        world.enter(deal.deal_id, stage_code(story, stage_id), semantics, moment, is_new=is_new)
    _tell_parties(world, deals)
    tell_leads(world, deals)
    tell_invoices(world, story, deals, now)
    tell_payments(world, story, deals, now)
    _tell_activities(world, story, deals, now)
    for number, call in enumerate(sorted(story.calls, key=lambda call: call.started_at)):
        if call.ended_at <= now and call.direction != "internal":
            _tell_call(world, story, call, 30_000 + number * 10)
    return world


def _entries(deals: list[Deal], now: datetime) -> list[tuple[datetime, Deal, int, bool]]:
    created = [(deal.created_at, deal, deal.first_stage_id, True) for deal in deals]
    moves = [
        (move.moved_at, deal, move.stage_id, False) for deal in deals for move in deal.moves if move.moved_at <= now
    ]
    return [*created, *moves]


def _kind(story: Story, stage_id: int) -> str:
    return next((stage.kind for stage in story.stages if stage.stage_id == stage_id), "base")


def _deal(world: Bitrix24World, story: Story, deal: Deal, now: datetime) -> Record:
    moves = [move for move in sorted(deal.moves, key=lambda move: move.moved_at) if move.moved_at <= now]
    owners = [change for change in sorted(deal.owner_changes, key=lambda c: c.changed_at) if change.changed_at <= now]
    amounts = [change for change in sorted(deal.amount_changes, key=lambda c: c.changed_at) if change.changed_at <= now]
    stage_id = moves[-1].stage_id if moves else deal.first_stage_id
    moved_at = moves[-1].moved_at if moves else deal.created_at
    semantics = SEMANTICS.get(_kind(story, stage_id), "P")
    owner = owners[-1].user_id if owners else deal.owner
    changed = max([moved_at, *(c.changed_at for c in owners), *(c.changed_at for c in amounts)])
    amount: Decimal = amounts[-1].amount if amounts else deal.amount
    return {
        "ID": str(deal.deal_id),
        "TITLE": deal.title,
        "TYPE_ID": "SALE",
        "CATEGORY_ID": str(story.pipeline_id),
        "STAGE_ID": stage_code(story, stage_id),
        "STAGE_SEMANTIC_ID": semantics,
        "OPPORTUNITY": f"{amount:.2f}",
        "CURRENCY_ID": "RUB",
        "IS_MANUAL_OPPORTUNITY": "Y",
        "TAX_VALUE": "0.00",
        "PROBABILITY": None,
        "LEAD_ID": None,
        "COMPANY_ID": "0" if deal.company_id is None else str(deal.company_id),
        "CONTACT_ID": str(deal.contact_id),
        "QUOTE_ID": None,
        "BEGINDATE": world.stamp_day(deal.created_at.date()),
        # A plan date, next to no use.
        "CLOSEDATE": world.stamp_day(deal.created_at.date()),
        "ASSIGNED_BY_ID": str(owner),
        "CREATED_BY_ID": str(deal.owner),
        "MODIFY_BY_ID": str(owner),
        "MOVED_BY_ID": str(owner),
        "DATE_CREATE": world.stamp(deal.created_at),
        "DATE_MODIFY": world.stamp(changed),
        "MOVED_TIME": world.stamp(moved_at),
        "OPENED": "Y",
        "CLOSED": "N" if semantics == "P" else "Y",
        "IS_NEW": "N",
        "IS_RECURRING": "N",
        "IS_RETURN_CUSTOMER": "N",
        "SOURCE_ID": "WEB",
        "COMMENTS": "",
        "ORIGINATOR_ID": None,
        "ORIGIN_ID": None,
        "UTM_SOURCE": None,
        INVOICE_FIELD: deal.invoice_number or "",
        TAX_FIELD: deal.tax_id or "",
    }


def _tell_parties(world: Bitrix24World, deals: list[Deal]) -> None:
    contacts: dict[int, list[Deal]] = {}
    companies: dict[int, list[Deal]] = {}
    for deal in sorted(deals, key=lambda deal: (deal.created_at, deal.deal_id)):
        contacts.setdefault(deal.contact_id, []).append(deal)
        if deal.company_id is not None:
            companies.setdefault(deal.company_id, []).append(deal)
    for contact_id, own in contacts.items():
        phones = list(dict.fromkeys(deal.phone for deal in own if deal.phone))
        name, _, family = own[0].customer.partition(" ")
        firm = next((str(deal.company_id) for deal in own if deal.company_id is not None), None)
        names = {"NAME": name, "SECOND_NAME": None, "LAST_NAME": family or None, "COMPANY_ID": firm}
        world.add("contacts", {**_party(world, contact_id, own[0]), **names, "BIRTHDATE": "", **_phones(phones)})
    for company_id, own in companies.items():
        named = {"TITLE": own[0].customer, "IS_MY_COMPANY": "N", "COMPANY_TYPE": "CUSTOMER"}
        world.add("companies", {**_party(world, company_id, own[0]), **named, **_phones([own[0].phone])})


def _party(world: Bitrix24World, record_id: int, deal: Deal) -> Record:
    return {
        "ID": str(record_id),
        "ASSIGNED_BY_ID": str(deal.owner),
        "DATE_CREATE": world.stamp(deal.created_at),
        "DATE_MODIFY": world.stamp(deal.created_at),
        "HAS_PHONE": "Y" if deal.phone else "N",
    }


def _phones(phones: list[str]) -> Record:
    listed = [
        {"ID": str(4000 + place), "VALUE_TYPE": "WORK", "VALUE": phone, "TYPE_ID": "PHONE"}
        for place, phone in enumerate(phones)
        if phone
    ]
    return {"PHONE": listed} if listed else {}


# ── activities and calls ────────────────────────────────────────────────────────────────────────────────────────


def _tell_activities(world: Bitrix24World, story: Story, deals: list[Deal], now: datetime) -> None:
    living = {deal.deal_id for deal in deals}
    notes = [note for note in story.notes if note.created_at <= now]
    tasks = [task for task in story.tasks if task.created_at <= now and task.deal_id in living]
    for number, note in enumerate(notes):
        world.add("activities", _call_activity(world, note, 6_000_001 + number))
    for number, task in enumerate(tasks):
        world.add("activities", _task(world, task, now, 7_000_001 + number))
    offers = {stage.stage_id for stage in story.stages if stage.kind == "offer"}
    offered = [
        (move.moved_at, deal)
        for deal in deals
        for move in deal.moves
        if move.stage_id in offers and move.moved_at <= now
    ]
    for number, (made_at, deal) in enumerate(offered):
        world.add("quotes", _quote(world, deal, made_at, number + 1))


def _call_activity(world: Bitrix24World, note: CallNote, activity_id: int) -> Record:
    return {
        "ID": str(activity_id),
        "OWNER_ID": str(note.contact_id),
        "OWNER_TYPE_ID": "3",
        "TYPE_ID": "2",
        "PROVIDER_ID": "VOXIMPLANT_CALL",
        "PROVIDER_TYPE_ID": "CALL",
        "SUBJECT": "Звонок",
        "CREATED": world.stamp(note.created_at),
        "LAST_UPDATED": world.stamp(note.created_at),
        "START_TIME": world.stamp(note.created_at),
        "END_TIME": world.stamp(datetime.fromtimestamp(note.created_at.timestamp() + note.duration, world.zone)),
        "DEADLINE": "",
        "COMPLETED": "Y",
        "STATUS": "2",
        "DIRECTION": "1" if note.direction == "in" else "2",
        "RESPONSIBLE_ID": str(note.user_id),
        "AUTHOR_ID": str(note.user_id),
        "ORIGIN_ID": f"VI_{note.call_id}" if note.call_id else "",
        "SETTINGS": [],
        "COMMUNICATIONS": [
            {"TYPE": "PHONE", "VALUE": note.phone, "ENTITY_ID": str(note.contact_id), "ENTITY_TYPE_ID": "3"}
        ],
    }


def _task(world: Bitrix24World, task: Task, now: datetime, activity_id: int) -> Record:
    is_done = task.completed_at is not None and task.completed_at <= now
    changed = task.completed_at if is_done and task.completed_at else task.created_at
    return {
        "ID": str(activity_id),
        "OWNER_ID": str(task.deal_id),
        "OWNER_TYPE_ID": "2",
        "TYPE_ID": "1" if task.is_meeting else "3",
        "PROVIDER_ID": "CRM_MEETING" if task.is_meeting else "TASKS",
        "SUBJECT": "Встреча" if task.is_meeting else "Связаться с клиентом",
        "CREATED": world.stamp(task.created_at),
        "LAST_UPDATED": world.stamp(changed),
        "START_TIME": world.stamp(task.due_at),
        "END_TIME": world.stamp(task.due_at),
        "DEADLINE": world.stamp(task.due_at),
        "COMPLETED": "Y" if is_done else "N",
        "STATUS": "2" if is_done else "1",
        "DIRECTION": "0",
        "RESPONSIBLE_ID": str(task.user_id),
        "AUTHOR_ID": str(task.user_id),
        "ORIGIN_ID": None,
        "SETTINGS": [],
    }


def _quote(world: Bitrix24World, deal: Deal, made_at: datetime, quote_id: int) -> Record:
    return {
        "ID": str(quote_id),
        "TITLE": deal.title,
        "QUOTE_NUMBER": str(quote_id),
        "STATUS_ID": "SENT",
        "OPPORTUNITY": f"{deal.amount:.2f}",
        "CURRENCY_ID": "RUB",
        "DEAL_ID": str(deal.deal_id),
        "CONTACT_ID": str(deal.contact_id),
        "COMPANY_ID": "0",
        "CLOSED": "N",
        "ASSIGNED_BY_ID": str(deal.owner),
        "DATE_CREATE": world.stamp(made_at),
        "DATE_MODIFY": world.stamp(made_at),
    }


def _tell_call(world: Bitrix24World, story: Story, call: Call, row_id: int) -> None:
    """One row an employee rung; a call nobody was rung for is one row without an employee."""
    by_extension = {manager.extension: manager.user_id for manager in story.managers}
    legs: list[Leg | None] = [*call.legs] or [None]
    for place, leg in enumerate(legs[:10]):
        user_id = by_extension.get(leg.extension) if leg else None
        talk, is_answered = _talk(call, leg)
        code = ANSWERED if is_answered else MISSED if call.direction == "in" else CANCELLED
        world.add(
            "calls",
            {
                "ID": str(row_id + place),
                "PORTAL_USER_ID": None if user_id is None else str(user_id),
                "PORTAL_NUMBER": call.line,
                "PHONE_NUMBER": f"+{call.number}" if call.number.isdigit() else call.number,
                "CALL_ID": call.call_id,
                "EXTERNAL_CALL_ID": None,
                "CALL_CATEGORY": "external",
                "CALL_DURATION": str(talk),
                "CALL_START_DATE": world.stamp(leg.ringing_at if leg else call.started_at),
                "CALL_TYPE": "2" if call.direction == "in" else "1",
                "CALL_FAILED_CODE": code,
                "CALL_FAILED_REASON": "",
                "COST": "0.0000",
                "COST_CURRENCY": "RUR",
                "CRM_ENTITY_TYPE": None,
                "CRM_ENTITY_ID": None,
                "CRM_ACTIVITY_ID": None,
                "RECORD_FILE_ID": None,
            },
        )


def _talk(call: Call, leg: Leg | None) -> tuple[int, bool]:
    """Seconds of talk of a row, and whether it was answered: outside, what counts is that the client picked up."""
    if leg is None or leg.answered_at is None or (call.direction == "out" and call.answered_at is None):
        return 0, False
    began = max(leg.answered_at, call.answered_at) if call.answered_at is not None else leg.answered_at
    return max(0, int((leg.ended_at - began).total_seconds())), True
