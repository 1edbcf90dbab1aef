"""Maintain: files that grew by every load are brought into order, on a lake or on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.clock import Clock, SystemClock
from base.errors import WarehouseError
from base.text import say
from flows.project import Project
from flows.steps.progress import Progress, Silent
from flows.steps.sources import files_of
from warehouse.compact import compact
from warehouse.database import Files, open_warehouse
from warehouse.lake_upkeep import Upkeep, keep_up
from warehouse.lock import writer_lock
from warehouse.retention import wants_compacting


@dataclass(frozen=True)
class FileUpkeep:
    """A file of this machine: its size with its log, in bytes."""

    path: Path
    before: int
    after: int
    is_compacted: bool


@dataclass(frozen=True)
class MaintainReport:
    """What was done: to both lakes, or to both files."""

    lakes: tuple[Upkeep, ...] = ()
    files: tuple[FileUpkeep, ...] = ()


def maintain(
    project: Project, *, clock: Clock | None = None, wait_seconds: float = 60.0, progress: Progress | None = None
) -> MaintainReport:
    """Tidy up; loads may run beside it on a lake. Killed anywhere, the next one does the rest.

    Raises:
        BusyError: another command holds the warehouse.
        WarehouseError: there are no files yet.
    """
    clock = clock or SystemClock()
    progress = progress or Silent()
    files = files_of(project)
    locking: dict[str, Any] = {"clock": clock, "wait_seconds": wait_seconds, "on_wait": progress.say}
    if project.lake is not None:
        with open_warehouse(files, command="maintain", **locking) as warehouse:
            return MaintainReport(lakes=tuple(keep_up(warehouse.connection, clock, project.lake)))
    return MaintainReport(files=_maintain_files(files, locking))


def _maintain_files(files: Files, locking: dict[str, Any]) -> tuple[FileUpkeep, ...]:
    """The logs are moved into their files; the raw file is written anew when much of it is free."""
    paths = (files.raw, files.warehouse)
    if not all(path.is_file() for path in paths):
        raise WarehouseError(say("Делать ещё нечего: данных нет.", "Nothing to do: there is no data yet."))
    before = [_size(path) for path in paths]
    with open_warehouse(files, command="maintain", **locking) as warehouse:
        for catalog in ("landing", "warehouse"):
            warehouse.connection.execute(f"CHECKPOINT {catalog}")
        is_compacted = wants_compacting(warehouse.connection)
    if is_compacted:
        with writer_lock(files.warehouse, command="maintain", **locking):
            compact(files.raw, "raw", memory_limit=files.memory_ceiling)
    return tuple(
        FileUpkeep(path, size, _size(path), is_compacted and path == files.raw)
        for path, size in zip(paths, before, strict=True)
    )


def _size(path: Path) -> int:
    wal = path.with_name(f"{path.name}.wal")
    return path.stat().st_size + (wal.stat().st_size if wal.exists() else 0)
