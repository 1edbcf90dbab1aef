"""A company's calls in Mango's shapes: call objects of the extended report and rows of the basic one.

Everything a vendor leaves out now and then is left out here for some calls, chosen by their id: the extension of a
leg, the employee's own leg of an outbound call, the legs of a call that ended in the menu.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from base.times import to_unix
from demo.story import Call, Leg, Manager, Story

Json = dict[str, Any]

SIP_DOMAIN = "vpbx400012345.mangosip.ru"
GROUP_ID = 10050001
# What each part of a call ended with (the vendor's codes).
CALLER_HUNG_UP, NO_ANSWER, CALLEE_HUNG_UP, ENDED_BY_SCHEME = 1110, 1111, 1120, 1170


@dataclass(kw_only=True)
class MangoCall:
    """One call as both reports know it."""

    ended_at: int  # Unix seconds: from then on the statistics have it
    card: Json  # the extended report's object
    rows: list[dict[str, str]]  # the basic report's legs, by column

    @property
    def started_at(self) -> int:
        return int(self.card["context_start_time"])


@dataclass(kw_only=True)
class MangoWorld:
    """What the simulated server serves. Tests may change it between runs."""

    users: list[Json] = field(default_factory=list)
    lines: list[Json] = field(default_factory=list)
    groups: list[Json] = field(default_factory=list)
    calls: list[MangoCall] = field(default_factory=list)


def entry_id_of(call_id: str) -> str:
    """The vendor's id of a story's call: opaque, base64-looking, the same in every run."""
    return base64.b64encode(f"{zlib.crc32(call_id.encode())}:{call_id}".encode()).decode()


def world_from_story(story: Story) -> MangoWorld:
    staff = {manager.extension: manager for manager in story.managers}
    numbers = sorted({call.line for call in story.calls if call.line})
    return MangoWorld(
        users=[_user(manager) for manager in story.managers if manager.is_active],
        lines=[
            {
                "line_id": 405000000 + place,
                "number": number,
                "name": f"Линия {place}",
                "comment": "",
                "region": "Москва",
            }
            for place, number in enumerate(numbers, start=1)
        ],
        groups=[
            {
                "id": GROUP_ID,
                "name": "Продажи",
                "extension": "500",
                "operators": [
                    {"id": manager.telephony_user_id, "name": manager.name, "extension": manager.extension}
                    for manager in story.managers
                ],
            }
        ],
        calls=sorted((_call(call, staff) for call in story.calls), key=lambda call: call.started_at),
    )


def sip_of(manager: Manager) -> str:
    return f"sip:{manager.person_id}@{SIP_DOMAIN}"


def _user(manager: Manager) -> Json:
    return {
        "general": {
            "name": manager.name,
            "email": manager.email,
            "department": manager.team,
            "position": "Менеджер",
            "user_id": manager.telephony_user_id,
            "sips": [{"number": sip_of(manager).removeprefix("sip:")}],
            "mobile": "",
            "login": manager.person_id,
        },
        "telephony": {
            "extension": manager.extension,
            "outgoingline": "",
            "numbers": [
                {
                    "number": sip_of(manager),
                    "number_normalized": "",
                    "protocol": "sip",
                    "order": "1",
                    "wait_sec": 30,
                    "status": "on",
                }
            ],
        },
        "groups": [GROUP_ID],
    }


# ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _call(call: Call, staff: dict[str, Manager]) -> MangoCall:
    card, rows = _BUILDERS[call.direction](call, staff)
    started, ended = to_unix(call.started_at), to_unix(call.ended_at)
    talk = _talk_of(call)
    entry_id = entry_id_of(call.call_id)
    head = {
        "entry_id": entry_id,
        "context_type": {"in": 1, "out": 2, "internal": 3}[call.direction],
        "context_status": 1 if talk else 0,
        "context_start_time": started,
        "duration": ended - started,
        "talk_duration": talk,
        "context_init_type": 0 if call.direction == "in" else 1,
        "recall_status": 2,
        "cost": 0,
    }
    for row in rows:
        row |= {"records": "[]", "entry_id": entry_id, "create": str(started)}
    return MangoCall(ended_at=ended, card=head | card, rows=rows)


def _talk_of(call: Call) -> int:
    """Talk of the whole call: of an outbound one from the client's picking up, else all answered legs together."""
    if call.direction == "out":
        return to_unix(call.ended_at) - to_unix(call.answered_at) if call.answered_at else 0
    return sum(to_unix(leg.ended_at) - to_unix(leg.answered_at) for leg in call.legs if leg.answered_at)


def _inbound(call: Call, staff: dict[str, Manager]) -> tuple[Json, list[dict[str, str]]]:
    side = {"caller_id": None, "caller_name": call.number, "caller_number": call.number, "called_number": call.line}
    if not call.legs:
        row = _row(call.started_at, None, call.ended_at, from_number=call.number, to_number=call.line, line=call.line)
        return side | {"context_calls": []}, [row | {"disconnect_reason": str(ENDED_BY_SCHEME), "location": "ivr"}]
    together = [leg for leg in call.legs if leg.ringing_at == call.legs[0].ringing_at]
    legs = [_user_leg(call, leg, staff) for leg in call.legs]
    if len(together) > 1:
        legs = [_group_leg(legs[: len(together)]), *legs[len(together) :]]
    rows = [
        _row(
            leg.ringing_at,
            leg.answered_at,
            leg.ended_at,
            from_number=call.number,
            to_extension=leg.extension,
            to_number=_number_of(leg.extension, staff),
            line=call.line,
        )
        for leg in call.legs
    ]
    return side | {"context_calls": legs}, rows


def _outbound(call: Call, staff: dict[str, Manager]) -> tuple[Json, list[dict[str, str]]]:
    caller = staff.get(call.legs[0].extension) if call.legs else None
    side = _caller_side(caller) | {"called_number": call.number}
    client = _leg("number", call.legs[0].ringing_at if call.legs else call.started_at, call.answered_at, call.ended_at)
    client |= {"call_abonent_id": None, "call_abonent_info": call.number, "call_abonent_number": call.number}
    if call.legs:
        client["call_abonent_extension"] = call.legs[0].extension
    shown = call.legs if _is_chatty(call) else call.legs[1:]
    legs = [client, *(_user_leg(call, leg, staff) for leg in shown)]
    rows = []
    for place, leg in enumerate(call.legs):
        first = place == 0
        rows.append(
            _row(
                leg.ringing_at,
                call.answered_at if first else leg.answered_at,
                leg.ended_at,
                from_extension=leg.extension if first else "",
                from_number=_number_of(leg.extension, staff) if first else call.number,
                to_extension="" if first else leg.extension,
                to_number=call.number if first else _number_of(leg.extension, staff),
                line=call.line,
            )
        )
    return side | {"context_calls": legs}, rows


def _internal(call: Call, staff: dict[str, Manager]) -> tuple[Json, list[dict[str, str]]]:
    caller = next((leg.extension for leg in call.legs if leg.extension != call.number), "")
    called = next((leg for leg in call.legs if leg.extension == call.number), None)
    if called is None:
        first = call.legs[0] if call.legs else None
        called = Leg(
            extension=call.number,
            ringing_at=first.ringing_at if first else call.started_at,
            answered_at=first.answered_at if first else None,
            ended_at=call.ended_at,
        )
    number = _number_of(call.number, staff)
    side = _caller_side(staff.get(caller)) | {"called_number": number}
    # Recorded rows of such calls have no called extension: only the SIP address tells who it was.
    row = _row(
        called.ringing_at,
        called.answered_at,
        called.ended_at,
        from_extension=caller,
        from_number=_number_of(caller, staff),
        to_number=number,
    )
    return side | {"context_calls": [_user_leg(call, called, staff)]}, [row]


_BUILDERS = {"in": _inbound, "out": _outbound, "internal": _internal}


def _caller_side(caller: Manager | None) -> Json:
    if caller is None:
        return {"caller_id": None, "caller_name": "", "caller_number": ""}
    return {"caller_id": caller.telephony_user_id, "caller_name": caller.name, "caller_number": sip_of(caller)}


def _number_of(extension: str, staff: dict[str, Manager]) -> str:
    manager = staff.get(extension)
    return sip_of(manager) if manager else f"sip:user{extension}@{SIP_DOMAIN}"


def _is_chatty(call: Call) -> bool:
    """Some calls list more than others; which ones is fixed by their id."""
    return zlib.crc32(call.call_id.encode()) % 3 == 0


def _leg(kind: str, start: datetime, answer: datetime | None, end: datetime) -> Json:
    began, finished = to_unix(start), to_unix(end)
    answered = to_unix(answer) if answer else None
    return {
        "call_type": kind,
        "call_start_time": began,
        "call_answer_time": answered,
        "call_end_time": finished,
        "call_duration": finished - began,
        "talk_duration": finished - answered if answered else 0,
        "dial_duration": (answered or finished) - began,
        "hold_duration": None,
        "call_end_reason": CALLEE_HUNG_UP if answered else NO_ANSWER,
        "recording_id": [],
        "members": None,
    }


def _user_leg(call: Call, leg: Leg, staff: dict[str, Manager]) -> Json:
    manager = staff.get(leg.extension)
    card = _leg("user", leg.ringing_at, leg.answered_at, leg.ended_at) | {
        "call_abonent_id": manager.telephony_user_id if manager else None,
        "call_abonent_info": manager.name if manager else "",
        "call_abonent_number": _number_of(leg.extension, staff),
    }
    # Undocumented, so not always there; without a known employee it is all there is.
    if _is_chatty(call) or manager is None or not manager.is_active:
        card["call_abonent_extension"] = leg.extension
    return card


def _group_leg(members: Sequence[Json]) -> Json:
    """A group's own leg: it spans its members and repeats the seconds of the one who answered."""
    answered = [leg["call_answer_time"] for leg in members if leg["call_answer_time"]]
    began = min(leg["call_start_time"] for leg in members)
    finished = max(leg["call_end_time"] for leg in members)
    return {
        "call_type": "group",
        "call_abonent_id": GROUP_ID,
        "call_abonent_info": "Продажи",
        "call_abonent_number": None,
        "call_start_time": began,
        "call_answer_time": min(answered, default=None),
        "call_end_time": finished,
        "call_duration": finished - began,
        "talk_duration": max(leg["talk_duration"] for leg in members),
        "dial_duration": min(answered, default=finished) - began,
        "hold_duration": None,
        "call_end_reason": CALLER_HUNG_UP,
        "recording_id": [],
        "ModeGroup": True,
        "DirectionInbound": True,
        "members": list(members),
    }


def _row(
    start: datetime,
    answer: datetime | None,
    finish: datetime,
    *,
    from_extension: str = "",
    from_number: str = "",
    to_extension: str = "",
    to_number: str = "",
    line: str = "",
) -> dict[str, str]:
    return {
        "start": str(to_unix(start)),
        "finish": str(to_unix(finish)),
        "answer": str(to_unix(answer)) if answer else "0",
        "from_extension": from_extension,
        "from_number": from_number,
        "to_extension": to_extension,
        "to_number": to_number,
        "disconnect_reason": str(CALLER_HUNG_UP),
        "line_number": line,
        "location": "abonent",
    }
