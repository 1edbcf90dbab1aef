"""Windows in wall time, pages, calls put together over pages and windows, positions."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from base.times import from_unix, to_unix
from connectors.zadarma.client import PAGE_ROWS, RESERVE
from connectors.zadarma.fetch import adapt_days, fetch_calls, fetch_extensions, fetch_own_numbers
from connectors.zadarma.windows import latest_wall, next_window
from demo.zadarma import ZadarmaWorld
from demo.zadarma.world import Entry

MOSCOW, WARSAW = ZoneInfo("Europe/Moscow"), ZoneInfo("Europe/Warsaw")
PBX = "GET /v1/statistics/pbx/"


def entry(name, started, zone=MOSCOW, **cells):
    row = {
        "sip": "101",
        "clid": "79161234567",
        "call_id": f"{to_unix(started)}.{random.Random(name).randrange(10**6)}",
        "seconds": 5,
        "callstart": started.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"),
        "destination": "74951234567",
        "disposition": "answered",
        "is_recorded": "true",
        "pbx_call_id": name,
    }
    return Entry(started_at=started, listed_at=started + timedelta(minutes=1), row=row | cells)


def world_of(*entries, zone=MOSCOW):
    return ZadarmaWorld(zone=zone, legs=sorted(entries, key=lambda one: one.started_at))


def crowd(count, first=datetime(2026, 11, 2, tzinfo=UTC), step=timedelta(seconds=60), zone=MOSCOW):
    return world_of(*(entry(f"in_{place:040x}", first + place * step, zone) for place in range(count)), zone=zone)


def ids(pages):
    return [record_id for page in pages for record_id in page.ids]


def legs_by_call(pages):
    return {
        record_id: len(json.loads(payload)["rows"])
        for page in pages
        for record_id, payload in zip(page.ids, page.payloads, strict=True)
    }


# ── windows ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_wall_windows_meet_whatever_the_clocks_do():
    last = datetime(2026, 12, 31, 12)  # noqa: DTZ001 - a wall time
    windows = [next_window(datetime(2026, 1, 5, 18), last, 28)]  # noqa: DTZ001
    while not windows[-1].is_last:
        windows.append(next_window(windows[-1].end + timedelta(seconds=1), last, 28))
    assert windows[-1].end == last
    assert all(later.start - earlier.end == timedelta(seconds=1) for earlier, later in pairwise(windows))
    assert max(window.end - window.start for window in windows) < timedelta(days=28)


def test_in_the_repeated_hour_the_window_reaches_to_its_first_pass():
    """At 02:10 the second time, the wall times up to 02:59:59 have been as well."""
    clocks_back = datetime(2026, 10, 25, 1, tzinfo=UTC)
    shown = [
        latest_wall(clocks_back + timedelta(minutes=minutes), WARSAW).strftime("%H:%M:%S")
        for minutes in (-5, 0, 10, 59, 60, 67)
    ]
    assert shown == ["02:55:00", "02:59:59", "02:59:59", "02:59:59", "03:00:00", "03:07:00"]


def test_a_run_within_the_repeated_hour_misses_nothing_it_calls_complete(make_server, make_client, ask, clock):
    clock.advance((datetime(2026, 10, 25, 1, 25, tzinfo=UTC) - clock.now()).total_seconds())  # 02:25, second pass
    first_pass = datetime(2026, 10, 25, 0, 40, tzinfo=UTC)  # 02:40
    server = make_server(world_of(entry("in_a", first_pass, WARSAW), zone=WARSAW))
    pages = list(
        fetch_calls(make_client(server, timezone="Europe/Warsaw"), ask(start=datetime(2026, 10, 20, tzinfo=UTC)))
    )
    assert ids(pages) == ["in_a"]
    assert pages[-1].complete_until > first_pass


# ── pages and positions ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("count", "requests"), [(PAGE_ROWS - 1, 1), (PAGE_ROWS, 2), (PAGE_ROWS + 1, 2)])
def test_a_full_page_is_followed_by_the_next(count, requests, make_server, make_client, ask):
    server = make_server(crowd(count))
    assert len(ids(fetch_calls(make_client(server), ask()))) == count
    assert len(server.requests) == requests


def test_each_window_is_a_resting_point(make_server, make_client, ask, clock):
    server = make_server(crowd(30, first=datetime(2026, 8, 5, tzinfo=UTC), step=timedelta(days=3)))
    began = clock.now()
    pages = list(fetch_calls(make_client(server), ask(start=datetime(2026, 7, 31, 21, tzinfo=UTC))))
    assert len(ids(pages)) == 30
    untils = [page.position["until"] for page in pages]
    assert untils == sorted(untils)
    assert untils[-1] == to_unix(began) - 600 + 1
    assert [page.complete_until for page in pages] == [from_unix(until) for until in untils]


def test_a_quiet_second_run_makes_one_statistics_request(make_server, make_client, ask, clock):
    server = make_server(crowd(20))
    *_, last = fetch_calls(make_client(server), ask())
    server.requests.clear()
    clock.advance(900)
    pages = list(fetch_calls(make_client(server), ask(position=last.position)))
    assert len(server.requests) == 1
    assert pages[-1].position["until"] == last.position["until"] + 900


def test_a_full_reading_never_moves_the_position_back(make_server, make_client, ask, clock):
    until = to_unix(clock.now()) - 10
    pages = list(fetch_calls(make_client(make_server(crowd(3))), ask(position={"until": until}, full=True)))
    assert len(ids(pages)) == 3
    assert pages[-1].position == {"until": until}


def test_a_window_by_hand_leaves_the_position_alone(make_server, make_client, ask):
    first = datetime(2026, 11, 1, 21, tzinfo=UTC)
    asked = ask(position={"until": 1}, window=True, start=first, end=first + timedelta(days=1))
    pages = list(fetch_calls(make_client(make_server(crowd(3))), asked))
    assert len(ids(pages)) == 3
    assert [page.position for page in pages] == [None]


def test_the_same_call_read_twice_is_the_same_payload(make_server, make_client, ask):
    """Key order varies between answers, and the order of rows is nowhere promised."""
    started = datetime(2026, 11, 5, 10, tzinfo=UTC)
    legs = [entry("in_a", started), entry("in_a", started + timedelta(seconds=9), call_id="1.2")]
    server = make_server(world_of(*legs))
    [first] = [page for page in fetch_calls(make_client(server), ask()) if page.ids]
    server.world.legs = [
        Entry(started_at=one.started_at, listed_at=one.listed_at, row=dict(reversed(one.row.items())))
        for one in reversed(legs)
    ]
    [second] = [page for page in fetch_calls(make_client(server), ask()) if page.ids]
    assert first.payloads == second.payloads


def test_numbers_keep_their_digits(make_server, make_client, ask):
    """A call id read as a float loses its end: two legs would become one."""
    started = datetime(2026, 11, 5, 10, tzinfo=UTC)
    legs = [entry("in_a", started, call_id=f"1793872800.{place}0") for place in (1, 10)]
    pages = list(fetch_calls(make_client(make_server(world_of(*legs))), ask()))
    assert legs_by_call(pages) == {"in_a": 2}
    assert b"1793872800.100" in next(page.payloads[0] for page in pages if page.ids)


# ── putting calls together ──────────────────────────────────────────────────────────────────────────────────────


def test_a_call_over_two_pages_is_one_record(make_server, make_client, ask):
    world = crowd(PAGE_ROWS - 1)
    last = world.legs[-1].started_at
    world.legs += [entry("in_split", last + timedelta(seconds=place), sip=str(100 + place)) for place in range(3)]
    server = make_server(world)
    pages = list(fetch_calls(make_client(server), ask()))
    assert len(server.requests) == 2
    assert legs_by_call(pages)["in_split"] == 3
    assert len(ids(pages)) == len(set(ids(pages))) == PAGE_ROWS


def test_a_leg_seen_twice_is_one_leg(make_server, make_client, ask):
    """A row that enters late moves the pages; the leg's recording may have become ready in between."""
    started = datetime(2026, 11, 5, 10, tzinfo=UTC)
    twice = [entry("in_a", started, is_recorded=text) for text in ("false", "true")]
    assert legs_by_call(fetch_calls(make_client(make_server(world_of(*twice))), ask())) == {"in_a": 1}


def test_a_call_over_two_windows_is_one_record(make_server, make_client, ask):
    """The end of the first window is a midnight with a call in it."""
    first = datetime(2026, 8, 1, 21, tzinfo=UTC)
    # The first window begins the evening before the first day, so its 28 days end at the 29th midnight.
    midnight = first + timedelta(days=27)
    legs = [entry("in_a", midnight - timedelta(seconds=30)), entry("in_a", midnight + timedelta(seconds=30), sip="102")]
    server = make_server(world_of(*legs))
    pages = list(fetch_calls(make_client(server), ask(start=first)))
    assert len(server.requests) > 1
    assert "end=2026-08-28 23:59:59" in server.requests[0]
    assert legs_by_call(pages) == {"in_a": 2}
    assert pages[0].ids == []  # too young at the first window's end


def test_the_tail_of_a_call_that_began_before_the_overlap_is_not_told_as_a_call(make_server, make_client, ask):
    """Its record has more legs than are seen now: a half of it must not replace it."""
    midnight = datetime(2026, 11, 17, 21, tzinfo=UTC)
    legs = [entry("in_old", midnight - timedelta(seconds=30)), entry("in_old", midnight + timedelta(seconds=30))]
    new = entry("in_new", midnight + timedelta(seconds=1))
    asked = ask(position={"until": to_unix(midnight + timedelta(hours=30))})
    pages = list(fetch_calls(make_client(make_server(world_of(*legs, new))), asked))
    assert ids(pages) == ["in_new"]


def test_a_phantom_goes_with_its_call(make_server, make_client, ask):
    """A callback's failed trace under a second id would be a second attempt."""
    started = datetime(2026, 11, 5, 10, tzinfo=UTC)
    client = {"sip": "100", "destination": 79161234567}
    failed = client | {"call_id": "", "disposition": "call failed", "seconds": 0}
    near = entry("out_phantom", started + timedelta(seconds=9), **failed)
    alone = entry("out_alone", started + timedelta(seconds=90), **failed)
    pages = list(
        fetch_calls(make_client(make_server(world_of(entry("out_real", started, **client), near, alone))), ask())
    )
    assert legs_by_call(pages) == {"out_real": 2, "out_alone": 1}


def test_rows_without_ids_are_calls_of_their_own_and_none_is_lost(make_server, make_client, ask):
    started = datetime(2026, 11, 5, 10, tzinfo=UTC)
    nameless = [entry("", started + timedelta(seconds=place), call_id="") for place in range(3)]
    found = ids(fetch_calls(make_client(make_server(world_of(*nameless))), ask()))
    assert len(set(found)) == 3
    assert all(name.startswith("leg-") for name in found)


def test_an_unreadable_row_is_rejected_with_its_reason_and_the_rest_goes_on(make_server, make_client, ask):
    started = datetime(2026, 11, 5, 10, tzinfo=UTC)
    world = world_of(entry("in_a", started), entry("in_b", started, sip=["101"]))
    pages = list(fetch_calls(make_client(make_server(world)), ask()))
    [reject] = [reject for page in pages for reject in page.rejects]
    assert ids(pages) == ["in_a"]
    assert reject.code == "wrong_type"
    assert json.loads(reject.payload)["pbx_call_id"] == "in_b"


def test_nothing_is_lost_when_the_clocks_go_back(make_server, make_client, ask):
    """Calls every ten minutes through the night of the repeated hour, each exactly once."""
    world = crowd(72, first=datetime(2026, 10, 24, 18, tzinfo=UTC), step=timedelta(minutes=10), zone=WARSAW)
    client = make_client(make_server(world), timezone="Europe/Warsaw")
    found = ids(fetch_calls(client, ask(start=datetime(2026, 10, 1, tzinfo=UTC))))
    assert len(found) == len(set(found)) == 72


def test_a_long_first_load_takes_hardly_longer_than_the_limits(make_server, make_client, ask, clock):
    """Three weeks of a PBX: at most 1.05 of the time that 3 pages of 1000 legs a minute need."""
    first, count = datetime(2026, 10, 30, 21, tzinfo=UTC), 21_500
    server = make_server(crowd(count, first=first, step=timedelta(days=20) / count))
    began = clock.monotonic()
    found = len(ids(fetch_calls(make_client(server), ask(start=first))))
    assert found > count - 50  # the last minutes are not listed yet
    assert server.refused == 0
    assert clock.monotonic() - began <= 1.05 * math.ceil(count / PAGE_ROWS) * 20.0


@pytest.mark.parametrize("legs_a_day", [6_000, 8_219, 12_500])
def test_a_year_of_200_extensions_wastes_no_pages_on_windows(legs_a_day):
    """Three million legs: what half-empty last pages and the limiter's reserve cost stays below a twentieth."""
    start, last, days = datetime(2025, 11, 25), datetime(2026, 11, 20), 28  # noqa: DTZ001 - wall times
    requests = legs = 0
    while start <= last:
        window = next_window(start, last, days)
        held = math.ceil((window.end - start) / timedelta(days=1) * legs_a_day)
        pages = held // PAGE_ROWS + 1
        requests, legs = requests + pages, legs + held
        days, start = adapt_days(days, window, pages), window.end + timedelta(seconds=1)
    assert requests / RESERVE <= 1.05 * math.ceil(legs / PAGE_ROWS)


def test_windows_of_a_dense_account_hold_about_fifty_pages():
    """They stand in memory until their calls are whole; shorter ones would waste a larger part of a last page."""
    wide = next_window(datetime(2026, 1, 1), datetime(2026, 12, 31), 28)  # noqa: DTZ001 - wall times
    assert adapt_days(28, wide, 280) == 5
    assert adapt_days(28, wide, 50) == adapt_days(28, wide, 2) == 28
    assert adapt_days(3, wide, 10_000) == 1
    assert adapt_days(3, wide, 1) == 6


# ── dictionaries and settings ───────────────────────────────────────────────────────────────────────────────────


def test_dictionaries(make_server, make_client, ask):
    world = ZadarmaWorld(
        zone=MOSCOW, extensions=[{"number": 100, "name": "Иванова"}], numbers=[{"number": "74951234567"}]
    )
    server = make_server(world)
    [page] = fetch_extensions(make_client(server), ask())
    assert (page.ids, page.payloads) == (["100"], [b'{"number":"100"}'])
    [named] = fetch_extensions(make_client(server, extension_names=True), ask())
    assert json.loads(named.payloads[0]) == {"number": "100", "name": "Иванова"}
    [page] = fetch_own_numbers(make_client(server), ask())
    assert page.ids == ["74951234567"]


def test_billing_statistics_tell_both_directions(make_server, make_client, ask):
    started = datetime(2026, 11, 5, 10, tzinfo=UTC)
    row = {"id": "1", "callstart": "2026-11-05 13:00:00", "from": 1, "to": 2, "sip": "1", "billseconds": 3}
    bad = {"id": "2", "callstart": "2026-11-05 13:00:00", "sip": {}}
    world = ZadarmaWorld(zone=MOSCOW)
    world.billed_out = [Entry(started_at=started, listed_at=started, row=one) for one in (row, bad)]
    world.billed_in = [Entry(started_at=started, listed_at=started, row=row)]
    client = make_client(make_server(world), statistics="overall")
    pages = list(fetch_calls(client, ask()))
    assert ids(pages) == ["out-1", "in-1"]
    assert [reject.code for page in pages for reject in page.rejects] == ["wrong_type"]
    assert pages[-1].position is not None
    [extensions] = fetch_extensions(client, ask())
    assert extensions.ids == []
