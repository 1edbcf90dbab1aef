"""Stage histories of smart invoices and of the portal's own kinds of records (smart processes).

Which kinds there are the portal tells; each has a history of its own with ids of its own, and an entry does not say
whose kind it is. So ids carry the kind in front, and the position keeps one place a kind.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import msgspec

from base.errors import RightsError
from connectors.bitrix24.answers import documented
from connectors.bitrix24.client import Bitrix24Client
from connectors.bitrix24.fetch import fetch_dictionary, fetch_log, usable_position
from connectors.bitrix24.listing import Listing
from connectors.bitrix24.listings import INVOICE_HISTORY, stage_history
from connectors.bitrix24.refusals import MissingMethodError
from connectors.bitrix24.values import Scalar, as_flag, as_int
from connectors.stream import Page, Position, Request

logger = logging.getLogger("voronka.bitrix24")

TYPES = Listing(method="crm.type.list", rows_key="types", id_field="id")
FIRST_OWN_TYPE = 128


class _Type(msgspec.Struct, rename="camel"):
    entity_type_id: Scalar = None
    is_stages_enabled: Scalar = None


_TYPE = msgspec.json.Decoder(_Type)


def fetch_process_history(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    """Entries of every such history. Positions are `{"kinds": {prefix: position of fetch_log}}`."""
    places: dict[str, Position] = dict(usable_position(request).get("kinds", {}))
    for listing in histories(client):
        place = places.get(listing.prefix)
        # A kind made since the last run is read from its beginning.
        asked = replace(request, position=place) if place or not request.position else _first_load(request)
        try:
            for page in fetch_log(client, listing, asked):
                if page.position is not None:
                    places[listing.prefix] = page.position
                    page.position = {"kinds": dict(places)}
                yield page
        except MissingMethodError as error:
            logger.warning("source=%s event=feature_missing detail=%s", client.source, error)


def histories(client: Bitrix24Client) -> list[Listing]:
    """Invoices first, then the portal's own kinds that have stages."""
    found = [INVOICE_HISTORY]
    try:
        payloads = [payload for page in fetch_dictionary(client, TYPES) for payload in page.payloads]
    except (MissingMethodError, RightsError) as error:
        logger.warning("source=%s event=feature_missing detail=%s", client.source, error)
        return found
    with documented(client.source, TYPES.method):
        kinds = [_TYPE.decode(payload) for payload in payloads]
    own = sorted(
        number
        for kind in kinds
        if (number := as_int(kind.entity_type_id)) is not None
        and number >= FIRST_OWN_TYPE
        and as_flag(kind.is_stages_enabled) is not False
    )
    return found + [stage_history(number, prefix=f"process-{number}-") for number in own]


def _first_load(request: Request) -> Request:
    return replace(request, position=None)
