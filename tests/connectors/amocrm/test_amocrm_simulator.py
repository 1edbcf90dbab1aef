"""The simulated account behaves as the real one was seen to: what our tests rest on is itself tested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest
from amocrm_office import NOW, TOKEN, empty_world, lead

from base.clock import FakeClock
from base.times import to_unix
from demo.amocrm import AmocrmServer, world_from_story
from demo.amocrm.server import OVERRUNS_BEFORE_BLOCK
from demo.story import AmountChange, CallNote, Deal, Manager, Move, OwnerChange, Stage, Story, Task

AT = to_unix(NOW) - 86_400


@pytest.fixture
def server() -> AmocrmServer:
    world = empty_world()
    for number in range(120):
        world.add("leads", lead(1000 + number, AT + number))
        world.log("lead_added", "lead", 1000 + number, NOW - timedelta(minutes=number))
    return AmocrmServer(world, token=TOKEN, clock=FakeClock(NOW), limit_per_second=None)


@pytest.fixture
def http(server: AmocrmServer) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url="https://x.amocrm.ru/api/v4", transport=server.transport, headers=headers) as client:
        yield client


def rows(response: httpx.Response, key: str = "leads") -> list[dict[str, object]]:
    found: list[dict[str, object]] = response.json()["_embedded"][key]
    return found


@pytest.mark.parametrize(
    ("path", "key", "limit", "count"),
    [
        ("/leads", "leads", "", 50),
        ("/leads", "leads", "250", 120),
        ("/leads", "leads", "400", 50),
        ("/events", "events", "100", 100),
        ("/events", "events", "250", 50),
    ],
)
def test_limits_above_the_maximum_give_fifty_rows(
    http: httpx.Client, path: str, key: str, limit: str, count: int
) -> None:
    response = http.get(path, params={"limit": limit} if limit else {})
    assert (response.status_code, len(rows(response, key))) == (200, count)


def test_nothing_is_204_with_an_empty_body(http: httpx.Client) -> None:
    past_the_end = http.get("/leads", params={"page": 9})
    nothing_matches = http.get("/leads", params={"filter[updated_at][from]": AT + 10**6})
    missing = http.get("/leads/5")
    assert [(answer.status_code, answer.content) for answer in (past_the_end, nothing_matches, missing)] == [
        (204, b"")
    ] * 3


def test_filters_and_order_in_php_style(http: httpx.Client) -> None:
    bounded = {"filter[updated_at][from]": AT + 10, "filter[updated_at][to]": AT + 12, "order[updated_at]": "desc"}
    assert [row["id"] for row in rows(http.get("/leads", params=bounded))] == [1012, 1011, 1010]
    by_id = [("filter[id][]", "1003"), ("filter[id][]", "1001"), ("filter[id][]", "9")]
    assert [row["id"] for row in rows(http.get("/leads", params=by_id))] == [1001, 1003]


def test_record_in_a_list_repeats_the_lists_query_in_its_link(http: httpx.Client) -> None:
    first = rows(http.get("/leads", params={"limit": 2, "page": 3}))[0]
    assert first["_links"] == {"self": {"href": "http://x.amocrm.ru/api/v4/leads/1004?limit=2&page=3"}}


def test_contacts_of_a_deal_come_only_when_asked_for(http: httpx.Client) -> None:
    assert "contacts" not in rows(http.get("/leads"))[0]["_embedded"]  # type: ignore[operator]
    assert "contacts" in rows(http.get("/leads", params={"with": "contacts"}))[0]["_embedded"]  # type: ignore[operator]


def test_unknown_token_is_refused_with_a_problem(http: httpx.Client) -> None:
    answer = http.get("/leads", headers={"Authorization": "Bearer other"})
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


def test_overrun_is_429_and_a_stubborn_client_is_blocked(server: AmocrmServer, http: httpx.Client) -> None:
    server._limit = 7
    statuses = Counter(http.get("/leads").status_code for _ in range(7 + OVERRUNS_BEFORE_BLOCK + 3))
    assert statuses == {200: 7, 429: OVERRUNS_BEFORE_BLOCK, 403: 3}


def test_pace_at_the_limit_is_never_refused(server: AmocrmServer, http: httpx.Client) -> None:
    server._limit = 7
    for _ in range(30):
        assert http.get("/leads").status_code == 200
        server.clock.sleep(1 / 7 + 1e-6)


def test_trash_shows_stubs_and_a_restored_record_is_whole_again(server: AmocrmServer, http: httpx.Client) -> None:
    server.world.delete("leads", 1000, NOW, by=1)
    (stub,) = rows(http.get("/leads", params={"with": "only_deleted"}))
    filled = {name for name, value in stub.items() if value is not None and not name.startswith("_")}
    assert filled == {"id", "updated_at", "updated_by", "is_deleted", "account_id"}
    assert 1000 not in [row["id"] for row in rows(http.get("/leads", params={"limit": 250}))]
    server.world.restore("leads", 1000, NOW)
    assert http.get("/leads/1000").json()["name"] == "Сделка 1000"
    kinds = [record["type"] for record in server.world.tables["events"]]
    assert kinds[-2:] == ["lead_deleted", "lead_restored"]


def story() -> Story:
    at = NOW - timedelta(days=10)
    manager = Manager(
        person_id="a", name="Анна", team="t", email="a@x.ru", extension="1", user_id=11, telephony_user_id=1
    )
    deal = Deal(
        deal_id=7,
        title="Насосы",
        amount=Decimal("100.50"),
        owner=11,
        created_at=at,
        first_stage_id=100,
        phone="8 912 345-67-89",
        customer="Пётр Орлов",
        contact_id=41,
        company_id=77,
        tax_id="7701234567",
        invoice_number="238",
        moves=[Move(moved_at=at + timedelta(days=1), stage_id=143)],
        owner_changes=[OwnerChange(changed_at=at + timedelta(days=2), user_id=12)],
        amount_changes=[AmountChange(changed_at=at + timedelta(days=3), amount=Decimal("200"))],
        deleted_at=at + timedelta(days=5),
        loss_reason="Дорого",
    )
    return Story(
        name="Пример",
        timezone="Europe/Moscow",
        tax_id="1",
        own_account="1",
        pipeline_id=9,
        pipeline_name="Продажи",
        stages=[Stage(stage_id=100, name="Новая", position=10, kind="base")],
        managers=[manager],
        deals=[deal],
        calls=[],
        notes=[
            CallNote(
                note_id=1,
                contact_id=41,
                created_at=at,
                user_id=11,
                phone="89123456789",
                duration=30,
                direction="out",
                call_id="c1",
            )
        ],
        tasks=[
            Task(
                task_id=1,
                deal_id=7,
                user_id=11,
                created_at=at,
                due_at=NOW,
                is_meeting=True,
                completed_at=at + timedelta(days=4),
            )
        ],
        payments=[],
        opened_at=at - timedelta(days=100),
        told_at=NOW,
    )


def test_story_is_told_up_to_its_moment_and_no_further() -> None:
    early = world_from_story(story(), until=NOW - timedelta(days=7, hours=12))
    told = early.get("leads", 7)
    assert (told["status_id"], told["responsible_user_id"], told["price_with_minor_units"]) == (143, 12, 100.5)
    assert early.get("tasks", 1)["result"] == []
    late = world_from_story(story())
    assert late.tables["leads"].get(7) is None
    assert late.get("tasks", 1)["is_completed"] is True


def test_story_leaves_its_whole_trace_in_the_log() -> None:
    world = world_from_story(story())
    kinds = Counter(record["type"] for record in world.tables["events"])
    assert kinds == dict.fromkeys(
        [
            "lead_added",
            "lead_status_changed",
            "entity_responsible_changed",
            "sale_field_changed",
            "lead_deleted",
            "contact_added",
            "outgoing_call",
        ],
        1,
    )
    assert all(len(str(record["id"])) == 26 for record in world.tables["events"])


def test_equal_stories_give_equal_worlds() -> None:
    first, second = world_from_story(story()), world_from_story(story())
    assert [list(table) for table in first.tables.values()] == [list(table) for table in second.tables.values()]
