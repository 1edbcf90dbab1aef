"""Retain: raw payloads are let go by the settings of their sources, and what is kept is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from base.clock import Clock, SystemClock
from connectors.registry import load_connector
from connectors.stream import Connector
from flows.project import Project
from flows.steps.progress import Progress, Silent
from flows.steps.sources import files_to_load
from warehouse.compact import compact
from warehouse.database import open_warehouse
from warehouse.lock import writer_lock
from warehouse.retention import Keeping, LetGo, let_go, wants_compacting

EVERY_OTHER = "*"


@dataclass(frozen=True)
class RetainReport:
    streams: list[LetGo]
    saved: int  # bytes by which the raw file shrank


def retain(
    project: Project,
    *,
    clock: Clock | None = None,
    wait_seconds: float = 60.0,
    progress: Progress | None = None,
    find_connector: Callable[[str], Connector[Any]] = load_connector,
) -> RetainReport:
    """Let go of the raw payloads that no setting keeps; the file shrinks when much of it has become free.

    Raises:
        BusyError: another command holds the warehouse.
    """
    clock = clock or SystemClock()
    progress = progress or Silent()
    files = files_to_load(project)
    locking: dict[str, Any] = {"clock": clock, "wait_seconds": wait_seconds, "on_wait": progress.say}
    with open_warehouse(files, command="retain", **locking) as warehouse:
        done = let_go(warehouse, list(keepings(project, find_connector)), clock.now())
        is_worth_it = bool(done) and wants_compacting(warehouse.connection)
    saved = 0
    if is_worth_it:
        with writer_lock(files.warehouse, command="retain", **locking):
            saved = compact(files.raw, "raw", memory_limit=files.memory_ceiling)
    return RetainReport(done, saved)


def keepings(project: Project, find_connector: Callable[[str], Connector[Any]] = load_connector) -> Iterator[Keeping]:
    """What the sources' `raw_days` say of each of their streams; streams that are kept for ever are left out."""
    for source in project.sources.values():
        days = source.settings.raw_days
        if not days:
            continue
        for stream in find_connector(source.type).streams:
            kept = days.get(stream.name, days.get(EVERY_OTHER))
            if kept is not None:
                yield Keeping(source.name, stream.name, kept, keeps_latest=stream.kind == "dictionary")
