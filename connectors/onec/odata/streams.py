"""The streams of a 1C database read over OData, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from base.text import Text, say
from connectors.onec.odata import mapping
from connectors.onec.odata.client import OdataClient
from connectors.onec.odata.fetch import fetch_catalogue, fetch_documents
from connectors.onec.odata.sets import (
    ACCOUNTS,
    CONTRACTS,
    COUNTERPARTIES,
    CURRENCIES,
    ORDERS,
    PAYMENTS,
    SALES,
    Catalogue,
    DocumentKind,
)
from connectors.onec.settings import OnecSettings
from connectors.stream import Page, Request, Stream

Fetch = Callable[[OdataClient, Request], Iterator[Page]]


def is_odata(settings: Any) -> bool:
    return isinstance(settings, OnecSettings) and settings.is_odata


def _catalogue(name: str, catalogue: Catalogue, label: Text) -> Stream[OdataClient]:
    def fetch(client: OdataClient, request: Request) -> Iterator[Page]:
        return fetch_catalogue(client, catalogue)

    return Stream(name=name, kind="dictionary", fetch=fetch, label=label, serves=is_odata)


def _documents(kind: DocumentKind) -> Fetch:
    def fetch(client: OdataClient, request: Request) -> Iterator[Page]:
        return fetch_documents(client, kind, request)

    return fetch


# Catalogues first: documents carry a digest of what these say of whatever they name.
ODATA_STREAMS: tuple[Stream[OdataClient], ...] = (
    _catalogue("counterparties", COUNTERPARTIES, say("Контрагенты", "Counterparties")),
    _catalogue("bank_accounts", ACCOUNTS, say("Банковские счета", "Bank accounts")),
    _catalogue("currencies", CURRENCIES, say("Валюты", "Currencies")),
    _catalogue("contracts", CONTRACTS, say("Договоры", "Contracts")),
    Stream(
        name="payments",
        kind="entity",
        fetch=_documents(PAYMENTS),
        map=mapping.map_payment,
        tombstones=("core.payments",),
        needs=("counterparties", "bank_accounts", "currencies", "contracts"),
        sweeps=True,
        label=say("Платежи 1С", "Payments of 1C"),
        facet="money",
        serves=is_odata,
    ),
    Stream(
        name="orders",
        kind="entity",
        fetch=_documents(ORDERS),
        map=mapping.map_order,
        tombstones=("core.orders",),
        needs=("counterparties", "currencies"),
        sweeps=True,
        label=say("Счета и заказы 1С", "Invoices and orders of 1C"),
        facet="money",
        serves=is_odata,
    ),
    Stream(
        name="sales",
        kind="entity",
        fetch=_documents(SALES),
        map=mapping.map_sale,
        tombstones=("core.sales_documents",),
        needs=("counterparties", "currencies"),
        sweeps=True,
        label=say("Продажи 1С", "Sales of 1C"),
        facet="money",
        serves=is_odata,
    ),
)
