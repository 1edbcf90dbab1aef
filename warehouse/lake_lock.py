"""Which commands may work on one lake at the same time, on whatever machines: loads and looks, but nothing beside what
reads all of it in several steps (resolve, recompute, replay): that would see half of a load.

A PostgreSQL advisory lock, shared or not, held by a transaction of its own as long as the command runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import duckdb

from base.clock import Clock
from base.text import Text, say
from warehouse.engine import ask_postgres
from warehouse.waiting import wait_for

COMMAND_KEY = 0x766F726F + 1
POLL_SECONDS = 0.5
# Each of their transactions is right beside those of others.
SIDE_BY_SIDE = frozenset({"sync", "status", "maintain"})


@contextmanager
def command_lock(
    connection: duckdb.DuckDBPyConnection,
    command: str,
    *,
    clock: Clock,
    wait_seconds: float,
    on_wait: Callable[[Text], None],
) -> Iterator[None]:
    """Hold the lake for a command; PostgreSQL frees the lock of a killed process.

    Raises:
        BusyError: commands that can't run beside this one did not end in `wait_seconds`.
    """
    shared = "_shared" if command in SIDE_BY_SIDE else ""
    query = f"SELECT pg_try_advisory_xact_lock{shared}({COMMAND_KEY}) AS is_held"
    with guarding(connection) as guard:
        wait_for(
            lambda: ask_postgres(guard, query) == [(True,)],
            clock=clock,
            wait_seconds=wait_seconds,
            poll_seconds=POLL_SECONDS,
            on_wait=on_wait,
            waiting=lambda: say("Жду: озеро занято другой командой.", "Waiting: another command holds the lake."),
            busy=lambda: say("Озеро занято другой командой voronka.", "Another voronka command holds the lake."),
        )
        yield


@contextmanager
def guarding(connection: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A transaction of the lake's PostgreSQL beside all others: what it locks is held until the block ends."""
    with connection.cursor() as guard:
        guard.execute("BEGIN")
        try:
            yield guard
        finally:
            # After a restart of PostgreSQL there is nothing to end.
            with suppress(duckdb.Error):
                guard.execute("ROLLBACK")
