"""Which commands may work on one lake at the same time, on whatever machines: loads and looks, but nothing beside what
reads all of it in several steps (resolve, recompute, replay): that would see half of a load.

A PostgreSQL advisory lock, shared or not, held by a transaction of its own as long as the command runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import duckdb

from base.clock import Clock
from base.errors import BusyError
from base.text import Text, say
from warehouse.engine import LOCK_CATALOG

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
    with connection.cursor() as guard:
        guard.execute("BEGIN")
        try:
            _acquire(guard, command in SIDE_BY_SIDE, clock, wait_seconds, on_wait)
            yield
        finally:
            # After a restart of PostgreSQL there is nothing to end.
            with suppress(duckdb.Error):
                guard.execute("ROLLBACK")


def _acquire(
    guard: duckdb.DuckDBPyConnection,
    is_shared: bool,
    clock: Clock,
    wait_seconds: float,
    on_wait: Callable[[Text], None],
) -> None:
    deadline = clock.monotonic() + wait_seconds
    told = False
    # Named in full, or the lake would be asked first: see warehouse/engine.py.
    asked = (
        f"SELECT is_held FROM system.main.postgres_query('{LOCK_CATALOG}',"
        f" 'SELECT pg_try_advisory_xact_lock{'_shared' if is_shared else ''}({COMMAND_KEY}) AS is_held')"
    )
    while guard.execute(asked).fetchone() != (True,):
        if clock.monotonic() >= deadline:
            raise BusyError(
                say("Озеро занято другой командой voronka.", "Another voronka command holds the lake."),
                say(
                    "Дождитесь окончания или дайте больше времени: --wait СЕКУНДЫ.",
                    "Wait for it to end, or give it longer: --wait SECONDS.",
                ),
            )
        if not told:
            on_wait(say("Жду: озеро занято другой командой.", "Waiting: another command holds the lake."))
            told = True
        clock.sleep(POLL_SECONDS)
