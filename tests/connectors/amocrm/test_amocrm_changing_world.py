"""A world that changes between any two pages, over a network that fails one time in ten: what is read is the truth."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from amocrm_office import NOW, Office, empty_world, ids_of, lead, position_of

from base.times import to_unix
from demo.amocrm import AmocrmWorld, Quirks
from demo.http import HttpRequest, SeededFaults

OpenOffice = Callable[..., Office]
MONTH = 30 * 86_400
QUIRKS = [
    Quirks(),
    Quirks(next_after_full_page=True, next_host="http://shard152.amocrm.ru"),
    Quirks(clamps_to=100),
    Quirks(bounds_are_inclusive=False),
    Quirks(filters_work=False),
]


class Disturbance:
    """Edits, adds, deletes and imports records while pages are read; the same for the same seed."""

    def __init__(self, office: Office, seed: int) -> None:
        self._office = office
        self._random = random.Random(seed)
        self._next_id = 100_000
        self.is_on = True

    def __call__(self, request: HttpRequest) -> None:
        if not self.is_on or "/leads" not in request.path:
            return
        world, now = self._office.world, self._office.clock.now()
        ids = [record["id"] for record in world.tables["leads"]]
        for _ in range(self._random.randrange(3)):
            world.edit("leads", self._random.choice(ids), now, price=self._random.randrange(10**6))
        if self._random.random() < 0.3:
            world.delete("leads", ids.pop(self._random.randrange(len(ids))), now)
        if self._random.random() < 0.3:
            self._next_id += 1
            world.add("leads", lead(self._next_id, to_unix(now)))
        if self._random.random() < 0.1:
            # An import writes into the past, behind the position.
            self._next_id += 1
            world.add("leads", lead(self._next_id, to_unix(now) - self._random.randrange(MONTH)))


class Copy:
    """What a warehouse would hold: newest version of each record, those buried left out."""

    def __init__(self) -> None:
        self.records: dict[str, tuple[int, dict[str, Any]]] = {}
        self.position: Any = None

    def sync(self, office: Office, *, full: bool = False) -> None:
        pages = office.read("leads", position=self.position, full=full)
        for page in pages:
            for record_id, payload, version in zip(page.ids, page.payloads, page.versions, strict=True):
                if version >= self.records.get(record_id, (0,))[0]:
                    self.records[record_id] = (version, msgspec.json.decode(payload))
            for record_id in page.deleted:
                self.records.pop(record_id, None)
        if full:
            seen = set(ids_of(pages))
            self.records = {record_id: kept for record_id, kept in self.records.items() if record_id in seen}
        self.position = position_of(pages) or self.position

    def prices(self) -> dict[str, int]:
        return {record_id: record["price"] for record_id, (_, record) in self.records.items()}


def truth(world: AmocrmWorld) -> dict[str, int]:
    return {str(record["id"]): record["price"] for record in world.tables["leads"]}


def crowded_world(seed: int) -> AmocrmWorld:
    """700 records over a month, 300 more in one second."""
    draw = random.Random(seed)
    world = empty_world()
    first = to_unix(NOW) - MONTH
    for number in range(700):
        world.add("leads", lead(1000 + number, first + draw.randrange(MONTH - 3600)))
    for number in range(300):
        world.add("leads", lead(5000 + number, first + 86_400))
    return world


@pytest.mark.parametrize("seed", range(10))
def test_copy_equals_the_account_after_every_sweep_and_loses_nothing_between(
    open_office: OpenOffice, seed: int
) -> None:
    quirks = QUIRKS[seed % len(QUIRKS)]
    office = open_office(crowded_world(seed), faults=SeededFaults(seed, 0.1), quirks=quirks)
    disturbance = Disturbance(office, seed)
    office.server.after_page = disturbance
    copy = Copy()
    copy.sync(office)
    for _ in range(3):
        office.clock.advance(3600)
        disturbance.is_on = True
        copy.sync(office)
        # What changed while we read is met by the next run's overlap; only what was written into the past may wait.
        disturbance.is_on = False
        copy.sync(office)
        held, real = copy.prices(), truth(office.world)
        missing = {record_id for record_id in real if record_id not in held}
        assert all(int(record_id) > 100_000 for record_id in missing)
        assert {record_id: held[record_id] for record_id in real if record_id in held} == {
            record_id: price for record_id, price in real.items() if record_id in held
        }
    copy.sync(office, full=True)
    assert copy.prices() == truth(office.world)


@pytest.mark.parametrize("seed", range(3))
def test_full_reading_of_a_changing_account_buries_no_living_record(open_office: OpenOffice, seed: int) -> None:
    office = open_office(crowded_world(seed), faults=SeededFaults(seed, 0.1))
    office.server.after_page = Disturbance(office, seed)
    copy = Copy()
    before = set(truth(office.world))
    copy.sync(office, full=True)
    assert set(copy.records) >= before & set(truth(office.world))


@pytest.mark.parametrize("seed", range(5))
def test_every_event_is_read_once_while_the_log_grows(open_office: OpenOffice, seed: int) -> None:
    world = empty_world()
    draw = random.Random(seed)
    for number in range(2_500):
        world.log("lead_added", "lead", number, NOW - timedelta(seconds=draw.randrange(MONTH)))
    office = open_office(world, faults=SeededFaults(seed, 0.1))
    office.server.after_page = lambda request: (
        world.log("lead_added", "lead", 1, office.clock.now()) and None  # the present grows while we read
    )
    got: list[str] = []
    position = None
    for _ in range(3):
        pages = office.read("events", position=position, start=NOW - timedelta(days=31))
        got += ids_of(pages)
        position = position_of(pages)
        office.clock.advance(7200)
    office.server.after_page = lambda request: None
    got += ids_of(office.read("events", position=position))
    assert set(got) == {record["id"] for record in world.tables["events"]}
