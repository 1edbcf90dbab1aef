"""Conforming what landed early: in the declared order, when enough waits, ending as a load conformed at its end."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.stream import Page
from flows.steps.conforming import SourceConforming
from flows.steps.sources import files_of
from flows.steps.state import StreamState
from tests.toy import Toy, deal, page
from warehouse.batch import Batch
from warehouse.conform import Conformer
from warehouse.database import Warehouse, open_warehouse
from warehouse.land import Landing, StreamRun
from warehouse.mapping import answer

STATE = (
    "SELECT * EXCLUDE (loaded_at) FROM core.deals ORDER BY ALL",
    "SELECT * EXCLUDE (loaded_at) FROM core.deal_contacts ORDER BY ALL",
    "SELECT * EXCLUDE (loaded_at) FROM core.contacts ORDER BY ALL",
    "SELECT stream, record_id, reason FROM meta.rejects ORDER BY ALL",
    "SELECT stream, rejected FROM meta.sync_runs ORDER BY ALL",
    "SELECT stream, complete_until FROM meta.coverage ORDER BY ALL",
)


class Load:
    """A load of the toy source whose pages land, and whose early conforming happens, when a test says so."""

    def __init__(self, toy: Toy, warehouse: Warehouse, least_ahead: int, conformer: Conformer | None = None) -> None:
        project = toy.project()
        self.warehouse = warehouse
        self.clock = toy.clock
        self.landing = Landing(warehouse, "en")
        streams = toy.connector().streams
        self.states = {s.name: StreamState(s, StreamRun("run", "toy", s.name, s.facet), started=0.0) for s in streams}
        self.conforming = SourceConforming(
            warehouse,
            toy.clock,
            project,
            project.sources["toy"],
            list(self.states.values()),
            lambda state: 1,
            least_ahead=least_ahead,
            conformer=conformer,
        )
        for state in self.states.values():
            self.landing.begin(state.run)

    def land(self, stream: str, found: Page) -> None:
        state, batch = self.states[stream], Batch()
        batch.add(found)
        state.read += len(found.ids)
        state.waiting += self.landing.write(state.run, batch, requests=1)

    def end(self, stream: str) -> None:
        state = self.states[stream]
        state.has_ended = True
        self.landing.finish(state.run, requests=1, error=None, complete_until=self.clock.now(), is_idle=False)

    def deals(self) -> int:
        found = self.warehouse.connection.execute("SELECT count(*) FROM core.deals").fetchone()
        assert found is not None
        return int(found[0])


@contextmanager
def loading(folder: Path, least_ahead: int = 3) -> Iterator[Load]:
    toy = Toy(folder)
    with open_warehouse(files_of(toy.project()), command="test", clock=toy.clock) as warehouse:
        yield Load(toy, warehouse, least_ahead)


def deals(first: int, last: int) -> Page:
    return page(
        *(deal(n, 100 + n, title="bad" if n % 7 == 0 else f"d{n}", contacts=[f"c{n}"]) for n in range(first, last))
    )


def test_a_stream_waits_for_the_dictionaries_its_mapping_needs(tmp_path: Path) -> None:
    """Mapped before them, its records would be mapped once more as soon as they are there."""
    with loading(tmp_path) as load:
        load.land("deals", deals(1, 6))
        assert not load.conforming.ahead()
        load.end("users")
        assert load.conforming.ahead()
        assert load.deals() == 5


def test_few_records_wait_for_the_end(tmp_path: Path) -> None:
    """Each merge reads the keys of everything there is."""
    with loading(tmp_path, least_ahead=6) as load:
        load.end("users")
        load.land("deals", deals(1, 6))
        assert not load.conforming.ahead()
        load.land("deals", deals(8, 10))
        assert load.conforming.ahead()
        assert not load.conforming.ahead()


def test_what_buries_a_record_comes_after_it(tmp_path: Path) -> None:
    """A deletion conformed before the deal it names would find nothing, and the deal would stay."""
    with loading(tmp_path, least_ahead=2) as load:
        load.end("users")
        load.land("events", page(*({"id": n, "updated": 900, "deal": n, "deleted": True} for n in (1, 2, 3))))
        load.end("events")
        assert not load.conforming.ahead(), "deals are still being read"
        load.land("deals", deals(1, 2))
        load.end("deals")
        assert load.conforming.ahead()
        query = "SELECT deal_id, is_deleted FROM core.deals WHERE deal_id = '1'"
        assert load.warehouse.connection.execute(query).fetchall() == [("1", True)]


def test_a_stream_still_being_read_is_complete_until_nowhere(tmp_path: Path) -> None:
    """Numbers of half a load would be published."""
    with loading(tmp_path) as load:
        load.end("users")
        load.land("deals", deals(1, 6))
        load.end("contacts")
        assert load.conforming.ahead()
        assert load.warehouse.connection.execute("FROM meta.coverage WHERE stream = 'deals'").fetchall() == []


class Crew:
    """A helper in this process."""

    def submit(self, piece: bytes) -> Future[bytes]:
        found: Future[bytes] = Future()
        found.set_result(answer(piece))
        return found


def test_large_files_are_conformed_while_they_land(tmp_path: Path) -> None:
    """Their readers never wait, so nothing would be done meanwhile; helpers go home with the last record."""
    toy = Toy(tmp_path)
    with open_warehouse(files_of(toy.project()), command="test", clock=toy.clock) as warehouse:
        conformer = Conformer(
            warehouse,
            toy.clock,
            chunk_records=2,
            slice_chunks=2,
            large_records=6,
            start_crew=lambda: nullcontext(Crew()),
        )
        load = Load(toy, warehouse, 1, conformer)
        state = load.states["deals"]
        state.stream = replace(state.stream, kind="files", needs=())
        load.end("users")
        load.land("deals", deals(1, 6))
        load.conforming.keep_up()
        assert (load.deals(), conformer.has_helpers) == (0, False), "few records wait for the end"
        load.land("deals", deals(6, 12))
        load.conforming.keep_up()
        early = load.deals()
        assert 0 < early < 11
        assert conformer.has_helpers
        for stream in ("deals", "events", "contacts"):
            load.end(stream)
        reports = {report.stream: report for report in load.conforming.finish()}
        assert (load.deals(), reports["deals"].rejected, conformer.has_helpers) == (10, 1, False)


@pytest.mark.parametrize("seed", range(4))
def test_however_much_is_conformed_early_the_end_is_the_same(tmp_path: Path, seed: int) -> None:
    """Rows, rejects, what the run's lines and reports count: nothing may follow from when the network was slow."""
    dice = random.Random(seed)
    found = []
    for name, early in (("plain", 0.0), ("early", 0.6)):
        with loading(tmp_path / name, least_ahead=dice.choice((1, 5))) as load:
            load.end("users")
            for first in range(1, 60, 6):
                load.land("deals", deals(first, first + 6))
                load.land(
                    "contacts", page(*({"id": n, "updated": 9, "created": 5, "phones": []} for n in range(first)))
                )
                while dice.random() < early and load.conforming.ahead():
                    pass
            for stream in ("deals", "events", "contacts"):
                load.end(stream)
                while dice.random() < early and load.conforming.ahead():
                    pass
            reports = [(r.stream, r.core_rows, r.rejected, r.examples) for r in load.conforming.finish()]
            found.append([reports, *(load.warehouse.connection.execute(query).fetchall() for query in STATE)])
    assert found[0][0][1][2] == 8, "deals whose number sevens divide are rejected"
    assert found[0] == found[1]
