"""What the engine does, counted in statements and rows: a slow run can be the machine, a statement more for every
record is our doing. Requests are counted in tests/connectors/test_work.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from benchmarks.generate import COMPANY, Size, generate_files, make_clock
from flows.steps.sources import files_of, map_context
from metrics.compute import recompute
from metrics.periods import parse_period
from metrics.resolve import resolve
from tests.engine import files_only
from tests.toy import Toy, deal, page
from warehouse.batch import Batch
from warehouse.conform import Conformer
from warehouse.database import Warehouse, open_warehouse
from warehouse.land import Landing, StreamRun
from warehouse.merge import MANY_ROWS

WRITING = ("INSERT", "UPDATE", "DELETE", "MERGE")


@contextmanager
def statements(connection: duckdb.DuckDBPyConnection) -> Iterator[list[str]]:
    """The statements the block ran, filled in when it ends."""
    ran: list[str] = []
    connection.execute("CALL enable_logging('QueryLog')")
    yield ran
    connection.execute("CALL disable_logging()")
    rows = connection.execute("SELECT message FROM duckdb_logs WHERE type = 'QueryLog' ORDER BY timestamp").fetchall()
    ran += [message.strip() for (message,) in rows if "logging" not in message]
    connection.execute("CALL truncate_duckdb_logs()")


def written_to(ran: list[str], schema: str) -> list[str]:
    """The statements that write into a stored schema, temporary tables aside."""
    return [query for query in ran if query.upper().startswith(WRITING) and f" {schema}." in query.partition("(")[0]]


def load(toy: Toy, warehouse: Warehouse, run_id: str, count: int) -> tuple[int, int, list[str]]:
    """Land `count` deals as one batch and conform them: records landed, core rows written, statements run."""
    project = toy.project()
    stream = next(stream for stream in toy.connector().streams if stream.name == "deals")
    batch = Batch()
    batch.add(page(*[deal(number, 100, contacts=[f"c{number}"]) for number in range(count)]))
    run = StreamRun(run_id, "toy", "deals", "crm")
    with statements(warehouse.connection) as ran:
        landing = Landing(warehouse)
        landing.begin(run)
        landed = landing.write(run, batch, requests=1)
        landing.finish(run, requests=1, error=None, complete_until=toy.clock.now())
        report = Conformer(warehouse, toy.clock).conform(
            stream, map_context(project, project.sources["toy"]), at_end=lambda done: None
        )
    return landed, report.written, ran


@files_only
def test_a_batch_takes_as_many_statements_whatever_it_holds(tmp_path: Path) -> None:
    """One statement a record would be hours for a first load of millions."""
    taken = {}
    for count in (20, 2_000):
        toy = Toy(tmp_path / str(count))
        (tmp_path / str(count) / "var").mkdir(parents=True)
        with open_warehouse(files_of(toy.project()), command="test", clock=toy.clock) as warehouse:
            landed, written, ran = load(toy, warehouse, "first", count)
        assert landed == count
        assert written == 2 * count  # a deal and its contact
        taken[count] = len(ran)
    assert taken[20] == taken[2_000]
    assert taken[20] < 70


def test_known_records_write_nothing_and_are_not_mapped_again(toy: Toy) -> None:
    with open_warehouse(files_of(toy.project()), command="test", clock=toy.clock) as warehouse:
        _, _, first = load(toy, warehouse, "first", 500)
        landed, written, again = load(toy, warehouse, "again", 500)
    assert (landed, written) == (0, 0)
    assert written_to(first, "core") != []
    assert written_to(again, "core") == []
    assert not any("core." in query for query in again)


def test_rows_that_are_all_new_are_inserted_and_others_merged(toy: Toy) -> None:
    """A merge takes twice as long; an insert of what is known already would double it."""
    count = MANY_ROWS + 100
    with open_warehouse(files_of(toy.project()), command="test", clock=toy.clock) as warehouse:
        _, written, first = load(toy, warehouse, "first", count)
        landed, added, _ = load(toy, warehouse, "second", 2 * count)
        found = warehouse.connection.execute(
            "SELECT count(*), count(DISTINCT deal_id), count_if(is_deleted), count(version) FROM core.deals"
        ).fetchone()
    assert written == 2 * count
    of_rows = [query.partition("(")[0].strip() for query in written_to(first, "core") if "FROM _rows_" in query]
    assert "INSERT INTO core.deals" in of_rows
    assert not any(query.startswith("MERGE INTO core.deals ") for query in of_rows)
    assert (landed, added) == (count, 2 * count)
    assert found == (2 * count, 2 * count, 0, 2 * count)


@dataclass(frozen=True)
class Computed:
    """Resolving and computing a month: the statements, and the rows written by each of the two."""

    statements: list[str]
    resolved: int
    facts: int


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Computed]]:
    """By number of deals: the first time, and again with nothing changed."""
    found = {}
    for deals in (120, 240):  # both have ended deals enough for odds
        files = generate_files(tmp_path_factory.mktemp(f"deals{deals}"), Size(deals, 2))
        with open_warehouse(files, command="test", clock=make_clock()) as warehouse:
            found[deals] = [compute_month(warehouse.connection) for _ in range(2)]
    return found


def compute_month(connection: duckdb.DuckDBPyConnection) -> Computed:
    with statements(connection) as ran:
        resolved = resolve(connection, COMPANY, make_clock())
        (report,) = recompute(connection, COMPANY, parse_period("2026-11"), make_clock())
    return Computed(ran, resolved.rows, report.rows_written)


@pytest.mark.parametrize("time", [0, 1])
def test_a_month_takes_as_many_statements_whatever_it_holds(computed: dict[int, list[Computed]], time: int) -> None:
    """A statement for every manager, deal or record would grow with the company."""
    assert len(computed[120][time].statements) == len(computed[240][time].statements)


def test_an_unchanged_month_is_not_resolved_and_writes_nothing(computed: dict[int, list[Computed]]) -> None:
    first, again = computed[120]
    assert first.resolved > 0
    assert first.facts > 0
    assert (again.resolved, again.facts) == (0, 0)
    assert not any("next_" in query for query in again.statements)  # what resolve makes
