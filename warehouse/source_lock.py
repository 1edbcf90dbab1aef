"""One load of a source at a time on a lake, on whatever machine. Loads of different sources run side by side there, so
the lock of a command (`warehouse/lake_lock.py`) does not hold two loads of one source apart; with files it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import duckdb

from base.clock import Clock
from base.errors import BusyError
from base.text import Text, say
from warehouse.engine import LOCK_CATALOG, is_lake
from warehouse.quoting import quote_literal

# The first of the lock's two numbers; the second is the source's.
SOURCE_KEY = 0x766F726F + 1
POLL_SECONDS = 0.5


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
    with connection.cursor() as guard:
        guard.execute("BEGIN")
        try:
            # In one order everywhere: two that wait for each other's would wait for ever.
            for source in sorted(sources):
                _acquire(guard, source, clock, clock.monotonic() + wait_seconds, on_wait)
            yield
        finally:
            # After a restart of PostgreSQL there is nothing to end.
            with suppress(duckdb.Error):
                guard.execute("ROLLBACK")


def _acquire(
    guard: duckdb.DuckDBPyConnection, source: str, clock: Clock, deadline: float, on_wait: Callable[[Text], None]
) -> None:
    told = False
    query = f"SELECT pg_try_advisory_xact_lock({SOURCE_KEY}, hashtext({quote_literal(source)})) AS is_held"
    # Named in full, or the lake would be asked first: see warehouse/engine.py.
    asked = f"SELECT is_held FROM system.main.postgres_query('{LOCK_CATALOG}', {quote_literal(query)})"
    while guard.execute(asked).fetchone() != (True,):
        if clock.monotonic() >= deadline:
            raise BusyError(
                say("Источник {source} уже загружается.", "{source} is being loaded already.", source=source),
                say(
                    "Дождитесь окончания или дайте больше времени: --wait СЕКУНДЫ.",
                    "Wait for it to end, or give it longer: --wait SECONDS.",
                ),
            )
        if not told:
            on_wait(say("Жду: {source} уже загружается.", "Waiting: {source} is being loaded.", source=source))
            told = True
        clock.sleep(POLL_SECONDS)
