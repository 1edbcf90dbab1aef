"""Replay after a mapping was mended: the core as a fresh load with the mended mapping would have made it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from base.clock import FakeClock
from base.text import say
from connectors.stream import BadRecord, Connector, MapContext, RawRecord, Rows
from flows.steps.replay import replay
from tests.e2e.state import State, read_state
from tests.toy import EPOCH, LINKS, Toy, ToyClient, deal, map_deal, page

# Versions out of order, a deletion told by the log, one taken back, and a record that only the bug rejects.
NIGHTS: list[dict[str, list[Any]]] = [
    {
        "deals": [page(deal(1, 100, contacts=["a", "b"]), deal(2, 110, owner="7"), deal(5, 120, title="odd"))],
        "contacts": [page({"id": 9, "updated": 50, "created": 40, "phones": ["+79160000001"]})],
    },
    {
        "deals": [page(deal(2, 300, title="new", owner="8"), deal(1, 90, title="older"), deal(3, 200))],
        "events": [page({"id": "e1", "updated": 210, "deal": 3, "deleted": True})],
    },
    {
        "deals": [page(deal(2, 200, title="between"), deal(3, 400, title="back"))],
        "contacts": [page({"id": 9, "updated": 60, "created": 40, "phones": ["+79160000002"]})],
        "events": [page({"id": "e2", "updated": 500, "deal": 4, "deleted": True})],
    },
]


def map_deal_wrongly(record: RawRecord, context: MapContext, out: Rows) -> None:
    """The bug: the owner is lost, every deal gets a contact that nobody linked, and one record is refused."""
    if b'"odd"' in record.payload:
        raise BadRecord("odd", say("Странно", "Odd"))
    made = Rows()
    made.begin(0)
    map_deal(record, context, made)
    for into, rows in made.rows.items():
        for row in rows:
            if into is not LINKS:
                out.add(into, tuple(None if place == 2 else value for place, value in enumerate(row)))
    deal_id = record.record_id
    out.add_children(LINKS, (deal_id,), [(deal_id, "phantom", None), *made.rows.get(LINKS, [])])


class Mapped(Toy):
    """A toy whose deals are mapped as the test says."""

    is_buggy = False

    def connector(self) -> Connector[ToyClient]:
        told = super().connector()
        mapper = map_deal_wrongly if self.is_buggy else map_deal
        return replace(told, streams=tuple(replace(s, map=mapper) if s.name == "deals" else s for s in told.streams))

    def nights(self) -> Mapped:
        for script in NIGHTS:
            self.run(script)
            self.clock.advance(86_400)
        return self

    def replay(self) -> None:
        connector = self.connector()
        replay(self.project(), clock=self.clock, find_connector=lambda name: connector)

    def core(self) -> State:
        state = read_state(self.project().warehouse_path)
        kept = {name: rows for name, rows in state.items() if name.startswith("core.") and name != "core.calendar"}
        return {**kept, "meta.rejects": state["meta.rejects"]}


@pytest.fixture
def buggy(toy: Toy) -> Mapped:
    made = Mapped(toy.folder, toy.clock)
    made.is_buggy = True
    return made.nights()


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> State:
    """The same nights with the right mapping from the first one on."""
    return Mapped(Path(tmp_path_factory.mktemp("fresh")), FakeClock(EPOCH)).nights().core()


def test_a_mended_mapping_makes_the_core_that_a_fresh_load_would_have_made(buggy: Mapped, fresh: State) -> None:
    """What the bug lost comes back, what it made up goes, what it refused is read, and order of versions holds."""
    before = buggy.core()
    assert any("phantom" in str(row) for row in before["core.deal_contacts"])
    assert len(before["meta.rejects"]) == 1

    buggy.is_buggy = False
    buggy.replay()

    assert buggy.core() == fresh


def test_a_replay_without_a_mend_changes_nothing(buggy: Mapped) -> None:
    before = buggy.core()
    buggy.replay()
    assert buggy.core() == before


def test_a_replay_asks_the_source_nothing_and_the_next_load_goes_on_from_its_position(buggy: Mapped) -> None:
    buggy.is_buggy = False
    buggy.client = None
    buggy.replay()
    assert buggy.client is None

    rows = [stream.rows for stream in buggy.run(NIGHTS[-1]).streams]
    assert rows == [0] * len(rows)
