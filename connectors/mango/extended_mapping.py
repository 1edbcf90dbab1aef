"""A call object of the extended statistics to one conversation.

Direction by `context_type` in the statistics' own enum (1 in, 2 out, 3 internal; realtime events differ). Every leg
field is optional: the manual allows service elements without times. An outbound call's user leg is answered when the
employee's own device picks up; only the client's picking up is a conversation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Union

import msgspec

from base.phones import Phone, normalise_phone
from base.text import say
from connectors.conversations import Conversation, Direction, UserLeg, choose_speaker
from connectors.mango.directory import Directory, as_text
from connectors.stream import BadRecord

# Numbers arrive as numbers, as text, and as an empty text.
Loose = Union[int, float, str, None]  # noqa: UP007 - msgspec reads it at run time
# Far beyond any call: a time past it is no Unix seconds.
LATEST_SECONDS = 4_102_444_800  # 2100-01-01
LONGEST_SECONDS = 7 * 86_400

# `context_init_type`: callback order, callback widget, recall to a group. The PBX dials the client then.
CALLBACKS = frozenset({4, 5, 6})
DIRECTIONS: dict[int, Direction] = {1: "in", 2: "out", 3: "internal"}


class Leg(msgspec.Struct):
    """An element of `context_calls`, and of `members` inside it."""

    call_type: str | None = None
    call_abonent_id: int | str | None = None
    call_abonent_extension: int | str | None = None
    call_abonent_number: int | str | None = None
    call_start_time: Loose = None
    call_answer_time: Loose = None
    call_end_time: Loose = None
    talk_duration: Loose = None
    members: list[Leg] | None = None


class Call(msgspec.Struct):
    entry_id: int | str
    context_type: Loose = None
    context_init_type: Loose = None
    context_status: Loose = None
    caller_id: int | str | None = None
    caller_number: int | str | None = None
    called_number: int | str | None = None
    context_start_time: Loose = None
    duration: Loose = None
    talk_duration: Loose = None
    context_calls: list[Leg] | None = None


CALL_DECODER = msgspec.json.Decoder(Call)


@dataclass(slots=True)
class _Parts:
    """The legs of a call, told apart: employees' devices, the client's own, and groups that name nobody."""

    users: list[UserLeg] = field(default_factory=list)
    clients: list[UserLeg] = field(default_factory=list)
    nameless: list[UserLeg] = field(default_factory=list)
    is_empty: bool = True


def read_extended_call(call: Call, directory: Directory, country: str) -> Conversation:
    """One conversation.

    Raises:
        BadRecord: no id, no direction, no start, or a number that is none.
    """
    call_id = as_text(call.entry_id)
    stated = DIRECTIONS.get(_seconds(call.context_type, "context_type", 9) or 0)
    started = _moment(call.context_start_time, "context_start_time")
    if call_id is None:
        raise BadRecord("no_id", say("У звонка нет entry_id", "The call has no entry_id"), path="$.entry_id")
    if stated is None:
        raise _bad("unknown_direction", "context_type", "1, 2, 3", call.context_type)
    if started is None:
        raise _bad("no_start", "context_start_time", "Unix time", call.context_start_time)
    outside = _outside_party(call, stated, directory, country)
    direction = "internal" if outside is not None and directory.is_own(outside) else stated
    parts = _sort_legs(call, direction, outside, directory, country)
    caller = _caller_of(call, directory, country)
    talk = _seconds(call.talk_duration, "talk_duration", LONGEST_SECONDS)
    if direction == "out" or parts.clients:
        answered = _settle_with_client(call, parts, talk)
    else:
        answered = _settle_inbound(call, parts, talk)
    if direction == "out":
        _add_caller_leg(parts, caller, talk if answered else 0, started)
    speaker = choose_speaker(parts.users) if answered else None
    credited = _credited(direction, speaker, caller, parts)
    return Conversation(
        call_id=call_id,
        direction=direction,
        started_at=started,
        external_number=outside.e164 if outside and direction != "internal" else None,
        external_number_raw=outside.raw or None if outside else None,
        line=_line_of(call, stated, directory, country),
        is_answered=answered,
        talk_seconds=_talk_of(speaker, talk, parts) if answered else 0,
        extension=credited.extension if credited else None,
        user_id=credited.user_id if credited else None,
        duration_seconds=_seconds(call.duration, "duration", LONGEST_SECONDS),
        legs=parts.users,
    )


# ── sides ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _outside_party(call: Call, stated: Direction, directory: Directory, country: str) -> Phone | None:
    """The other side of a call through the public network; None for an internal one."""
    if stated == "internal":
        return None
    if stated == "in":
        return normalise_phone(call.caller_number, country=country)
    dialled = normalise_phone(call.called_number, country=country)
    if dialled.kind != "phone":
        # The dialled text may hold prefixes (`7007374952233501`); the client's leg has the number that was reached.
        for leg in _walk(call.context_calls or ()):
            reached = normalise_phone(leg.call_abonent_number, country=country)
            if leg.call_type == "number" and reached.kind == "phone":
                return reached._replace(raw=dialled.raw or reached.raw)
    return dialled


def _line_of(call: Call, stated: Direction, directory: Directory, country: str) -> str | None:
    """The line a client dialled. Which line a call out used isn't told, unless the caller's number is one."""
    if stated == "in":
        return as_text(call.called_number)
    phone = normalise_phone(call.caller_number, country=country)
    return as_text(call.caller_number) if phone.e164 in directory.line_phones else None


def _caller_of(call: Call, directory: Directory, country: str) -> UserLeg | None:
    """The employee who called, as an unanswered leg; None when the caller is outside or unknown."""
    user_id = as_text(call.caller_id) or directory.owner_of(normalise_phone(call.caller_number, country=country))
    return UserLeg(directory.extension_of(user_id), user_id) if user_id else None


# ── legs ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _walk(legs: Iterable[Leg]) -> Iterator[Leg]:
    for leg in legs:
        yield leg
        yield from _walk(leg.members or ())


def _sort_legs(call: Call, direction: Direction, outside: Phone | None, directory: Directory, country: str) -> _Parts:
    parts = _Parts()
    dials_client = direction == "out" or _seconds(call.context_init_type, "context_init_type", 99) in CALLBACKS
    for leg in _walk(call.context_calls or ()):
        parts.is_empty = False
        user_id, extension = as_text(leg.call_abonent_id), as_text(leg.call_abonent_extension)
        if leg.call_type == "user":
            # The device of who calls a colleague is no leg of the call.
            if direction != "internal" or user_id is None or user_id != as_text(call.caller_id):
                parts.users.append(_user_leg(leg, extension or directory.extension_of(user_id), user_id))
        elif leg.call_type == "number":
            phone = normalise_phone(leg.call_abonent_number, country=country)
            owner = directory.owner_of(phone)
            is_outside = outside is not None and phone.e164 is not None and phone.e164 == outside.e164
            if owner is not None:  # redirected to an employee's own phone, or called back on it
                parts.users.append(_user_leg(leg, directory.extension_of(owner), owner))
            elif direction == "out" or (is_outside and dials_client):
                # The extension of a client's leg is that of the employee at the other end of it.
                parts.clients.append(_user_leg(leg, extension, None))
            elif not is_outside:
                parts.users.append(_user_leg(leg, extension, None))  # redirected to a phone nobody owns
        elif leg.call_type == "group" and not leg.members:
            parts.nameless.append(_user_leg(leg, None, None))
    return parts


def _user_leg(leg: Leg, extension: str | None, user_id: str | None) -> UserLeg:
    return UserLeg(
        extension,
        user_id,
        _moment(leg.call_start_time, "call_start_time"),
        _moment(leg.call_answer_time, "call_answer_time"),
        _moment(leg.call_end_time, "call_end_time"),
        _seconds(leg.talk_duration, "talk_duration", LONGEST_SECONDS),
    )


def _settle_inbound(call: Call, parts: _Parts, talk: int | None) -> bool:
    """Whether a person talked."""
    by_object = _object_says_answered(call, talk)
    if parts.users:
        if by_object and all(_says_nothing(leg) for leg in parts.users):
            if len(parts.users) == 1:
                parts.users[0].talk = talk
            return True
        return any(leg.is_answered for leg in parts.users)
    if parts.nameless:
        return any(leg.is_answered for leg in parts.nameless)
    # No legs at all: the object is all we know. Legs without a person (menu, voicemail) are no conversation.
    return parts.is_empty and by_object


def _settle_with_client(call: Call, parts: _Parts, talk: int | None) -> bool:
    """Whether the client picked up; cuts the employees' legs down to the time the client was there."""
    picked_up = [leg for leg in parts.clients if leg.is_answered]
    refused = any(leg.finished_at is not None and not leg.is_answered for leg in parts.clients)
    answered = bool(picked_up) or (not refused and _object_says_answered(call, talk))
    longest = choose_speaker(picked_up)
    for leg in parts.users:
        if not answered:
            leg.answered_at, leg.talk = None, 0
        elif longest is not None:
            _cut_to(leg, longest)
        elif talk is not None and leg.is_answered:
            measured = leg.measured_talk()
            leg.talk = talk if measured is None else min(measured, talk)
    return answered


def _says_nothing(leg: UserLeg) -> bool:
    return leg.answered_at is None and leg.finished_at is None and leg.talk is None


def _cut_to(leg: UserLeg, client: UserLeg) -> None:
    """Leave of an employee's leg what it shares with the client's; ringing is no talk."""
    together = client.measured_talk()
    if leg.talk is not None and together is not None:
        leg.talk = min(leg.talk, together)
    if leg.answered_at is None or client.answered_at is None:
        return
    start = max(leg.answered_at, client.answered_at)
    end = min((end for end in (leg.finished_at, client.finished_at) if end is not None), default=None)
    if end is not None and end < start:  # gave up before the client picked up
        leg.answered_at, leg.talk = None, 0
        return
    leg.answered_at = start
    if end is not None:
        leg.talk = end - start


def _add_caller_leg(parts: _Parts, caller: UserLeg | None, talk: int | None, started: int) -> None:
    """A call dialled from a phone lists the client's leg only: the caller's device is the other end of it."""
    client = choose_speaker(parts.clients) or next(iter(parts.clients), None)
    shown = next((leg.extension for leg in parts.clients if leg.extension), None)
    own = UserLeg(shown, None) if caller is None else UserLeg(caller.extension or shown, caller.user_id)
    if any(_is_same_employee(own, leg) for leg in parts.users):
        return
    if own.extension is None and own.user_id is None and parts.users:
        return  # a callback: the employees' legs tell who it was
    if client is None:
        own.started_at, own.talk = started, talk
    else:
        own.started_at, own.answered_at = client.started_at or started, client.answered_at
        own.finished_at, own.talk = client.finished_at, client.talk
    # After a transfer the client's leg goes on with a colleague: the caller's part ends when that device rings.
    handed_over = min((leg.started_at or leg.answered_at for leg in parts.users if leg.answered_at), default=None)
    if handed_over is not None and own.answered_at is not None:
        own.finished_at = max(own.answered_at, handed_over)
        own.talk = own.finished_at - own.answered_at
    parts.users.insert(0, own)


def _is_same_employee(one: UserLeg, other: UserLeg) -> bool:
    if one.user_id is not None and other.user_id is not None:
        return one.user_id == other.user_id
    return one.extension is not None and one.extension == other.extension


def _credited(direction: Direction, speaker: UserLeg | None, caller: UserLeg | None, parts: _Parts) -> UserLeg | None:
    """Who held the call. Nobody held a missed one; an attempt is its caller's, and so is an internal call."""
    if direction == "in":
        return speaker
    if direction == "internal":
        return caller or speaker
    if speaker is not None or not parts.users:
        return speaker or caller
    if caller is None:
        return parts.users[0]
    return next((leg for leg in parts.users if _is_same_employee(caller, leg)), caller)


def _object_says_answered(call: Call, talk: int | None) -> bool:
    status = _seconds(call.context_status, "context_status", 9)
    return (talk or 0) > 0 and status != 0


def _talk_of(speaker: UserLeg | None, stated: int | None, parts: _Parts) -> int:
    """The speaker's talk; where no leg states one, the call object's."""
    if speaker is None:
        nameless = choose_speaker(parts.nameless)
        measured = nameless.measured_talk() if nameless else None
    else:
        measured = speaker.measured_talk()
    return measured if measured is not None else stated or 0


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _seconds(value: Loose, name: str, largest: int) -> int | None:
    """A whole number not below 0; None for nothing; more than `largest` is no such number."""
    if value is None or value == "":
        return None
    if type(value) is int and 0 <= value <= largest:  # nearly all of them
        return value
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number > largest:
        raise _bad("not_a_number", name, "number", value)
    return max(0, int(number))


def _moment(value: Loose, name: str) -> int | None:
    """Unix seconds; 0 is how the vendor writes «never»."""
    return _seconds(value, name, LATEST_SECONDS) or None


def _bad(code: str, name: str, expected: str, got: Loose) -> BadRecord:
    return BadRecord(
        code,
        say("Поле {name}: {got}", "Field {name}: {got}", name=name, got=repr(got)),
        path=f"$..{name}",
        expected=expected,
        got=repr(got),
    )
