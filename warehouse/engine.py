"""What the two engines do differently with one connection: a pair of files on one machine, or a lake many write to.

A connection tells itself which one it is: on a lake the catalog's own PostgreSQL is attached as `lake_lock`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import duckdb

from base.clock import Clock
from warehouse.quoting import quote_literal

logger = logging.getLogger(__name__)

T = TypeVar("T")
LOCK_CATALOG = "lake_lock"
# Any number: an advisory lock belongs to its PostgreSQL database, and a lake has one of its own.
LOCK_KEY = 0x766F726F  # "voro"
# Seconds before each new attempt: a PostgreSQL that is restarted is back within a minute.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

# Functions are named in full: a bare name is looked for in the default catalog first, and that begins a lake's
# transaction there, with a picture from before the lock, which then is let go before the lake commits.
_IS_LAKE = f"SELECT 1 FROM system.main.duckdb_databases() WHERE database_name = '{LOCK_CATALOG}'"
# DuckDB hands PostgreSQL's words, and those of its client library, on without codes; tests hold them.
_PASSING = (
    "server closed the connection",
    "Unable to connect to Postgres",
    "terminating connection",
    "could not receive data from server",
    "could not send data to server",
    "no connection to the server",
    "connection not open",
    "SSL SYSCALL error",
    "SSL connection has been closed",
    "Transaction conflict",
    'Failed to execute query "ROLLBACK"',
    'Failed to execute query "COMMIT"',
)
_NO_ROOM = ("could not allocate block", "failed to pin block")

# Connections that will not change any more: a small sync asked two hundred times, a tenth of its CPU.
_KINDS: WeakKeyDictionary[duckdb.DuckDBPyConnection, bool] = WeakKeyDictionary()


def note_kind(connection: duckdb.DuckDBPyConnection, *, is_a_lake: bool) -> None:
    """Said once by who has attached everything: `is_lake` need not ask the engine."""
    _KINDS[connection] = is_a_lake


def is_lake(connection: duckdb.DuckDBPyConnection) -> bool:
    known = _KINDS.get(connection)
    return connection.execute(_IS_LAKE).fetchone() is not None if known is None else known


def ask_postgres(
    connection: duckdb.DuckDBPyConnection, query: str, *, catalog: str = LOCK_CATALOG
) -> list[tuple[Any, ...]]:
    """What the PostgreSQL of the open lake answers to a query of its own."""
    return connection.execute(
        f"FROM system.main.postgres_query({quote_literal(catalog)}, {quote_literal(query)})"
    ).fetchall()


def tell_postgres(
    connection: duckdb.DuckDBPyConnection, statement: str, *, catalog: str = LOCK_CATALOG, is_alone: bool = True
) -> None:
    """A statement for the PostgreSQL of the open lake: outside any transaction, or within the connection's."""
    options = "use_transaction => false" if is_alone else "use_transaction => true"
    connection.execute(
        f"CALL system.main.postgres_execute({quote_literal(catalog)}, {quote_literal(statement)}, {options})"
    )


def temporary_tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Names of the connection's temporary tables. `duckdb_tables()` tells how large each relation is, temporary or not,
    and on a lake asks PostgreSQL for it: ten times the cost."""
    found = connection.execute(
        "SELECT table_name FROM duckdb_columns() WHERE database_name = 'temp'"
        " EXCEPT SELECT view_name FROM duckdb_views() WHERE temporary"
    )
    return {name for (name,) in found.fetchall()}


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit what the block did, or nothing of it. On a lake nobody else writes meanwhile, on no machine."""
    if is_lake(connection):
        with locked(connection):
            yield
        return
    with plain_transaction(connection):
        yield


@contextmanager
def locked(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """A transaction under the lake's write lock. PostgreSQL frees the lock of a killed process.

    DuckDB ends the transactions of attached databases in reverse order: the one that was begun first, the lock's, is
    the last to end, when the lake has committed.
    """
    with plain_transaction(connection):
        ask_postgres(connection, f"SELECT pg_advisory_xact_lock({LOCK_KEY})")
        yield
        # A lock is lost with its connection. What was written without one must not be committed.
        ask_postgres(connection, "SELECT 1")


@contextmanager
def plain_transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit what the block did, or nothing of it, under no lock."""
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # What made it is being raised already: an error inside may have ended the transaction, or the engine has given
        # up on the whole file, or the lake's PostgreSQL is not there to be told.
        with suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        raise


def again(connection: duckdb.DuckDBPyConnection, clock: Clock, work: Callable[[], T]) -> T:
    """What `work` gives. On a lake the whole of it is done again, while PostgreSQL is being restarted or when another
    writer came first. It must bear that: a commit whose answer was lost may have happened."""
    return patiently(clock, work) if is_lake(connection) else work()


def patiently(clock: Clock, work: Callable[[], T]) -> T:
    """What `work` gives, the whole of it done again while PostgreSQL gives errors that may pass."""
    for pause in PAUSES:
        try:
            return work()
        except duckdb.Error as error:
            if not may_pass(error):
                raise
            logger.warning("event=transaction_again error=%s seconds=%s", type(error).__name__, pause)
        clock.sleep(pause)
    return work()


def may_pass(error: duckdb.Error) -> bool:
    """Whether the same may succeed in a moment."""
    return any(words in str(error) for words in _PASSING)


def lacks_memory(error: duckdb.Error) -> bool:
    """Whether the memory limit was too low; at a COMMIT the engine tells it as a failed transaction."""
    return isinstance(error, duckdb.OutOfMemoryException) or any(words in str(error) for words in _NO_ROOM)
