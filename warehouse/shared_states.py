"""Small named states that all machines of a lake share: request budgets, and what a backfill has done.

Rows of one table in a schema of its own (`voronka_fleet`) of the catalog's PostgreSQL. A change is a transaction under
an advisory lock of the state's name, so PostgreSQL frees what a killed process held. Times go by PostgreSQL's clock:
machines' own clocks differ, and a budget is a matter of milliseconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeVar

import duckdb

from base.clock import Clock
from base.errors import WarehouseError
from base.text import say
from warehouse.address import Lake
from warehouse.engine import ask_postgres, patiently, plain_transaction, tell_postgres
from warehouse.extensions import load_extensions
from warehouse.lake_catalog import attach_postgres
from warehouse.quoting import quote_literal

T = TypeVar("T")
SCHEMA = "voronka_fleet"
# The first of an advisory lock's two numbers, the second is the name's (`warehouse/source_lock.py` has another first).
LOCK_KEY = 0x766F726F
# A machine that lost its power in the middle of a change: others wait no longer than this.
IDLE_MILLISECONDS = 10_000
# How old a comparison of the clocks may become, and how far back it may set ours.
COMPARED_SECONDS = 60.0
LONGEST_STEP_BACK = 1.0
_CATALOG = "fleet"

ask = partial(ask_postgres, catalog=_CATALOG)
tell = partial(tell_postgres, catalog=_CATALOG, is_alone=False)


class SharedStates:
    """A connection to the PostgreSQL of a lake, for its states; closed by `close`."""

    def __init__(self, lake: Lake, clock: Clock) -> None:
        self._lake = lake
        self._clock = clock
        self._time = threading.Lock()
        self._ahead: float | None = None  # PostgreSQL's Unix seconds less our monotonic ones
        self._compared_at = 0.0
        self._connection = duckdb.connect(
            config={"threads": 1, "autoinstall_known_extensions": False, "autoload_known_extensions": False}
        )
        load_extensions(self._connection, ("postgres_scanner",))
        self._again(self._attach)

    def open(self, name: str) -> SharedState:
        return SharedState(self, name, self._connection.cursor())

    def close(self) -> None:
        self._connection.close()

    def now(self) -> float:
        """Unix seconds by PostgreSQL's clock."""
        with self._time:
            present = self._clock.monotonic()
            if self._ahead is None or present - self._compared_at > COMPARED_SECONDS:
                self._compare(present)
            assert self._ahead is not None
            return self._ahead + self._clock.monotonic()

    def _compare(self, present: float) -> None:
        query = "SELECT extract(epoch FROM clock_timestamp())::float8 AS now"
        [(now,)] = self._again(lambda: ask(self._connection, query))
        # The answer is as old as half of the way to it and back.
        ahead = float(now) - (present + self._clock.monotonic()) / 2
        # Behind by more: another server took over, or a test's clock ran ahead. What was promised by ours stays.
        if self._ahead is None or ahead > self._ahead - LONGEST_STEP_BACK:
            self._ahead = ahead
        self._compared_at = present

    def _attach(self) -> None:
        connection = self._connection
        connection.execute(f"SET pg_idle_in_transaction_timeout_millis = {IDLE_MILLISECONDS}")
        connection.execute(f"DETACH DATABASE IF EXISTS {_CATALOG}")
        # Who waited for a lock must see what its last holder wrote: the extension's own REPEATABLE READ shows what was
        # there when the waiting began.
        attach_postgres(connection, self._lake, _CATALOG, "ISOLATION_LEVEL 'READ COMMITTED'")
        if ask(connection, f"SELECT to_regclass('{SCHEMA}.states') IS NULL AS lacks") == [(True,)]:
            with plain_transaction(connection):
                ask(connection, f"SELECT pg_advisory_xact_lock({LOCK_KEY}, 0)")
                tell(
                    connection,
                    f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}; "
                    f"CREATE TABLE IF NOT EXISTS {SCHEMA}.states (name text PRIMARY KEY, content text NOT NULL)",
                )

    def _again(self, work: Callable[[], T]) -> T:
        """What `work` gives, tried anew while PostgreSQL is restarted.

        Raises:
            WarehouseError: it is not there.
        """
        try:
            return patiently(self._clock, work)
        except duckdb.Error as error:
            raise _told(error) from error


class SharedState:
    """A row; `connectors/states.py` says what it promises."""

    def __init__(self, states: SharedStates, name: str, connection: duckdb.DuckDBPyConnection) -> None:
        self._states = states
        self._name = name
        self._connection = connection
        self._threads = threading.RLock()

    def now(self) -> float:
        return self._states.now()

    def read(self) -> bytes:
        with self._threads:
            return self._states._again(self._select)

    @contextmanager
    def changing(self) -> Iterator[Change]:
        with self._threads:
            change = Change(self._states._again(self._begin))
            before = change.content
            try:
                yield change
                if change.content != before:
                    self._put(change.content)
                self._connection.execute("COMMIT")
            except duckdb.Error:
                self._roll_back()
                # It may have been kept or not; whoever came in between has waited for a restart's seconds.
                self._states._again(lambda: self._keep(before, change.content))
            except BaseException:
                self._roll_back()
                raise

    def _begin(self) -> bytes:
        self._connection.execute("BEGIN")
        try:
            return self._held()
        except BaseException:
            self._roll_back()
            raise

    def _keep(self, before: bytes, content: bytes) -> None:
        with plain_transaction(self._connection):
            if self._held() == before:
                self._put(content)

    def _held(self) -> bytes:
        """The content, which nobody else changes until the transaction ends."""
        ask(self._connection, f"SELECT pg_advisory_xact_lock({LOCK_KEY}, hashtext({quote_literal(self._name)}))")
        return self._select()

    def _select(self) -> bytes:
        rows = ask(self._connection, f"SELECT content FROM {SCHEMA}.states WHERE name = {quote_literal(self._name)}")
        return str(rows[0][0]).encode() if rows else b""

    def _put(self, content: bytes) -> None:
        values = f"{quote_literal(self._name)}, {quote_literal(content.decode())}"
        tell(
            self._connection,
            f"INSERT INTO {SCHEMA}.states VALUES ({values})"
            " ON CONFLICT (name) DO UPDATE SET content = EXCLUDED.content",
        )

    def _roll_back(self) -> None:
        with suppress(duckdb.Error):
            self._connection.execute("ROLLBACK")


class Change:
    """What a state holds while nobody else may change it."""

    def __init__(self, content: bytes) -> None:
        self.content = content


def _told(error: duckdb.Error) -> WarehouseError:
    return WarehouseError(
        say("PostgreSQL озера не отвечает: {cause}", "The lake's PostgreSQL does not answer: {cause}", cause=error),
        say(
            "Проверьте warehouse.path в voronka.toml и что PostgreSQL работает.",
            "Check warehouse.path in voronka.toml, and that PostgreSQL is running.",
        ),
    )
