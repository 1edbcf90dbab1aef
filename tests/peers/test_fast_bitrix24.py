"""fast-bitrix24 reads the portal: offsets by the first page's `total`, packed fifty a batch."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fast_bitrix24 import BitrixAsync
from portals import CHANGED, SIZES, TOKEN, Serve, by_id, portal_of, server_of, truth

from demo.bitrix24 import Bitrix24World


@pytest.fixture(autouse=True)
def _its_warnings_are_failures() -> Iterator[None]:
    """It only warns when the number of records is not the `total` of the first page."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


def read(url: str, method: str, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    client = BitrixAsync(f"{url}/rest/{TOKEN}/", verbose=False)
    return by_id(asyncio.run(client.get_all(method, params)))


@pytest.mark.parametrize("deals", SIZES)
def test_every_deal_is_read_once_wherever_the_last_page_ends(serve: Serve, deals: int) -> None:
    """A wrong `total`, or an offset that is not a multiple of the page, loses or repeats records."""
    server = portal_of(deals)
    assert read(serve(server), "crm.deal.list") == truth(server, "crm.deal.list")
    pages = max(1, -(-deals // 50))
    assert len(server.requests) == (1 if pages == 1 else 1 + -(-(pages - 1) // 50))


METHODS = [
    "crm.deal.list",
    "crm.contact.list",
    "crm.company.list",
    "crm.stagehistory.list",
    "crm.activity.list",
    "crm.quote.list",
    "voximplant.statistic.get",
    "user.get",
    "crm.status.list",
]


@pytest.mark.parametrize("method", METHODS)
def test_a_company_is_read_as_it_is(serve: Serve, company: Bitrix24World, method: str) -> None:
    """Lists under a key of `result`, bare lists, words for the order: each is answered as its own method does."""
    server = server_of(company)
    wanted = {"entityTypeId": 2} if method == "crm.stagehistory.list" else None
    assert read(serve(server), method, wanted) == by_id(truth(server, method))


def test_fields_on_demand_come_in_batches_too(serve: Serve, company: Bitrix24World) -> None:
    """`select` travels as PHP brackets in a command: read wrongly, phones are missing from the second page on."""
    server = server_of(company)
    got = read(serve(server), "crm.contact.list", {"select": ["ID", "PHONE"]})
    assert got == truth(server, "crm.contact.list", "ID", "PHONE")
    assert sum("PHONE" in contact for contact in got[50:]) > 20


def test_a_filter_by_time_holds_on_every_page(serve: Serve) -> None:
    """`+03:00` and `>=` percent-encoded in a command: lost, the later pages are those of the whole table."""
    server = portal_of(400)
    since = server.world.stamp(CHANGED + timedelta(seconds=201))
    got = read(serve(server), "crm.deal.list", {"filter": {">=DATE_MODIFY": since}})
    assert got == truth(server, "crm.deal.list")[200:]


def test_a_batch_of_its_caller_keeps_names_and_follows_references(serve: Serve) -> None:
    server = portal_of(130)
    commands = {
        "first": "crm.deal.list?order[ID]=ASC&select[0]=ID&start=-1",
        "next": "crm.deal.list?order[ID]=ASC&select[0]=ID&filter[>ID]=$result[first][49][ID]&start=-1",
    }
    client = BitrixAsync(f"{serve(server)}/rest/{TOKEN}/", verbose=False)
    got = asyncio.run(client.call_batch({"halt": 0, "cmd": commands}))
    assert {name: [int(deal["ID"]) for deal in deals] for name, deals in got.items()} == {
        "first": [3 * n for n in range(1, 51)],
        "next": [3 * n for n in range(51, 101)],
    }
