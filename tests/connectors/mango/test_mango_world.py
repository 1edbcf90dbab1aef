"""Generated months of calls, told by the simulated Mango in both of its reports, come out as what really happened."""

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
from connectors.mango.fetch import fetch_calls, fetch_lines, fetch_users
from connectors.mango.mapping import USERS, map_call, map_user
from connectors.stream import MapContext, RawRecord, Rows
from demo.mango import MangoServer, entry_id_of, world_from_story
from demo.story import Call, Leg, Manager, Story

MOSCOW = ZoneInfo("Europe/Moscow")
LINE = "74951234567"
STAFF = [
    Manager(
        person_id=f"m{place}",
        name=f"Сотрудник {place}",
        team="А",
        email=f"m{place}@example.ru",
        extension=extension,
        user_id=place,
        telephony_user_id=300000100 + place,
        is_active=place != 5,
    )
    for place, extension in enumerate(["0511", "102", "103", "104", "105"], start=1)
]


def seconds(count):
    return timedelta(seconds=count)


class Teller:
    """Makes one call of each pattern in turn, at moments that touch month ends."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.calls = []

    def tell(self, count):
        patterns = [
            self.answered,
            self.transferred,
            self.group_ring,
            self.tie,
            self.missed,
            self.menu,
            self.hidden,
            self.dialled,
            self.attempt,
            self.ordered_call,
            self.refused_order,
            self.dialled_and_transferred,
            self.internal,
        ]
        for place in range(count):
            patterns[place % len(patterns)](self.moment(place), *self.dice.sample([m.extension for m in STAFF], 3))
        return self.calls

    def moment(self, place):
        """Seven in eight calls stand anywhere in three months, the others within a minute of a Moscow month's start."""
        if place % 8:
            return datetime(2026, 8, 15, tzinfo=UTC) + seconds(self.dice.randrange(90 * 86_400))
        month = self.dice.choice([9, 10, 11])
        return datetime(2026, month, 1, tzinfo=MOSCOW).astimezone(UTC) + seconds(self.dice.randrange(-60, 60))

    def add(self, direction, start, end, legs, number="79161234567", answered=None):
        call = Call(
            call_id=f"c{len(self.calls)}",
            direction=direction,
            started_at=start,
            ended_at=end,
            number=number,
            line=LINE if direction != "internal" else "",
            legs=legs,
            answered_at=answered,
        )
        self.calls.append(call)

    def leg(self, extension, start, ring, talk):
        """`talk` None = not answered."""
        answered = None if talk is None else start + seconds(ring)
        return Leg(
            extension=extension, ringing_at=start, answered_at=answered, ended_at=start + seconds(ring + (talk or 0))
        )

    def answered(self, t, a, b, c):
        leg = self.leg(a, t, 9, self.dice.randint(0, 400))
        self.add("in", t, leg.ended_at, [leg])

    def transferred(self, t, a, b, c):
        first = self.leg(a, t, 5, self.dice.randint(1, 200))
        second = self.leg(b, first.ended_at, 4, self.dice.randint(1, 200))
        self.add("in", t, second.ended_at, [first, second])

    def group_ring(self, t, a, b, c):
        legs = [self.leg(a, t, 12, None), self.leg(b, t, 12, self.dice.randint(1, 90)), self.leg(c, t, 12, None)]
        self.add("in", t, legs[1].ended_at, legs)

    def tie(self, t, a, b, c):
        first = self.leg(a, t, 5, 40)
        second = self.leg(b, first.ended_at, 5, 40)
        self.add("in", t, second.ended_at, [first, second])

    def missed(self, t, a, b, c):
        legs = [self.leg(a, t, 20, None), self.leg(b, t, 20, None)]
        self.add("in", t, legs[0].ended_at, legs)

    def menu(self, t, a, b, c):
        self.add("in", t, t + seconds(25), [])

    def hidden(self, t, a, b, c):
        leg = self.leg(a, t, 3, 50)
        self.add("in", t, leg.ended_at, [leg], number="")

    def dialled(self, t, a, b, c):
        leg = self.leg(a, t, 0, 15 + self.dice.randint(1, 300))
        self.add("out", t, leg.ended_at, [leg], answered=t + seconds(15))

    def attempt(self, t, a, b, c):
        self.add("out", t, t + seconds(30), [self.leg(a, t, 0, 30)])

    def ordered_call(self, t, a, b, c):
        """The PBX rings the employee, then the client."""
        leg = self.leg(a, t, 4, 100)
        self.add("out", t, leg.ended_at, [leg], answered=t + seconds(24))

    def refused_order(self, t, a, b, c):
        leg = self.leg(a, t, 4, 40)
        self.add("out", t, leg.ended_at, [leg])

    def dialled_and_transferred(self, t, a, b, c):
        first = self.leg(a, t, 0, 10 + self.dice.randint(1, 100))
        second = self.leg(b, first.ended_at, 6, self.dice.randint(1, 100))
        self.add("out", t, second.ended_at, [first, second], answered=t + seconds(10))

    def internal(self, t, a, b, c):
        talk = self.dice.randint(1, 60)
        legs = [self.leg(a, t, 0, 6 + talk), self.leg(b, t, 6, talk)]
        self.add("internal", t, legs[1].ended_at, legs, number=b)


def truth_of(call):
    """What metrics.md counts, straight from the story."""
    talks = []
    legs = [leg for leg in call.legs if call.direction != "internal" or leg.extension == call.number]
    for leg in legs:
        if leg.answered_at is not None and (call.direction != "out" or call.answered_at is not None):
            start = max(leg.answered_at, call.answered_at) if call.direction == "out" else leg.answered_at
            talks.append((int((leg.ended_at - start).total_seconds()), leg.answered_at, leg.extension))
    talk, _, speaker = max(talks, default=(0, None, None))
    if call.direction == "internal" or (call.direction == "out" and not talks):
        speaker = call.legs[0].extension if call.direction == "out" else speaker
    return SimpleNamespace(
        direction=call.direction,
        is_answered=bool(talks),
        talk_seconds=talk,
        extension=speaker,
        started_at=to_micros(call.started_at),
        number=f"+{call.number}" if call.number and call.direction != "internal" else None,
        legs=len(legs),
    )


@pytest.fixture(scope="module")
def story():
    return Story(
        name="Тест",
        timezone="Europe/Moscow",
        tax_id="7701234567",
        own_account="40702810000000000001",
        pipeline_id=1,
        pipeline_name="Продажи",
        stages=[],
        managers=STAFF,
        deals=[],
        calls=Teller(20261120).tell(1300),
        notes=[],
        tasks=[],
        payments=[],
        opened_at=datetime(2026, 8, 1, tzinfo=UTC),
        told_at=datetime(2026, 11, 20, tzinfo=UTC),
    )


def load(client, ask):
    """Fetch and map everything, as landing and conforming would."""
    dictionaries = {}
    for name, fetch in (("users", fetch_users), ("lines", fetch_lines)):
        [page] = fetch(client, ask())
        dictionaries[name] = dict(zip(page.ids, page.payloads, strict=True))
    context = MapContext(
        source="mango", settings=None, zone=MOSCOW, country="RU", currency="RUB", dictionaries=dictionaries
    )
    rows = Rows()
    for name, payload in dictionaries["users"].items():
        map_user(RawRecord(name, payload, 1, 1), context, rows)
    counted = Counter()
    for page in fetch_calls(client, ask(start=datetime(2026, 8, 1, tzinfo=UTC))):
        assert page.rejects == []
        for record_id, payload in zip(page.ids, page.payloads, strict=True):
            counted[record_id] += 1
            map_call(RawRecord(record_id, payload, 1, 1), context, rows)
    assert set(counted.values()) == {1}
    return rows


@pytest.mark.parametrize("statistics", ["extended", "basic"])
def test_every_pattern_comes_out_as_the_truth(statistics, story, make_server, make_client, ask):
    """Both reports, months and month ends: direction, answered, talk, one credit, number and start of each call."""
    server = make_server(world_from_story(story), preparation=11)
    rows = load(make_client(server, statistics=statistics), ask)
    found = {row[0]: SimpleNamespace(**dict(zip(CALLS.columns, row, strict=True))) for row in rows.rows[CALLS]}
    assert len(found) == len(rows.rows[CALLS]) == len(story.calls)  # one credit each
    for call in story.calls:
        seen, truth = found[entry_id_of(call.call_id)], truth_of(call)
        assert (seen.direction, seen.is_answered, seen.talk_seconds) == (
            truth.direction,
            truth.is_answered,
            truth.talk_seconds,
        ), call
        assert (seen.external_number, seen.leg_count) == (truth.number, truth.legs), call
        assert seen.started_at == truth.started_at, call
        if call.direction == "internal":
            continue  # never counted: whose it is differs by report
        expected = truth.extension if call.direction == "out" or truth.is_answered else None
        assert seen.extension == expected, call
    assert len(rows.rows[CALL_LEGS]) == sum(truth_of(call).legs for call in story.calls)


def test_months_are_told_apart_by_moscows_midnight(story, make_server, make_client, ask):
    rows = load(make_client(make_server(world_from_story(story))), ask)
    months = Counter(from_micros(row[1]).astimezone(MOSCOW).strftime("%Y-%m") for row in rows.rows[CALLS])
    assert months == Counter(call.started_at.astimezone(MOSCOW).strftime("%Y-%m") for call in story.calls)
    assert len(months) == 4


def test_employees_who_left_are_no_longer_listed(story, make_server, make_client, ask):
    rows = load(make_client(make_server(world_from_story(story))), ask)
    assert [row[3] for row in rows.rows[USERS]] == ["0511", "102", "103", "104"]


def test_the_world_is_the_same_every_time(story):
    assert world_from_story(story) == world_from_story(story)
    assert entry_id_of("c000001") == entry_id_of("c000001") != entry_id_of("c000002")


def test_a_call_enters_the_statistics_when_it_has_ended(story, make_client, ask, clock):
    """Otherwise tests could not show that running calls are picked up by the overlap."""
    world = world_from_story(story)
    world.calls = [max(world.calls, key=lambda call: call.started_at)]
    world.calls[0].ended_at = int(clock.now().timestamp()) + 600
    server = MangoServer(world, api_key="test_vpbx_key_0001", api_salt="test_vpbx_salt_0002", clock=clock)
    client = make_client(server)
    *_, last = fetch_calls(client, ask())
    assert last.ids == []
    clock.advance(3600)
    pages = fetch_calls(client, ask(position={"until": world.calls[0].started_at + 60}))
    assert [record_id for page in pages for record_id in page.ids] == [world.calls[0].card["entry_id"]]


def test_the_server_speaks_real_http(story, clock):
    world = world_from_story(story)
    with MangoServer(world, api_key="k", api_salt="s", clock=clock) as server:
        assert server.url.endswith("/vpbx")
        answer = httpx.get(f"{server.url}/account/balance")
    assert answer.json()["result"] == 3101
    assert answer.headers["date"] == "Fri, 20 Nov 2026 09:00:00 GMT"
    assert server.requests == ["GET /vpbx/account/balance"]
