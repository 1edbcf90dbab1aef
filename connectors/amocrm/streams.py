"""amoCRM's streams, as data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

from base.errors import ProtocolError
from base.text import say
from connectors.amocrm import mapping, mapping_deals, mapping_fields, mapping_invoices, mapping_log
from connectors.amocrm.catalogs import CATALOGS, fetch_invoice_fields, fetch_invoices
from connectors.amocrm.check import check
from connectors.amocrm.client import AmocrmClient
from connectors.amocrm.event_log import fetch_events
from connectors.amocrm.paging import (
    Listing,
    fetch_changed,
    fetch_dictionary,
    fetch_optional,
    fetch_trash,
    unseen_page,
)
from connectors.amocrm.rights import sees_everything
from connectors.amocrm.settings import AmocrmSettings
from connectors.amocrm.two_ends import fetch_from_both_ends
from connectors.stream import Connector, Page, Request, Runtime, Stream

logger = logging.getLogger("voronka.amocrm")

Fetch = Callable[[AmocrmClient, Request], Iterator[Page]]

ACCOUNT_PARTS = "users_groups,task_types,datetime_settings,is_api_filter_enabled,invoices_settings,version"

USERS = Listing(path="/users", key="users", params=(("with", "role,group,phone_number"),), time_field="")
PIPELINES = Listing(path="/leads/pipelines", key="pipelines", time_field="")
LEADS = Listing(path="/leads", key="leads", params=(("with", "contacts,loss_reason,catalog_elements,source"),))
CONTACTS = Listing(path="/contacts", key="contacts")
COMPANIES = Listing(path="/companies", key="companies")
TASKS = Listing(path="/tasks", key="tasks", prefix="task-")
LOSS_REASONS = Listing(path="/leads/loss_reasons", key="loss_reasons", time_field="")
# Only sources made by this very integration; a deal's own source comes with the deal.
SOURCES = Listing(path="/sources", key="sources", time_field="")
EVENTS = Listing(
    path="/events",
    key="events",
    limit=100,  # more is cut to 50 rows without an error
    params=tuple(("filter[type][]", name) for name in mapping_log.EVENT_TYPES),
    time_field="created_at",
)


def _fields_of(entity: str, entity_type: str) -> Listing:
    return Listing(path=f"/{entity}/custom_fields", key="custom_fields", time_field="", prefix=f"{entity_type}-")


def _tags_of(entity: str) -> Listing:
    return Listing(path=f"/{entity}/tags", key="tags", time_field="")


def _call_notes(entity: str) -> Listing:
    types = tuple(("filter[note_type][]", name) for name in mapping_log.CALL_NOTES)
    return Listing(path=f"/{entity}/notes", key="notes", params=types)


def _account(client: AmocrmClient, request: Request) -> Iterator[Page]:
    payload = client.record("/account", [("with", ACCOUNT_PARTS)])
    if payload is None:
        raise ProtocolError(
            say("{source}: пустой ответ /account.", "{source}: /account is empty.", source=client.source)
        )
    yield Page(ids=["account"], payloads=[payload], versions=[0], cursors=[0])


def _changed(listing: Listing, *, has_trash: bool = False) -> Fetch:
    def fetch(client: AmocrmClient, request: Request) -> Iterator[Page]:
        yield from _whole_view(client, request)
        yield from fetch_from_both_ends(client, listing, request) or fetch_changed(client, listing, request)
        if has_trash and request.full:
            yield from fetch_trash(client, listing)

    return fetch


def _invoices(client: AmocrmClient, request: Request) -> Iterator[Page]:
    yield from _whole_view(client, request)
    yield from fetch_invoices(client, request)


def _whole_view(client: AmocrmClient, request: Request) -> Iterator[Page]:
    """Before a sweep: whether what it doesn't meet is deleted, or only out of this user's sight."""
    if request.full and not sees_everything(client):
        logger.warning("source=%s event=not_administrator absent_records=kept", client.source)
        yield unseen_page()


def _dictionary(listing: Listing) -> Fetch:
    return lambda client, request: fetch_dictionary(client, listing)


def _optional(listing: Listing) -> Fetch:
    return lambda client, request: fetch_optional(client, listing)


def record_url(settings: Any, kind: str, record_id: str) -> str | None:
    """A record's card in the account; None for kinds that have none."""
    place = CARDS.get(kind)
    return f"{settings.base_url.rstrip('/')}/{place}/{quote(record_id)}" if place else None


CARDS = {"deal": "leads/detail", "contact": "contacts/detail", "company": "companies/detail"}

STREAMS: tuple[Stream[AmocrmClient], ...] = (
    Stream(name="account", kind="dictionary", fetch=_account, label=say("Аккаунт", "Account")),
    Stream(
        name="users",
        kind="dictionary",
        fetch=_dictionary(USERS),
        map=mapping.map_user,
        tombstones=("core.users",),
        needs=("account",),
        label=say("Пользователи", "Users"),
    ),
    Stream(
        name="pipelines",
        kind="dictionary",
        fetch=_dictionary(PIPELINES),
        map=mapping.map_pipeline,
        tombstones=("core.pipeline_stages",),
        label=say("Воронки и этапы", "Pipelines and stages"),
    ),
    Stream(
        name="loss_reasons",
        kind="dictionary",
        fetch=_optional(LOSS_REASONS),
        label=say("Причины отказа", "Loss reasons"),
    ),
    Stream(
        name="lead_fields",
        kind="dictionary",
        fetch=_dictionary(_fields_of("leads", "deal")),
        map=mapping_fields.field_mapper("deal"),
        tombstones=("core.custom_fields",),
        label=say("Поля сделок", "Custom fields of deals"),
    ),
    Stream(
        name="contact_fields",
        kind="dictionary",
        fetch=_dictionary(_fields_of("contacts", "contact")),
        map=mapping_fields.field_mapper("contact"),
        tombstones=("core.custom_fields",),
        label=say("Поля контактов", "Custom fields of contacts"),
    ),
    Stream(
        name="company_fields",
        kind="dictionary",
        fetch=_dictionary(_fields_of("companies", "company")),
        map=mapping_fields.field_mapper("company"),
        tombstones=("core.custom_fields",),
        label=say("Поля компаний", "Custom fields of companies"),
    ),
    Stream(
        name="sources",
        kind="dictionary",
        fetch=_optional(SOURCES),
        label=say("Источники сделок", "Lead sources"),
    ),
    Stream(
        name="lead_tags",
        kind="dictionary",
        fetch=_optional(_tags_of("leads")),
        label=say("Теги сделок", "Tags of deals"),
    ),
    Stream(
        name="catalogs",
        kind="dictionary",
        fetch=_optional(CATALOGS),
        label=say("Списки", "Catalogues"),
    ),
    Stream(
        name="invoice_fields",
        kind="dictionary",
        fetch=fetch_invoice_fields,
        map=mapping_fields.field_mapper("invoice"),
        tombstones=("core.custom_fields",),
        label=say("Поля счетов", "Custom fields of invoices"),
    ),
    Stream(
        name="leads",
        kind="entity",
        fetch=_changed(LEADS, has_trash=True),
        map=mapping_deals.map_lead,
        map_many=mapping_deals.map_leads,
        tombstones=("core.deals",),
        needs=("account", "loss_reasons", "catalogs"),
        sweeps=True,
        label=say("Сделки", "Deals"),
        facet="crm",
    ),
    Stream(
        name="contacts",
        kind="entity",
        fetch=_changed(CONTACTS, has_trash=True),
        map=mapping.map_contact,
        tombstones=("core.contacts",),
        needs=("account",),
        sweeps=True,
        label=say("Контакты", "Contacts"),
        facet="crm",
    ),
    Stream(
        name="companies",
        kind="entity",
        fetch=_changed(COMPANIES, has_trash=True),
        map=mapping.map_company,
        tombstones=("core.companies",),
        needs=("account",),
        sweeps=True,
        label=say("Компании", "Companies"),
        facet="crm",
    ),
    Stream(
        name="invoices",
        kind="entity",
        fetch=_invoices,
        map=mapping_invoices.map_invoice,
        tombstones=("core.invoices",),
        needs=("account",),
        sweeps=True,
        label=say("Счета", "Invoices"),
        facet="crm",
    ),
    Stream(
        name="events",
        kind="log",
        fetch=lambda client, request: fetch_events(client, EVENTS, request),
        map=mapping_log.map_event,
        label=say("Журнал событий", "Event log"),
        facet="crm",
    ),
    Stream(
        name="contact_notes",
        kind="entity",
        fetch=_changed(_call_notes("contacts")),
        map=mapping_log.note_mapper("contact_id"),
        label=say("Звонки в контактах", "Call notes of contacts"),
        facet="crm",
    ),
    Stream(
        name="lead_notes",
        kind="entity",
        fetch=_changed(_call_notes("leads")),
        map=mapping_log.note_mapper("deal_id"),
        label=say("Звонки в сделках", "Call notes of deals"),
        facet="crm",
    ),
    Stream(
        name="company_notes",
        kind="entity",
        fetch=_changed(_call_notes("companies")),
        map=mapping_log.note_mapper("company_id"),
        label=say("Звонки в компаниях", "Call notes of companies"),
        facet="crm",
    ),
    Stream(
        name="tasks",
        kind="entity",
        fetch=_changed(TASKS),
        map=mapping_log.map_task,
        tombstones=("core.activities",),
        sweeps=True,
        label=say("Задачи", "Tasks"),
        facet="crm",
    ),
)


def open_client(settings: Any, runtime: Runtime) -> closing[AmocrmClient]:
    """A client of the account, closed at the end of the context."""
    return closing(AmocrmClient(settings, runtime))


CONNECTOR: Connector[AmocrmClient] = Connector(
    source_type="amocrm",
    label=say("amoCRM", "amoCRM"),
    settings=AmocrmSettings,
    streams=STREAMS,
    open=open_client,
    check=check,
    # The request budget is shared: two streams overlap one's waiting with the other's decoding, more gain nothing.
    parallel=2,
    record_url=record_url,
)
