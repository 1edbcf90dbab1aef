"""Bitrix24's streams, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import msgspec

from base.text import say
from connectors.bitrix24 import mapping, mapping_cards, mapping_log
from connectors.bitrix24.calls import fetch_calls
from connectors.bitrix24.check import check
from connectors.bitrix24.client import Bitrix24Client
from connectors.bitrix24.dictionaries import (
    DEPARTMENTS,
    STATUSES,
    fetch_deal_fields,
    fetch_pipelines,
    fetch_users,
)
from connectors.bitrix24.fetch import fetch_changed, fetch_dictionary, fetch_log, fetch_optional, read_changed
from connectors.bitrix24.fields import FieldBook
from connectors.bitrix24.listing import Listing
from connectors.bitrix24.listings import (
    ACTIVITIES,
    COMPANIES,
    CONTACTS,
    DEAL_CONTACTS,
    DEALS,
    FIRST_CONTACTS,
    INVOICE,
    INVOICES,
    LEAD_HISTORY,
    LEADS,
    QUOTES,
    STAGE_HISTORY,
)
from connectors.bitrix24.payments import fetch_payments
from connectors.bitrix24.processes import fetch_process_history
from connectors.bitrix24.refusals import MissingMethodError
from connectors.bitrix24.settings import Bitrix24Settings
from connectors.bitrix24.user_fields import fetch_user_fields, map_user_field, with_values
from connectors.stream import Connector, Page, Request, Runtime, Stream

Fetch = Callable[[Bitrix24Client, Request], Iterator[Page]]


def _deals(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    """Deals with the user fields the settings name."""
    extra: tuple[str, ...] = ()
    if any(msgspec.structs.astuple(client.settings.fields)):
        (page,) = fetch_deal_fields(client, request)
        book = FieldBook(dict(zip(page.ids, page.payloads, strict=True)), client.settings.fields)
        extra = tuple(sorted({code for code in book.codes.values() if code is not None}))
    return fetch_changed(client, replace(DEALS, select=tuple(dict.fromkeys((*DEALS.select, *extra)))), request)


def _deal_contacts(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    """All contacts of each deal; where the portal is too old for that, the first ones."""
    try:
        # What goes with its deal needs no sweep of its own.
        yield from read_changed(client, DEAL_CONTACTS, request)
    except MissingMethodError:
        yield from read_changed(client, FIRST_CONTACTS, request)


def _changed(listing: Listing) -> Fetch:
    return lambda client, request: fetch_changed(client, listing, request)


def _optional(fetch: Fetch) -> Fetch:
    return lambda client, request: fetch_optional(client, fetch(client, request))


def _log(listing: Listing) -> Fetch:
    return lambda client, request: fetch_log(client, listing, request)


def _statuses(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    return fetch_dictionary(client, STATUSES)


def _departments(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    return fetch_dictionary(client, DEPARTMENTS)


CARDS = {"deal": "deal", "contact": "contact", "company": "company", "lead": "lead", "invoice": f"type/{INVOICE}"}


def record_url(settings: Any, kind: str, record_id: str) -> str | None:
    """A record's card on the portal; None for kinds that have none."""
    place = CARDS.get(kind)
    return f"{settings.portal}/crm/{place}/details/{quote(record_id)}/" if place else None


STREAMS: tuple[Stream[Bitrix24Client], ...] = (
    Stream(
        name="departments",
        kind="dictionary",
        fetch=_optional(_departments),
        label=say("Отделы", "Departments"),
    ),
    Stream(
        name="users",
        kind="dictionary",
        fetch=fetch_users,
        map=mapping.map_user,
        tombstones=("core.users",),
        needs=("departments",),
        label=say("Сотрудники", "Users"),
    ),
    Stream(
        name="pipelines",
        kind="dictionary",
        fetch=fetch_pipelines,
        map=mapping.map_pipeline,
        tombstones=("core.pipeline_stages",),
        label=say("Воронки и стадии", "Pipelines and stages"),
    ),
    Stream(name="statuses", kind="dictionary", fetch=_statuses, label=say("Справочники CRM", "CRM dictionaries")),
    Stream(name="deal_fields", kind="dictionary", fetch=fetch_deal_fields, label=say("Поля сделок", "Fields of deals")),
    Stream(
        name="user_fields",
        kind="dictionary",
        fetch=_optional(fetch_user_fields),
        map=map_user_field,
        tombstones=("core.custom_fields",),
        label=say("Свои поля", "User fields"),
    ),
    Stream(
        name="deals",
        kind="entity",
        fetch=_deals,
        map=with_values("deal", mapping.map_deal),
        tombstones=("core.deals",),
        needs=("statuses", "deal_fields", "user_fields"),
        sweeps=True,
        # Bitrix24 keeps no log of who was responsible and what a deal was worth.
        compares_loads=True,
        label=say("Сделки", "Deals"),
        facet="crm",
    ),
    Stream(
        name="deal_contacts",
        kind="entity",
        fetch=_deal_contacts,
        map=mapping.map_deal_contacts,
        label=say("Контакты сделок", "Contacts of deals"),
        facet="crm",
    ),
    Stream(
        name="stage_history",
        kind="log",
        fetch=_log(STAGE_HISTORY),
        map=mapping_log.map_stage_entry,
        label=say("История стадий", "Stage history"),
        facet="crm",
    ),
    Stream(
        name="contacts",
        kind="entity",
        fetch=_changed(CONTACTS),
        map=with_values("contact", mapping.map_contact),
        tombstones=("core.contacts",),
        needs=("user_fields",),
        sweeps=True,
        label=say("Контакты", "Contacts"),
        facet="crm",
    ),
    Stream(
        name="companies",
        kind="entity",
        fetch=_changed(COMPANIES),
        map=with_values("company", mapping.map_company),
        tombstones=("core.companies",),
        needs=("user_fields",),
        sweeps=True,
        label=say("Компании", "Companies"),
        facet="crm",
    ),
    Stream(
        name="leads",
        kind="entity",
        fetch=_optional(_changed(LEADS)),
        map=with_values("lead", mapping_cards.map_lead),
        tombstones=("core.leads",),
        needs=("statuses", "user_fields"),
        sweeps=True,
        label=say("Лиды", "Leads"),
        facet="crm",
    ),
    Stream(
        name="lead_history",
        kind="log",
        fetch=_optional(_log(LEAD_HISTORY)),
        map=mapping_log.map_record_event,
        label=say("История статусов лидов", "Status history of leads"),
        facet="crm",
    ),
    Stream(
        name="activities",
        kind="entity",
        fetch=_changed(ACTIVITIES),
        map=mapping_log.map_activity,
        tombstones=("core.activities",),
        sweeps=True,
        label=say("Дела", "Activities"),
        facet="crm",
    ),
    Stream(
        name="calls",
        kind="entity",
        fetch=_optional(fetch_calls),
        map=mapping_log.map_call,
        label=say("Звонки", "Calls"),
        facet="calls",
    ),
    Stream(
        name="quotes",
        kind="entity",
        fetch=_optional(_changed(QUOTES)),
        map=mapping_log.map_quote,
        tombstones=("core.activities",),
        sweeps=True,
        label=say("Предложения", "Quotes"),
        facet="crm",
    ),
    Stream(
        name="invoices",
        kind="entity",
        fetch=_optional(_changed(INVOICES)),
        map=mapping_cards.map_invoice,
        tombstones=("core.invoices",),
        needs=("statuses",),
        sweeps=True,
        label=say("Счета", "Invoices"),
        facet="crm",
    ),
    Stream(
        name="process_history",
        kind="log",
        fetch=_optional(fetch_process_history),
        map=mapping_log.map_record_event,
        label=say("История счетов и смарт-процессов", "History of invoices and smart processes"),
        facet="crm",
    ),
    Stream(
        name="payments",
        kind="entity",
        fetch=_optional(fetch_payments),
        map=mapping_cards.map_payment,
        tombstones=("core.crm_payments",),
        sweeps=True,
        label=say("Отметки об оплате в CRM", "Payment marks in the CRM"),
        facet="crm",
    ),
)


def open_client(settings: Any, runtime: Runtime) -> closing[Bitrix24Client]:
    """A client of the portal, closed at the end of the context."""
    assert isinstance(settings, Bitrix24Settings)
    return closing(Bitrix24Client(settings, runtime))


CONNECTOR: Connector[Bitrix24Client] = Connector(
    source_type="bitrix24",
    label=say("Битрикс24", "Bitrix24"),
    settings=Bitrix24Settings,
    streams=STREAMS,
    open=open_client,
    check=check,
    # A stream already keeps several batches under way: a second stream would only divide the same budget.
    parallel=1,
    record_url=record_url,
)
