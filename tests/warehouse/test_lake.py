"""A lake as it is opened: made once, migrated, written by one at a time, refused without its password."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
from alembic import command

from base.clock import FakeClock, SystemClock
from base.errors import BusyError, WarehouseError
from base.secrets import Secret
from base.text import Text
from connectors.stream import Page
from flows.steps.sources import files_of
from flows.steps.sync import SyncReport, sync
from tests import postgres
from tests.engine import make_lake, opened_lake
from tests.toy import Toy, deal, page
from warehouse.address import ANALYST, Lake
from warehouse.database import Files, Warehouse, open_warehouse
from warehouse.engine import again, may_pass, transaction
from warehouse.extensions import load_extensions
from warehouse.lake import LAKES
from warehouse.lake_schema import ensure_lake
from warehouse.land import Landing
from warehouse.migrate import HISTORIES, alembic_config, engine_over

BOTH = pytest.mark.parametrize("catalog", LAKES)


def schema_of(connection: duckdb.DuckDBPyConnection, catalog: str) -> list[tuple[Any, ...]]:
    """Tables, columns, types, NOT NULL, comments."""
    return connection.execute(
        "SELECT c.schema_name, c.table_name, c.column_name, t.comment, c.data_type, c.is_nullable, c.comment"
        " FROM duckdb_columns() AS c JOIN duckdb_tables() AS t USING (database_name, schema_name, table_name)"
        " WHERE c.database_name = ? ORDER BY ALL",
        [catalog],
    ).fetchall()


def migrations_of(connection: duckdb.DuckDBPyConnection, catalog: str) -> sa.Engine:
    def cursor() -> duckdb.DuckDBPyConnection:
        another = connection.cursor()
        another.execute(f"USE {catalog}")
        return another

    return engine_over(cursor)


@BOTH
def test_migrations_and_models_give_a_lake_one_schema_which_alembic_agrees_with(catalog: str, tmp_path: Path) -> None:
    """A migration in words that only a file understands: the first larger company would meet it."""
    history = HISTORIES[LAKES[catalog]]
    lakes = make_lake(tmp_path / "stepwise"), make_lake(tmp_path / "at_once")
    with opened_lake(lakes[0]) as stepwise, opened_lake(lakes[1]) as at_once:
        engine = migrations_of(stepwise, catalog)
        with engine.connect() as connection:
            command.upgrade(alembic_config(history, connection), "head")
            command.check(alembic_config(history, connection))
        ensure_lake(at_once)
        assert schema_of(at_once, catalog) == schema_of(stepwise, catalog)
        assert len({row[:2] for row in schema_of(at_once, catalog)}) == len(history.metadata.tables)


def test_downgrade_takes_everything_away_from_a_lake(tmp_path: Path) -> None:
    """The log's history alone: its words are those of the larger one, which takes half a minute."""
    with opened_lake(make_lake(tmp_path)) as lake:
        engine = migrations_of(lake, "landing")
        with engine.connect() as connection:
            command.upgrade(alembic_config(HISTORIES["raw"], connection), "head")
            command.downgrade(alembic_config(HISTORIES["raw"], connection), "base")
        assert {row[1] for row in schema_of(lake, "landing")} == {"schema_revision"}


NUMBER = "INSERT INTO main.numbers SELECT coalesce(max(number), 0) + 1 FROM main.numbers"
CLOCK = FakeClock(datetime(2026, 11, 22, tzinfo=UTC))


@pytest.fixture
def numbered(tmp_path: Path) -> Lake:
    """A lake with one relation, which nobody's migrations know."""
    lake = make_lake(tmp_path)
    with opened_lake(lake) as connection:
        connection.execute("CREATE TABLE main.numbers (number BIGINT)")
    return lake


def numbers(connection: duckdb.DuckDBPyConnection) -> list[int]:
    return [number for (number,) in connection.execute("SELECT number FROM main.numbers ORDER BY number").fetchall()]


def test_two_writers_at_once_see_each_others_commits(numbered: Lake) -> None:
    """A picture taken before the lock, or a lock let go before the commit: both would write the same numbers, and
    DuckLake, to which they are two harmless insertions, would keep both."""

    def write(times: int) -> None:
        with opened_lake(numbered) as connection:
            for _ in range(times):
                with transaction(connection):
                    connection.execute(NUMBER)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, [8, 8]))
    with opened_lake(numbered) as connection:
        assert numbers(connection) == list(range(1, 17))


def test_work_is_done_again_when_postgresql_is_restarted(numbered: Lake) -> None:
    """A night that ends with its first lost connection, or work that is written twice by it."""
    restarts = [postgres.server().restart]

    def work(*, before: bool) -> None:
        with transaction(connection):
            if before and restarts:
                restarts.pop()()
            connection.execute(NUMBER)
            if not before and restarts:
                restarts.pop()()

    with opened_lake(numbered) as connection:
        again(connection, CLOCK, lambda: work(before=True))
        assert (numbers(connection), restarts) == ([1], [])
        restarts.append(postgres.server().restart)
        again(connection, CLOCK, lambda: work(before=False))
        assert (numbers(connection), restarts) == ([1, 2], [])
        postgres.server().restart()
        again(connection, CLOCK, lambda: work(before=True))
        assert numbers(connection) == [1, 2, 3]


def test_what_was_written_after_the_lock_was_lost_is_not_committed(numbered: Lake) -> None:
    """The lake's own connection comes back by itself and would commit beside another writer."""

    def write() -> None:
        with transaction(connection):
            postgres.server().restart()
            connection.execute(NUMBER)

    with opened_lake(numbered) as connection:
        with pytest.raises(duckdb.Error):
            write()
        assert numbers(connection) == []


def test_what_is_read_between_transactions_is_read_again_after_a_restart(toy: Toy) -> None:
    """A load of hours that ends because PostgreSQL was restarted while nothing was being written: the whole reading of
    deals is over, and what vanished is looked for."""
    project = replace(toy.project(), lake=make_lake(toy.folder))
    connector = toy.connector()

    def load(pages: Iterable[Page], **options: Any) -> SyncReport:
        toy.script = {"deals": pages}  # type: ignore[dict-item]
        # Waiting must be waiting: the server is restarted by a thread of its own.
        return sync(project, clock=SystemClock(), find_connector=lambda name: connector, **options)

    def whole() -> Iterator[Page]:
        yield page(deal(1, 100), deal(3, 120))
        postgres.server().restart()

    assert load([page(deal(1, 100), deal(2, 110))]).is_ok
    report = load(whole(), full=True)
    assert report.is_ok
    assert {stream.stream: stream.rows for stream in report.streams}["deals"] == 2
    assert project.lake is not None
    with opened_lake(project.lake) as connection:
        landing = Landing(Warehouse(files_of(project), connection, toy.clock))
        postgres.server().restart()
        assert landing.position("toy", "deals") is None
        found = connection.execute("SELECT deal_id, is_deleted FROM core.deals ORDER BY 1").fetchall()
        assert found == [("1", False), ("2", True), ("3", False)]


def test_a_connection_lost_for_good_is_told_with_what_to_do(tmp_path: Path) -> None:
    """Forty lines of a traceback for a PostgreSQL that went away while a report was read."""
    files = Files(warehouse=tmp_path / "here" / "lake", raw=tmp_path / "here" / "lake", lake=make_lake(tmp_path))

    def look() -> None:
        with open_warehouse(files, command="status", clock=CLOCK) as warehouse:
            postgres.server().stop()
            warehouse.connection.execute("SELECT count(*) FROM core.deals").fetchall()

    try:
        with pytest.raises(WarehouseError, match="was lost") as told:
            look()
    finally:
        postgres.server().start()
    assert "repeat the command" in told.value.render("en")


@pytest.mark.parametrize(
    "words",
    [
        "could not receive data from server: Connection reset by peer",
        "could not send data to server: Broken pipe",
        "SSL SYSCALL error: EOF detected",
        "SSL connection has been closed unexpectedly",
        "no connection to the server",
        'Unable to connect to Postgres at "dbname=x": FATAL:  the database system is starting up',
    ],
)
def test_a_connection_over_the_network_breaks_in_other_words(words: str) -> None:
    """The tests' PostgreSQL is on this machine; what libpq says of one on another is in its sources (fe-misc.c)."""
    assert may_pass(duckdb.IOException(f"Failed to prepare COPY: {words}"))


def test_loads_run_side_by_side_and_what_reads_them_all_alone(tmp_path: Path) -> None:
    """A recompute on another machine that sees half of a load and counts it as resolved."""
    files = Files(warehouse=tmp_path / "here" / "lake", raw=tmp_path / "here" / "lake", lake=make_lake(tmp_path))
    elsewhere = replace(files, warehouse=tmp_path / "there" / "lake")
    waits: list[Text] = []

    def held(where: Files, command: str) -> AbstractContextManager[Warehouse]:
        return open_warehouse(where, command=command, clock=CLOCK, wait_seconds=2, on_wait=waits.append)

    with held(files, "sync"), held(elsewhere, "sync"):
        assert waits == []
    with held(files, "sync"), pytest.raises(BusyError), held(elsewhere, "recompute"):
        pass
    with held(files, "recompute"), pytest.raises(BusyError), held(elsewhere, "sync"):
        pass
    assert len(waits) == 2
    with held(elsewhere, "recompute"):
        pass


def test_other_errors_are_not_tried_again(numbered: Lake) -> None:
    """A mistake in SQL would keep a command busy for a minute before it is told."""
    calls = []

    def work() -> None:
        calls.append(1)
        with transaction(connection):
            connection.execute("SELECT 1 FROM main.nothing")

    with opened_lake(numbered) as connection:
        with pytest.raises(duckdb.CatalogException):
            again(connection, CLOCK, work)
        assert calls == [1]


def test_a_password_is_in_no_error_and_in_no_list_of_databases(tmp_path: Path) -> None:
    """DuckDB quotes the whole address when PostgreSQL can't be reached, and shows it to whoever may query."""
    password = Secret("never-to-be-seen")
    good = make_lake(tmp_path)
    with pytest.raises(WarehouseError) as refused:
        opened_lake(Lake(address="dbname=nowhere host=/nowhere", data_path=tmp_path, password=password))
    assert password.reveal() not in str(refused.value)
    with opened_lake(Lake(address=good.address, data_path=good.data_path, password=password)) as connection:
        shown = connection.execute("SELECT * FROM duckdb_databases()").fetchall()
        shown += connection.execute("SELECT * FROM duckdb_secrets()").fetchall()
    assert password.reveal() not in repr(shown)
    assert good.address in repr(shown)


@pytest.fixture
def for_analysts(tmp_path: Path) -> Lake:
    """A lake with the role and the rights that docs/lake.md tells to make."""
    lake = make_lake(tmp_path / "o'brien")
    with opened_lake(lake) as connection:
        ensure_lake(connection)
    database = lake.address.split()[0].removeprefix("dbname=")
    server = postgres.server()
    if not server.query(f"SELECT 1 FROM pg_roles WHERE rolname = '{ANALYST}'"):
        server.query(f"CREATE ROLE {ANALYST} LOGIN")
    text = Path(__file__).parents[2].joinpath("docs", "lake.md").read_text("utf-8")
    grants = re.findall(r"^(?:GRANT|ALTER DEFAULT PRIVILEGES)[^;]*;", text, re.MULTILINE)
    assert len(grants) == 3
    for grant in grants:
        server.query(grant, database)
    return lake


@contextmanager
def analyst(statement: str) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        load_extensions(connection)
        connection.execute(statement)
        yield connection


def test_what_status_prints_opens_the_records_read_only_and_not_the_log(for_analysts: Lake) -> None:
    """A statement that an analyst's DuckDB refuses, or that shows payloads, or a grant that is missing: the role is one
    of PostgreSQL's own, with what the documentation gives it."""
    with opened_lake(for_analysts) as connection, transaction(connection):
        # Made after the grants.
        connection.execute("CREATE TABLE facts.later AS SELECT 1 AS one")
    with analyst(for_analysts.attach_statement) as connection:
        assert connection.execute("SELECT count(*) FROM voronka.facts.kpi").fetchone() == (0,)
        assert connection.execute("FROM voronka.facts.later").fetchall() == [(1,)]
        schemas = connection.execute("SELECT DISTINCT schema_name FROM duckdb_tables() WHERE database_name = 'voronka'")
        assert {name for (name,) in schemas.fetchall()} == {"calc", "core", "facts", "meta"}
        with pytest.raises(duckdb.InvalidInputException, match="read-only"):
            connection.execute("DELETE FROM voronka.facts.kpi")


def test_an_analyst_s_role_can_neither_write_nor_see_payloads_however_it_attaches(for_analysts: Lake) -> None:
    """READ_ONLY is the analyst's own word: what holds is PostgreSQL's rights."""
    writing = for_analysts.attach_statement.replace(", READ_ONLY", "")
    with analyst(writing) as connection, pytest.raises(duckdb.Error, match="permission denied"):
        connection.execute("CREATE TABLE voronka.facts.mine AS SELECT 1 AS one")
    log = for_analysts.attach_statement.replace("voronka_warehouse", "voronka_raw")
    with pytest.raises(duckdb.Error, match=r"permission denied|does not exist"), analyst(log):
        pass


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("dbname=x", "dbname=x user=analyst"),
        ("dbname=x user=voronka host=db.local", "dbname=x host=db.local user=analyst"),
        (r"user='a \' b' dbname=x port=5433", "dbname=x port=5433 user=analyst"),
    ],
)
def test_the_statement_for_analysts_names_their_role_and_not_the_writer_s(address: str, shown: str) -> None:
    """Pasted as it is, it would open the lake with the rights to change it."""
    statement = Lake(address=address, data_path=Path("/srv")).attach_statement
    expected = "ATTACH 'ducklake:postgres:{}' AS voronka (METADATA_SCHEMA 'voronka_warehouse', READ_ONLY)"
    assert statement == expected.format(shown)
