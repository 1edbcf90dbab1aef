"""One load of a source at a time on a lake, on whatever machine. Loads of different sources run side by side there, so
the lock of a command (`warehouse/lake_lock.py`) does not hold two loads of one source apart; with files it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import duckdb

from base.clock import Clock
from base.text import Text, say
from warehouse.engine import ask_postgres, is_lake
from warehouse.lake_lock import POLL_SECONDS, guarding
from warehouse.quoting import quote_literal
from warehouse.waiting import wait_for

# The first of the lock's two numbers; the second is the source's.
SOURCE_KEY = 0x766F726F + 1


@contextmanager
def source_locks(
    connection: duckdb.DuckDBPyConnection,
    sources: Sequence[str],
    *,
    clock: Clock,
    wait_seconds: float,
    on_wait: Callable[[Text], None],
) -> Iterator[None]:
    """Hold the sources of the open lake; nothing with files. PostgreSQL frees the locks of a killed process.

    Raises:
        BusyError: another load of one of them did not end in `wait_seconds`.
    """
    if not is_lake(connection):
        yield
        return
    with guarding(connection) as guard:
        # In one order everywhere: two that wait for each other's would wait for ever.
        for source in sorted(sources):
            _wait_for_source(guard, source, clock, wait_seconds, on_wait)
        yield


def _wait_for_source(
    guard: duckdb.DuckDBPyConnection, source: str, clock: Clock, wait_seconds: float, on_wait: Callable[[Text], None]
) -> None:
    query = f"SELECT pg_try_advisory_xact_lock({SOURCE_KEY}, hashtext({quote_literal(source)})) AS is_held"
    wait_for(
        lambda: ask_postgres(guard, query) == [(True,)],
        clock=clock,
        wait_seconds=wait_seconds,
        poll_seconds=POLL_SECONDS,
        on_wait=on_wait,
        waiting=lambda: say("Жду: {source} уже загружается.", "Waiting: {source} is being loaded.", source=source),
        busy=lambda: say("Источник {source} уже загружается.", "{source} is being loaded already.", source=source),
    )
