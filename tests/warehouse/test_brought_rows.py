"""Rows that come along with their records: taken where the log holds just these records, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pytest

from base.columns import Column
from connectors.stream import Brought, MapContext, Page, RawRecord, Rows, Stream, target
from flows.steps.sources import files_of, map_context
from tests.toy import Toy, deal, page
from warehouse.brought import BroughtAlong
from warehouse.conform import Conformer, ConformReport
from warehouse.database import Warehouse, open_warehouse
from warehouse.forgotten import open_forgotten
from warehouse.land import Batch, Landing, StreamRun

PAYMENTS = target("core.payments", "payment_id paid_on amount currency kind purpose file channel")
BROUGHT = Brought(PAYMENTS, record_id="payment_id", origin="file")
DAY = date(2026, 11, 1)
FIELDS = {"paid_on": pa.date32(), **dict.fromkeys(("amount", "currency", "kind", "purpose", "channel"), pa.string())}
PURPOSES = "SELECT payment_id, purpose, file, amount::VARCHAR, version FROM core.payments ORDER BY ALL"


def map_here(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """The same payment, but for a word that tells who mapped it."""
    read = msgspec.json.decode(record.payload)
    rows.add(PAYMENTS, (record.record_id, DAY, 5, "RUB", "customer", "mapped", record.origin, read["title"]))


def bringing(first: int, last: int, *, amount: str = "5.00", without: Sequence[int] = (), version: int = 1) -> Page:
    """Records of these numbers, and a row of each but of those `without`."""
    records = [deal(number, version) for number in range(first, last + 1)]
    rows = [
        None
        if record["id"] in without
        else {
            "paid_on": DAY,
            "amount": amount,
            "currency": "RUB",
            "kind": "customer",
            "purpose": "brought",
            "channel": record["title"],
        }
        for record in records
    ]
    found = page(*records, origins=[f"a.txt:{record['id']}" for record in records])
    found.rows = Column(pa.array(rows, pa.struct([*FIELDS.items()])))
    return found


class Load:
    """Batches landed and conformed as a sync does it."""

    def __init__(self, toy: Toy, warehouse: Warehouse, **options: Any) -> None:
        self.toy = toy
        self.warehouse = warehouse
        self.connection = warehouse.connection
        self.context = map_context(toy.project(), toy.project().sources["toy"])
        self.stream: Stream[Any] = Stream(
            name="payments", kind="files", fetch=toy.connector().stream("deals").fetch, map=map_here, brings=BROUGHT,
            label=toy.connector().stream("deals").label,
        )  # fmt: skip
        self.conformer = Conformer(warehouse, toy.clock, **{"chunk_records": 4, "slice_chunks": 2, **options})
        self.landing = Landing(warehouse)

    def land(self, found: Page) -> None:
        batch = Batch()
        batch.add(found)
        written = self.landing.write(StreamRun("run", "toy", "payments"), batch, requests=1)
        self.conformer.bring(self.stream, "toy", batch, written)

    def conform(self, at_end: Any = lambda report: None) -> ConformReport:
        return self.conformer.conform(self.stream, self.context, at_end)

    def by_purpose(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {"brought": [], "mapped": []}
        for name, purpose, origin, *_ in self.connection.execute(PURPOSES).fetchall():
            assert origin == f"a.txt:{name}"
            found[purpose].append(int(name))
        return {purpose: sorted(numbers) for purpose, numbers in found.items()}


@pytest.fixture
def load(tmp_path: Path) -> Any:
    toy = Toy(tmp_path)
    with open_warehouse(files_of(toy.project()), command="test", clock=toy.clock) as warehouse:
        yield Load(toy, warehouse)


def test_rows_that_came_along_are_what_is_loaded(load: Load) -> None:
    """Slices and chunks end where batches don't."""
    for first, last in ((1, 3), (4, 13), (14, 21)):
        load.land(bringing(first, last))
    report = load.conform()
    assert (report.read, report.written, report.rejected) == (21, 21, 0)
    assert load.by_purpose() == {"brought": [*range(1, 22)], "mapped": []}
    rows = load.connection.execute(PURPOSES).fetchall()
    assert rows[0] == ("1", "brought", "a.txt:1", "5.00", 1_000_000)


def test_a_slice_is_conformed_while_the_rest_lands(load: Load) -> None:
    load.land(bringing(1, 7))
    assert load.conformer.keep_up(load.stream, load.context) is None
    load.land(bringing(8, 12))
    done = load.conformer.keep_up(load.stream, load.context)
    assert done is not None
    assert (done.read, done.is_whole) == (7, False)  # numbers of the log begin with 1, chunks with 0
    assert load.conformer.keep_up(load.stream, load.context) is None
    load.conform()
    assert load.by_purpose() == {"brought": [*range(1, 13)], "mapped": []}


def test_a_record_without_a_row_is_mapped_from_the_log_with_its_chunk(load: Load) -> None:
    load.land(bringing(1, 11, without=[5]))
    load.conform()
    assert load.by_purpose() == {"brought": [1, 2, 3, 8, 9, 10, 11], "mapped": [4, 5, 6, 7]}


def test_a_slice_with_a_bad_record_in_each_chunk_waits_for_nothing(load: Load) -> None:
    """Its rows are let go, or they would be in memory to the end of the file."""
    load.land(bringing(1, 10, without=[2, 6, 9]))
    assert load.conformer.has_slice(load.stream, "toy")
    assert load.conformer.keep_up(load.stream, load.context) is None
    load.land(bringing(11, 22, without=[13]))
    load.conform()
    assert load.by_purpose() == {"brought": [*range(16, 23)], "mapped": [*range(1, 16)]}


def test_rows_of_a_batch_of_which_something_was_known_are_not_believed(load: Load) -> None:
    """Which of its records have become which of the log's isn't told: a row would go to another record."""
    load.land(bringing(3, 4))
    load.land(bringing(1, 6))
    load.land(bringing(7, 16))  # from 9 on in the log
    assert load.conform().read == 16
    assert load.by_purpose() == {"brought": [*range(10, 17)], "mapped": [*range(1, 10)]}


def test_a_record_that_comes_twice_in_a_batch_is_mapped_from_the_log(load: Load) -> None:
    twice = bringing(1, 2)
    batch = bringing(1, 2)
    for name in ("ids", "payloads", "versions", "cursors", "origins"):
        setattr(twice, name, [value for value in getattr(batch, name) for _ in range(2)])
    twice.rows = Column(pa.concat_arrays([batch.rows.array] * 2))  # type: ignore[union-attr]
    load.land(twice)
    assert load.conform().read == 2
    assert load.by_purpose() == {"brought": [], "mapped": [1, 2]}


def test_records_whose_version_landing_gives_are_mapped_from_the_log(load: Load) -> None:
    load.land(bringing(1, 2, version=0))
    load.conform()
    assert load.by_purpose() == {"brought": [], "mapped": [1, 2]}


def test_a_row_that_fits_into_no_column_is_left_to_the_mapping(load: Load) -> None:
    load.land(bringing(1, 2, amount="1" * 20 + ".00"))
    load.conform()
    assert load.by_purpose() == {"brought": [], "mapped": [1, 2]}


def test_nothing_of_a_forgotten_person_comes_along(load: Load, tmp_path: Path) -> None:
    """The payload was cleaned on its way to the log; the row was made before."""
    forgotten = open_forgotten(tmp_path)
    forgotten.add(["+79161234567"], [], [], [], money=True)
    load.landing = Landing(load.warehouse, forgotten=forgotten)
    load.land(bringing(1, 2))
    load.conform()
    assert load.by_purpose() == {"brought": [], "mapped": [1, 2]}


def test_a_slice_that_is_done_again_finds_its_rows(load: Load) -> None:
    failures = [1]

    def fail_once(report: ConformReport) -> None:
        if failures:
            failures.pop()
            raise duckdb.OutOfMemoryException("once")

    load.land(bringing(1, 6))
    load.connection.execute("SET memory_limit = '512MB'")
    load.conform(fail_once)
    assert not failures
    assert load.by_purpose() == {"brought": [1, 2, 3, 4, 5, 6], "mapped": []}


def test_a_log_that_is_read_anew_is_mapped_anew(load: Load) -> None:
    """Rows are forgotten once they are conformed, and those that wait stay with the records they were made of."""
    load.land(bringing(1, 4))
    load.conform()
    load.land(bringing(5, 12))
    load.context = replace(load.context, currency="EUR")
    assert load.conform().read == 12
    assert load.by_purpose() == {"brought": [*range(8, 13)], "mapped": [*range(1, 8)]}


def test_rows_that_wait_for_long_are_let_go(load: Load) -> None:
    brought = BroughtAlong(most_records=5)
    for first, last in ((1, 3), (4, 6), (7, 8)):
        batch = Batch()
        batch.add(bringing(first, last))
        brought.add("toy", load.stream, batch, last - first + 1, last)
    assert brought.waiting("toy", "payments") == 5
    assert brought.find("toy", load.stream, 0, 3) is not None
    assert brought.find("toy", load.stream, 0, 8) is None
    found = brought.find("toy", load.stream, 6, 8)
    assert found is not None
    assert found.rows["payment_id"].to_pylist() == ["7", "8"]
