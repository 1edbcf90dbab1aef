"""b24pysdk, the vendor's own, reads the portal: offsets, chains of keyset pages within one batch, plain batches."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from b24pysdk import BitrixWebhook, Client
from b24pysdk.errors import BitrixAPIInsufficientScope
from portals import SIZES, TOKEN, Serve, by_id, portal_of, server_of, truth

from demo.bitrix24 import Bitrix24World, Quirks


def client_of(url: str) -> Client:
    return Client(BitrixWebhook(domain=urlsplit(url).netloc, webhook_token=TOKEN))


@pytest.mark.parametrize("deals", SIZES)
def test_offsets_end_where_next_ends(serve_https: Serve, deals: int) -> None:
    """It goes on only where `next` is told, up to `total`: either one wrong and records are lost or asked in vain."""
    server = portal_of(deals)
    got = client_of(serve_https(server)).crm.deal.list(order={"ID": "ASC"}).as_list().result
    assert by_id(list(got)) == truth(server, "crm.deal.list")


@pytest.mark.parametrize("deals", SIZES)
def test_a_chain_of_pages_is_the_whole_table(serve_https: Serve, deals: int) -> None:
    """Its chains stop at the first short page, and each page begins after the last id of the one before it: without
    the order, the reference or the garbage after a short page as the vendor has them, records come twice or never."""
    server = portal_of(deals)
    got = client_of(serve_https(server)).crm.deal.list().as_list_fast().result
    assert list(got) == truth(server, "crm.deal.list")


@pytest.mark.parametrize("name", ["deal", "contact", "company", "activity", "quote"])
def test_a_company_is_read_as_it_is_by_both_ways(serve_https: Serve, company: Bitrix24World, name: str) -> None:
    server = server_of(company)
    listed = getattr(client_of(serve_https(server)).crm, name)
    expected = truth(server, f"crm.{name}.list")
    assert len(expected) > 50
    assert by_id(list(listed.list().as_list().result)) == expected
    assert list(listed.list().as_list_fast().result) == expected


def test_stage_history_is_under_a_key_in_chains_too(serve_https: Serve, company: Bitrix24World) -> None:
    """Its references go through `[items]`: a flat `result` would break every chain."""
    server = server_of(company)
    token = BitrixWebhook(domain=urlsplit(serve_https(server)).netloc, webhook_token=TOKEN)
    got = token.call_list_fast("crm.stagehistory.list", {"entityTypeId": 2})["result"]
    assert list(got) == truth(server, "crm.stagehistory.list")


def test_a_batch_gives_each_command_its_result_total_and_time(serve_https: Serve) -> None:
    client = client_of(serve_https(portal_of(130)))
    batch = client.call_batch({"deals": client.crm.deal.list(), "who": client.profile()}).result
    assert len(batch.result["deals"]) == 50
    assert (batch.result_total, batch.result_next) == ({"deals": 130}, {"deals": 50})
    assert set(batch.result_time) == {"deals", "who"}


def test_a_missing_scope_is_the_error_it_knows(serve_https: Serve) -> None:
    """Code and status of a refusal are matched to its own classes."""
    server = server_of(portal_of(1).world, Quirks(scopes=frozenset({"user"})))
    with pytest.raises(BitrixAPIInsufficientScope):
        _ = client_of(serve_https(server)).crm.deal.list().result


def test_every_answer_has_the_times_it_reads(serve_https: Serve) -> None:
    """It refuses an answer without `time` and its members."""
    time: Any = client_of(serve_https(portal_of(1))).crm.deal.list().response.time
    assert time.date_start.utcoffset() is not None
    assert time.duration >= 0
