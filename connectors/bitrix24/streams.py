"""Bitrix24's streams, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from base.text import say
from connectors.bitrix24 import mapping, mapping_log
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
from connectors.bitrix24.fetch import fetch_changed, fetch_dictionary, fetch_log, fetch_optional, fetch_whole
from connectors.bitrix24.fields import FieldBook
from connectors.bitrix24.listing import Listing
from connectors.bitrix24.settings import Bitrix24Settings
from connectors.stream import Connector, Page, Request, Runtime, Stream

Fetch = Callable[[Bitrix24Client, Request], Iterator[Page]]

_UTM = ("UTM_SOURCE", "UTM_MEDIUM", "UTM_CAMPAIGN", "UTM_CONTENT", "UTM_TERM")
_PARTY = ("NAME", "SECOND_NAME", "LAST_NAME", "SOURCE_ID", "ASSIGNED_BY_ID", "DATE_CREATE", "DATE_MODIFY")
_MULTIFIELDS = ("PHONE", "EMAIL")

DEALS = Listing(
    method="crm.deal.list",
    time_field="DATE_MODIFY",
    select=(
        *("ID", "TITLE", "TYPE_ID", "CATEGORY_ID", "STAGE_ID", "STAGE_SEMANTIC_ID", "OPPORTUNITY", "CURRENCY_ID"),
        *("IS_MANUAL_OPPORTUNITY", "TAX_VALUE", "LEAD_ID", "COMPANY_ID", "CONTACT_ID", "QUOTE_ID", "BEGINDATE"),
        *("CLOSEDATE", "ASSIGNED_BY_ID", "CREATED_BY_ID", "MODIFY_BY_ID", "MOVED_BY_ID", "DATE_CREATE", "DATE_MODIFY"),
        *("MOVED_TIME", "CLOSED", "IS_RECURRING", "IS_RETURN_CUSTOMER", "SOURCE_ID", "ORIGINATOR_ID", "ORIGIN_ID"),
        *_UTM,
    ),
)
CONTACTS = Listing(
    method="crm.contact.list",
    time_field="DATE_MODIFY",
    # Phones and mails come only when they are named: no mask includes them.
    select=("ID", *_PARTY, "POST", "TYPE_ID", "COMPANY_ID", "LEAD_ID", "ORIGINATOR_ID", "ORIGIN_ID", *_MULTIFIELDS),
)
COMPANIES = Listing(
    method="crm.company.list",
    time_field="DATE_MODIFY",
    select=(
        *("ID", "TITLE", "COMPANY_TYPE", "INDUSTRY", "REVENUE", "CURRENCY_ID", "IS_MY_COMPANY", "LEAD_ID"),
        *("ASSIGNED_BY_ID", "DATE_CREATE", "DATE_MODIFY", "ORIGINATOR_ID", "ORIGIN_ID", *_MULTIFIELDS),
    ),
)
LEADS = Listing(
    method="crm.lead.list",
    time_field="DATE_MODIFY",
    select=(
        *("ID", "TITLE", "STATUS_ID", "STATUS_SEMANTIC_ID", "DATE_CLOSED", "OPPORTUNITY", "CURRENCY_ID", *_PARTY),
        *("COMPANY_TITLE", "COMPANY_ID", "CONTACT_ID", "CREATED_BY_ID", *_UTM, *_MULTIFIELDS),
    ),
)
STAGE_HISTORY = Listing(
    method="crm.stagehistory.list",
    time_field="CREATED_TIME",
    rows_key="items",
    params={"entityTypeId": 2},
    stops_at_garbage=True,
)
ACTIVITIES = Listing(
    method="crm.activity.list",
    time_field="LAST_UPDATED",
    prefix="activity-",
    select=(
        *("ID", "OWNER_ID", "OWNER_TYPE_ID", "TYPE_ID", "PROVIDER_ID", "PROVIDER_TYPE_ID", "SUBJECT", "CREATED"),
        *("LAST_UPDATED", "START_TIME", "END_TIME", "DEADLINE", "COMPLETED", "STATUS", "DIRECTION", "RESPONSIBLE_ID"),
        *("AUTHOR_ID", "ORIGIN_ID", "ASSOCIATED_ENTITY_ID", "COMMUNICATIONS"),
    ),
)
QUOTES = Listing(
    method="crm.quote.list",
    time_field="DATE_MODIFY",
    prefix="quote-",
    select=(
        *("ID", "TITLE", "QUOTE_NUMBER", "STATUS_ID", "OPPORTUNITY", "CURRENCY_ID", "LEAD_ID", "DEAL_ID", "COMPANY_ID"),
        *("CONTACT_ID", "BEGINDATE", "CLOSED", "ASSIGNED_BY_ID", "DATE_CREATE", "DATE_MODIFY"),
    ),
)
INVOICES = Listing(
    method="crm.item.list",
    id_field="id",
    time_field="updatedTime",
    rows_key="items",
    params={"entityTypeId": 31},
    stops_at_garbage=True,
    select=(
        *(
            "id",
            "accountNumber",
            "title",
            "stageId",
            "categoryId",
            "opportunity",
            "currencyId",
            "taxValue",
            "parentId2",
        ),
        *("parentId7", "companyId", "contactId", "mycompanyId", "assignedById", "begindate", "closedate", "movedTime"),
        *("createdTime", "updatedTime"),
    ),
)
# No time of change: read whole, so that a payment marked paid later is seen.
PAYMENTS = Listing(method="sale.payment.list", id_field="id", rows_key="payments", stops_at_garbage=True)
ORDER_LINKS = Listing(
    method="crm.orderentity.list", id_field="orderId", rows_key="orderEntity", params={"filter": {"ownerTypeId": 2}}
)


def _deals(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    """Deals with the user fields the settings name; an explicit list is several times cheaper than a mask."""
    settings = client.settings
    extra: tuple[str, ...] = ()
    if settings.user_fields == "all":
        extra = ("UF_*",)
    elif any(getattr(settings.fields, name) for name in settings.fields.__struct_fields__):
        (page,) = fetch_deal_fields(client, request)
        book = FieldBook(dict(zip(page.ids, page.payloads, strict=True)), settings.fields)
        extra = tuple(sorted({code for code in book.codes.values() if code is not None}))
    return fetch_changed(client, replace(DEALS, select=tuple(dict.fromkeys((*DEALS.select, *extra)))), request)


def _changed(listing: Listing) -> Fetch:
    return lambda client, request: fetch_changed(client, listing, request)


def _optional(listing: Listing) -> Fetch:
    return lambda client, request: fetch_optional(client, fetch_changed(client, listing, request))


def _payments(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    return fetch_optional(client, fetch_whole(client, PAYMENTS))


def _order_links(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    """Which deal an order of `sale` belongs to."""
    return fetch_optional(client, fetch_dictionary(client, ORDER_LINKS))


def _stage_history(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    return fetch_log(client, STAGE_HISTORY, request)


def _statuses(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    return fetch_dictionary(client, STATUSES)


def _departments(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    return fetch_optional(client, fetch_dictionary(client, DEPARTMENTS))


def _calls(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    return fetch_optional(client, fetch_calls(client, request))


CARDS = {"deal": "deal", "contact": "contact", "company": "company"}


def record_url(settings: Any, kind: str, record_id: str) -> str | None:
    """A record's card on the portal; None for kinds that have none."""
    place = CARDS.get(kind)
    return f"{settings.portal}/crm/{place}/details/{quote(record_id)}/" if place else None


STREAMS: tuple[Stream[Bitrix24Client], ...] = (
    Stream(
        name="users",
        kind="dictionary",
        fetch=fetch_users,
        map=mapping.map_user,
        tombstones=("core.users",),
        label=say("Сотрудники", "Users"),
    ),
    Stream(name="departments", kind="dictionary", fetch=_departments, label=say("Отделы", "Departments")),
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
        name="deals",
        kind="entity",
        fetch=_deals,
        map=mapping.map_deal,
        tombstones=("core.deals",),
        needs=("statuses", "deal_fields"),
        sweeps=True,
        # Bitrix24 keeps no log of who was responsible and what a deal was worth.
        compares_loads=True,
        label=say("Сделки", "Deals"),
        facet="crm",
    ),
    Stream(
        name="stage_history",
        kind="log",
        fetch=_stage_history,
        map=mapping_log.map_stage_entry,
        label=say("История стадий", "Stage history"),
        facet="crm",
    ),
    Stream(
        name="contacts",
        kind="entity",
        fetch=_changed(CONTACTS),
        map=mapping.map_contact,
        tombstones=("core.contacts",),
        sweeps=True,
        label=say("Контакты", "Contacts"),
        facet="crm",
    ),
    Stream(
        name="companies",
        kind="entity",
        fetch=_changed(COMPANIES),
        map=mapping.map_company,
        tombstones=("core.companies",),
        sweeps=True,
        label=say("Компании", "Companies"),
        facet="crm",
    ),
    Stream(name="leads", kind="entity", fetch=_optional(LEADS), sweeps=True, label=say("Лиды", "Leads"), facet="crm"),
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
        fetch=_calls,
        map=mapping_log.map_call,
        label=say("Звонки", "Calls"),
        facet="calls",
    ),
    Stream(
        name="quotes",
        kind="entity",
        fetch=_optional(QUOTES),
        map=mapping_log.map_quote,
        tombstones=("core.activities",),
        sweeps=True,
        label=say("Предложения", "Quotes"),
        facet="crm",
    ),
    Stream(
        name="invoices",
        kind="entity",
        fetch=_optional(INVOICES),
        sweeps=True,
        label=say("Счета", "Invoices"),
        facet="crm",
    ),
    Stream(name="payments", kind="dictionary", fetch=_payments, label=say("Оплаты в CRM", "Payments in the CRM")),
    Stream(name="order_links", kind="dictionary", fetch=_order_links, label=say("Заказы сделок", "Orders of deals")),
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
