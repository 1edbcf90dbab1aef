"""Reading invoices: elements of the account's own catalogue for them ("счета-покупки"), found by its type.

No filter by time is documented for elements: they are read like every other changing list, and where the server
ignores the filter that is noticed and the whole list read (`ChangedReader`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from base.errors import RightsError
from base.times import to_unix
from connectors.amocrm.client import AmocrmClient
from connectors.amocrm.paging import OVERLAP_SECONDS, Listing, fetch_changed, fetch_optional, unseen_page
from connectors.amocrm.refusals import UnpaidError
from connectors.stream import Page, Request

CATALOGS = Listing(path="/catalogs", key="catalogs", time_field="")
INVOICES = "invoices"


class Catalog(msgspec.Struct, frozen=True):
    """A list of the account. Its name and id differ from account to account, its type does not."""

    id: int
    type: str | None = None


_CATALOG = msgspec.json.Decoder(Catalog)


def is_invoice_catalog(payload: bytes) -> bool:
    return _CATALOG.decode(payload).type == INVOICES


def fetch_invoice_fields(client: AmocrmClient, request: Request) -> Iterator[Page]:
    """Definitions of the custom fields of invoices."""
    catalogs = _invoice_catalogs(client)
    if catalogs is None:
        yield unseen_page()
    for catalog_id in catalogs or ():
        path = f"/catalogs/{catalog_id}/custom_fields"
        yield from fetch_optional(client, Listing(path=path, key="custom_fields", time_field="", prefix="invoice-"))


def fetch_invoices(client: AmocrmClient, request: Request) -> Iterator[Page]:
    """Changed elements of every catalogue of invoices; its position is that of all of them together."""
    catalogs = _invoice_catalogs(client)
    if catalogs is None:
        yield unseen_page()
    for catalog_id in catalogs or ():
        listing = Listing(
            path=f"/catalogs/{catalog_id}/elements",
            key="elements",
            params=(("with", "invoice_link"),),
            # Ids of elements are not promised to be unique beyond their catalogue.
            prefix=f"{catalog_id}-",
        )
        for page in fetch_changed(client, listing, request):
            yield replace(page, position=None)
    if not request.window and catalogs is not None:
        rest = max(to_unix(request.end) - OVERLAP_SECONDS, 0)
        yield Page(ids=[], payloads=[], versions=[], cursors=[], position={"updated_at": rest})


def _invoice_catalogs(client: AmocrmClient) -> list[int] | None:
    """Their ids; None when the account's lists are closed to us. The stream of the lists itself tells of a missing
    right: failing with it here too would hold back every number that needs the CRM."""
    try:
        pages = list(fetch_optional(client, CATALOGS))
    except UnpaidError:
        raise
    except RightsError:
        return None
    if any(page.is_partial_view for page in pages):
        return None
    payloads = [payload for page in pages for payload in page.payloads]
    return [_CATALOG.decode(payload).id for payload in payloads if is_invoice_catalog(payload)]
