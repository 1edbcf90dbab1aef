"""What the Bitrix24 peers are given: portals of a known size, and the truth in their tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from demo.bitrix24 import Bitrix24Server, Bitrix24World, Limits, Quirks
from demo.bitrix24.lists import METHODS
from demo.http import SimulatedServer

# Starts a server and gives its address.
Serve = Callable[[SimulatedServer], str]

SECRET = "s3cretwebhookcode"
TOKEN = f"1/{SECRET}"
CHANGED = datetime(2026, 11, 19, 12, 0, tzinfo=UTC)
# One page, its edges, a chain's edge (the first page and fifty more), and beyond it.
SIZES = [0, 1, 49, 50, 51, 130, 2550, 2575]


def portal_of(deals: int, *, step: int = 3) -> Bitrix24Server:
    """So many deals with gaps in their ids; each was changed a second after the one before."""
    world = Bitrix24World(ZoneInfo("Europe/Moscow"))
    for number in range(1, deals + 1):
        stamp = world.stamp(CHANGED + timedelta(seconds=number))
        deal = {"ID": str(number * step), "TITLE": f"Сделка & {number}", "OPPORTUNITY": "100.00", "DATE_MODIFY": stamp}
        world.add("deals", deal)
    return server_of(world)


def server_of(world: Bitrix24World, quirks: Quirks | None = None) -> Bitrix24Server:
    """With the limits of the real one, but quick: its pages are waited for on the real clock."""
    return Bitrix24Server(world, secret=SECRET, limits=Limits(page_seconds=0.0005), quirks=quirks)


def truth(server: Bitrix24Server, method: str, *fields: str) -> list[dict[str, Any]]:
    """A table's records by id, with these fields; by default all that come without being named."""
    listing = METHODS[method]
    table = server.world.tables[listing.table or "stage_history"]
    unnamed = listing.on_demand | listing.hidden
    return [
        {name: value for name, value in record.items() if (name in fields if fields else name not in unnamed)}
        for record in table.between(-1, None, descending=False)
    ]


def by_id(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """In the order of ids, none left out and none joined: a record read twice stays twice."""
    return sorted(records, key=lambda record: int(record.get("ID", record.get("id", 0))))
