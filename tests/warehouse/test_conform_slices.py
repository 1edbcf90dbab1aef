"""Conforming a long log: slice by slice, each with its watermark, ending as one slice would have ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.steps.sources import files_of, map_context
from tests.engine import files_only
from tests.toy import Toy, deal, page
from warehouse.batch import Batch
from warehouse.conform import Conformer
from warehouse.database import Warehouse, open_warehouse
from warehouse.land import Landing, StreamRun
from warehouse.replay import forget_core

STATE = (
    "SELECT * EXCLUDE (loaded_at) FROM core.deals ORDER BY ALL",
    "SELECT * EXCLUDE (loaded_at) FROM core.deal_contacts ORDER BY ALL",
    "SELECT * EXCLUDE (loaded_at) FROM core.contact_phones ORDER BY ALL",
    "SELECT source, stream, record_id, reason FROM meta.rejects ORDER BY ALL",
    "SELECT source, stream, seq, mapping_version FROM meta.watermarks ORDER BY ALL",
    "SELECT * FROM meta.coverage ORDER BY ALL",
)


@pytest.fixture
def loaded(tmp_path: Path) -> Toy:
    """Records whose versions, child lists, phones, rejects and mends lie several slices apart; one record vanishes."""
    toy = Toy(tmp_path)
    bad = deal(3, 100, title="bad")
    first = [deal(n, 100, contacts=[f"c{n}"]) for n in (1, 2)] + [bad] + [deal(n, 100) for n in range(4, 9)]
    phones = [{"id": 1, "updated": 100 + n, "created": 50, "phones": [f"+7900000000{n}"]} for n in range(6)]
    toy.run({"deals": [page(*first)], "contacts": [page(*phones)]})
    mended = [deal(1, 300, title="new", contacts=["x"]), deal(2, 90, title="old"), deal(3, 200)]
    toy.run({"deals": [page(*mended, *first[3:7], deal(9, 100, title="bad"))]}, full=True)
    return toy


def read_state(warehouse: Warehouse) -> list[list[tuple[Any, ...]]]:
    return [warehouse.connection.execute(query).fetchall() for query in STATE]


def conform_slices(toy: Toy, warehouse: Warehouse, chunks: int, most: int = 1_000) -> int:
    """Conform every stream, at most `most` slices in all; gives the slices it took."""
    conformer = Conformer(warehouse, toy.clock, chunk_records=2, slice_chunks=chunks)
    project = toy.project()
    context = map_context(project, project.sources["toy"])
    taken = 0
    for stream in toy.connector().streams:
        is_whole = False
        while not is_whole and taken < most:
            with warehouse.transaction():
                is_whole = conformer.conform_slice(stream, context).is_whole
            taken += 1
    return taken


@pytest.mark.parametrize("chunks", [1, 3, 100])
@pytest.mark.parametrize("killed_after", [1, 2, 4, 1_000])
def test_any_slices_end_as_one_even_when_killed_between_two(loaded: Toy, chunks: int, killed_after: int) -> None:
    """A watermark ahead of its rows would lose a slice; a child list or phone judged per run would differ, and so
    would a reject that a slice mends which also holds the broken version."""
    files = files_of(loaded.project())
    with open_warehouse(files, command="test", clock=loaded.clock) as warehouse:
        expected = read_state(warehouse)
        with warehouse.transaction():
            forget_core(warehouse.connection, "toy")
        taken = conform_slices(loaded, warehouse, chunks, killed_after)
        assert taken <= killed_after
    with open_warehouse(files, command="test", clock=loaded.clock) as warehouse:
        conform_slices(loaded, warehouse, chunks)
        assert read_state(warehouse) == expected


def test_a_log_that_lies_in_another_order_is_conformed_in_its_own(loaded: Toy) -> None:
    """Records are read as they lie, which is the order of their numbers unless something moved them."""
    with open_warehouse(files_of(loaded.project()), command="test", clock=loaded.clock) as warehouse:
        expected = read_state(warehouse)
        with warehouse.transaction():
            forget_core(warehouse.connection, "toy")
        warehouse.connection.execute("CREATE TEMP TABLE moved AS FROM landing.raw.records ORDER BY seq DESC")
        warehouse.connection.execute("DELETE FROM landing.raw.records")
        warehouse.connection.execute("INSERT INTO landing.raw.records FROM moved")
        conform_slices(loaded, warehouse, chunks=3)
        assert read_state(warehouse) == expected


def test_a_source_conformed_in_part_is_complete_until_nowhere(loaded: Toy) -> None:
    """Otherwise a recompute after a killed replay would publish numbers of half the records."""
    with open_warehouse(files_of(loaded.project()), command="test", clock=loaded.clock) as warehouse:
        with warehouse.transaction():
            forget_core(warehouse.connection, "toy")
        conform_slices(loaded, warehouse, 1, most=2)
        known = warehouse.connection.execute("SELECT stream, complete_until FROM meta.coverage").fetchall()
        assert dict(known)["deals"] is None
        assert dict(known)["users"] is not None


@files_only
@pytest.mark.parametrize("limit", ["4MB", "6MB"])
def test_a_batch_that_needs_more_memory_than_loading_has_gets_it(toy: Toy, limit: str) -> None:
    """A log of a million records takes more than one of none: a first load would end in the middle, each night. The
    engine tells of it in two ways, at the statement and at the commit."""
    tight = replace(files_of(toy.project()), memory_limit=limit, threads=1)
    with open_warehouse(tight, command="test", clock=toy.clock) as warehouse:
        batch = Batch()
        batch.add(page(*[deal(n, 100, title="x" * 2_000) for n in range(3_000)]))
        landing, run = Landing(warehouse), StreamRun("run", "toy", "deals")
        landing.begin(run)
        assert landing.write(run, batch, requests=1) == 3_000
        assert warehouse.raised == 1, "the first limit was enough: the test proves nothing"


@files_only
def test_a_slice_that_needs_more_memory_than_loading_has_gets_it(tmp_path: Path) -> None:
    """A stream of large records would otherwise fail every night at the same record. It gets more step by step: all
    at once would be kept by the rest of the load."""
    toy = Toy(tmp_path)
    large = [deal(n, 100, title="x" * 20_000, contacts=[f"c{m}" for m in range(20)]) for n in range(600)]
    toy.run({"deals": [page(*large)]})
    tight = replace(files_of(toy.project()), memory_limit="12MB", more_memory=("13MB", "1GB"), threads=1)
    with open_warehouse(tight, command="test", clock=toy.clock) as warehouse:
        with warehouse.transaction():
            forget_core(warehouse.connection, "toy")
        project = toy.project()
        stream = toy.connector().stream("deals")
        context = map_context(project, project.sources["toy"])
        done = Conformer(warehouse, toy.clock).conform(stream, context)
        assert (done.read, done.is_whole) == (600, True)
        assert not warehouse.raise_memory_limit(), "the first limit was enough: the test proves nothing"
        assert warehouse.connection.execute("SELECT count(*) FROM core.deal_contacts").fetchone() == (12_000,)
