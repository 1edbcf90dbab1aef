"""A first load from both ends: nothing skipped, wherever they meet and whatever changes meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest
from amocrm_office import NOW, Office, empty_world, ids_of, lead, position_of

from connectors.stream import Page, Request
from demo.amocrm import AmocrmWorld, Quirks
from demo.http import HttpRequest

OpenOffice = Callable[..., Office]
FAST = {"requests_per_second": 7.0}
FIRST = int(NOW.timestamp()) - 10_000_000


def world_of(count: int, *, step: int = 60) -> AmocrmWorld:
    """Ids do not follow the times of change."""
    world = empty_world()
    for number in range(count):
        world.add("leads", lead(10_000 - number if number % 2 else 20_000 + number, FIRST + number * step))
    return world


def truth(office: Office) -> set[str]:
    return {str(record["id"]) for record in office.world.tables["leads"]}


@pytest.mark.parametrize("count", [0, 1, 249, 250, 251, 500, 501, 750, 1300, 2600])
def test_every_lead_is_read_wherever_the_ends_meet(open_office: OpenOffice, count: int) -> None:
    office = open_office(world_of(count), settings=FAST)
    got = ids_of(office.read("leads"))
    assert set(got) == truth(office)
    # At most the page on which they meet comes twice.
    assert len(got) - len(set(got)) <= 250
    # The pages, the one on which they meet, one under way then, and what changed meanwhile.
    assert len([path for path in office.paths() if path.startswith("leads")]) <= count // 249 + 4


def test_a_list_of_one_page_costs_one_request(open_office: OpenOffice) -> None:
    office = open_office(world_of(200), settings=FAST)
    office.read("leads")
    assert len([path for path in office.paths() if path.startswith("leads")]) == 1


def test_the_default_budget_reads_from_one_end(open_office: OpenOffice) -> None:
    """One request at a time gains nothing by two ends, and its rest points cost a killed load less."""
    office = open_office(world_of(1300))
    office.read("leads")
    assert not any("desc" in path for path in office.paths())


@pytest.mark.parametrize("seed", range(5))
def test_changes_meanwhile_are_met(open_office: OpenOffice, seed: int) -> None:
    """A record edited while it is read leaves both ranges for the newest end; one made meanwhile begins there."""
    office = open_office(world_of(2000), settings=FAST)
    dice = random.Random(seed)

    def disturb(request: HttpRequest) -> None:
        with office.world.lock:
            known = sorted(record["id"] for record in office.world.tables["leads"])
            now = office.clock.now()
            for chosen in dice.sample(known, 5):
                office.world.edit("leads", chosen, now, price=dice.randrange(10**6))
            office.world.delete("leads", dice.choice(known), now)
            office.world.add("leads", lead(30_000 + dice.randrange(10**6), int(now.timestamp())))

    pages: list[Page] = []
    position = None
    for is_disturbed in (True, False):
        office.server.after_page = disturb if is_disturbed else lambda request: None
        pages += office.read("leads", position=position)
        position = position_of(pages)
        office.clock.advance(60)
    told = {key: raw for page in pages for key, raw in zip(page.ids, page.payloads, strict=True)}
    prices = {str(record["id"]): record["price"] for record in office.world.tables["leads"]}
    assert {key: msgspec.json.decode(told[key])["price"] for key in prices if key in told} == prices


@pytest.mark.parametrize("crowded", [600, 1000, 1950])
def test_a_second_with_more_leads_than_a_page_holds(open_office: OpenOffice, crowded: int) -> None:
    """An import: neither end can pass it by its time alone."""
    world = world_of(2000)
    for number in range(400):
        world.add("leads", lead(50_000 + number, FIRST + crowded * 60))
    office = open_office(world, settings=FAST)
    assert set(ids_of(office.read("leads"))) == truth(office)


@pytest.mark.parametrize(
    "quirks", [Quirks(filters_work=False), Quirks(bounds_are_inclusive=False), Quirks(clamps_to=50)], ids=str
)
def test_an_account_unlike_the_documentation(open_office: OpenOffice, quirks: Quirks) -> None:
    office = open_office(world_of(900, step=1), settings=FAST, quirks=quirks)
    assert set(ids_of(office.read("leads"))) == truth(office)


@pytest.mark.parametrize("settings", [FAST, {}], ids=["as before", "with the default budget"])
def test_a_killed_load_goes_on_where_both_stood(open_office: OpenOffice, settings: dict[str, float]) -> None:
    office = open_office(world_of(2600), settings=FAST)
    request = Request(position=None, start=None, end=office.client.now())
    pages: list[Page] = []
    for page in office_pages(office, request):
        pages.append(page)
        if len(pages) == 6:
            break
    later = open_office(office.world, settings=settings)
    later.clock.advance(timedelta(hours=2).total_seconds())
    rest = later.read("leads", position=position_of(pages))
    assert set(ids_of(pages)) | set(ids_of(rest)) == truth(office)
    if settings:
        assert len(set(ids_of(pages)) & set(ids_of(rest))) <= 500
    assert set(position_of(rest) or {}) == {"updated_at"}


def office_pages(office: Office, request: Request):  # type: ignore[no-untyped-def]
    from connectors.amocrm.streams import CONNECTOR

    return CONNECTOR.stream("leads").fetch(office.client, request)
