"""Zadarma's records to core rows; pure, so a replay needs no network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from base.phones import Phone, normalise_phone
from base.text import say
from connectors.conversations import Conversation, Direction, UserLeg, add_conversation, choose_speaker
from connectors.decode import decode_record
from connectors.stream import BadRecord, MapContext, RawRecord, Rows, target
from connectors.zadarma.legs import (
    LONGEST_EXTENSION,
    SHORTEST_PHONE,
    BilledCall,
    PbxLeg,
    epoch_in_call_id,
    epoch_in_object_id,
    extension_of,
    is_answered,
    is_phantom,
    number_in_clid,
    outside_number,
    read_wall_time,
    seconds_of,
    text_of,
    to_utc_seconds,
)
from connectors.zadarma.settings import ZadarmaSettings

USERS = target("core.users", "external_id name email extension phone is_active is_admin")


class _Extension(msgspec.Struct):
    number: int | str
    name: str | None = None


class _PbxCall(msgspec.Struct):
    call_id: str
    rows: list[PbxLeg]


class _Billed(msgspec.Struct):
    direction: Literal["in", "out"]
    row: BilledCall


class _Shape(msgspec.Struct):
    """Tells a PBX call with its legs from a billing row."""

    rows: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_EXTENSION = msgspec.json.Decoder(_Extension)
_PBX_CALL = msgspec.json.Decoder(_PbxCall)
_BILLED = msgspec.json.Decoder(_Billed)
_SHAPE = msgspec.json.Decoder(_Shape)


@dataclass(frozen=True)
class _Account:
    """What the account is: its clock, its extensions, its own numbers."""

    zone: ZoneInfo
    country: str
    extensions: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()

    def read_phone(self, text: str) -> Phone:
        # The vendor writes country code and number without a plus: 84951234567 is Vietnam here.
        return normalise_phone(text, country=self.country, international=True)

    def is_own(self, phone: Phone) -> bool:
        return phone.e164 in self.phones or (phone.kind == "internal" and phone.raw.strip() in self.extensions)


@dataclass(slots=True)
class _Leg:
    """A row with its moment in UTC."""

    row: PbxLeg
    started: int
    user: UserLeg | None = field(default=None)


def map_extension(record: RawRecord, context: MapContext, rows: Rows) -> None:
    card = decode_record(_EXTENSION, record.payload)
    extension = str(card.number)
    rows.add(USERS, (extension, (card.name or "").strip() or None, None, extension, None, True, None))


def map_call(record: RawRecord, context: MapContext, rows: Rows) -> None:
    account = _account_of(context)
    if decode_record(_SHAPE, record.payload).rows is not msgspec.UNSET:
        add_conversation(rows, _read_pbx_call(decode_record(_PBX_CALL, record.payload), account))
        return
    add_conversation(rows, _read_billed(record.record_id, decode_record(_BILLED, record.payload), account))


def _account_of(context: MapContext) -> _Account:
    found: _Account | None = context.cache.get("zadarma.account")
    if found is None:
        settings = context.settings
        zone = settings.timezone if isinstance(settings, ZadarmaSettings) else None
        numbers = context.dictionaries.get("numbers", {})
        phones = (normalise_phone(number, country=context.country, international=True) for number in numbers)
        found = context.cache["zadarma.account"] = _Account(
            zone=ZoneInfo(zone) if zone else context.zone,
            country=context.country,
            extensions=frozenset(context.dictionaries.get("extensions", {})),
            phones=frozenset(phone.e164 for phone in phones if phone.e164),
        )
    return found


# ── PBX statistics ──────────────────────────────────────────────────────────────────────────────────────────────


def _read_pbx_call(call: _PbxCall, account: _Account) -> Conversation:
    """One conversation.

    Raises:
        BadRecord: no rows, an unreadable time, or a direction that can't be told.
    """
    own_rows = [row for row in call.rows if not is_phantom(row)] or call.rows
    if not own_rows:
        raise BadRecord("no_rows", say("У звонка нет строк", "The call has no rows"), path="$.rows")
    legs = sorted(_in_utc(own_rows, account.zone), key=lambda leg: (leg.started, text_of(leg.row.call_id)))
    outbound = _is_outbound(call.call_id, legs[0].row)
    outside = _outside_of(legs, account, outbound=outbound)
    direction = _direction(outside, legs, account, outbound=outbound)
    users = [user for user in (_user_leg(leg) for leg in legs) if user is not None]
    speaker = choose_speaker(users)
    # An attempt is its caller's; nobody held a missed call.
    credited = speaker if direction == "in" or speaker is not None else next(iter(users), None)
    ends = [leg.started + seconds_of(leg.row.seconds, "seconds") for leg in legs]
    return Conversation(
        call_id=call.call_id,
        direction=direction,
        started_at=legs[0].started,
        external_number=None if direction == "internal" else outside.e164,
        external_number_raw=None if direction == "internal" else outside.raw or None,
        line=None if outbound else _line_of(legs),
        is_answered=speaker is not None,
        talk_seconds=(speaker.talk or 0) if speaker else 0,
        extension=credited.extension if credited else None,
        user_id=credited.user_id if credited else None,
        duration_seconds=max(ends) - legs[0].started,
        legs=users,
    )


def _in_utc(rows: list[PbxLeg], zone: ZoneInfo) -> list[_Leg]:
    """Each row's moment. A leg without an id of its own follows the nearest one that has an epoch."""
    walls = [(row, read_wall_time(row.callstart), epoch_in_call_id(row.call_id)) for row in rows]
    known = [(wall, to_utc_seconds(wall, epoch, zone)) for _, wall, epoch in walls if epoch is not None]
    legs = []
    for row, wall, epoch in walls:
        if epoch is None and known:
            near, moment = min(known, key=lambda pair: abs(pair[0] - wall))
            epoch = moment + int((wall - near).total_seconds())
        legs.append(_Leg(row, to_utc_seconds(wall, epoch, zone)))
    return legs


def _is_outbound(call_id: str, first: PbxLeg) -> bool:
    """By the id's prefix; without one by which end is an extension.

    Raises:
        BadRecord: neither end is outside in a way that tells.
    """
    if call_id.startswith(("in_", "out_")):
        return call_id.startswith("out_")
    sip, destination = text_of(first.sip).lstrip("+"), text_of(first.destination).lstrip("+")
    if sip.isdigit() and len(sip) >= SHORTEST_PHONE:
        return False
    caller = number_in_clid(first.clid)
    if extension_of(first) is not None and len(destination) >= SHORTEST_PHONE and len(caller) < SHORTEST_PHONE:
        return True
    if len(caller) >= SHORTEST_PHONE:
        return False
    if extension_of(first) is not None and destination:
        return True  # extension to extension: `_direction` makes it internal
    raise BadRecord(
        "unknown_direction",
        say("Направление звонка не определить", "The call's direction can't be told"),
        path="$.rows..pbx_call_id",
        expected="in_… / out_…",
        got=call_id,
    )


def _outside_of(legs: list[_Leg], account: _Account, *, outbound: bool) -> Phone:
    """The other party: the first row that names a phone, else what the first row says."""
    phones = [account.read_phone(outside_number(leg.row, outbound=outbound)) for leg in legs]
    return next((phone for phone in phones if phone.kind == "phone"), phones[0])


def _direction(outside: Phone, legs: list[_Leg], account: _Account, *, outbound: bool) -> Direction:
    if account.is_own(outside):
        return "internal"
    if outside.kind == "internal" and len(outside.raw) <= LONGEST_EXTENSION and not account.extensions:
        # Which extensions there are isn't known: a short number on the other side is a colleague.
        return "internal"
    return "out" if outbound else "in"


def _line_of(legs: list[_Leg]) -> str | None:
    """The own number the client dialled: a menu's or extension's number may stand in its place on later rows."""
    dialled = [text_of(leg.row.destination) for leg in legs]
    return next((text for text in dialled if len(text.lstrip("+")) >= SHORTEST_PHONE), None)


def _user_leg(leg: _Leg) -> UserLeg | None:
    """The employee's leg; None for a menu, a queue or a voicemail, which may be `answered` by a robot."""
    extension = extension_of(leg.row)
    if extension is None:
        return None
    seconds = seconds_of(leg.row.seconds, "seconds")
    if not is_answered(leg.row.disposition):
        return UserLeg(extension, extension, leg.started, None, leg.started + seconds, 0)
    # The statistics don't say when a leg was picked up: `seconds` is the talk, `callstart` the start of ringing.
    return UserLeg(extension, extension, leg.started, leg.started, leg.started + seconds, seconds)


# ── billing statistics ──────────────────────────────────────────────────────────────────────────────────────────


def _read_billed(record_id: str, billed: _Billed, account: _Account) -> Conversation:
    """One billed call. It names a SIP login, which may be one employee's or the whole office's."""
    row = billed.row
    seconds = seconds_of(row.billseconds, "billseconds")
    made = epoch_in_object_id(row.id)
    # The row is made when the call ends, so its id without the talk is near the start.
    started = to_utc_seconds(read_wall_time(row.callstart), None if made is None else made - seconds, account.zone)
    answered = is_answered(row.disposition)
    outside = account.read_phone(text_of(row.to if billed.direction == "out" else row.origin))
    direction: Direction = "internal" if account.is_own(outside) else billed.direction
    login = text_of(row.sip) or None
    leg = UserLeg(login, login, started, started if answered else None, started + seconds, seconds if answered else 0)
    return Conversation(
        call_id=record_id,
        direction=direction,
        started_at=started,
        external_number=None if direction == "internal" else outside.e164,
        external_number_raw=None if direction == "internal" else outside.raw or None,
        line=text_of(row.to) or None if billed.direction == "in" else None,
        is_answered=answered,
        talk_seconds=seconds if answered else 0,
        extension=login if answered or direction != "in" else None,
        user_id=login if answered or direction != "in" else None,
        duration_seconds=seconds,
        legs=[leg] if login else [],
    )
