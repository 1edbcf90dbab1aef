"""Generated months of calls, across a clock change, come out as what really happened."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import httpx
import pytest

from base.times import from_micros, to_micros
from connectors.conversations import CALL_LEGS, CALLS
from connectors.stream import MapContext, RawRecord, Rows
from connectors.zadarma.fetch import fetch_calls, fetch_extensions, fetch_own_numbers
from connectors.zadarma.mapping import map_call
from demo.story import Call, Leg, Manager, Story
from demo.zadarma import ZadarmaServer, pbx_call_id_of, world_from_story

WARSAW = ZoneInfo("Europe/Warsaw")
STAFF = [
    Manager(
        person_id=f"m{extension}",
        name=f"Employee {extension}",
        team="A",
        email="",
        extension=extension,
        user_id=int(extension),
        telephony_user_id=int(extension),
    )
    for extension in ("100", "101", "102", "103")
]
# Clocks in Warsaw went back at 01:00 UTC; 02:00–03:00 stands twice.
CLOCKS_BACK = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)


def after(moment, count):
    return moment + timedelta(seconds=count)


class Teller:
    """Makes one call of each pattern in turn; every third one in the two hours around the clock change."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.calls = []

    def tell(self, count):
        patterns = [self.answered, self.transferred, self.group_ring, self.tie, self.missed, self.menu, self.hidden]
        patterns += [self.dialled, self.attempt, self.transferred_out, self.internal]
        patterns += [self.voicemail, self.ordered_call, self.refused_order]
        for place in range(count):
            start = datetime(2026, 8, 15, tzinfo=UTC) + timedelta(seconds=self.dice.randrange(90 * 86_400))
            if place % 3 == 0:
                start = CLOCKS_BACK + timedelta(seconds=self.dice.randrange(-4000, 4000))
            elif place % 7 == 0:
                month = datetime(2026, self.dice.choice([9, 10, 11]), 1, tzinfo=WARSAW).astimezone(UTC)
                start = month + timedelta(seconds=self.dice.randrange(-60, 60))
            patterns[place % len(patterns)](start, *self.dice.sample([one.extension for one in STAFF], 2))
        return self.calls

    def add(self, direction, start, end, legs, number=None, answered=None):
        call = Call(
            call_id=f"c{len(self.calls)}",
            direction=direction,
            started_at=start,
            ended_at=end,
            number=f"4851563{len(self.calls):04d}" if number is None else number,
            line="48223070100",
            legs=legs,
            answered_at=answered,
        )
        self.calls.append(call)

    def leg(self, extension, start, ring, talk):
        """`talk` None = not answered."""
        ended = after(start, ring + (talk or 0))
        return Leg(
            extension=extension,
            ringing_at=start,
            answered_at=None if talk is None else after(start, ring),
            ended_at=ended,
        )

    def answered(self, start, a, b):
        leg = self.leg(a, start, 9, self.dice.randint(1, 400))
        self.add("in", start, leg.ended_at, [leg])

    def transferred(self, start, a, b):
        first = self.leg(a, start, 5, self.dice.randint(1, 200))
        second = self.leg(b, first.ended_at, 4, self.dice.randint(1, 200))
        self.add("in", start, second.ended_at, [first, second])

    def group_ring(self, start, a, b):
        legs = [self.leg(a, start, 12, None), self.leg(b, start, 12, self.dice.randint(1, 90))]
        self.add("in", start, legs[1].ended_at, legs)

    def tie(self, start, a, b):
        first = self.leg(a, start, 5, 40)
        second = self.leg(b, first.ended_at, 5, 40)
        self.add("in", start, second.ended_at, [first, second])

    def missed(self, start, a, b):
        legs = [self.leg(a, start, 21, None), self.leg(b, start, 20, None)]
        self.add("in", start, legs[0].ended_at, legs)

    def menu(self, start, a, b):
        self.add("in", start, after(start, 25), [])

    def voicemail(self, start, a, b):
        """Nobody answers; the caller leaves a message, longer than some conversations are."""
        legs = [self.leg(a, start, 20, None), self.leg(b, start, 20, None)]
        self.add("in", start, after(start, 20 + self.dice.randint(1, 120)), legs)

    def ordered_call(self, start, a, b):
        """A callback: the PBX rings the employee, then the client."""
        leg = self.leg(a, start, 4, 100)
        self.add("out", start, leg.ended_at, [leg], answered=after(start, 24))

    def refused_order(self, start, a, b):
        """The employee picked up, the client did not: no conversation, though a device answered."""
        leg = self.leg(a, start, 4, 40)
        self.add("out", start, leg.ended_at, [leg])

    def hidden(self, start, a, b):
        leg = self.leg(a, start, 3, 50)
        self.add("in", start, leg.ended_at, [leg], number="")

    def dialled(self, start, a, b):
        leg = self.leg(a, start, 0, 15 + self.dice.randint(1, 300))
        self.add("out", start, leg.ended_at, [leg], answered=after(start, 15))

    def attempt(self, start, a, b):
        self.add("out", start, after(start, 30), [self.leg(a, start, 0, 30)])

    def transferred_out(self, start, a, b):
        first = self.leg(a, start, 0, 10 + self.dice.randint(1, 100))
        second = self.leg(b, first.ended_at, 6, self.dice.randint(1, 100))
        self.add("out", start, second.ended_at, [first, second], answered=after(start, 10))

    def internal(self, start, a, b):
        talk = self.dice.randint(1, 60)
        legs = [self.leg(a, start, 0, 6 + talk), self.leg(b, start, 6, talk)]
        self.add("internal", start, legs[1].ended_at, legs, number=b)


def truth_of(call):
    """What metrics.md counts, straight from the story: talk of the longest answered leg, tie to the last."""
    talks = []
    for leg in call.legs:
        if leg.answered_at is None or (call.direction == "internal" and leg.extension != call.number):
            continue
        if call.direction == "out":
            if call.answered_at is None:
                continue
            talks.append((int((leg.ended_at - max(leg.answered_at, call.answered_at)).total_seconds()), leg))
        else:
            talks.append((int((leg.ended_at - leg.answered_at).total_seconds()), leg))
    talk, speaker = max(talks, key=lambda one: (one[0], one[1].answered_at), default=(0, None))
    if speaker is None and call.direction == "out":
        speaker = call.legs[0]
    return call.direction, bool(talks), talk, speaker.extension if speaker else None


@pytest.fixture(scope="module")
def story():
    return Story(
        name="Test",
        timezone="Europe/Warsaw",
        tax_id="1",
        own_account="1",
        pipeline_id=1,
        pipeline_name="Sales",
        stages=[],
        managers=STAFF,
        deals=[],
        calls=Teller(20261025).tell(1400),
        notes=[],
        tasks=[],
        payments=[],
        opened_at=datetime(2026, 8, 1, tzinfo=UTC),
        told_at=datetime(2026, 11, 20, tzinfo=UTC),
    )


def load(client, ask):
    """Fetch and map everything, as landing and conforming would; the settings name a zone two hours off."""
    dictionaries = {}
    for name, fetch in (("extensions", fetch_extensions), ("numbers", fetch_own_numbers)):
        [page] = fetch(client, ask())
        dictionaries[name] = dict(zip(page.ids, page.payloads, strict=True))
    context = MapContext(
        source="zadarma",
        settings=client.settings,
        zone=ZoneInfo("Europe/Moscow"),
        country="RU",
        currency="RUB",
        dictionaries=dictionaries,
    )
    rows = Rows()
    seen = Counter()
    for page in fetch_calls(client, ask(start=datetime(2026, 8, 1, tzinfo=UTC))):
        assert page.rejects == []
        for record_id, payload in zip(page.ids, page.payloads, strict=True):
            seen[record_id] += 1
            map_call(RawRecord(record_id, payload, 1, 1), context, rows)
    assert set(seen.values()) == {1}
    return rows


@pytest.mark.parametrize("zone", ["Europe/Warsaw", None])
def test_every_pattern_comes_out_as_the_truth(zone, story, make_server, make_client, ask):
    """With the right zone in the settings, and with the company's in its place: the ids' epochs tell the hour."""
    server = make_server(world_from_story(story), limits=False)
    rows = load(make_client(server, timezone=zone), ask)
    found = {row[0]: SimpleNamespace(**dict(zip(CALLS.columns, row, strict=True))) for row in rows.rows[CALLS]}
    assert len(found) == len(rows.rows[CALLS]) == len(story.calls)  # one credit each
    for call in story.calls:
        seen = found[pbx_call_id_of(call.call_id, call.direction)]
        direction, answered, talk, extension = truth_of(call)
        assert (seen.direction, seen.is_answered, seen.talk_seconds) == (direction, answered, talk), call
        assert from_micros(seen.started_at) == call.started_at, call
        if direction != "internal":
            assert seen.extension == extension, call
            assert seen.external_number == (f"+{call.number}" if call.number else None), call
            assert seen.leg_count == len(call.legs), call
    assert {row[0] for row in rows.rows[CALL_LEGS]} <= set(found)


def test_second_ids_menus_and_voicemails_are_really_told(story):
    """Otherwise the test above would prove nothing about legs that are nobody's conversation."""
    legs = [entry.row for entry in world_from_story(story).legs]
    robots = [row for row in legs if row["disposition"] == "answered" and row["sip"] == "0"]
    phantoms = [row for row in legs if row["call_id"] == ""]
    assert min(len(robots), len(phantoms)) > 50
    ids = {pbx_call_id_of(call.call_id, call.direction) for call in story.calls}
    assert not ids & {row["pbx_call_id"] for row in phantoms}


def test_the_story_really_stands_on_both_sides_of_the_clock_change(story):
    """Otherwise the test above would prove nothing about the repeated hour."""
    repeated = [
        call.started_at.astimezone(WARSAW).fold
        for call in story.calls
        if abs(call.started_at - CLOCKS_BACK) < timedelta(hours=1)
    ]
    assert len(repeated) > 200
    assert 0.3 < sum(repeated) / len(repeated) < 0.7


def test_billing_statistics_agree_in_direction_and_answers(story, make_server, make_client, ask):
    server = make_server(world_from_story(story), limits=False)
    rows = load(make_client(server, timezone="Europe/Warsaw", statistics="overall"), ask)
    outside = [call for call in story.calls if call.direction != "internal"]
    found = Counter((row[2], row[8]) for row in rows.rows[CALLS])
    assert found == Counter((call.direction, truth_of(call)[1]) for call in outside)
    starts = {row[1] for row in rows.rows[CALLS] if row[8]}
    for call in outside:
        talk = truth_of(call)[2]
        if call.direction == "in" and talk:
            assert to_micros(call.ended_at - timedelta(seconds=talk)) in starts


# ── the simulator itself ────────────────────────────────────────────────────────────────────────────────────────


def test_the_server_speaks_real_http_and_checks_signatures(story, clock):
    world = world_from_story(story)
    with ZadarmaServer(world, key="k", secret="s", clock=clock) as server:
        refused = httpx.get(f"{server.url}/v1/info/balance/", headers={"Authorization": "k:wrong"})
        unknown = httpx.get(f"{server.url}/v1/info/did/")
    assert (refused.status_code, refused.json()["status"]) == (401, "error")
    assert unknown.status_code == 404
    assert "x-ratelimit-reset" in refused.headers


def test_the_fourth_statistics_request_of_a_minute_is_refused(make_server, make_client, clock):
    server = make_server()
    client = make_client(server)
    period = {"start": "2026-11-01 00:00:00", "end": "2026-11-01 23:59:59"}
    for _ in range(4):
        client._statistics.rate = None  # as a careless client would ask
        client.fetch_page("statistics/", period, 0)
    assert server.refused >= 1
    assert [server.statistics_at[3] - server.statistics_at[0] >= 60.0 - 1e-6] == [True]


def test_the_world_is_the_same_every_time(story):
    assert world_from_story(story) == world_from_story(story)
