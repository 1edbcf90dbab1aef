"""The simulated portal misbehaves as the real one does: without this the connector's tests prove nothing."""

from __future__ import annotations

import json
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from bitrix24_office import NOW, SECRET, deal, empty_world

from base.clock import FakeClock
from demo.bitrix24 import Bitrix24Server, Bitrix24World, Limits
from demo.http import HttpRequest


def world_of(count: int) -> Bitrix24World:
    world = empty_world()
    for number in range(1, count + 1):
        deal(world, number)
        world.enter(number, "NEW", "P", NOW, is_new=True)
    return world


def ask(server: Bitrix24Server, method: str, body: Any) -> tuple[int, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = HttpRequest(
        method="POST",
        path=f"/rest/1/{SECRET}/{method}.json",
        headers={"content-type": "application/json"},
        body=raw,
    )
    response = server.answer(request)
    return response.status, json.loads(response.body)


def server_of(count: int, **options: Any) -> Bitrix24Server:
    return Bitrix24Server(world_of(count), secret=SECRET, clock=FakeClock(NOW), **options)


def batch(server: Bitrix24Server, **commands: Any) -> Any:
    return ask(server, "batch", {"halt": 0, "cmd": commands})[1]["result"]


def test_without_counting_neither_total_nor_next_are_told() -> None:
    server = server_of(120)
    _, counted = ask(server, "crm.deal.list", {"start": 75})
    assert (counted["total"], counted["next"], counted["result"][0]["ID"]) == (120, 100, "51")
    _, quick = ask(server, "crm.deal.list", {"start": -1})
    assert ("total" in quick, "next" in quick, len(quick["result"])) == (False, False, 50)


def test_an_unknown_filter_of_a_classic_list_gives_the_whole_table() -> None:
    server = server_of(3)
    _, answer = ask(server, "crm.deal.list", {"filter": {">=DATE_MODIFIED": "2030-01-01T00:00:00+03:00"}})
    assert len(answer["result"]) == 3
    _, answer = ask(server, "crm.deal.list", {"filter": {">=DATE_MODIFY": "soon"}})
    assert len(answer["result"]) == 3
    status, answer = ask(server, "crm.stagehistory.list", {"entityTypeId": 2, "filter": {">=CREATED": "2030-01-01"}})
    assert (status, answer["error"]) == (400, "INVALID_ARG_VALUE")


def test_a_malformed_body_is_no_parameters() -> None:
    assert len(ask(server_of(3), "crm.deal.list", b'{"filter": {">ID": 2')[1]["result"]) == 3


def test_after_a_short_page_a_chain_begins_anew_and_an_item_list_refuses() -> None:
    server = server_of(60)
    chain = {
        "p0": "crm.deal.list?order[ID]=ASC&filter[>ID]=20&start=-1",
        "p1": "crm.deal.list?order[ID]=ASC&filter[>ID]=$result[p0][49][ID]&start=-1",
    }
    parts = batch(server, **chain)
    assert len(parts["result"]["p0"]) == 40
    # The array in the reference's place is cast to 1.
    assert parts["result"]["p1"][0]["ID"] == "2"
    items = {
        key: text.replace("crm.deal.list?", "crm.stagehistory.list?entityTypeId=2&") for key, text in chain.items()
    }
    items["p0"] = items["p0"].replace("=20&", "=90020&")
    items["p1"] = items["p1"].replace("[49][ID]", "[items][49][ID]")
    parts = batch(server, **items)
    assert parts["result_error"]["p1"]["error"] == "INVALID_ARG_VALUE"


def test_empty_parts_of_a_batch_are_lists_and_halt_stops() -> None:
    server = server_of(1)
    parts = batch(server, a="crm.deal.list?start=-1", b=5)
    assert (parts["result_error"], parts["result_next"], list(parts["result"])) == ([], [], ["a"])
    halting = {"halt": 1, "cmd": {"a": "no.such.method", "b": "profile"}}
    parts = ask(server, "batch", halting)[1]["result"]
    assert (parts["result"], parts["result_error"]["a"]["error"]) == ([], "ERROR_METHOD_NOT_FOUND")
    assert batch(server, a="batch?cmd[a]=profile")["result_error"]["a"]["error"] == "ERROR_BATCH_METHOD_NOT_ALLOWED"
    many = batch(server, **{f"c{n}": "profile" for n in range(51)})
    assert many["result_error"]["c50"]["error"] == "ERROR_BATCH_LENGTH_EXCEEDED"


def test_multifields_come_only_when_named() -> None:
    server = server_of(0)
    server.world.add("contacts", {"ID": "1", "NAME": "A", "PHONE": [{"VALUE": "1"}]})
    assert "PHONE" not in ask(server, "crm.contact.list", {"select": ["*"]})[1]["result"][0]
    assert "PHONE" in ask(server, "crm.contact.list", {"select": ["ID", "PHONE"]})[1]["result"][0]


def test_call_statistics_ignore_an_order_object() -> None:
    server = server_of(0)
    for number in range(1, 40):
        server.world.add("calls", {"ID": str(number), "CALL_START_DATE": server.world.stamp(NOW)})
    _, answer = ask(server, "voximplant.statistic.get", {"ORDER": {"ID": "ASC"}, "start": -1})
    assert [int(row["ID"]) for row in answer["result"]] != list(range(1, 40))
    _, answer = ask(server, "voximplant.statistic.get", {"SORT": "ID", "ORDER": "DESC", "start": -1})
    assert [int(row["ID"]) for row in answer["result"]] == list(range(39, 0, -1))


def test_bucket_overflows_and_leaks() -> None:
    server = server_of(1, limits=Limits(page_seconds=0.0))
    codes = [ask(server, "profile", {})[0] for _ in range(52)]
    assert (codes.count(200), codes.count(503)) == (50, 2)
    server.clock.sleep(0.5)
    assert ask(server, "profile", {})[0] == 200


def test_operating_time_bans_one_method() -> None:
    server = server_of(1, limits=Limits(page_seconds=1.0, operating=3.0, leak=None))
    codes = [ask(server, "crm.deal.list", {"start": -1})[0] for _ in range(5)]
    assert codes == [200, 200, 200, 200, 429]
    assert ask(server, "crm.contact.list", {"start": -1})[0] == 200
    server.clock.sleep(301)
    assert ask(server, "crm.deal.list", {"start": -1})[0] == 200


def test_days_are_written_as_utc_midnight_in_the_servers_offset() -> None:
    assert empty_world().stamp_day(date(2026, 3, 9)) == "2026-03-09T03:00:00+03:00"
    west = Bitrix24World(ZoneInfo("Etc/GMT+5"))
    assert west.stamp_day(date(2026, 3, 9)) == "2026-03-08T19:00:00-05:00"
