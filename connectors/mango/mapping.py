"""Mango's records to core rows; pure, so a replay needs no network."""

from __future__ import annotations

import msgspec

from base.text import say
from connectors.conversations import add_conversation
from connectors.decode import decode_record
from connectors.mango.basic_mapping import read_basic_call
from connectors.mango.directory import USER_DECODER, as_text, directory_of, own_phones
from connectors.mango.extended_mapping import CALL_DECODER, read_extended_call
from connectors.stream import BadRecord, MapContext, RawRecord, Rows, target

USERS = target("core.users", "external_id name email extension phone is_active is_admin")


class _Shape(msgspec.Struct):
    """Tells a conversation put together from the basic report's rows from the extended report's call object."""

    rows: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_SHAPE_DECODER = msgspec.json.Decoder(_Shape)


def map_user(record: RawRecord, context: MapContext, rows: Rows) -> None:
    user = decode_record(USER_DECODER, record.payload)
    user_id = as_text(user.general.user_id)
    if user_id is None:
        raise BadRecord("no_id", say("У сотрудника нет user_id", "The employee has no user_id"), path="$.general")
    email = (user.general.email or "").strip().lower()
    phones = own_phones(user, context.country)
    rows.add(
        USERS,
        (
            user_id,
            as_text(user.general.name),
            email or None,
            as_text(user.telephony.extension) if user.telephony else None,
            phones[0] if phones else None,
            True,
            None,  # access roles are the customer's own lists: which of them see everything isn't told
        ),
    )


def map_call(record: RawRecord, context: MapContext, rows: Rows) -> None:
    directory = directory_of(context)
    if decode_record(_SHAPE_DECODER, record.payload).rows is not msgspec.UNSET:
        add_conversation(rows, read_basic_call(record.payload, directory, context.country))
        return
    call = decode_record(CALL_DECODER, record.payload)
    add_conversation(rows, read_extended_call(call, directory, context.country))
