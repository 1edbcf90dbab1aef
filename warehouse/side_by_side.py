"""Pieces of work on one open warehouse, several at a time: a thread each, with a session of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from typing import TypeVar

import duckdb

from warehouse.quoting import quote_name

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def side_by_side(
    connection: duckdb.DuckDBPyConnection,
    jobs: int,
    work: Callable[[duckdb.DuckDBPyConnection, Piece], Result],
    pieces: Sequence[Piece],
) -> list[Result]:
    """What `work` gives for each piece, in order. It gets a session of the same database to itself, in which the
    temporary tables of others are not seen.

    After an error no piece is begun; those under way are ended first, then the error of the earliest is raised.
    """
    jobs = min(jobs, len(pieces))
    if jobs <= 1:
        return [work(connection, piece) for piece in pieces]
    free: SimpleQueue[duckdb.DuckDBPyConnection] = SimpleQueue()

    def in_session(piece: Piece) -> Result:
        session = free.get()
        try:
            return work(session, piece)
        finally:
            free.put(session)

    with _threads_shared(connection, jobs), ExitStack() as opened:
        for _ in range(jobs):
            free.put(opened.enter_context(session_beside(connection)))
        with ThreadPoolExecutor(jobs, thread_name_prefix="side") as pool:
            started = [pool.submit(in_session, piece) for piece in pieces]
            try:
                wait(started, return_when=FIRST_EXCEPTION)
            finally:
                for future in started:
                    future.cancel()
        # Of what was cancelled nothing is asked: an error stands before it, or there was none.
        return [future.result() for future in _told(started)]


def _told(started: Sequence[Future[Result]]) -> Sequence[Future[Result]]:
    """The first that failed, or all."""
    failed = [future for future in started if not future.cancelled() and future.exception() is not None]
    return failed[:1] or started


@contextmanager
def session_beside(connection: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """Another session of an open warehouse, with the same default catalog and time zone."""
    with connection.cursor() as session:
        row = connection.execute("SELECT current_database(), current_setting('TimeZone')").fetchone()
        assert row is not None
        session.execute(f"USE {quote_name(row[0])}")
        session.execute("SET TimeZone = $1", [row[1]])
        yield session


@contextmanager
def _threads_shared(connection: duckdb.DuckDBPyConnection, jobs: int) -> Iterator[None]:
    """A statement runs on its caller's thread and on those of the engine: together as many as before."""
    row = connection.execute("SELECT current_setting('threads')").fetchone()
    assert row is not None
    fewer = max(1, int(row[0]) - jobs + 1)
    connection.execute(f"SET threads = {int(fewer)}")
    try:
        yield
    finally:
        connection.execute(f"SET threads = {int(row[0])}")
