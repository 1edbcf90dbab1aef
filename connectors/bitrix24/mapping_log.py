"""Records to rows: stage histories, activities, calls, quotes. Pure functions over one payload."""

from __future__ import annotations

from typing import Any

import msgspec

from base.phones import normalise_phone
from base.text import say
from base.times import MICROS
from connectors.bitrix24.values import Scalar, as_flag, as_id, as_int, as_link, as_micros, as_text
from connectors.conversations import Conversation, Direction, UserLeg, add_conversation, choose_speaker
from connectors.decode import decode_record
from connectors.stream import BadRecord, MapContext, RawRecord, Rows, target

DEAL_EVENTS = target(
    "core.deal_events", "event_id deal_id event_type occurred_at to_value pipeline_id stage_id precision"
)
RECORD_EVENTS = target(
    "core.record_events", "event_id record_type record_id event_type occurred_at pipeline_id stage_id outcome"
)
ACTIVITIES = target(
    "core.activities",
    "activity_id activity_type deal_id contact_id company_id user_id occurred_at duration_seconds phone direction"
    " call_id is_completed",
)
Listed = list[Any]

CREATED = 1
# Moved within the pipeline, moved to a final stage, moved to another pipeline.
MOVES = (2, 3, 5)
OUTCOMES = {"S": "won", "F": "lost"}

DEAL, CONTACT, COMPANY = 2, 3, 4
MEETING, CALL, TASK, EMAIL, PROVIDED = 1, 2, 3, 4, 6
KINDS = {MEETING: "meeting", CALL: "call_note", TASK: "task", EMAIL: "email"}
# What newer portals write as "provided by": the universal to-do is a task, whatever is in it.
PROVIDED_KINDS = {"CRM_TODO": "task", "CRM_TASKS_TASK": "task", "CRM_MEETING": "meeting", "CRM_EMAIL": "email"}
CALL_ORIGIN = "VI_"

ANSWERED = "200"
INCOMING = (2, 3)


# ── stage history ───────────────────────────────────────────────────────────────────────────────────────────────


class _Entry(msgspec.Struct):
    ID: Scalar
    TYPE_ID: Scalar
    OWNER_ID: Scalar
    CREATED_TIME: Scalar
    CATEGORY_ID: Scalar = None
    STAGE_ID: Scalar = None
    STAGE_SEMANTIC_ID: Scalar = None
    # Leads have statuses for stages.
    STATUS_ID: Scalar = None
    STATUS_SEMANTIC_ID: Scalar = None


_ENTRY = msgspec.json.Decoder(_Entry)


def map_stage_entry(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """A deal's entry names the stage come to, neither the one before nor who did it."""
    entry = decode_record(_ENTRY, record.payload)
    event_type, deal_id = _event_type(entry), _owner(entry)
    stage_id = as_text(entry.STAGE_ID)
    rows.add(
        DEAL_EVENTS,
        (
            record.record_id,
            deal_id,
            event_type,
            as_micros(entry.CREATED_TIME, "$.CREATED_TIME"),
            stage_id,
            as_id(entry.CATEGORY_ID),
            stage_id,
            "log",
        ),
    )


def map_record_event(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """The same of a lead, an invoice or a record of the portal's own kind: its id says which, the entry does not."""
    entry = decode_record(_ENTRY, record.payload)
    record_type, _, _ = record.record_id.rpartition("-")
    meaning = as_text(entry.STAGE_SEMANTIC_ID) or as_text(entry.STATUS_SEMANTIC_ID)
    rows.add(
        RECORD_EVENTS,
        (
            record.record_id,
            record_type,
            _owner(entry),
            _event_type(entry),
            as_micros(entry.CREATED_TIME, "$.CREATED_TIME"),
            as_id(entry.CATEGORY_ID),
            as_text(entry.STAGE_ID) or as_text(entry.STATUS_ID),
            OUTCOMES.get(meaning or "", "open"),
        ),
    )


def _event_type(entry: _Entry) -> str:
    kind = as_int(entry.TYPE_ID)
    if kind == CREATED:
        return "created"
    if kind in MOVES:
        return "stage"
    message = say("$.TYPE_ID: неизвестный вид {kind}", "$.TYPE_ID: unknown kind {kind}", kind=str(kind))
    raise BadRecord("unknown_type", message, path="$.TYPE_ID", expected="1, 2, 3, 5", got=str(kind))


def _owner(entry: _Entry) -> str:
    owner_id = as_link(entry.OWNER_ID)
    if owner_id is None:
        message = say("$.OWNER_ID: нет записи", "$.OWNER_ID: no record")
        raise BadRecord("missing_field", message, path="$.OWNER_ID", expected="id", got=str(entry.OWNER_ID))
    return owner_id


# ── activities ──────────────────────────────────────────────────────────────────────────────────────────────────


class _Communication(msgspec.Struct):
    TYPE: Scalar = None
    VALUE: Scalar = None
    ENTITY_ID: Scalar = None
    ENTITY_TYPE_ID: Scalar = None


class _Activity(msgspec.Struct):
    ID: Scalar
    TYPE_ID: Scalar = None
    PROVIDER_ID: Scalar = None
    OWNER_ID: Scalar = None
    OWNER_TYPE_ID: Scalar = None
    CREATED: Scalar = None
    LAST_UPDATED: Scalar = None
    START_TIME: Scalar = None
    END_TIME: Scalar = None
    DEADLINE: Scalar = None
    COMPLETED: Scalar = None
    DIRECTION: Scalar = None
    RESPONSIBLE_ID: Scalar = None
    ORIGIN_ID: Scalar = None
    COMMUNICATIONS: list[_Communication] | bool | str | None = None


_ACTIVITY = msgspec.json.Decoder(_Activity)


def map_activity(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """Meetings, calls, tasks and mails; what other providers hang on a card (chats, forms, payments) stays raw."""
    activity = decode_record(_ACTIVITY, record.payload)
    kind = _kind(activity)
    if kind is None:
        return
    links = _links(activity)
    is_call = kind == "call_note"
    start = as_micros(activity.START_TIME, "$.START_TIME")
    end = as_micros(activity.END_TIME, "$.END_TIME")
    rows.add(
        ACTIVITIES,
        (
            record.record_id,
            kind,
            links.get(DEAL),
            links.get(CONTACT),
            links.get(COMPANY),
            as_link(activity.RESPONSIBLE_ID),
            _occurred_at(activity, kind, start, end),
            max(0, end - start) // MICROS if start is not None and end is not None and kind != "task" else None,
            _phone(activity, context.country) if is_call else None,
            {1: "in", 2: "out"}.get(as_int(activity.DIRECTION) or 0) if is_call else None,
            _call_id(activity) if is_call else None,
            as_flag(activity.COMPLETED) is True,
        ),
    )


def _kind(activity: _Activity) -> str | None:
    kind = as_int(activity.TYPE_ID)
    if kind == PROVIDED:
        return PROVIDED_KINDS.get(as_text(activity.PROVIDER_ID) or "")
    return KINDS.get(kind or 0)


def _links(activity: _Activity) -> dict[int, str | None]:
    """What it hangs on: its first binding, and the party spoken to."""
    links: dict[int, str | None] = {}
    communications = activity.COMMUNICATIONS if isinstance(activity.COMMUNICATIONS, list) else []
    for party in communications:
        links.setdefault(as_int(party.ENTITY_TYPE_ID) or 0, as_link(party.ENTITY_ID))
    links[as_int(activity.OWNER_TYPE_ID) or 0] = as_link(activity.OWNER_ID)
    return links


def _occurred_at(activity: _Activity, kind: str, start: int | None, end: int | None) -> int | None:
    """A call, meeting or mail when it began. A task when it was due; one done earlier, no later than the change that
    shows it done: the time of completion itself is not kept."""
    created = as_micros(activity.CREATED, "$.CREATED")
    if kind != "task":
        return start if start is not None else created
    due = as_micros(activity.DEADLINE, "$.DEADLINE") or end or created
    changed = as_micros(activity.LAST_UPDATED, "$.LAST_UPDATED")
    if as_flag(activity.COMPLETED) and due is not None and changed is not None:
        return min(due, changed)
    return due


def _phone(activity: _Activity, country: str) -> str | None:
    communications = activity.COMMUNICATIONS if isinstance(activity.COMMUNICATIONS, list) else []
    stated = (as_text(party.VALUE) for party in communications if party.TYPE == "PHONE")
    return next((phone for text in stated if (phone := normalise_phone(text, country=country).e164)), None)


def _call_id(activity: _Activity) -> str | None:
    origin = as_text(activity.ORIGIN_ID)
    return None if origin is None else origin.removeprefix(CALL_ORIGIN)


# ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────────


class _Leg(msgspec.Struct):
    ID: Scalar
    CALL_START_DATE: Scalar
    CALL_TYPE: Scalar = None
    PORTAL_USER_ID: Scalar = None
    PORTAL_NUMBER: Scalar = None
    PHONE_NUMBER: Scalar = None
    CALL_DURATION: Scalar = None
    CALL_FAILED_CODE: Scalar = None


class _Call(msgspec.Struct):
    call_id: str
    rows: list[_Leg]


_CALL = msgspec.json.Decoder(_Call)


def map_call(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """A call from its rows. Whoever held it is named by his user id, which is his extension here: identities.csv
    needs one line for a person's deals and calls."""
    call = decode_record(_CALL, record.payload)
    legs = [_as_leg(leg, place) for place, leg in enumerate(call.rows)]
    started = [leg.started_at for leg in legs if leg.started_at is not None]
    if not started:
        path = "$.rows[0].CALL_START_DATE"
        message = say("{path}: нет времени начала звонка", "{path}: no time at which the call began", path=path)
        raise BadRecord("no_time", message, path=path, expected="ISO 8601 with an offset")
    speaker = choose_speaker(legs)
    first = min(call.rows, key=lambda leg: as_int(leg.ID) or 0)
    is_answered = any(_is_answered(leg) for leg in call.rows)
    # Nobody answered: the one employee rung is the one called, of several none.
    only = legs[0].user_id if len({leg.user_id for leg in legs}) == 1 else None
    user_id = speaker.user_id if speaker else only
    raw = as_text(first.PHONE_NUMBER)
    add_conversation(
        rows,
        Conversation(
            call_id=call.call_id,
            direction=_direction(first),
            started_at=min(started),
            external_number=normalise_phone(raw, country=context.country).e164,
            external_number_raw=raw,
            line=as_text(first.PORTAL_NUMBER),
            is_answered=is_answered,
            talk_seconds=(speaker.measured_talk() or 0) if speaker else 0,
            extension=user_id,
            user_id=user_id,
            # The log knows talk only, not ringing.
            duration_seconds=None,
            legs=[leg for leg in legs if leg.user_id is not None],
        ),
    )


def _as_leg(leg: _Leg, place: int) -> UserLeg:
    started = as_micros(leg.CALL_START_DATE, f"$.rows[{place}].CALL_START_DATE")
    if started is None:
        path = f"$.rows[{place}].CALL_START_DATE"
        raise BadRecord("missing_field", say("нет поля {path}", "no field {path}", path=path), path=path)
    user_id = as_link(leg.PORTAL_USER_ID)
    talk = as_int(leg.CALL_DURATION) or 0
    return UserLeg(user_id, user_id, started_at=started // MICROS, talk=talk if _is_answered(leg) else 0)


def _is_answered(leg: _Leg) -> bool:
    return as_text(leg.CALL_FAILED_CODE) == ANSWERED


def _direction(leg: _Leg) -> Direction:
    """A callback and an automatic information call are dialled by the portal: outgoing."""
    return "in" if as_int(leg.CALL_TYPE) in INCOMING else "out"


# ── quotes ──────────────────────────────────────────────────────────────────────────────────────────────────────


class _Quote(msgspec.Struct):
    ID: Scalar
    STATUS_ID: Scalar = None
    DEAL_ID: Scalar = None
    CONTACT_ID: Scalar = None
    COMPANY_ID: Scalar = None
    ASSIGNED_BY_ID: Scalar = None
    DATE_CREATE: Scalar = None


_QUOTE = msgspec.json.Decoder(_Quote)


def map_quote(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """An offer; a draft is not yet made."""
    quote = decode_record(_QUOTE, record.payload)
    rows.add(
        ACTIVITIES,
        (
            record.record_id,
            "offer",
            as_link(quote.DEAL_ID),
            as_link(quote.CONTACT_ID),
            as_link(quote.COMPANY_ID),
            as_link(quote.ASSIGNED_BY_ID),
            as_micros(quote.DATE_CREATE, "$.DATE_CREATE"),
            None,
            None,
            None,
            None,
            as_text(quote.STATUS_ID) not in (None, "DRAFT"),
        ),
    )
