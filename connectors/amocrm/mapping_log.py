"""Records to rows: the event log, call notes, tasks. Pure functions over one payload."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

import msgspec

from base.phones import normalise_phone
from base.text import say
from connectors.amocrm.account import Listed
from connectors.amocrm.mapping import (
    DELETED_COMPANIES,
    DELETED_CONTACTS,
    as_amount,
    as_id,
    as_micros,
)
from connectors.amocrm.mapping_deals import DELETED_DEALS
from connectors.decode import decode_record
from connectors.stream import BadRecord, MapContext, Mapper, RawRecord, Rows, Target, target

DEAL_EVENTS = target(
    "core.deal_events",
    "event_id deal_id event_type occurred_at from_value to_value from_pipeline_id pipeline_id stage_id user_id"
    " precision",
)
TASKS = target(
    "core.activities",
    "activity_id activity_type deal_id contact_id company_id user_id occurred_at duration_seconds is_completed",
)
DELETED_TASKS = target("core.activities", "activity_id is_deleted")

# The types of the log that make a deal's history. Everything else (chats, mail, custom fields, tags) is the larger
# part of a log and is not asked for.
EVENT_TYPES = (
    "lead_added",
    "lead_deleted",
    "lead_restored",
    "lead_status_changed",
    "entity_responsible_changed",
    "sale_field_changed",
    "entity_merged",
    "incoming_call",
    "outgoing_call",
    "contact_deleted",
    "contact_restored",
    "company_deleted",
    "company_restored",
    "task_deleted",
)
PLAIN_DEAL_EVENTS = {
    "lead_added": "created",
    "lead_deleted": "deleted",
    "lead_restored": "restored",
    "entity_merged": "merged",
}
# What each deletion or restoration says about the record itself.
FATES: dict[str, tuple[Target, bool]] = {
    "lead_deleted": (DELETED_DEALS, True),
    "lead_restored": (DELETED_DEALS, False),
    "contact_deleted": (DELETED_CONTACTS, True),
    "contact_restored": (DELETED_CONTACTS, False),
    "company_deleted": (DELETED_COMPANIES, True),
    "company_restored": (DELETED_COMPANIES, False),
}
# Singular in events, plural in tasks and addresses.
LEAD_NAMES = ("lead", "leads")

MEETING_TASK = 2
CALL_NOTES: dict[str, Literal["in", "out"]] = {"call_in": "in", "call_out": "out"}


# ── events ──────────────────────────────────────────────────────────────────────────────────────────────────────


class _StatusPair(msgspec.Struct):
    id: int | None = None
    pipeline_id: int | None = None


class _UserRef(msgspec.Struct):
    id: int | None = None


class _Sale(msgspec.Struct):
    sale: Decimal | None = None


class _Change(msgspec.Struct):
    lead_status: _StatusPair | None = None
    responsible_user: _UserRef | None = None
    sale_field_value: _Sale | None = None


class _Event(msgspec.Struct):
    id: str | int
    type: str
    created_at: int
    entity_id: int | None = None
    entity_type: str | None = None
    created_by: int | None = None
    value_after: msgspec.Raw = msgspec.Raw(b"null")
    value_before: msgspec.Raw = msgspec.Raw(b"null")


_EVENT = msgspec.json.Decoder(_Event)
_CHANGES = msgspec.json.Decoder(list[_Change] | _Change | None)
_NO_CHANGE = _Change()

# from_value, to_value, from_pipeline_id, pipeline_id, stage_id
_Values = tuple[str | None, str | None, str | None, str | None, str | None]


def map_event(record: RawRecord, context: MapContext, rows: Rows) -> None:
    event = decode_record(_EVENT, record.payload)
    if event.entity_id is None:
        raise BadRecord(
            "missing_field", say("нет поля $.entity_id", "no field $.entity_id"), path="$.entity_id", expected="int"
        )
    entity_id = str(event.entity_id)
    fate = FATES.get(event.type)
    if fate is not None:
        rows.add(fate[0], (entity_id, fate[1]))
    if event.type == "task_deleted":
        rows.add(DELETED_TASKS, (f"task-{entity_id}", True))
    if event.entity_type not in LEAD_NAMES:
        # Owners and merges of contacts and companies: their own rows say what is so now.
        return
    event_type, values = _describe(event)
    rows.add(
        DEAL_EVENTS,
        (
            str(event.id),
            entity_id,
            event_type,
            as_micros(event.created_at),
            *values,
            as_id(event.created_by),
            "log",
        ),
    )


def _describe(event: _Event) -> tuple[str, _Values]:
    """The event's type in our words and its values; a type we don't know keeps its own name."""
    describe = _CHANGE_EVENTS.get(event.type)
    if describe is not None:
        return describe(_change(event.value_before), _change(event.value_after))
    return PLAIN_DEAL_EVENTS.get(event.type, event.type), (None, None, None, None, None)


def _describe_stage(before: _Change, after: _Change) -> tuple[str, _Values]:
    old, new = before.lead_status or _StatusPair(), after.lead_status
    if new is None or new.id is None:
        raise BadRecord(
            "no_stage",
            say("нет этапа в $.value_after", "no stage in $.value_after"),
            path="$.value_after[0].lead_status",
            expected="{id, pipeline_id}",
        )
    stage_id = as_id(new.id)
    return "stage", (as_id(old.id), stage_id, as_id(old.pipeline_id), as_id(new.pipeline_id), stage_id)


def _describe_owner(before: _Change, after: _Change) -> tuple[str, _Values]:
    old, new = before.responsible_user or _UserRef(), after.responsible_user or _UserRef()
    return "owner", (as_id(old.id), as_id(new.id), None, None, None)


def _describe_amount(before: _Change, after: _Change) -> tuple[str, _Values]:
    return "amount", (_sale(before, "$.value_before"), _sale(after, "$.value_after"), None, None, None)


_CHANGE_EVENTS: dict[str, Callable[[_Change, _Change], tuple[str, _Values]]] = {
    "lead_status_changed": _describe_stage,
    "entity_responsible_changed": _describe_owner,
    "sale_field_changed": _describe_amount,
}


def _change(raw: msgspec.Raw) -> _Change:
    """The first element of a value: mostly a list of one, sometimes a bare object, `[]` or null for nothing."""
    stated = decode_record(_CHANGES, raw)
    if isinstance(stated, list):
        return stated[0] if stated else _NO_CHANGE
    return stated or _NO_CHANGE


def _sale(change: _Change, path: str) -> str | None:
    sale = change.sale_field_value.sale if change.sale_field_value else None
    return None if sale is None else str(as_amount(sale, f"{path}[0].sale_field_value.sale"))


# ── call notes ──────────────────────────────────────────────────────────────────────────────────────────────────


class _Call(msgspec.Struct):
    uniq: str | int | None = None
    source: str | None = None
    duration: int | float | str | None = None
    phone: str | int | None = None
    call_responsible: int | str | None = None


class _Note(msgspec.Struct):
    id: int
    entity_id: int
    note_type: str
    created_at: int
    created_by: int | None = None
    params: _Call | Listed | None = None


_NOTE = msgspec.json.Decoder(_Note)


def note_mapper(column: Literal["deal_id", "contact_id", "company_id"]) -> Mapper:
    """A mapping of call notes that hang on what `column` says: the note itself does not tell.

    One call may be noted on the contact and on its deal: both notes carry the telephony's id (`uniq`) and become one
    activity with both links, each stream writing its own. Notes without it stay apart.
    """
    into = target(
        "core.activities",
        f"activity_id activity_type {column} user_id occurred_at duration_seconds phone direction call_id is_completed",
    )
    entity = column.removesuffix("_id")

    def map_note(record: RawRecord, context: MapContext, rows: Rows) -> None:
        note = decode_record(_NOTE, record.payload)
        direction = CALL_NOTES.get(note.note_type)
        if direction is None:
            # The account ignored the filter by type: other notes are no activities.
            return
        call = note.params if isinstance(note.params, _Call) else _Call()
        uniq = str(call.uniq).strip() if call.uniq is not None else ""
        rows.add(
            into,
            (
                f"call-{call.source or ''}-{uniq}" if uniq else f"note-{entity}-{note.id}",
                "call_note",
                str(note.entity_id),
                _caller(call, note),
                as_micros(note.created_at),
                _duration(call.duration),
                normalise_phone(call.phone, country=context.country).e164,
                direction,
                uniq or None,
                True,
            ),
        )

    return map_note


def _caller(call: _Call, note: _Note) -> str | None:
    """Who talked: a user's id. Some telephonies write a name there: then the author of the note."""
    stated = str(call.call_responsible or "").strip()
    return stated if stated.isdigit() else as_id(note.created_by)


def _duration(stated: float | str | None) -> int | None:
    if stated is None or stated == "":
        return None
    try:
        return int(float(stated))
    except (ValueError, OverflowError):
        path = "$.params.duration"
        message = say("{path}: не число секунд", "{path}: no number of seconds", path=path)
        raise BadRecord("wrong_type", message, path=path, expected="seconds", got=str(stated)[:40]) from None


# ── tasks ───────────────────────────────────────────────────────────────────────────────────────────────────────


class _Task(msgspec.Struct):
    # `result` is not read: [] when there is none, else an object, a list or a text.
    id: int
    task_type_id: int | None = None
    entity_id: int | None = None
    entity_type: str | None = None
    responsible_user_id: int | None = None
    duration: int | None = None
    is_completed: bool | None = None
    complete_till: int | None = None
    updated_at: int | None = None


_TASK = msgspec.json.Decoder(_Task)
TASK_COLUMNS = {"leads": 0, "contacts": 1, "companies": 2}


def map_task(record: RawRecord, context: MapContext, rows: Rows) -> None:
    task = decode_record(_TASK, record.payload)
    links: list[Any] = [None, None, None]
    place = TASK_COLUMNS.get(task.entity_type or "")
    if place is not None:
        links[place] = as_id(task.entity_id)
    rows.add(
        TASKS,
        (
            f"task-{task.id}",
            "meeting" if task.task_type_id == MEETING_TASK else "task",
            *links,
            as_id(task.responsible_user_id),
            as_micros(_task_time(task)),
            task.duration,
            task.is_completed is True,
        ),
    )


def _task_time(task: _Task) -> int | None:
    """The time set for it; a task done earlier happened no later than the change that shows it done."""
    if task.is_completed and task.complete_till is not None and task.updated_at is not None:
        return min(task.complete_till, task.updated_at)
    return task.complete_till if task.complete_till is not None else task.updated_at
