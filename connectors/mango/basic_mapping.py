"""The rows of one `entry_id` of the basic report to one conversation.

The report has no direction: no line means internal, an employee's extension on the calling side means outbound. An
internal SIP-to-SIP row has a calling extension and no called one, so the line is asked first.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from base.phones import Phone, normalise_phone
from base.text import say
from connectors.conversations import Conversation, Direction, UserLeg, choose_speaker
from connectors.decode import decode_record
from connectors.mango.directory import Directory
from connectors.stream import BadRecord


class Row(msgspec.Struct):
    """A leg as the report writes it: every cell is text."""

    start: str
    finish: str
    answer: str
    from_extension: str = ""
    from_number: str = ""
    to_extension: str = ""
    to_number: str = ""
    line_number: str = ""
    location: str = ""
    create: str = ""


class _Call(msgspec.Struct):
    entry_id: str
    rows: list[Row]


_DECODER = msgspec.json.Decoder(_Call)


@dataclass(frozen=True)
class _Sides:
    """One row's two ends, read."""

    row: Row
    caller: Phone
    called: Phone
    caller_id: str | None  # user id of an employee
    called_id: str | None


def read_basic_call(payload: bytes, directory: Directory, country: str) -> Conversation:
    """One conversation.

    Raises:
        BadRecord: no rows, or a time that is none.
    """
    call = decode_record(_DECODER, payload)
    if not call.rows:
        raise BadRecord("no_rows", say("У звонка нет строк", "The call has no rows"), path="$.rows")
    sides = [_read_sides(row, directory, country) for row in call.rows]
    sides.sort(key=lambda side: (_time(side.row.start, "start"), _time(side.row.answer, "answer")))
    first = sides[0]
    direction = _direction(sides, directory)
    legs = [leg for leg in (_leg_of(side, direction, directory) for side in sides) if leg is not None]
    speaker = choose_speaker(legs)
    credited = speaker if direction == "in" or speaker is not None else next(iter(legs), None)
    outside = first.called if direction == "out" else first.caller
    started = min((start for start in (_time(side.row.start, "start") for side in sides) if start), default=0)
    if not started:
        raise BadRecord("no_start", say("У звонка нет начала", "The call has no start"), path="$.rows..start")
    finished = max(_time(side.row.finish, "finish") for side in sides)
    return Conversation(
        call_id=call.entry_id,
        direction=direction,
        started_at=started,
        external_number=None if direction == "internal" else outside.e164,
        external_number_raw=None if direction == "internal" else outside.raw or None,
        line=next((side.row.line_number for side in sides if side.row.line_number), None),
        is_answered=speaker is not None,
        talk_seconds=(speaker.measured_talk() or 0) if speaker else 0,
        extension=credited.extension if credited else None,
        user_id=credited.user_id if credited else None,
        duration_seconds=max(0, finished - started),
        legs=legs,
    )


def _read_sides(row: Row, directory: Directory, country: str) -> _Sides:
    caller = normalise_phone(row.from_number or row.from_extension, country=country)
    called = normalise_phone(row.to_number or row.to_extension, country=country)
    return _Sides(
        row,
        caller,
        called,
        directory.users_by_extension.get(row.from_extension) or directory.owner_of(caller),
        directory.users_by_extension.get(row.to_extension) or directory.owner_of(called),
    )


def _direction(sides: list[_Sides], directory: Directory) -> Direction:
    """By the call's first row: what follows are transfers of the same conversation."""
    first = sides[0]
    if not any(side.row.line_number for side in sides):
        return "internal"
    outbound = bool(first.row.from_extension)
    outside = first.called if outbound else first.caller
    if directory.is_own(outside):
        return "internal"
    return "out" if outbound else "in"


def _leg_of(side: _Sides, direction: Direction, directory: Directory) -> UserLeg | None:
    """The employee's end of a row; None for menus and queues, where nobody's device rang."""
    row = side.row
    outbound = direction == "out" and bool(row.from_extension or side.caller_id) and not _is_employee(side)
    if outbound:
        extension, user_id = row.from_extension, side.caller_id
    elif row.to_extension or side.called_id or side.called.kind == "sip":
        extension, user_id = row.to_extension, side.called_id
    elif direction != "out" and side.called.kind == "phone" and row.to_number != row.line_number:
        extension, user_id = "", None  # redirected to a phone nobody owns
    else:
        return None
    start, finish = _time(row.start, "start"), _time(row.finish, "finish")
    answer = _time(row.answer, "answer")
    return UserLeg(
        extension or directory.extension_of(user_id),
        user_id,
        start or None,
        answer or None,
        finish or None,
        # Clocks of the PBX's nodes differ by moments: a talk below nothing is none.
        max(0, finish - answer) if answer and finish else (0 if not answer else None),
        # Colleagues asking each other before a transfer talk without the client.
        with_client=direction == "internal" or not (row.from_extension and not row.line_number),
    )


def _is_employee(side: _Sides) -> bool:
    """The called side is a colleague: a transfer of an outbound call."""
    return bool(side.row.to_extension) or side.called_id is not None


def _time(cell: str, name: str) -> int:
    """Unix seconds; 0 is «never»."""
    text = cell.strip()
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise BadRecord(
            "not_a_number",
            say("Поле {name}: {got}", "Field {name}: {got}", name=name, got=repr(text)),
            path=f"$.rows..{name}",
            expected="Unix time",
            got=text,
        )
    return int(text)
