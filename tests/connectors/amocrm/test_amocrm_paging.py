"""Lists that change while they are read: nothing skipped, nothing repeated, no request too many."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from amocrm_office import NOW, Office, empty_world, ids_of, lead, position_of

from base.errors import ProtocolError, ServerFaultError
from base.times import to_unix
from connectors.amocrm.paging import OVERLAP_SECONDS
from demo.amocrm import AmocrmWorld, Quirks
from demo.http import HttpRequest, ScriptedFaults, json_response

OpenOffice = Callable[..., Office]
LONG_AGO = to_unix(NOW) - 30 * 86_400
REST = to_unix(NOW) - OVERLAP_SECONDS


def world_of(count: int, *, step: int = 60, first: int = LONG_AGO) -> AmocrmWorld:
    world = empty_world()
    for number in range(count):
        world.add("leads", lead(1000 + number, first + number * step))
    return world


def all_ids(world: AmocrmWorld) -> set[str]:
    return {str(record["id"]) for record in world.tables["leads"]}


def test_first_load_reads_every_record_once(open_office: OpenOffice) -> None:
    office = open_office(world_of(620))
    pages = office.read("leads")
    assert sorted(ids_of(pages)) == sorted(all_ids(office.world))
    assert len(office.server.requests) == 3


def test_record_edited_between_pages_hides_no_neighbour(open_office: OpenOffice) -> None:
    """Offset paging loses the first record of the next page here, for good: it is unedited."""
    office = open_office(world_of(600))
    edited: list[int] = []

    def edit_one(request: HttpRequest) -> None:
        number = 1000 + len(edited)
        office.world.edit("leads", number, NOW, name="правка")
        edited.append(number)

    office.server.after_page = edit_one
    pages = office.read("leads")
    assert set(ids_of(pages)) == all_ids(office.world)
    # Met as it was, and once more as it became.
    assert ids_of(pages).count("1000") == 2


def test_record_deleted_between_pages_hides_no_neighbour(open_office: OpenOffice) -> None:
    office = open_office(world_of(600))
    deleted: list[int] = []

    def delete_one(request: HttpRequest) -> None:
        if len(deleted) < 2:
            deleted.append(1000 + len(deleted))
            office.world.delete("leads", deleted[-1], NOW)

    office.server.after_page = delete_one
    assert set(ids_of(office.read("leads"))) >= all_ids(office.world)


def test_quiet_second_run_costs_one_request_and_brings_nothing_new(open_office: OpenOffice) -> None:
    office = open_office(world_of(600))
    position = position_of(office.read("leads"))
    office.server.requests.clear()
    assert ids_of(office.read("leads", position=position)) == []
    assert len(office.server.requests) == 1


def test_next_run_begins_an_overlap_before_the_last_ones_start(open_office: OpenOffice) -> None:
    """Lists lag behind writes: a record stamped just before the run's start may appear after it."""
    office = open_office(world_of(3))
    position = position_of(office.read("leads"))
    assert position == {"updated_at": REST}
    office.world.add("leads", lead(5000, to_unix(NOW) - 30))
    assert ids_of(office.read("leads", position=position)) == ["5000"]


def test_interrupted_first_load_resumes_where_its_last_page_ended(open_office: OpenOffice) -> None:
    office = open_office(world_of(600))
    first_page = office.read("leads")[0]
    rest = office.read("leads", position=first_page.position)
    assert set(first_page.ids) | set(ids_of(rest)) == all_ids(office.world)
    assert len(ids_of(rest)) <= 600 - 250 + 2


def test_record_stamped_in_the_future_does_not_carry_the_position_there(open_office: OpenOffice) -> None:
    """`updated_at` is writable: a cursor taken from it would skip everything until that day."""
    office = open_office(world_of(300, first=to_unix(NOW + timedelta(days=400))))
    pages = office.read("leads")
    assert len(set(ids_of(pages))) == 300
    assert [page.position for page in pages] == [{"updated_at": REST}] * 2


def test_second_with_more_records_than_a_page_is_read_by_id_until_two_passes_agree(open_office: OpenOffice) -> None:
    world = world_of(5)
    for number in range(700):
        world.add("leads", lead(5000 + number, LONG_AGO + 1000))
    world.add("leads", lead(9000, LONG_AGO + 1001))
    office = open_office(world)
    got = ids_of(office.read("leads"))
    assert sorted(got) == sorted(all_ids(world))
    by_id = [path for path in office.paths() if "order[id]=asc" in path]
    assert len(by_id) == 6  # two passes of three pages


def test_crowded_second_edited_while_it_is_read_loses_nothing(open_office: OpenOffice) -> None:
    world = world_of(0)
    for number in range(700):
        world.add("leads", lead(5000 + number, LONG_AGO))
    office = open_office(world)
    edited: list[int] = []

    def edit_one(request: HttpRequest) -> None:
        if request.get("order[id]") and len(edited) < 3:
            edited.append(5000 + len(edited))
            world.edit("leads", edited[-1], NOW)

    office.server.after_page = edit_one
    assert set(ids_of(office.read("leads"))) == all_ids(world)
    assert len(edited) == 3


def test_ignored_filter_is_noticed_and_the_list_read_whole(
    open_office: OpenOffice, caplog: pytest.LogCaptureFixture
) -> None:
    """Accounts without the filter answer 200 with everything; the load must neither stop nor trust it."""
    office = open_office(world_of(600), quirks=Quirks(filters_work=False))
    changed_since = LONG_AGO + 300 * 60
    got = ids_of(office.read("leads", position={"updated_at": changed_since}))
    assert got == [str(1000 + number) for number in range(300, 600)]
    assert "filter_ignored" in caplog.text


def test_ignored_filter_with_deletions_meanwhile_loses_nothing(open_office: OpenOffice) -> None:
    office = open_office(world_of(600), quirks=Quirks(filters_work=False))
    deleted: list[int] = []

    def delete_one(request: HttpRequest) -> None:
        if request.get("order[id]") and len(deleted) < 2:
            deleted.append(1000 + len(deleted))
            office.world.delete("leads", deleted[-1], NOW)

    office.server.after_page = delete_one
    assert set(ids_of(office.read("leads"))) >= all_ids(office.world)
    assert len(deleted) == 2


def test_tasks_that_ignore_the_order_by_update_are_read_by_id(open_office: OpenOffice) -> None:
    world = empty_world()
    for number in range(400):
        task = {"id": number + 1, "updated_at": LONG_AGO + (400 - number) * 60, "created_at": LONG_AGO, "result": []}
        world.add("tasks", task)
    office = open_office(world, quirks=Quirks(orders_tasks_by_update=False))
    assert sorted(ids_of(office.read("tasks"))) == sorted(f"task-{number + 1}" for number in range(400))


def test_exclusive_bounds_hide_no_record_of_a_second_shared_by_two_pages(open_office: OpenOffice) -> None:
    """Inclusiveness is not documented; read as inclusive, an exclusive bound would lose the rest of a second."""
    world = empty_world()
    for number in range(300):
        # Records 241 to 260 share the second at the page's edge.
        world.add("leads", lead(1000 + number, LONG_AGO + min(number, 240) + max(0, number - 260)))
    office = open_office(world, quirks=Quirks(bounds_are_inclusive=False))
    assert set(ids_of(office.read("leads"))) == all_ids(world)


def test_short_page_does_not_end_the_load(open_office: OpenOffice, caplog: pytest.LogCaptureFixture) -> None:
    """A clamped page is short although more follows: three published clients stop there."""
    office = open_office(world_of(120), quirks=Quirks(clamps_to=50))
    assert set(ids_of(office.read("leads"))) == all_ids(office.world)
    assert "limit_clamped" in caplog.text


def test_next_link_on_a_full_last_page_ends_in_204(open_office: OpenOffice) -> None:
    office = open_office(world_of(250), quirks=Quirks(next_after_full_page=True))
    pages = office.read("leads")
    assert len(ids_of(pages)) == 250
    assert position_of(pages) == {"updated_at": REST}


def test_next_link_to_another_host_is_never_followed(open_office: OpenOffice) -> None:
    office = open_office(world_of(300), quirks=Quirks(next_host="http://shard152.amocrm.ru"))
    hosts: set[str] = set()
    office.server.after_page = lambda request: hosts.add(request.headers["host"])
    assert len(set(ids_of(office.read("leads")))) == 300
    assert hosts == {"example.amocrm.ru"}


def test_too_heavy_pages_are_asked_smaller(open_office: OpenOffice) -> None:
    office = open_office(world_of(600), faults=ScriptedFaults(None, "gateway_timeout"))
    assert set(ids_of(office.read("leads"))) == all_ids(office.world)
    limits = [path.partition("limit=")[2].partition("&")[0] for path in office.paths()]
    assert limits[:3] == ["250", "250", "125"]


def test_too_heavy_whatever_the_size_is_a_server_fault(open_office: OpenOffice) -> None:
    office = open_office(world_of(3), faults=ScriptedFaults(*["gateway_timeout"] * 9))
    with pytest.raises(ServerFaultError):
        office.read("leads")


def test_endless_repetition_of_a_page_is_told_not_followed_for_ever(open_office: OpenOffice) -> None:
    """A server that keeps saying `next` with the same page would be asked until the account is blocked."""
    world = empty_world()
    for number in range(300):
        world.add("leads", lead(1000 + number, LONG_AGO))
    office = open_office(world)
    handle = office.server._handle

    def stuck(request: HttpRequest) -> object:
        query = [(name, "1" if name == "page" else value) for name, value in request.query]
        return handle(HttpRequest(method="GET", path=request.path, query=query, headers=request.headers))

    office.server._handler = stuck
    with pytest.raises(ProtocolError):
        office.read("leads")


def test_window_reads_only_itself_and_leaves_the_position_alone(open_office: OpenOffice) -> None:
    office = open_office(world_of(600))
    start = NOW - timedelta(days=30) + timedelta(minutes=100)
    pages = office.read("leads", position={"updated_at": 1}, start=start, end=start + timedelta(minutes=9), window=True)
    assert ids_of(pages) == [str(number) for number in range(1100, 1110)]
    assert position_of(pages) is None


def test_interrupted_full_reading_does_not_set_the_position_back(open_office: OpenOffice) -> None:
    office = open_office(world_of(600))
    pages = office.read("leads", position={"updated_at": REST}, full=True)
    assert [page.position for page in pages if page.ids][:-1] == [None, None]
    assert position_of(pages) == {"updated_at": REST}


def test_full_reading_meets_a_record_edited_during_it(open_office: OpenOffice) -> None:
    """Were it bounded above by the run's start, the sweep would take the edited record for a deleted one."""
    office = open_office(world_of(600))
    office.server.after_page = lambda request: office.world.edit("leads", 1599, NOW + timedelta(seconds=5))
    assert "1599" in ids_of(office.read("leads", full=True))


def test_trash_gives_ids_only_and_only_in_a_full_reading(open_office: OpenOffice) -> None:
    """Stubs of the trash hold nulls: as records they would wipe good rows."""
    office = open_office(world_of(5))
    office.world.delete("leads", 1001, NOW)
    assert [page.deleted for page in office.read("leads")] == [[]]
    pages = office.read("leads", full=True)
    assert [record_id for page in pages for record_id in page.deleted] == ["1001"]
    assert "1001" not in ids_of(pages)


def test_trash_listing_that_is_not_understood_deletes_nobody(open_office: OpenOffice) -> None:
    office = open_office(world_of(5), quirks=Quirks(knows_only_deleted=False))
    assert [record_id for page in office.read("leads", full=True) for record_id in page.deleted] == []


def test_unreadable_record_is_rejected_and_the_rest_goes_on(open_office: OpenOffice) -> None:
    office = open_office(world_of(0))
    records = [{"name": "x"}, {"id": 1, "updated_at": "soon"}, {"id": 2, "updated_at": 2_000_000_000}, {"id": 3}]
    office.server._handler = lambda request: json_response({"_links": [], "_embedded": {"leads": records}})
    pages = office.read("leads")
    assert ids_of(pages) == ["2"]
    rejects = [(reject.record_id, reject.code, reject.path) for page in pages for reject in page.rejects]
    assert rejects == [
        ("", "missing_field", "$.id"),
        ("1", "wrong_type", "$.updated_at"),
        # Without its time a record can't be placed in an incremental reading.
        ("3", "missing_field", "$.updated_at"),
    ]
