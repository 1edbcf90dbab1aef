"""What is gone and what can't be read: ids alone tell the first, single records the second."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from bitrix24_office import NOW, Office, deal, empty_world, ids_of, position_of

from base.errors import ServerFaultError
from connectors.bitrix24.refusals import UnreadableError
from connectors.stream import Page
from demo.bitrix24 import Bitrix24World, Quirks

OpenPortal = Callable[..., Office]
DAY = 86_400


def world_of(count: int, *, step: int = 1) -> Bitrix24World:
    world = empty_world()
    for number in range(1, count + 1):
        deal(world, number * step)
    return world


def living_of(pages: list[Page]) -> set[str]:
    return {record_id for page in pages for record_id in page.living}


# ── the daily sweep ─────────────────────────────────────────────────────────────────────────────────────────────


def test_ids_alone_tell_what_is_gone_and_cost_a_request_for_2500(open_portal: OpenPortal) -> None:
    """Reading everything again for the sake of deletions would spend the whole budget every night."""
    office = open_portal(world_of(9000))
    position = position_of(office.read("deals"))
    for number in range(10, 9000, 900):
        office.world.delete("deals", number)
    office.clock.advance(DAY)
    before = len(office.server.requests)
    pages = office.read("deals", position=position)
    assert living_of(pages) == {str(number) for number in range(1, 9001)} - {str(n) for n in range(10, 9000, 900)}
    assert [page.is_whole for page in pages if page.living] == [False] * (len(pages) - 2) + [True]
    assert ids_of(pages) == []
    assert len(office.server.requests) - before <= 14


def test_a_sweep_is_not_repeated_before_a_day_is_over(open_portal: OpenPortal) -> None:
    office = open_portal(world_of(300))
    position = position_of(office.read("deals"))
    office.clock.advance(3600)
    assert living_of(office.read("deals", position=position)) == set()
    office.clock.advance(DAY)
    swept = position_of(office.read("deals", position=position))
    office.clock.advance(3600)
    assert living_of(office.read("deals", position=swept)) == set()


def test_sweeps_can_be_left_to_full_readings(open_portal: OpenPortal) -> None:
    office = open_portal(world_of(300), settings={"sweep_hours": 0})
    position = position_of(office.read("deals"))
    office.clock.advance(100 * DAY)
    assert living_of(office.read("deals", position=position)) == set()


def test_a_window_and_a_full_reading_do_not_sweep(open_portal: OpenPortal) -> None:
    office = open_portal(world_of(300))
    office.clock.advance(100 * DAY)
    assert living_of(office.read("deals", window=True, start=NOW, end=NOW)) == set()
    assert living_of(office.read("deals", full=True, position={"since": 1, "swept": 0})) == set()


@pytest.mark.parametrize("stream", ["deals", "payments"])
def test_a_full_reading_from_a_start_does_not_bury_what_is_older(open_portal: OpenPortal, stream: str) -> None:
    """A window loaded by hand brought records from before the configured start: `--full` must not miss them."""
    world = empty_world()
    for number, days_ago in ((1, 400), (2, 3)):
        at = NOW - timedelta(days=days_ago)
        deal(world, number, at)
        world.add("payments", {"id": number, "orderId": number, "dateBill": world.stamp(at)})
    pages = open_portal(world).read(stream, full=True, start=NOW - timedelta(days=30))
    assert living_of(pages) == {"1", "2"}
    assert [page.is_whole for page in pages][-1]


def test_a_sweep_that_breaks_off_buries_nothing_and_comes_again(open_portal: OpenPortal) -> None:
    """Half a list of ids taken for the whole one would bury the other half."""
    office = open_portal(world_of(9000))
    position = position_of(office.read("deals"))
    office.clock.advance(DAY)
    asked = 0

    def fail(method: str) -> tuple[str, str] | None:
        nonlocal asked
        asked += 1
        return ("ACCESS_DENIED", "no") if asked > 30 else None

    office.server.fail_command = fail
    pages: list[Page] = []
    with pytest.raises(Exception, match="no right"):
        pages.extend(_pages(office, position))
    assert not any(page.is_whole for page in pages)
    office.server.fail_command = lambda method: None
    again = office.read("deals", position=position)
    assert len(living_of(again)) == 9000


def _pages(office: Office, position: object) -> list[Page]:
    return office.read("deals", position=position)  # type: ignore[arg-type]


def test_living_ids_of_prefixed_lists_carry_the_prefix(open_portal: OpenPortal) -> None:
    """Without it every activity would look deleted."""
    world = empty_world()
    for number in range(1, 4):
        world.add("activities", {"ID": str(number), "TYPE_ID": "3", "LAST_UPDATED": world.stamp(NOW)})
    office = open_portal(world)
    pages = office.read("activities")
    office.clock.advance(DAY)
    assert living_of(office.read("activities", position=position_of(pages))) == set(ids_of(pages))


# ── what can't be read ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("bad", [[1], [60], [101, 102], [999], [1000], [1, 500, 1000]])
def test_a_record_the_server_cant_encode_costs_itself_only(open_portal: OpenPortal, bad: list[int]) -> None:
    """One damaged text on a page would stop all deals for ever."""
    quirks = Quirks(damaged={"crm.deal.list": frozenset(bad)})
    office = open_portal(world_of(1000), quirks=quirks)
    pages = office.read("deals")
    assert sorted(map(int, ids_of(pages))) == sorted(set(range(1, 1001)) - set(bad))
    rejects = [reject for page in pages for reject in page.rejects]
    assert sorted(int(reject.record_id) for reject in rejects) == bad
    assert {reject.code for reject in rejects} == {"unreadable_at_source"}
    assert (position_of(pages) or {}).get("left", []) == []


def test_a_list_of_nothing_but_damage_is_the_portals_fault(open_portal: OpenPortal) -> None:
    """A failing portal must not turn into thousands of rejects."""
    quirks = Quirks(damaged={"crm.deal.list": frozenset(range(1, 1001))})
    office = open_portal(world_of(1000), quirks=quirks)
    with pytest.raises(UnreadableError):
        office.read("deals")


def test_a_page_that_keeps_failing_for_an_inner_error_is_read_record_by_record(open_portal: OpenPortal) -> None:
    office = open_portal(world_of(1000))
    office.server.fail_command = _fails_on_pages_with(office, 700)
    pages = office.read("deals")
    assert sorted(map(int, ids_of(pages))) == [number for number in range(1, 1001) if number != 700]
    assert [reject.record_id for page in pages for reject in page.rejects] == ["700"]


def _fails_on_pages_with(office: Office, number: int) -> Callable[[str], tuple[str, str] | None]:
    """The server's own code stumbles over a record, whatever page it is on."""
    run = office.server._run

    def stumble(method: str, params: dict[str, object]) -> object:
        result = run(method, params)
        rows = result[0]
        if isinstance(rows, list) and any(row.get("ID") == str(number) and len(row) > 1 for row in rows):
            from demo.bitrix24.lists import RefusedError

            raise RefusedError("INTERNAL_SERVER_ERROR", "internal", 500)
        return result

    office.server._run = stumble  # type: ignore[method-assign, assignment]
    return lambda method: None


def test_a_portal_that_is_down_makes_no_rejects(open_portal: OpenPortal) -> None:
    office = open_portal(world_of(1000))
    office.server.fail_command = lambda method: ("INTERNAL_SERVER_ERROR", "internal")
    with pytest.raises(ServerFaultError):
        office.read("deals")


# ── commands that fail inside a good answer ─────────────────────────────────────────────────────────────────────


def test_a_first_command_out_of_operating_time_waits_instead_of_failing(open_portal: OpenPortal) -> None:
    """Somebody else has spent the method's time: the run begins by waiting for it."""
    office = open_portal(world_of(10))
    began = office.clock.now()
    release = began + timedelta(minutes=5)

    def refuse(method: str) -> tuple[str, str] | None:
        return ("OPERATION_TIME_LIMIT", "spent") if office.clock.now() < release else None

    office.server.fail_command = refuse
    assert len(ids_of(office.read("deals"))) == 10
    assert office.clock.now() >= release


def test_no_answer_of_a_first_load_is_a_refusal(open_portal: OpenPortal) -> None:
    """Bans follow those who live on refusals; 2,000 deals a second must come without one."""
    office = open_portal(world_of(20_000))
    statuses: list[int] = []
    handle = office.server._handler

    def overhear(request: object) -> object:
        response = handle(request)  # type: ignore[arg-type]
        statuses.append(response.status)
        return response

    office.server._handler = overhear  # type: ignore[assignment]
    began = office.clock.monotonic()
    assert len(ids_of(office.read("deals"))) == 20_000
    assert set(statuses) == {200}
    assert 20_000 / (office.clock.monotonic() - began) >= 2000
