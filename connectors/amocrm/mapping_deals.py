"""Deals: records to rows, one by one or many at once. Pure functions over payloads, as in mapping.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import repeat
from operator import attrgetter
from typing import Any, Generic
from zoneinfo import ZoneInfo

import msgspec

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
    text_by_name,
    texts_by_code,
)
from connectors.amocrm.mapping import as_amount, first_id, first_name
from connectors.amocrm.values import VALUES, read_values
from connectors.stream import MapContext, RawRecord, Rows, Target, target

DEALS = target(
    "core.deals",
    "deal_id pipeline_id stage_id owner_id company_id title amount currency created_at updated_at closed_at"
    " loss_reason lead_source invoice_number contract_number order_id tax_id url",
)
DEAL_CONTACTS = target("core.deal_contacts", "deal_id contact_id is_main", owned_by="deal_id")
DEAL_INVOICES = target("core.deal_invoices", "deal_id invoice_id", owned_by="deal_id")
DELETED_DEALS = target("core.deals", "deal_id is_deleted")


class _LinkedContact(msgspec.Struct, gc=False):
    id: int
    is_main: bool | None = None


class _ElementPlace(msgspec.Struct, gc=False):
    catalog_id: int | None = None


class _Element(msgspec.Struct, gc=False):
    """An element of a catalogue in a deal: a product or an invoice, as its catalogue says."""

    id: int | None = None
    metadata: _ElementPlace | Listed | None = None


class _LeadLinks(msgspec.Struct, gc=False):
    contacts: list[_LinkedContact] | None = None
    companies: list[Named] | None = None
    loss_reason: list[Named] | Named | None = None
    source: Named | Listed | None = None
    catalog_elements: list[_Element] | None = None


class _Lead(msgspec.Struct, Generic[FieldsT], gc=False):
    id: int
    name: str | None = None
    price: Decimal | None = None
    price_with_minor_units: Decimal | None = None
    responsible_user_id: int | None = None
    status_id: int | None = None
    pipeline_id: int | None = None
    loss_reason_id: int | None = None
    created_at: int | None = None
    updated_at: int | None = None
    closed_at: int | None = None
    is_deleted: bool | None = None
    custom_fields_values: FieldsT = ABSENT
    embedded: _LeadLinks | Listed | None = msgspec.field(default=None, name="_embedded")


_LEAD: RecordDecoder[_Lead[Any]] = RecordDecoder(_Lead[Usual], _Lead[Odd])
_NO_LEAD_LINKS = _LeadLinks()
_Rows = list[tuple[Any, ...]]


def map_lead(record: RawRecord, context: MapContext, rows: Rows) -> None:
    lead = _LEAD.decode(record.payload)
    if lead.is_deleted:
        # A stub of the trash: everything but the id is null and must not reach a good row.
        rows.add(DELETED_DEALS, (str(lead.id), True))
        return
    fields = read_fields(lead.custom_fields_values, context.cache)
    _add_deals([rows.place], [lead], [fields], read_account(context), rows)


def map_leads(places: Sequence[int], payloads: Sequence[bytes], context: MapContext, rows: Rows) -> list[int]:
    """Many leads; those of the trash are left to `map_lead`."""
    leads = [*map(_LEAD.decode, payloads)]
    left = [place for place, lead in zip(places, leads, strict=True) if lead.is_deleted]
    if left:
        places = [place for place, lead in zip(places, leads, strict=True) if not lead.is_deleted]
        leads = [lead for lead in leads if not lead.is_deleted]
    fields = [read_fields(lead.custom_fields_values, context.cache) for lead in leads]
    _add_deals(places, leads, fields, read_account(context), rows)
    return left


def _add_deals(
    places: Sequence[int], leads: Sequence[_Lead[Any]], fields: Sequence[list[Field]], account: Account, rows: Rows
) -> None:
    """Column by column, which takes half the time of row by row. Everything is read before anything is added."""
    deal_ids = [str(lead.id) for lead in leads]
    links = [lead.embedded if isinstance(lead.embedded, _LeadLinks) else _NO_LEAD_LINKS for lead in leads]
    names, zone = account.settings.fields, account.zone
    deals = zip(
        deal_ids,
        _ids(leads, "pipeline_id"),
        _ids(leads, "status_id"),
        _ids(leads, "responsible_user_id"),
        [first_id(linked.companies) for linked in links],
        [lead.name for lead in leads],
        [_amount(lead) for lead in leads],
        repeat(account.currency),
        _moments(leads, "created_at"),
        _moments(leads, "updated_at"),
        _moments(leads, "closed_at"),
        [_loss_reason(lead, linked, account) for lead, linked in zip(leads, links, strict=True)],
        [_lead_source(linked, found, zone) for linked, found in zip(links, fields, strict=True)],
        _named_texts(fields, names.invoice_number, zone),
        _named_texts(fields, names.contract_number, zone),
        _named_texts(fields, names.order_id, zone),
        [tax_id(found, names.tax_id, zone) for found in fields],
        [account.card_url + deal_id for deal_id in deal_ids],
    )
    made = [*deals]
    owners: _Rows = [(deal_id,) for deal_id in deal_ids]
    lists: list[tuple[Target, _Rows, list[_Rows]]] = [(DEAL_CONTACTS, owners, [*map(_contacts, deal_ids, links)])]
    if account.invoice_catalogs:
        lists.append((DEAL_INVOICES, owners, [*map(_invoices, deal_ids, links, repeat(account))]))
    if account.settings.custom_fields == "all":
        records: _Rows = [("deal", deal_id) for deal_id in deal_ids]
        lists.append((VALUES, records, [*map(read_values, records, fields, repeat(zone))]))
    rows.add_many(DEALS, places, made)
    for into, owned_by, children in lists:
        rows.add_lists(into, places, owned_by, children)


def _amount(lead: _Lead[Any]) -> Decimal | None:
    """The budget. `price` is cut to whole roubles; `price_with_minor_units` is the same amount with its fraction,
    not a number of kopecks, whatever its name says."""
    if lead.price_with_minor_units is not None:
        return as_amount(lead.price_with_minor_units, "$.price_with_minor_units")
    return None if lead.price is None else as_amount(lead.price, "$.price")


def _lead_source(links: _LeadLinks, fields: list[Field], zone: ZoneInfo) -> str | None:
    """The source's name, else the tracking field; the `sources` list of an integration holds only its own."""
    if isinstance(links.source, Named) and links.source.name:
        return links.source.name
    found = texts_by_code(fields, "UTM_SOURCE", zone)
    return found[0] if found else None


def _loss_reason(lead: _Lead[Any], links: _LeadLinks, account: Account) -> str | None:
    """The reason's name today, by its id; a reason removed since keeps the name that came with the deal."""
    if lead.loss_reason_id is not None and lead.loss_reason_id in account.loss_reasons:
        return account.loss_reasons[lead.loss_reason_id]
    return first_name(links.loss_reason)


def _ids(leads: Sequence[_Lead[Any]], name: str) -> list[str | None]:
    return [None if number is None else str(number) for number in map(attrgetter(name), leads)]


def _moments(leads: Sequence[_Lead[Any]], name: str) -> list[int | None]:
    return [None if second is None else second * MICROS for second in map(attrgetter(name), leads)]


def _named_texts(fields: Sequence[list[Field]], name: str | None, zone: ZoneInfo) -> Iterable[str | None]:
    return [text_by_name(found, name, zone) for found in fields] if name else repeat(None)


def _contacts(deal_id: str, links: _LeadLinks) -> list[tuple[Any, ...]]:
    contacts = [(deal_id, str(contact.id), contact.is_main is True) for contact in links.contacts or ()]
    if len(contacts) > 1:
        # One that is named twice counts once, as it was named last.
        contacts = list({contact[1]: contact for contact in contacts}.values())
    return contacts


def _invoices(deal_id: str, links: _LeadLinks, account: Account) -> list[tuple[Any, ...]]:
    """Elements of the deal that are invoices; products stand among them."""
    found: dict[tuple[Any, ...], None] = {}
    for element in links.catalog_elements or ():
        place = element.metadata.catalog_id if isinstance(element.metadata, _ElementPlace) else None
        if element.id is not None and place in account.invoice_catalogs:
            found[deal_id, f"{place}-{element.id}"] = None
    return list(found)
