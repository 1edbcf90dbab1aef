"""One writer: a lock file beside the warehouse. A second command waits and says for whom."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from base.clock import Clock
from base.text import Text, say
from warehouse.pause import let_backup_in, take
from warehouse.shortage import shortage_told
from warehouse.waiting import wait_for

POLL_SECONDS = 0.2


def _ignore(message: Text) -> None:
    return None


@contextmanager
def writer_lock(
    warehouse: Path,
    *,
    command: str,
    clock: Clock,
    wait_seconds: float,
    on_wait: Callable[[Text], None] = _ignore,
    lets_backup_in: bool = True,
) -> Iterator[None]:
    """Hold the warehouse for one command. The kernel frees the lock of a killed process.

    A backup that is copying because an earlier holder let it is waited for, unless the caller is that backup.

    Raises:
        BusyError: somebody else held it for all of `wait_seconds`.
        DiskFullError: what the caller wrote found no room.
        MemoryShortError: the caller's work needed more memory than the engine may take.
    """
    lock = FileLock(str(warehouse) + ".lock")
    holder = Path(str(warehouse) + ".holder.json")
    wait_for(
        lambda: take(lock),
        clock=clock,
        wait_seconds=wait_seconds,
        poll_seconds=POLL_SECONDS,
        on_wait=on_wait,
        waiting=lambda: say(
            "Жду: хранилище занято: {whom}.", "Waiting: the warehouse is busy: {whom}.", whom=_describe(holder)
        ),
        busy=lambda: say("Хранилище занято: {whom}.", "The warehouse is busy: {whom}.", whom=_describe(holder)),
    )
    try:
        with shortage_told(warehouse):
            facts = {"command": command, "pid": os.getpid(), "since": clock.now().isoformat(timespec="seconds")}
            holder.write_text(json.dumps(facts), encoding="utf-8")
            if lets_backup_in:
                let_backup_in(warehouse)
            yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _describe(holder: Path) -> Text:
    try:
        facts = json.loads(holder.read_text(encoding="utf-8"))
        since = datetime.fromisoformat(facts["since"])
        return say(
            "voronka {command}, процесс {pid}, с {since:%H:%M:%S} UTC",
            "voronka {command}, process {pid}, since {since:%H:%M:%S} UTC",
            command=facts["command"],
            pid=facts["pid"],
            since=since,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return say("другая команда voronka", "another voronka command")
