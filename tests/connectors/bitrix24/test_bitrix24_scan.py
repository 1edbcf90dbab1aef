"""Chains, lanes, garbage after a short page, resting points, changes while reading: what is read is the truth."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from bitrix24_office import NOW, Office, deal, empty_world, ids_of, position_of

from base.errors import ProtocolError, RightsError, ServerFaultError
from connectors.bitrix24.php import Param, Params, encode_params
from connectors.bitrix24.streams import CONNECTOR, STREAMS
from connectors.stream import Page, Request
from demo.bitrix24 import Bitrix24World, Limits, world_from_story
from demo.bitrix24.php import parse_query
from demo.company import build_company
from demo.http import Fault, HttpRequest, HttpResponse, ScriptedFaults, SeededFaults

OpenPortal = Callable[..., Office]


def world_of(count: int, *, step: int = 1) -> Bitrix24World:
    world = empty_world()
    for number in range(1, count + 1):
        deal(world, number * step)
    return world


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 100, 2500, 2501, 7777])
@pytest.mark.parametrize("step", [1, 37])
def test_every_record_is_read_once_wherever_the_last_page_ends(open_portal: OpenPortal, count: int, step: int) -> None:
    """After a short page the server begins the table anew: a chain that goes on doubles or loops."""
    office = open_portal(world_of(count, step=step))
    got = ids_of(office.read("deals"))
    assert sorted(map(int, got)) == [number * step for number in range(1, count + 1)]


def test_an_unchanged_second_run_costs_one_request(open_portal: OpenPortal) -> None:
    office = open_portal(world_of(3000))
    position = position_of(office.read("deals"))
    before = len(office.server.requests)
    assert ids_of(office.read("deals", position=position)) == []
    assert len(office.server.requests) - before == 1


@pytest.mark.parametrize("stream", [stream.name for stream in STREAMS])
def test_an_unchanged_second_run_is_a_handful_of_requests_for_every_stream(
    open_portal: OpenPortal, stream: str
) -> None:
    """Ten are allowed however large the portal is: a stream read whole each time would cost hundreds."""
    office = open_portal(world_from_story(build_company(deals=40)))
    position = position_of(office.read(stream))
    office.clock.advance(3600)
    before = len(office.server.requests)
    office.read(stream, position=position)
    assert len(office.server.requests) - before <= 3


def test_a_large_list_is_read_by_pages_of_many_commands(open_portal: OpenPortal) -> None:
    """2,500 records a request is the whole point: a chain cut short by a wrong estimate would cost hours."""
    office = open_portal(world_of(20_000))
    office.read("deals")
    assert len(office.server.requests) <= 18


def test_no_list_is_counted(open_portal: OpenPortal) -> None:
    """Without `start=-1` a large portal spends minutes on a total nobody reads; it would be in `result_total`."""
    office = open_portal(world_of(120))
    sent: list[HttpRequest] = []
    handle = office.server._handler

    def overhear(request: HttpRequest) -> HttpResponse:
        sent.append(request)
        return handle(request)

    office.server._handler = overhear
    office.read("deals")
    texts = [text for request in sent for text in msgspec.json.decode(request.body)["cmd"].values()]
    assert texts
    assert all(text.endswith("&start=-1") for text in texts)


def test_a_change_of_any_kind_while_reading_loses_and_doubles_nothing(open_portal: OpenPortal) -> None:
    world = world_of(6000, step=3)
    office = open_portal(world)
    dice = random.Random(1)
    gone: set[int] = set()

    def disturb(method: str) -> None:
        for _ in range(20):
            victim = 3 * dice.randrange(1, 6001)
            if victim in world.tables["deals"]:
                world.delete("deals", victim)
                gone.add(victim)
        deal(world, 100_000 + dice.randrange(10**6), office.clock.now())

    office.server.after_request = disturb
    got = [int(record_id) for record_id in ids_of(office.read("deals"))]
    assert len(set(got)) == len(got)
    assert {3 * number for number in range(1, 6001)} - gone <= set(got)


@pytest.mark.parametrize("seed", range(10))
def test_copy_equals_the_portal_after_every_run(open_portal: OpenPortal, seed: int) -> None:
    """Ten faults in a hundred, edits while reading: what changed while we read must be met by the next run."""
    world = world_of(900, step=2)
    office = open_portal(world, faults=SeededFaults(seed, 0.1))
    dice = random.Random(seed)

    def disturb(method: str) -> None:
        for _ in range(10):
            number = 2 * dice.randrange(1, 901)
            world.edit("deals", number, office.clock.now(), OPPORTUNITY=f"{dice.randrange(10**6)}.00")
        deal(world, 10_000 + 2 * dice.randrange(10**5), office.clock.now())

    copy: dict[str, dict[str, Any]] = {}
    position = None
    for _ in range(3):
        for is_disturbed in (True, False):
            office.server.after_request = disturb if is_disturbed else lambda method: None
            pages = office.read("deals", position=position)
            position = position_of(pages)
            for page in pages:
                copy |= {key: msgspec.json.decode(raw) for key, raw in zip(page.ids, page.payloads, strict=True)}
        held = {key: record["OPPORTUNITY"] for key, record in copy.items()}
        assert held == {record["ID"]: record["OPPORTUNITY"] for record in world.tables["deals"]}
        office.clock.advance(3600)


def test_a_killed_first_load_goes_on_where_it_stood(open_portal: OpenPortal) -> None:
    office = open_portal(world_of(9000))
    pages = []
    for page in office_pages(office):
        pages.append(page)
        if len(pages) == 3:
            break
    read = set(ids_of(pages))
    before = len(office.server.requests)
    rest = office.read("deals", position=position_of(pages))
    assert read | set(ids_of(rest)) == {str(number) for number in range(1, 9001)}
    assert len(read & set(ids_of(rest))) == 0
    assert len(office.server.requests) - before < 12
    # The next run asks for what changed since the first one began, not since it was resumed.
    assert (position_of(rest) or {})["since"] <= NOW.timestamp()


def office_pages(office: Office) -> Iterator[Page]:
    request = Request(position=None, start=None, end=office.client.now())
    return CONNECTOR.stream("deals").fetch(office.client, request)


def test_a_full_reading_keeps_the_old_position_until_its_end(open_portal: OpenPortal) -> None:
    """Interrupted, it must not leave the incremental runs without a place to begin."""
    office = open_portal(world_of(5000))
    position = position_of(office.read("deals"))
    pages = office.read("deals", position=position, full=True)
    assert [page.position for page in pages[:-1]] == [None] * (len(pages) - 1)
    assert pages[-1].position is not None


def test_a_window_leaves_the_position_alone_and_is_bounded_on_both_sides(open_portal: OpenPortal) -> None:
    world = empty_world()
    for days in range(1, 10):
        deal(world, days, NOW - timedelta(days=days))
    office = open_portal(world)
    pages = office.read("deals", window=True, start=NOW - timedelta(days=6), end=NOW - timedelta(days=3))
    assert sorted(ids_of(pages)) == ["3", "4", "5", "6"]
    assert position_of(pages) is None


def test_the_cursor_is_the_servers_clock_not_ours(open_portal: OpenPortal) -> None:
    """A machine an hour ahead would skip an hour of changes."""
    office = open_portal(world_of(3))
    pages = office.read("deals", end=NOW + timedelta(hours=1))
    assert (position_of(pages) or {})["since"] == int(NOW.timestamp()) - 600


def test_a_command_that_fails_inside_a_good_answer_is_asked_again(open_portal: OpenPortal) -> None:
    """Status is 200 even when commands failed: silence must not pass for an empty list."""
    office = open_portal(world_of(4000))
    failures = iter([None, None, None, ("INTERNAL_SERVER_ERROR", "internal"), None, ("", "")])
    office.server.fail_command = lambda method: next(failures, None)
    assert len(ids_of(office.read("deals"))) == 4000


def test_a_command_that_keeps_failing_ends_the_stream_with_its_reason(open_portal: OpenPortal) -> None:
    office = open_portal(world_of(4000))
    office.server.fail_command = lambda method: ("INTERNAL_SERVER_ERROR", "internal")
    with pytest.raises(ServerFaultError, match="internal"):
        office.read("deals")
    office.server.fail_command = lambda method: ("", "Access denied.")
    with pytest.raises(RightsError, match=r"Access denied"):
        office.read("deals")


def test_a_batch_too_heavy_for_the_server_is_halved(open_portal: OpenPortal) -> None:
    heavy: list[Fault] = ["gateway_timeout"] * 12
    office = open_portal(world_of(6000), faults=ScriptedFaults(None, *heavy))
    assert len(ids_of(office.read("deals"))) == 6000


def test_a_list_out_of_order_is_an_error_not_a_hole(open_portal: OpenPortal) -> None:
    world = world_of(60)
    office = open_portal(world)
    world.tables["deals"]._ids.reverse()
    with pytest.raises(ProtocolError, match="out of the order"):
        office.read("deals")


def test_stage_history_is_read_by_id_and_read_again_a_little(open_portal: OpenPortal) -> None:
    world = world_of(3)
    for number in range(1200):
        world.enter(1 + number % 3, "NEW", "P", NOW - timedelta(seconds=number))
    office = open_portal(world)
    pages = office.read("stage_history")
    assert len(set(ids_of(pages))) == 1200
    position = position_of(pages)
    assert position == {"id": 91_200}
    world.enter(1, "WON", "S", NOW)
    assert "91201" in ids_of(office.read("stage_history", position=position))


def test_all_lanes_requests_are_counted(open_portal: OpenPortal) -> None:
    office = open_portal(world_of(8000))
    counts: list[int] = []
    office.client._runtime = replace(office.client._runtime, on_request=counts.append)
    office.read("deals")
    assert sum(counts) == len(office.server.requests)


def test_first_load_is_faster_than_two_thousand_deals_a_second(open_portal: OpenPortal) -> None:
    """One page takes 20 ms of server time; lanes share the fake clock, so this is their time one after the other."""
    office = open_portal(world_of(20_000), limits=Limits(page_seconds=0.02))
    began = office.clock.monotonic()
    assert len(ids_of(office.read("deals"))) == 20_000
    assert 20_000 / (office.clock.monotonic() - began) >= 2000


# ── encoding ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_params_are_encoded_as_the_documents_vectors() -> None:
    bounds: dict[str, Param] = {">ID": 0, ">=DATE_MODIFY": "2026-03-01T00:00:00+03:00"}
    params: Params = {"order": {"ID": "ASC"}, "filter": bounds, "select": ["ID", "TITLE"], "start": -1}
    coded = encode_params(params)
    assert coded == (
        "order%5BID%5D=ASC&filter%5B%3EID%5D=0&filter%5B%3E%3DDATE_MODIFY%5D=2026-03-01T00%3A00%3A00%2B03%3A00"
        "&select%5B0%5D=ID&select%5B1%5D=TITLE&start=-1"
    )
    reference: Params = {"filter": {">id": "$result[p0][items][49][id]"}}
    assert encode_params(reference) == "filter%5B%3Eid%5D=%24result%5Bp0%5D%5Bitems%5D%5B49%5D%5Bid%5D"
    told = {key: str(value) for key, value in bounds.items()}
    assert parse_query(coded) == {**params, "filter": told, "start": "-1"}
    assert encode_params({"flag": True}) == "flag=1"
    with pytest.raises(TypeError):
        encode_params({"none": None})  # type: ignore[dict-item]
