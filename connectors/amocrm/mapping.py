"""Records to rows: users, stages, contacts, companies. Pure functions over one payload.

Each record is decoded once into a struct of the fields used; unknown fields stay in the payload. PHP writes an empty
object as `[]`, so every object may be a list or null.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Generic
from zoneinfo import ZoneInfo

import msgspec

from base.money import to_money
from base.phones import normalise_phone, split_phones
from base.text import say
from base.times import MICROS
from connectors.amocrm.account import Account, Listed, Named, read_account
from connectors.amocrm.fields import (
    ABSENT,
    Field,
    FieldsT,
    Odd,
    RecordDecoder,
    Usual,
    read_fields,
    tax_id,
    texts_by_code,
)
from connectors.amocrm.values import add_values
from connectors.decode import decode_record
from connectors.stream import BadRecord, MapContext, RawRecord, Rows, target

USERS = target("core.users", "external_id name email phone is_active is_admin department")
STAGES = target(
    "core.pipeline_stages",
    "pipeline_id stage_id pipeline_name stage_name position system_kind",
    owned_by="pipeline_id",
)
CONTACTS = target("core.contacts", "contact_id name phones emails company_id owner_id tax_id created_at updated_at")
COMPANIES = target("core.companies", "company_id name phones emails owner_id tax_id created_at updated_at")
CONTACT_PHONES = target("core.contact_phones", "contact_id phone first_seen_at last_seen_at")
DELETED_CONTACTS = target("core.contacts", "contact_id is_deleted")
DELETED_COMPANIES = target("core.companies", "company_id is_deleted")

# The same two ids close a deal in every pipeline; they can be renamed, so the id decides, never the name.
SYSTEM_STATUSES = {142: "won", 143: "lost"}
UNSORTED_TYPE = 1


class _Rights(msgspec.Struct):
    is_admin: bool | None = None
    is_active: bool | None = None
    group_id: int | None = None


class _UserLinks(msgspec.Struct):
    groups: list[Named] | None = None


class _User(msgspec.Struct):
    id: int
    name: str | None = None
    email: str | None = None
    phone_number: str | int | None = None
    rights: _Rights | Listed | None = None
    embedded: _UserLinks | Listed | None = msgspec.field(default=None, name="_embedded")


class _Status(msgspec.Struct):
    id: int
    name: str | None = None
    sort: int | None = None
    type: int | None = None


class _PipelineLinks(msgspec.Struct):
    statuses: list[_Status] | None = None


class _Pipeline(msgspec.Struct):
    id: int
    name: str | None = None
    embedded: _PipelineLinks | Listed | None = msgspec.field(default=None, name="_embedded")


class _PartyLinks(msgspec.Struct, gc=False):
    companies: list[Named] | None = None


class _Party(msgspec.Struct, Generic[FieldsT], gc=False):
    """A contact or a company."""

    id: int
    name: str | None = None
    responsible_user_id: int | None = None
    created_at: int | None = None
    updated_at: int | None = None
    is_deleted: bool | None = None
    custom_fields_values: FieldsT = ABSENT
    embedded: _PartyLinks | Listed | None = msgspec.field(default=None, name="_embedded")


_USER = msgspec.json.Decoder(_User)
_PIPELINE = msgspec.json.Decoder(_Pipeline)
_PARTY: RecordDecoder[_Party[Any]] = RecordDecoder(_Party[Usual], _Party[Odd])


def map_user(record: RawRecord, context: MapContext, rows: Rows) -> None:
    user = decode_record(_USER, record.payload)
    rights = user.rights if isinstance(user.rights, _Rights) else _Rights()
    phone = normalise_phone(user.phone_number, country=context.country).e164
    email = (user.email or "").strip().lower() or None
    is_active = rights.is_active is not False
    department = _department(user, rights, read_account(context))
    rows.add(USERS, (str(user.id), user.name, email, phone, is_active, rights.is_admin, department))


def map_pipeline(record: RawRecord, context: MapContext, rows: Rows) -> None:
    pipeline = decode_record(_PIPELINE, record.payload)
    statuses = pipeline.embedded.statuses if isinstance(pipeline.embedded, _PipelineLinks) else None
    pipeline_id = str(pipeline.id)
    stages = [
        (
            pipeline_id,
            str(status.id),
            pipeline.name,
            status.name,
            status.sort,
            SYSTEM_STATUSES.get(status.id) or ("unsorted" if status.type == UNSORTED_TYPE else None),
        )
        for status in statuses or []
    ]
    rows.add_children(STAGES, (pipeline_id,), stages)


def map_contact(record: RawRecord, context: MapContext, rows: Rows) -> None:
    contact = _PARTY.decode(record.payload)
    contact_id = str(contact.id)
    if contact.is_deleted:
        rows.add(DELETED_CONTACTS, (contact_id, True))
        return
    account = read_account(context)
    fields = read_fields(contact.custom_fields_values, context.cache)
    phones = _phones(fields, account.zone, context.country)
    updated_at = as_micros(contact.updated_at)
    links = contact.embedded if isinstance(contact.embedded, _PartyLinks) else None
    rows.add(
        CONTACTS,
        (
            contact_id,
            contact.name,
            phones,
            _emails(fields, account.zone),
            first_id(links.companies) if links else None,
            as_id(contact.responsible_user_id),
            tax_id(fields, account.settings.fields.tax_id, account.zone),
            as_micros(contact.created_at),
            updated_at,
        ),
    )
    for phone in phones:
        # Dated by this version; conforming keeps the earliest, and a first loaded version counts from creation.
        rows.add(CONTACT_PHONES, (contact_id, phone, updated_at, updated_at))
    if account.settings.custom_fields == "all":
        add_values(rows, "contact", contact_id, fields, account.zone)


def map_company(record: RawRecord, context: MapContext, rows: Rows) -> None:
    company = _PARTY.decode(record.payload)
    company_id = str(company.id)
    if company.is_deleted:
        rows.add(DELETED_COMPANIES, (company_id, True))
        return
    account = read_account(context)
    fields = read_fields(company.custom_fields_values, context.cache)
    rows.add(
        COMPANIES,
        (
            company_id,
            company.name,
            _phones(fields, account.zone, context.country),
            _emails(fields, account.zone),
            as_id(company.responsible_user_id),
            tax_id(fields, account.settings.fields.tax_id, account.zone),
            as_micros(company.created_at),
            as_micros(company.updated_at),
        ),
    )
    if account.settings.custom_fields == "all":
        add_values(rows, "company", company_id, fields, account.zone)


def as_id(value: int | None) -> str | None:
    """An id as text. 0 is kept: as a user it is a robot, not nobody."""
    return None if value is None else str(value)


def as_micros(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * MICROS


def first_id(named: Iterable[Named] | None) -> str | None:
    for item in named or ():
        if item.id is not None:
            return str(item.id)
    return None


def as_amount(value: Decimal, path: str) -> Decimal:
    try:
        return to_money(value)
    except ValueError as error:
        message = say("{path}: не сумма: {error}", "{path}: no amount: {error}", path=path, error=str(error))
        raise BadRecord("no_amount", message, path=path, expected="DECIMAL(18,2)", got=str(value)) from None


def _department(user: _User, rights: _Rights, account: Account) -> str | None:
    """The user's group by name. The default group is id 0, which a user's rights write as null, and only the account
    names it."""
    own = user.embedded.groups if isinstance(user.embedded, _UserLinks) else None
    return first_name(own) or account.groups.get(rights.group_id or 0)


def first_name(named: list[Named] | Named | None) -> str | None:
    if isinstance(named, Named):
        return named.name
    return named[0].name if named else None


def _phones(fields: list[Field], zone: ZoneInfo, country: str) -> list[str]:
    """E.164, each once; what is no number stays in the payload."""
    typed = (part for text in texts_by_code(fields, "PHONE", zone) for part in split_phones(text))
    found = (normalise_phone(part, country=country).e164 for part in typed)
    return list(dict.fromkeys(phone for phone in found if phone))


def _emails(fields: list[Field], zone: ZoneInfo) -> list[str]:
    return list(dict.fromkeys(text.lower() for text in texts_by_code(fields, "EMAIL", zone)))
