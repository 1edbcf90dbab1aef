"""Whose number, SIP address, extension or user id it is: the PBX's employees and lines, read once per conform.

Employees who left stay in it, because conforming gives the last payload of every id ever seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from base.phones import Phone, normalise_phone, split_phones
from connectors.stream import MapContext

CardT = TypeVar("CardT")
Text = str | int | None


class Number(msgspec.Struct):
    number: Text = None
    number_normalized: Text = None
    protocol: str | None = None
    order: int | str | None = None


class General(msgspec.Struct):
    user_id: Text = None
    name: str | None = None
    email: str | None = None
    mobile: Text = None
    login: str | None = None
    access_role_id: Text = None
    sips: list[Number] | None = None


class Telephony(msgspec.Struct):
    extension: Text = None
    numbers: list[Number] | None = None


class User(msgspec.Struct):
    """An employee's card, as far as calls need it."""

    general: General
    telephony: Telephony | None = None


class _Line(msgspec.Struct):
    number: Text = None


USER_DECODER = msgspec.json.Decoder(User)
_LINE_DECODER = msgspec.json.Decoder(_Line)


@dataclass
class Directory:
    """Employees by everything a call may name them with; `owner_of_…` give user ids."""

    extensions: dict[str, str | None] = field(default_factory=dict)  # by user id
    users_by_extension: dict[str, str] = field(default_factory=dict)
    users_by_phone: dict[str, str] = field(default_factory=dict)
    users_by_sip: dict[str, str] = field(default_factory=dict)
    line_phones: set[str] = field(default_factory=set)

    def extension_of(self, user_id: str | None) -> str | None:
        return self.extensions.get(user_id) if user_id else None

    def owner_of(self, phone: Phone) -> str | None:
        """The user id behind a number, a SIP address or an extension; None for strangers."""
        if phone.kind in ("phone", "sip"):
            return self.users_by_phone.get(phone.e164 or "") or self.users_by_sip.get(_sip_address(phone.raw))
        if phone.kind == "internal":
            return self.users_by_extension.get(phone.raw.strip())
        return None

    def is_own(self, phone: Phone) -> bool:
        """True for every side of a call that belongs to the company: employees, their mobiles, the lines."""
        return (phone.e164 is not None and phone.e164 in self.line_phones) or self.owner_of(phone) is not None


def directory_of(context: MapContext) -> Directory:
    """The directory of a conform; built at its first use."""
    found: Directory | None = context.cache.get("mango.directory")
    if found is None:
        found = context.cache["mango.directory"] = _build(context)
    return found


def _build(context: MapContext) -> Directory:
    directory = Directory()
    for user in _decode_all(context, "users", USER_DECODER):
        _enter(directory, user, context.country)
    for line in _decode_all(context, "lines", _LINE_DECODER):
        phone = normalise_phone(line.number, country=context.country)
        if phone.e164:
            directory.line_phones.add(phone.e164)
    return directory


def _decode_all(context: MapContext, stream: str, decoder: msgspec.json.Decoder[CardT]) -> Iterator[CardT]:
    for payload in context.dictionaries.get(stream, {}).values():
        try:
            yield decoder.decode(payload)
        except msgspec.DecodeError:
            # A card that can't be read is rejected by its own stream; calls go on without it.
            continue


def _enter(directory: Directory, user: User, country: str) -> None:
    if user.general.user_id is None:
        return
    user_id = str(user.general.user_id)
    extension = as_text(user.telephony.extension) if user.telephony else None
    directory.extensions[user_id] = extension
    if extension:
        directory.users_by_extension[extension] = user_id
    for sip in user.general.sips or ():
        directory.users_by_sip[_sip_address(str(sip.number or ""))] = user_id
    for number in user.telephony.numbers or () if user.telephony else ():
        if number.protocol == "sip":
            directory.users_by_sip[_sip_address(str(number.number or ""))] = user_id
    for e164 in own_phones(user, country):
        directory.users_by_phone[e164] = user_id
    directory.users_by_sip.pop("", None)


def own_phones(user: User, country: str) -> list[str]:
    """An employee's own numbers in E.164, in the order of their card."""
    numbers = user.telephony.numbers or [] if user.telephony else []
    ordered = sorted(numbers, key=lambda number: str(number.order or "").zfill(4))
    # The card's free text (`1212121`) is a whole number only after Mango has normalised it.
    raw = [number.number_normalized or number.number for number in ordered if number.protocol in (None, "", "tel")]
    found: dict[str, None] = {}
    for text in [*raw, user.general.mobile]:
        for part in split_phones(None if text is None else str(text)):
            e164 = normalise_phone(part, country=country).e164
            if e164:
                found[e164] = None
    return list(found)


def as_text(value: Text) -> str | None:
    """An id or extension as text; empty is None, leading zeros stay."""
    text = "" if value is None else str(value).strip()
    return text or None


def _sip_address(text: str) -> str:
    address = text.strip().lower()
    for scheme in ("sips:", "sip:"):
        address = address.removeprefix(scheme)
    return address.split(";", 1)[0]
