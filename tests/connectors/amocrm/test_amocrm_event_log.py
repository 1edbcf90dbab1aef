"""The event log: pages of a hundred in no known order, read in closed windows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from amocrm_office import NOW, Office, empty_world, ids_of, position_of

from base.times import to_unix
from connectors.amocrm.paging import OVERLAP_SECONDS
from demo.amocrm import AmocrmWorld, Quirks
from demo.http import HttpResponse, json_response

OpenOffice = Callable[..., Office]
START = NOW - timedelta(days=60)


def world_of(count: int, *, first: datetime = START, step: timedelta = timedelta(hours=1)) -> AmocrmWorld:
    world = empty_world()
    for number in range(count):
        world.log("lead_added", "lead", 1000 + number, first + number * step)
    return world


def all_ids(world: AmocrmWorld) -> list[str]:
    return sorted(str(record["id"]) for record in world.tables["events"])


def test_pages_never_ask_for_more_than_a_hundred(open_office: OpenOffice) -> None:
    """Above it the server gives 50 rows without a word: users lost their logs for a year."""
    office = open_office(world_of(350, step=timedelta(minutes=1)))
    assert sorted(ids_of(office.read("events", start=START))) == all_ids(office.world)
    assert all("limit=100" in path for path in office.paths())


def test_first_load_reads_every_event_once(open_office: OpenOffice) -> None:
    office = open_office(world_of(1400))
    got = ids_of(office.read("events", start=START))
    assert sorted(got) == all_ids(office.world)


def test_empty_months_before_the_first_event_cost_few_requests(open_office: OpenOffice) -> None:
    office = open_office(world_of(5, first=NOW - timedelta(days=2)))
    assert len(ids_of(office.read("events", start=NOW - timedelta(days=3 * 365)))) == 5
    assert len(office.server.requests) <= 8


def test_first_load_without_a_start_does_not_ask_for_years_before_amocrm(open_office: OpenOffice) -> None:
    office = open_office(world_of(5, first=NOW - timedelta(days=2)))
    assert len(ids_of(office.read("events"))) == 5
    assert len(office.server.requests) <= 10


def test_last_minute_is_left_to_the_next_run_and_then_read(open_office: OpenOffice) -> None:
    """Entries of one second do not all appear at once; a closed window must not change any more."""
    office = open_office(world_of(3))
    office.world.log("lead_added", "lead", 1, NOW - timedelta(seconds=20))
    pages = office.read("events", start=START)
    assert len(ids_of(pages)) == 3
    office.clock.advance(300)
    assert all_ids(office.world)[-1] in ids_of(office.read("events", position=position_of(pages)))


def test_event_that_appears_late_is_met_by_the_next_runs_overlap(open_office: OpenOffice) -> None:
    office = open_office(world_of(3))
    position = position_of(office.read("events", start=START))
    late = office.world.log("lead_added", "lead", 1, NOW - timedelta(seconds=OVERLAP_SECONDS - 100))
    assert late in ids_of(office.read("events", position=position))


def test_quiet_second_run_costs_one_request(open_office: OpenOffice) -> None:
    office = open_office(world_of(300))
    position = position_of(office.read("events", start=START))
    office.server.requests.clear()
    assert ids_of(office.read("events", position=position)) == []
    assert len(office.server.requests) == 1


def test_interrupted_first_load_resumes_at_the_last_closed_window(open_office: OpenOffice) -> None:
    office = open_office(world_of(1400))
    pages = office.read("events", start=START)
    rests = [place for place, page in enumerate(pages) if page.position is not None]
    assert len(rests) > 3
    killed_after = rests[len(rests) // 2]
    rest = office.read("events", position=pages[killed_after].position, start=START)
    assert sorted({*ids_of(pages[: killed_after + 1]), *ids_of(rest)}) == all_ids(office.world)


def test_window_with_too_many_pages_is_cut_before_it_is_read_to_the_end(open_office: OpenOffice) -> None:
    """Ten thousand events without a rest point would be read again after a kill, and again."""
    world = world_of(11_000, first=START + timedelta(hours=40), step=timedelta(seconds=2))
    office = open_office(world)
    pages = office.read("events", start=START)
    assert sorted(ids_of(pages)) == all_ids(world)
    between_rests, longest = 0, 0
    for page in pages:
        between_rests = 0 if page.position is not None else between_rests + 1
        longest = max(longest, between_rests)
    assert longest <= 120


def test_ignored_filter_is_noticed_and_every_event_of_the_period_read(
    open_office: OpenOffice, caplog: pytest.LogCaptureFixture
) -> None:
    office = open_office(world_of(500), quirks=Quirks(filters_work=False))
    since = START + timedelta(hours=200)
    got = ids_of(office.read("events", start=since))
    expected = [str(record["id"]) for record in office.world.tables["events"] if record["created_at"] >= to_unix(since)]
    assert sorted(got) == sorted(expected)
    assert "filter_ignored" in caplog.text


def test_shifted_window_is_read_once_more(open_office: OpenOffice, caplog: pytest.LogCaptureFixture) -> None:
    """An empty page after a short one that announced more: rows moved while the window was read."""
    office = open_office(world_of(150, step=timedelta(minutes=1)))
    handle = office.server._handler
    newest = sorted(office.world.tables["events"], key=lambda record: -record["created_at"])[:40]
    links = {"self": {"href": "x?limit=100"}, "next": {"href": "x?page=2"}}
    shifted = [json_response({"_links": links, "_embedded": {"events": newest}}), HttpResponse(status=204)]
    office.server._handler = lambda request: shifted.pop(0) if shifted else handle(request)
    got = ids_of(office.read("events", start=START, end=START + timedelta(days=1), window=True))
    assert sorted(got) == all_ids(office.world)
    assert "window_shifted" in caplog.text
