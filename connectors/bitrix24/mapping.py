"""Records to rows: users, pipelines, deals and their contacts, contacts, companies. Pure functions over one payload."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from base.phones import normalise_phone, split_phones
from connectors.bitrix24.answers import NULL
from connectors.bitrix24.fields import FieldBook
from connectors.bitrix24.settings import Bitrix24Settings
from connectors.bitrix24.values import (
    Scalar,
    as_currency,
    as_day,
    as_flag,
    as_id,
    as_int,
    as_link,
    as_micros,
    as_money,
    as_text,
)
from connectors.decode import decode_record
from connectors.stream import MapContext, RawRecord, Rows, target

USERS = target("core.users", "external_id name email extension phone is_active department")
STAGES = target(
    "core.pipeline_stages", "pipeline_id stage_id pipeline_name stage_name position system_kind", owned_by="pipeline_id"
)
DEALS = target(
    "core.deals",
    "deal_id pipeline_id stage_id owner_id company_id title amount currency created_at updated_at closed_at"
    " planned_close_on loss_reason lead_source lead_id invoice_number contract_number order_id tax_id url",
)
DEAL_CONTACTS = target("core.deal_contacts", "deal_id contact_id is_main", owned_by="deal_id")
CONTACTS = target("core.contacts", "contact_id name phones emails company_id owner_id created_at updated_at")
COMPANIES = target("core.companies", "company_id name phones emails owner_id created_at updated_at")
CONTACT_PHONES = target("core.contact_phones", "contact_id phone first_seen_at last_seen_at")

FINAL = {"S": "S", "F": "F", "SUCCESS": "S", "FAILURE": "F", "APOLOGY": "F"}
SYSTEM_KINDS = {"S": "won", "F": "lost", "SUCCESS": "won", "FAILURE": "lost", "APOLOGY": "lost"}
Listed = list[Any]


class Multifield(msgspec.Struct):
    VALUE: Scalar = None


# Phones or mails; absent or `false` where there are none.
Multifields = list[Multifield] | bool | str | None


class _User(msgspec.Struct):
    ID: Scalar
    ACTIVE: Scalar = None
    NAME: Scalar = None
    LAST_NAME: Scalar = None
    EMAIL: Scalar = None
    WORK_PHONE: Scalar = None
    PERSONAL_MOBILE: Scalar = None
    UF_PHONE_INNER: Scalar = None
    # `false` for people from outside.
    UF_DEPARTMENT: Listed | Scalar = None


class _Department(msgspec.Struct):
    NAME: Scalar = None


class _Category(msgspec.Struct):
    id: Scalar
    name: Scalar = None


class _Extra(msgspec.Struct):
    SEMANTICS: Scalar = None


class _Stage(msgspec.Struct):
    STATUS_ID: str
    NAME: Scalar = None
    SORT: Scalar = None
    SEMANTICS: Scalar = None
    EXTRA: _Extra | Listed | None = None


class _Pipeline(msgspec.Struct):
    category: _Category
    stages: list[_Stage]


class _Status(msgspec.Struct):
    ENTITY_ID: str = ""
    STATUS_ID: Scalar = None
    NAME: Scalar = None
    SEMANTICS: Scalar = None
    EXTRA: _Extra | Listed | None = None


class _Deal(msgspec.Struct):
    ID: Scalar
    TITLE: Scalar = None
    CATEGORY_ID: Scalar = None
    STAGE_ID: Scalar = None
    STAGE_SEMANTIC_ID: Scalar = None
    OPPORTUNITY: msgspec.Raw = NULL
    CURRENCY_ID: Scalar = None
    COMPANY_ID: Scalar = None
    LEAD_ID: Scalar = None
    ASSIGNED_BY_ID: Scalar = None
    DATE_CREATE: Scalar = None
    DATE_MODIFY: Scalar = None
    MOVED_TIME: Scalar = None
    CLOSEDATE: Scalar = None
    CLOSED: Scalar = None
    IS_RECURRING: Scalar = None
    SOURCE_ID: Scalar = None
    UTM_SOURCE: Scalar = None


class _DealContacts(msgspec.Struct):
    """By the universal method; by the classic one only the first contact."""

    id: Scalar = None
    contact_id: Scalar = msgspec.field(default=None, name="contactId")
    contact_ids: Listed | Scalar = msgspec.field(default=None, name="contactIds")
    ID: Scalar = None
    CONTACT_ID: Scalar = None


class _Party(msgspec.Struct):
    """A contact or a company. Phones and mails are absent where there are none."""

    ID: Scalar
    NAME: Scalar = None
    SECOND_NAME: Scalar = None
    LAST_NAME: Scalar = None
    TITLE: Scalar = None
    COMPANY_ID: Scalar = None
    IS_MY_COMPANY: Scalar = None
    ASSIGNED_BY_ID: Scalar = None
    DATE_CREATE: Scalar = None
    DATE_MODIFY: Scalar = None
    PHONE: Multifields = None
    EMAIL: Multifields = None


_USER = msgspec.json.Decoder(_User)
_DEPARTMENT = msgspec.json.Decoder(_Department)
_PIPELINE = msgspec.json.Decoder(_Pipeline)
_STATUS = msgspec.json.Decoder(_Status)
_DEAL = msgspec.json.Decoder(_Deal)
_DEAL_CONTACTS = msgspec.json.Decoder(_DealContacts)
_PARTY = msgspec.json.Decoder(_Party)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Portal(msgspec.Struct, frozen=True):
    """What mappings need of the portal, derived once a conform."""

    names: dict[tuple[str, str], str]  # (dictionary, code) to name
    semantics: dict[tuple[str, str], str]  # (dictionary, code) to S or F; what is still in work is left out
    fields: FieldBook
    base_url: str


def read_portal(context: MapContext) -> Portal:
    known: Portal | None = context.cache.get("bitrix24.portal")
    if known is not None:
        return known
    settings = context.settings
    assert isinstance(settings, Bitrix24Settings)
    statuses = [decode_record(_STATUS, payload) for payload in context.dictionaries.get("statuses", {}).values()]
    portal = Portal(
        names={(status.ENTITY_ID, str(status.STATUS_ID)): as_text(status.NAME) or "" for status in statuses},
        semantics={
            (status.ENTITY_ID, str(status.STATUS_ID)): meaning
            for status in statuses
            if (meaning := FINAL.get(_semantics(status.SEMANTICS, status.EXTRA)))
        },
        fields=FieldBook(context.dictionaries.get("deal_fields", {}), settings.fields),
        base_url=settings.portal,
    )
    context.cache["bitrix24.portal"] = portal
    return portal


def map_user(record: RawRecord, context: MapContext, rows: Rows) -> None:
    user = decode_record(_USER, record.payload)
    phone = as_text(user.PERSONAL_MOBILE) or as_text(user.WORK_PHONE)
    email = as_text(user.EMAIL)
    rows.add(
        USERS,
        (
            as_id(user.ID),
            full_name(user.NAME, user.LAST_NAME) or email,
            email.lower() if email else None,
            as_text(user.UF_PHONE_INNER),
            normalise_phone(phone, country=context.country).e164,
            # A portal that leaves it out shows working users only.
            as_flag(user.ACTIVE) is not False,
            _department(user, context),
        ),
    )


def map_pipeline(record: RawRecord, context: MapContext, rows: Rows) -> None:
    pipeline = decode_record(_PIPELINE, record.payload)
    pipeline_id = as_id(pipeline.category.id)
    name = as_text(pipeline.category.name)
    stages = [
        (pipeline_id, stage.STATUS_ID, name, as_text(stage.NAME), as_int(stage.SORT), _system_kind(stage))
        for stage in pipeline.stages
    ]
    rows.add_children(STAGES, (pipeline_id,), stages)


def map_deal(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """A deal. CLOSEDATE is a plan anybody edits: the closing time is the last move of a deal that is closed.

    Of a closed deal it is no plan any more: most portals overwrite it with the day of closing.
    """
    deal = decode_record(_DEAL, record.payload)
    if as_flag(deal.IS_RECURRING):
        # The template of a recurring deal: nothing was ever sold by it.
        return
    portal = read_portal(context)
    fields = decode_record(_OBJECT, record.payload) if portal.fields.codes else {}
    deal_id = str(as_int(deal.ID))
    pipeline_id = as_id(deal.CATEGORY_ID) or "0"
    is_closed = as_flag(deal.CLOSED) is True or deal.STAGE_SEMANTIC_ID in ("S", "F")
    rows.add(
        DEALS,
        (
            deal_id,
            pipeline_id,
            as_text(deal.STAGE_ID),
            as_link(deal.ASSIGNED_BY_ID),
            as_link(deal.COMPANY_ID),
            as_text(deal.TITLE),
            as_money(deal.OPPORTUNITY, "$.OPPORTUNITY"),
            as_currency(deal.CURRENCY_ID) or context.currency,
            as_micros(deal.DATE_CREATE, "$.DATE_CREATE"),
            as_micros(deal.DATE_MODIFY, "$.DATE_MODIFY"),
            as_micros(deal.MOVED_TIME, "$.MOVED_TIME") if is_closed else None,
            None if is_closed else as_day(deal.CLOSEDATE, "$.CLOSEDATE"),
            _loss_reason(deal, pipeline_id, portal, fields),
            lead_source(deal.SOURCE_ID, deal.UTM_SOURCE, portal),
            as_link(deal.LEAD_ID),
            portal.fields.text("invoice_number", fields),
            portal.fields.text("contract_number", fields),
            portal.fields.text("order_id", fields),
            portal.fields.text("tax_id", fields),
            f"{portal.base_url}/crm/deal/details/{deal_id}/",
        ),
    )


def map_deal_contacts(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """All contacts of a deal; the one in its card's first place is the main one."""
    deal = decode_record(_DEAL_CONTACTS, record.payload)
    deal_id = str(as_int(deal.id) or as_int(deal.ID))
    main = as_link(deal.contact_id) or as_link(deal.CONTACT_ID)
    stated = deal.contact_ids if isinstance(deal.contact_ids, list) else []
    every = [main, *(as_link(contact_id) for contact_id in stated)]
    linked = list(dict.fromkeys(contact_id for contact_id in every if contact_id))
    rows.add_children(
        DEAL_CONTACTS, (deal_id,), [(deal_id, contact_id, place == 0) for place, contact_id in enumerate(linked)]
    )


def map_contact(record: RawRecord, context: MapContext, rows: Rows) -> None:
    contact = decode_record(_PARTY, record.payload)
    contact_id = str(as_int(contact.ID))
    phones = read_phones(contact.PHONE, context.country)
    updated_at = as_micros(contact.DATE_MODIFY, "$.DATE_MODIFY")
    rows.add(
        CONTACTS,
        (
            contact_id,
            full_name(contact.NAME, contact.SECOND_NAME, contact.LAST_NAME),
            phones,
            read_emails(contact.EMAIL),
            as_link(contact.COMPANY_ID),
            as_link(contact.ASSIGNED_BY_ID),
            as_micros(contact.DATE_CREATE, "$.DATE_CREATE"),
            updated_at,
        ),
    )
    for phone in phones:
        rows.add(CONTACT_PHONES, (contact_id, phone, updated_at, updated_at))


def map_company(record: RawRecord, context: MapContext, rows: Rows) -> None:
    company = decode_record(_PARTY, record.payload)
    if as_flag(company.IS_MY_COMPANY):
        # The portal's own legal entity, no customer.
        return
    rows.add(
        COMPANIES,
        (
            str(as_int(company.ID)),
            as_text(company.TITLE),
            read_phones(company.PHONE, context.country),
            read_emails(company.EMAIL),
            as_link(company.ASSIGNED_BY_ID),
            as_micros(company.DATE_CREATE, "$.DATE_CREATE"),
            as_micros(company.DATE_MODIFY, "$.DATE_MODIFY"),
        ),
    )


def read_phones(stated: Multifields, country: str) -> list[str]:
    """E.164, each once; what is no number stays in the payload."""
    typed = (part for text in _values(stated) for part in split_phones(text))
    found = (normalise_phone(part, country=country).e164 for part in typed)
    return list(dict.fromkeys(phone for phone in found if phone))


def read_emails(stated: Multifields) -> list[str]:
    return list(dict.fromkeys(text.lower() for text in _values(stated)))


def _values(stated: Multifields) -> Iterable[str]:
    if not isinstance(stated, list):
        return []
    return [text for item in stated if (text := as_text(item.VALUE))]


def full_name(*parts: Scalar) -> str | None:
    return " ".join(text for part in parts if (text := as_text(part))) or None


def _system_kind(stage: _Stage) -> str | None:
    return SYSTEM_KINDS.get(_semantics(stage.SEMANTICS, stage.EXTRA))


def _semantics(stated: Scalar, extra: _Extra | Listed | None) -> str:
    """S or F, or a word for it; some portals tell it in one place, some in the other."""
    further = as_text(extra.SEMANTICS) if isinstance(extra, _Extra) else None
    return (as_text(stated) or further or "").upper()


def _department(user: _User, context: MapContext) -> str | None:
    """The name of the user's first department."""
    listed = user.UF_DEPARTMENT if isinstance(user.UF_DEPARTMENT, list) else [user.UF_DEPARTMENT]
    first = next((link for value in listed if (link := as_link(value))), None)
    known = context.dictionaries.get("departments", {}).get(first or "")
    return None if known is None else as_text(decode_record(_DEPARTMENT, known).NAME)


def _loss_reason(deal: _Deal, pipeline_id: str, portal: Portal, fields: dict[str, msgspec.Raw]) -> str | None:
    """The configured field, else the name of the losing stage: portals keep a stage for each reason."""
    stated = portal.fields.text("loss_reason", fields)
    if stated is not None or deal.STAGE_SEMANTIC_ID != "F":
        return stated
    dictionary = "DEAL_STAGE" if pipeline_id == "0" else f"DEAL_STAGE_{pipeline_id}"
    return portal.names.get((dictionary, str(deal.STAGE_ID)))


def lead_source(source_id: Scalar, utm_source: Scalar, portal: Portal) -> str | None:
    """The name of the source chosen in the card, else the advertisement's mark."""
    code = as_text(source_id)
    if code is None:
        return as_text(utm_source)
    return portal.names.get(("SOURCE", code)) or code
