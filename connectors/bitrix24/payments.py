"""Payment marks of the portal's shop, each with the deal or invoice its order hangs on.

They have no time of change. What is new is met by the time of the bill, what was marked paid later by the time of the
mark, and about once a day all are read: a mark taken back or a deleted one is told by nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec

from base.times import to_unix
from connectors.bitrix24.answers import documented, read_raws
from connectors.bitrix24.asking import ask_each
from connectors.bitrix24.client import Bitrix24Client, Command
from connectors.bitrix24.fetch import (
    OVERLAP_SECONDS,
    as_page,
    began_at,
    is_sweep_due,
    read_changed,
    usable_position,
)
from connectors.bitrix24.listings import DEAL, INVOICE, PAYMENTS
from connectors.bitrix24.refusals import MissingMethodError, MissingScopeError
from connectors.bitrix24.scan import Scan
from connectors.bitrix24.values import Scalar, as_int
from connectors.decode import decode_record
from connectors.stream import Page, Request

ORDER_LINKS = "crm.orderentity.list"
# An order may hang on a deal and on an invoice: their links fit one page.
ORDERS_A_COMMAND = 25
BILLED = replace(PAYMENTS, time_field="dateBill")
MARKED = replace(PAYMENTS, time_field="datePaid")


class _Order(msgspec.Struct, rename="camel"):
    """A mark and a link alike name their order."""

    order_id: Scalar = None


_ORDER = msgspec.json.Decoder(_Order)


def fetch_payments(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    """Positions are those of `read_changed`."""
    held = usable_position(request)
    if request.full or ("swept" in held and is_sweep_due(client, held, request)):
        pages = _read_all(client, request)
    elif not held or "left" in held:
        pages = read_changed(client, BILLED, request)
    else:
        pages = _read_new(client, request)
    for page in pages:
        page.payloads = _with_owners(client, page.payloads)
        # Neither time is one of change: when it was fetched decides.
        page.versions = page.cursors = [0] * len(page.ids)
        yield page


def _read_new(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    for page in read_changed(client, BILLED, request):
        page.position = None
        yield page
    yield from read_changed(client, MARKED, request)


def _read_all(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    """All there are, also those from before the configured start: what is not among them is gone."""
    scan = Scan(client, BILLED, {})
    is_sound = True
    for found in scan.pages():
        is_sound = is_sound and not found.rejects
        page = as_page(found, BILLED, position=None)
        page.living = list(page.ids)
        if not scan.left and is_sound:
            page.is_whole = True
            page.position = {"since": began_at(scan, request) - OVERLAP_SECONDS, "swept": to_unix(request.end)}
        yield page


def _with_owners(client: Bitrix24Client, payloads: Sequence[bytes]) -> list[bytes]:
    """Each mark with the links of its order: a link made later changes the record, so it is seen."""
    orders = [as_int(decode_record(_ORDER, payload).order_id) for payload in payloads]
    owners = _owners_of(client, sorted({order for order in orders if order is not None}))
    return [
        msgspec.json.encode({"payment": msgspec.Raw(payload), "owners": owners.get(order, [])})
        for payload, order in zip(payloads, orders, strict=True)
    ]


def _owners_of(client: Bitrix24Client, orders: Sequence[int]) -> dict[int | None, list[msgspec.Raw]]:
    commands = [
        Command(
            key=f"o{first}",
            method=ORDER_LINKS,
            params={
                "filter": {"@orderId": orders[first : first + ORDERS_A_COMMAND], "@ownerTypeId": [DEAL, INVOICE]},
                "order": {"orderId": "ASC"},
                "start": -1,
            },
        )
        for first in range(0, len(orders), ORDERS_A_COMMAND)
    ]
    try:
        answers = ask_each(client, commands)
    except (MissingMethodError, MissingScopeError):
        # A shop without the CRM's orders: the marks stand alone.
        return {}
    owners: dict[int | None, list[msgspec.Raw]] = {}
    with documented(client.source, ORDER_LINKS):
        for answer in answers.values():
            for raw in read_raws(answer, "orderEntity"):
                owners.setdefault(as_int(_ORDER.decode(raw).order_id), []).append(raw)
    return owners
