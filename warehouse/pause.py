"""The writer's side of a backup: a moment's rest at a place where both files are whole.

DuckDB locks a file against every other process, and a file copied while it is written is no copy of anything. So the
backup (warehouse/standstill.py) leaves a request beside the warehouse and holds a lock of its own. The writer looks
for requests between its transactions; it moves its logs into the files, says so, and waits until the backup has let
its lock go. The kernel does that for a backup that was killed, so nobody waits for the dead; a request has an id, so
what a killed writer left behind is no answer to a later one.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from base.points import reached
from warehouse.engine import is_lake

POLL_SECONDS = 0.05


def backup_lock(warehouse: Path) -> FileLock:
    """Held by the one backup that runs."""
    return FileLock(f"{warehouse}.backup.lock")


def request_path(warehouse: Path) -> Path:
    return warehouse.with_name(f"{warehouse.name}.backup-request")


def answer_path(warehouse: Path) -> Path:
    return warehouse.with_name(f"{warehouse.name}.backup-may-copy")


def let_backup_in(warehouse: Path, connection: duckdb.DuckDBPyConnection | None = None) -> None:
    """The writer's side: return at once if nobody asks, else once the backup has its copy.

    The caller holds the writer's lock and is in no transaction; `connection` is None while it has no file open.
    """
    request = request_path(warehouse)
    if not request.exists():
        return
    lock = backup_lock(warehouse)
    if is_free(lock):
        request.unlink(missing_ok=True)  # its backup was killed
        return
    if connection is not None and not is_lake(connection):
        connection.execute("CHECKPOINT landing")
        connection.execute("CHECKPOINT warehouse")
    answer = answer_path(warehouse)
    try:
        while not is_free(lock):
            # Another backup may have taken over the lock in between: it has a request of its own.
            answer.write_text(read_id(request), "ascii")
            reached("pause.answered")
            with suppress(Timeout):
                lock.acquire(timeout=POLL_SECONDS)
                lock.release()
    finally:
        answer.unlink(missing_ok=True)


def is_free(lock: FileLock) -> bool:
    """Nobody holds it."""
    if not take(lock):
        return False
    lock.release()
    return True


def take(lock: FileLock) -> bool:
    """Take the lock if it is free, without waiting."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def read_id(path: Path) -> str:
    """The id in a request or answer; '' where there is none."""
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        return ""
