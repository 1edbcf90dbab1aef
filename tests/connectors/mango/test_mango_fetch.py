"""Windows, pages, polling, positions and budgets, on one fake clock with the simulated server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import httpx
import pytest

from base.errors import ProtocolError, ServerFaultError
from base.times import MICROS, from_unix, to_unix
from connectors.mango.fetch import fetch_calls, fetch_groups, fetch_lines, fetch_users
from connectors.mango.refusals import UnsupportedError
from connectors.mango.reports import PAGE_CALLS
from connectors.mango.streams import CONNECTOR
from connectors.mango.windows import split_windows, wall_time
from connectors.registry import load_connector
from demo.mango import MangoWorld
from demo.mango.world import MangoCall

MOSCOW = ZoneInfo("Europe/Moscow")
POLL = "POST /vpbx/stats/calls/result"
START = "POST /vpbx/stats/calls/request"


def call(entry_id, started, **changes):
    seconds = to_unix(started)
    card = {"entry_id": entry_id, "context_type": 1, "context_start_time": seconds} | changes
    return MangoCall(ended_at=seconds + 60, card=card, rows=[])


def world(count, first=datetime(2026, 11, 2, tzinfo=UTC), step=timedelta(seconds=1)):
    return MangoWorld(calls=[call(f"E{place}", first + place * step) for place in range(count)])


def ids(pages):
    return [record_id for page in pages for record_id in page.ids]


# ── windows ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_windows_cover_everything_once_and_stay_below_thirty_days():
    first, last = datetime(2024, 1, 15, 12, 30, tzinfo=UTC), datetime(2026, 3, 1, 8, 59, 30, tzinfo=UTC)
    windows = list(split_windows(first, last))
    assert windows[0].start == datetime(2024, 1, 14, 21, tzinfo=UTC)  # the Moscow midnight before
    assert windows[-1].end == last
    for earlier, later in pairwise(windows):
        assert later.start - earlier.end == timedelta(seconds=1)
    assert max(window.end - window.start for window in windows) == timedelta(days=29, seconds=-1)


def test_bounds_are_moscow_wall_time_across_a_month_end():
    """A client that writes its bounds in UTC loses the last three hours of a month."""
    windows = list(split_windows(datetime(2026, 10, 31, 22, tzinfo=UTC), datetime(2026, 11, 30, 20, tzinfo=UTC)))
    assert [wall_time(window.start) for window in windows] == ["01.11.2026 00:00:00", "30.11.2026 00:00:00"]
    assert [wall_time(window.end) for window in windows] == ["29.11.2026 23:59:59", "30.11.2026 23:00:00"]


def test_days_of_another_utc_offset_start_at_their_own_midnight():
    """Moscow was UTC+4 until 26 October 2014."""
    windows = list(split_windows(datetime(2014, 10, 20, tzinfo=UTC), datetime(2014, 11, 5, tzinfo=UTC), days=7))
    assert [wall_time(window.start)[-8:] for window in windows] == ["00:00:00"] * 3


def test_no_window_ends_in_the_future_of_the_statistics(make_server, make_client, ask, clock):
    """A call that ends while pages are read would move them."""
    began = clock.now()
    [page] = fetch_calls(make_client(make_server(world(0)), lag_minutes=5), ask())
    assert page.complete_until == began - timedelta(minutes=5) + timedelta(seconds=1)


# ── positions ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_first_load_rests_after_each_window(make_server, make_client, ask, clock):
    server = make_server(world(10, step=timedelta(hours=30)))
    began = clock.now()
    pages = list(fetch_calls(make_client(server), ask(start=datetime(2026, 9, 1, 21, tzinfo=UTC))))
    assert ids(pages) == [f"E{place}" for place in range(10)]
    assert [page.complete_until for page in pages] == [from_unix(page.position["until"]) for page in pages]
    assert pages[-1].position == {"until": to_unix(began) - 15 * 60 + 1}
    assert pages[0].position == {"until": to_unix(datetime(2026, 9, 30, 21, tzinfo=UTC))}
    assert [page.position["until"] for page in pages] == sorted(page.position["until"] for page in pages)


def test_versions_and_cursors_let_landing_recognise_what_it_has(make_server, make_client, ask):
    started = datetime(2026, 11, 5, tzinfo=UTC)
    [page] = fetch_calls(make_client(make_server(MangoWorld(calls=[call("E", started)]))), ask())
    assert (page.versions, page.cursors) == ([0], [to_unix(started) * MICROS])
    assert json.loads(page.payloads[0])["entry_id"] == "E"


def test_a_quiet_second_run_makes_two_requests(make_server, make_client, ask, clock):
    server = make_server(world(20))
    *_, page = fetch_calls(make_client(server), ask())
    server.requests.clear()
    clock.advance(900)
    pages = list(fetch_calls(make_client(server), ask(position=page.position)))
    assert server.requests == [START, POLL]
    # The first run itself waited two seconds for its report.
    assert 900 <= pages[-1].position["until"] - page.position["until"] <= 902


def test_an_increment_reads_whole_days_of_overlap(make_server, make_client, ask):
    """Recordings, marks and recall status change after the call; narrow windows were seen to come back empty."""
    position = {"until": to_unix(datetime(2026, 11, 19, 12, tzinfo=UTC))}
    inside, outside = datetime(2026, 11, 17, 21, tzinfo=UTC), datetime(2026, 11, 17, 20, 59, 59, tzinfo=UTC)
    server = make_server(MangoWorld(calls=[call("outside", outside), call("inside", inside)]))
    assert ids(fetch_calls(make_client(server), ask(position=position))) == ["inside"]


def test_a_window_by_hand_leaves_the_position_alone(make_server, make_client, ask):
    first, last = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
    asked = ask(position={"until": 1}, window=True, start=first, end=last)
    pages = list(fetch_calls(make_client(make_server(world(3))), asked))
    assert ids(pages) == ["E0", "E1", "E2"]
    assert [page.position for page in pages] == [None]


def test_a_full_reading_never_moves_the_position_back(make_server, make_client, ask, clock):
    until = to_unix(clock.now()) - 10
    pages = list(fetch_calls(make_client(make_server(world(3))), ask(position={"until": until}, full=True)))
    assert ids(pages) == ["E0", "E1", "E2"]
    assert pages[-1].position == {"until": until}


def test_without_a_start_a_year_is_read(make_server, make_client, ask, clock):
    server = make_server(MangoWorld(calls=[call("old", clock.now() - timedelta(days=360))]))
    assert ids(fetch_calls(make_client(server), ask(start=None))) == ["old"]


# ── pages ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("count", "reports"), [(PAGE_CALLS - 1, 1), (PAGE_CALLS, 2), (2 * PAGE_CALLS + 1, 3)])
def test_a_full_page_is_followed_by_the_next_offset(count, reports, make_server, make_client, ask):
    """Exactly 5000 rows are no proof of the end."""
    server = make_server(world(count))
    pages = list(fetch_calls(make_client(server), ask()))
    assert ids(pages) == [f"E{place}" for place in range(count)]
    assert len(server.starts) == reports
    assert [page.complete_until is not None for page in pages] == [False] * (reports - 1) + [True]


def test_an_interrupted_window_goes_on_with_its_next_page(make_server, make_client, ask, clock):
    server = make_server(world(2 * PAGE_CALLS + 7))
    first = next(iter(fetch_calls(make_client(server), ask())))
    assert first.position["window"]["offset"] == PAGE_CALLS
    clock.advance(3600)
    began = clock.now()
    rest = list(fetch_calls(make_client(server), ask(position=first.position)))
    assert ids(rest)[: PAGE_CALLS + 7] == [f"E{place}" for place in range(PAGE_CALLS, 2 * PAGE_CALLS + 7)]
    assert "window" not in rest[-1].position
    assert rest[-1].position["until"] == to_unix(began) - 15 * 60 + 1


def test_a_window_taken_up_again_is_followed_by_its_overlap(make_server, make_client, ask):
    """What changed after the first attempt in its last day would otherwise never be read again."""
    end = datetime(2026, 11, 10, 9, tzinfo=UTC)
    begun = {"from": to_unix(datetime(2026, 10, 31, 21, tzinfo=UTC)), "to": to_unix(end), "offset": PAGE_CALLS}
    server = make_server(MangoWorld(calls=[call("late", end - timedelta(hours=20))]))
    pages = list(fetch_calls(make_client(server), ask(position={"until": begun["from"], "window": begun})))
    assert ids(pages) == ["late"]


def test_a_page_that_moved_hands_no_call_on_twice(make_server, make_client, ask):
    """A call that enters the statistics late pushes the last call of a page onto the next one."""
    server = make_server(world(PAGE_CALLS + 1))
    pages = fetch_calls(make_client(server), ask())
    seen = ids([next(pages)])
    server.world.calls.insert(0, call("late", datetime(2026, 11, 1, 12, tzinfo=UTC)))
    seen += ids(pages)
    assert len(seen) == len(set(seen)) == PAGE_CALLS + 1


def test_a_call_without_an_id_is_rejected_and_kept(make_server, make_client, ask):
    nameless, named = (call(name, datetime(2026, 11, day, tzinfo=UTC)) for name, day in ((None, 5), ("E", 6)))
    server = make_server(MangoWorld(calls=[nameless, named]))
    [page] = fetch_calls(make_client(server), ask())
    assert page.ids == ["E"]
    [reject] = page.rejects
    assert reject.code == "no_id"
    assert json.loads(reject.payload)["context_type"] == 1


def test_a_call_with_an_unreadable_time_still_lands(make_client, ask):
    """The mapping says what is wrong with it; landing must not lose it."""
    calls = [{"entry_id": "E", "context_start_time": {"odd": 1}}]
    server = Scripted([answer("complete", [{"period": "2026-11-05", "list": calls}])])
    [page] = fetch_calls(make_client(server), ask())
    assert (page.ids, page.cursors) == (["E"], [0])


# ── the report cycle ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_partial_answer_is_never_taken_for_the_whole(make_server, make_client, ask, clock):
    """`work` answers already hold half of the calls."""
    server = make_server(world(50), preparation=17)
    began = clock.now()
    assert len(ids(fetch_calls(make_client(server), ask()))) == 50
    assert len(server.starts) == 1
    polls = server.requests.count(POLL)
    assert polls == 5  # at 0, 5, 10, 15 (204 and `work` in turn) and 20 s
    assert 20 <= (clock.now() - began).total_seconds() < 22


def test_a_report_that_is_never_ready_is_given_up(make_server, make_client, ask, clock):
    server = make_server(world(1), preparation=86_400)
    with pytest.raises(ServerFaultError, match="10 minutes"):
        list(fetch_calls(make_client(server), ask()))
    assert len(server.starts) == 1


class Scripted:
    """A Mango whose reports end as told: one list of result answers per started report."""

    def __init__(self, *reports):
        self.reports = [list(answers) for answers in reports]
        self.started = 0

    def handle_request(self, request):
        if request.url.path.rstrip("/").endswith("/request"):
            self.started += 1
            return httpx.Response(200, json={"key": f"K{self.started}"})
        return self.reports[self.started - 1].pop(0)

    @property
    def transport(self):
        return httpx.MockTransport(self.handle_request)


def answer(status, data=None):
    return httpx.Response(200, json={"result": 1000, "status": status, "data": data or []})


DONE = answer("complete", [{"period": "2026-11-01", "list": [{"entry_id": "E", "context_start_time": 1}]}])


@pytest.mark.parametrize(
    "lost",
    [answer("not-found"), answer("cancel"), answer("error"), httpx.Response(404, json={"code": 0, "status": 404})],
)
def test_a_lost_report_is_started_again(lost, make_client, ask):
    server = Scripted([lost], [httpx.Response(204), answer("request"), DONE])
    assert ids(fetch_calls(make_client(server), ask())) == ["E"]
    assert server.started == 2


def test_reports_lost_again_and_again_end_the_run(make_client, ask):
    server = Scripted(*[[answer("error")]] * 5)
    with pytest.raises(ServerFaultError, match="3 attempts"):
        list(fetch_calls(make_client(server), ask()))
    assert server.started == 3


@pytest.mark.parametrize(
    "waiting", [httpx.Response(202), httpx.Response(204), httpx.Response(200, content=b""), answer("work")]
)
def test_every_form_of_not_ready_is_waited_for(waiting, make_client, ask, clock):
    assert ids(fetch_calls(make_client(Scripted([waiting, waiting, DONE])), ask())) == ["E"]
    assert clock.slept.count(5.0) == 2


def test_an_object_in_place_of_the_days_is_read(make_client, ask):
    server = Scripted([answer("complete", {"list": [{"entry_id": "E", "context_start_time": 1}]})])
    assert ids(fetch_calls(make_client(server), ask())) == ["E"]


def test_an_unknown_state_is_an_error_and_no_empty_day(make_client, ask):
    with pytest.raises(ProtocolError, match="'paused'"):
        list(fetch_calls(make_client(Scripted([answer("paused")])), ask()))


def test_a_start_without_a_key_is_an_error(make_client, ask):
    server = httpx.MockTransport(lambda request: httpx.Response(200, json={"result": 1000}))
    with pytest.raises(ProtocolError, match="no report key"):
        list(fetch_calls(make_client(server), ask()))


# ── budgets ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_starts_keep_two_seconds_and_use_the_budget(make_server, make_client, ask):
    """A long first load is bound by starts: never faster than allowed, and hardly slower."""
    server = make_server(world(0))
    pages = list(fetch_calls(make_client(server), ask(start=datetime(2023, 1, 1, tzinfo=UTC))))
    gaps = [later - earlier for earlier, later in pairwise(server.starts)]
    assert len(pages) == len(gaps) + 1 > 40
    assert min(gaps) >= 2.0
    assert sum(gaps) <= len(gaps) * 2.0 / 0.95


def test_a_year_of_a_busy_account_takes_hardly_longer_than_the_limits(make_server, make_client, ask, clock):
    """No start more than the pages need, and the time of those starts: a year of 200 extensions is some 300 of them.

    Reports take a second to prepare, which must pass while the next start isn't allowed anyway.
    """
    first, count = datetime(2025, 11, 20, tzinfo=UTC), 70_000
    server = make_server(world(count, first, timedelta(days=364) / count), preparation=1.0)
    client = make_client(server)
    windows = list(split_windows(first, clock.now() - timedelta(minutes=client.settings.lag_minutes)))
    began = clock.monotonic()
    found = ids(fetch_calls(client, ask(start=first)))
    assert len(found) == len(set(found)) == count
    seconds = [from_unix(call.started_at) for call in server.world.calls]
    pages = sum(sum(window.start <= second <= window.end for second in seconds) // PAGE_CALLS + 1 for window in windows)
    assert len(server.starts) == pages > 2 * 12
    assert clock.monotonic() - began <= 1.05 * pages * 2.0


def test_two_clients_of_one_key_share_the_budget(make_server, make_client, ask):
    """Two commands side by side must not double the pace."""
    server = make_server(world(3))
    for client in [make_client(server), make_client(server)] * 3:
        list(fetch_calls(client, ask()))
    assert min(later - earlier for earlier, later in pairwise(server.starts)) >= 2.0


def test_the_employees_list_has_its_own_slow_budget(make_server, make_client, ask, clock):
    server = make_server()
    client = make_client(server)
    began = clock.monotonic()
    for _ in range(4):
        list(fetch_users(client, ask()))
    assert len(server.requests) == 4  # none was refused and repeated
    assert 6.0 <= clock.monotonic() - began <= 6.0 / 0.95


def test_general_requests_use_nearly_the_whole_budget(make_server, make_client, clock):
    """Ten in any second and never more, and hardly less over twenty seconds."""
    server = make_server()
    client = make_client(server)
    moments = []
    for _ in range(200):
        client.fetch_balance()
        moments.append(clock.monotonic())
    assert len(server.requests) == 200
    assert min(later - earlier for earlier, later in zip(moments, moments[10:], strict=False)) >= 1.0
    assert moments[-1] - moments[0] <= 20.0 / 0.95


# ── dictionaries, fall-back, registry ───────────────────────────────────────────────────────────────────────────


def test_dictionaries_are_keyed_by_the_vendors_ids(make_server, make_client, ask):
    server = make_server(
        MangoWorld(
            users=[{"general": {"name": "А", "user_id": 300000101}, "telephony": {"extension": "0511"}}],
            lines=[{"line_id": 4051, "number": "74951234567"}],
            groups=[{"id": 1005, "name": "Продажи"}],
        )
    )
    client = make_client(server)
    assert ids(fetch_users(client, ask())) == ["300000101"]
    assert ids(fetch_lines(client, ask())) == ["4051"]
    assert ids(fetch_groups(client, ask())) == ["1005"]


def test_an_employee_without_an_id_is_rejected(make_server, make_client, ask):
    users = [{"general": {"name": "А"}}, {"odd": 1}, {"general": {"user_id": 7}}]
    server = httpx.MockTransport(lambda request: httpx.Response(200, json={"users": users}))
    [page] = fetch_users(make_client(server), ask())
    assert (page.ids, [reject.code for reject in page.rejects]) == (["7"], ["no_id", "no_id"])


def test_a_tariff_without_lines_is_no_failure(make_client, ask):
    server = httpx.MockTransport(lambda request: httpx.Response(200, json={"result": 4001}))
    assert list(fetch_lines(make_client(server), ask())) == []


def test_extended_statistics_asked_for_by_name_do_not_fall_back(make_server, make_client, ask):
    with pytest.raises(UnsupportedError):
        list(fetch_calls(make_client(make_server(extended=False), statistics="extended"), ask()))


def test_the_registry_knows_mango():
    assert load_connector("mango") is CONNECTOR
    assert [stream.name for stream in CONNECTOR.streams] == ["users", "lines", "groups", "calls"]
