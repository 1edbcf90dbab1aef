"""A page the server can't give: one row of it that can't be encoded, or that its own code stumbles over.

Without this a single damaged record would stop its whole list for ever. The ids alone are still given, for the damage
is in a text; so the page's records are asked for one by one, and those that fail are rejects with their id.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from base.errors import SourceError
from connectors.bitrix24.answers import RowPage, documented, read_rows
from connectors.bitrix24.asking import PAUSE_SECONDS, ask_each
from connectors.bitrix24.client import Bitrix24Client, Command
from connectors.bitrix24.listing import Listing
from connectors.bitrix24.php import Param
from connectors.stream import Reject

logger = logging.getLogger("voronka.bitrix24")


def read_one_by_one(
    client: Bitrix24Client, listing: Listing, bounds: Mapping[str, Param], low: int, high: int, reason: SourceError
) -> RowPage:
    """The page of ids in (low, high], record by record; `count` is the number of ids, as of any page.

    Raises:
        SourceError: `reason`, when none of several records can be read: then it is the portal that fails, not a row.
    """
    alone = listing.ids_alone()
    asked = Command(key="ids", method=listing.method, params=alone.page(bounds, after=low, upto=high))
    with documented(client.source, listing.method):
        ids = [
            row.id for row in read_rows(ask_each(client, [asked])["ids"], listing.rows_key, listing.id_field, "").rows
        ]
    page, failed = _ask_for(client, listing, bounds, ids)
    if failed:
        client.clock.sleep(PAUSE_SECONDS)
        again, failed = _ask_for(client, listing, bounds, failed)
        page.rows += again.rows
    if len(failed) > 1 and len(failed) == len(ids):
        raise reason
    page.rows.sort(key=lambda row: row.id)
    for number in failed:
        logger.warning("source=%s method=%s event=unreadable_record id=%d", client.source, listing.method, number)
        record_id = f"{listing.prefix}{number}"
        page.rejects.append(Reject(record_id=record_id, code="unreadable_at_source", message=reason.what))
    page.count, page.skipped = len(ids), failed
    return page


def _ask_for(
    client: Bitrix24Client, listing: Listing, bounds: Mapping[str, Param], ids: list[int]
) -> tuple[RowPage, list[int]]:
    """The records that can be read, and the ids of those that can't."""
    commands = {
        number: Command(
            key=f"n{number}", method=listing.method, params=listing.page(bounds, after=number - 1, upto=number)
        )
        for number in ids
    }
    page = RowPage()
    answer = client.batch(commands.values(), halt=False)
    failed = [number for number, command in commands.items() if command.key not in answer.results]
    for command in commands.values():
        if command.key in answer.results:
            with documented(client.source, listing.method):
                found = read_rows(answer.results[command.key], listing.rows_key, listing.id_field, listing.time_field)
            page.rows += found.rows
            page.rejects += found.rejects
    return page, failed
