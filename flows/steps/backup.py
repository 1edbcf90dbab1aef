"""Backup and restore: an installation's data as one file, made while a night runs, and put back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from base.clock import Clock, SystemClock
from base.errors import WarehouseError
from base.text import say
from flows.project import Project
from flows.steps.progress import Progress, Silent
from flows.steps.sources import files_of, require_files
from warehouse.backup import Contents, Manifest, Restored, examine, making, pack, snapshot
from warehouse.backup import restore as restore_files
from warehouse.lock import writer_lock
from warehouse.standstill import standing_still


@dataclass(frozen=True)
class BackupReport:
    path: Path
    size: int  # bytes
    manifest: Manifest


def backup(
    project: Project,
    target: Path,
    *,
    clock: Clock | None = None,
    wait_seconds: float = 60.0,
    progress: Progress | None = None,
) -> BackupReport:
    """Write one file with everything but secrets; it is opened and read back before it takes its place.

    A command that writes is stopped only while the two databases are copied.

    Raises:
        BusyError: the writer did not rest, or another backup did not end, in `wait_seconds`.
        WarehouseError: nothing was loaded yet, no room at the target, or the copy can't be opened.
    """
    clock = clock or SystemClock()
    progress = progress or Silent()
    require_files(project, "backup")
    files = files_of(project)
    if not (files.warehouse.is_file() and files.raw.is_file()):
        raise WarehouseError(say("Копировать ещё нечего.", "There is nothing to back up yet."))
    with making(target) as folder:
        with standing_still(files.warehouse, clock=clock, wait_seconds=wait_seconds, on_wait=progress.say):
            snapshot(files, folder)
        manifest = examine(folder, clock.now())
        size = pack(folder, contents_of(project), manifest, target)
    return BackupReport(target, size, manifest)


def restore(
    project: Project,
    archive: Path,
    *,
    replace: bool = False,
    clock: Clock | None = None,
    wait_seconds: float = 60.0,
    progress: Progress | None = None,
) -> Restored:
    """Put a backup in place; the next night goes on from where it was made.

    Raises:
        UsageError: no backup, or there is data already and `replace` wasn't said.
        WarehouseError: the backup is damaged, or there is no room. Nothing was changed.
        BusyError: another command holds the warehouse.
    """
    clock = clock or SystemClock()
    progress = progress or Silent()
    require_files(project, "restore")
    files = files_of(project)
    files.warehouse.parent.mkdir(parents=True, exist_ok=True)
    with writer_lock(files.warehouse, command="restore", clock=clock, wait_seconds=wait_seconds, on_wait=progress.say):
        return restore_files(archive, files, contents_of(project), replace=replace)


def contents_of(project: Project) -> Contents:
    """What of the project goes into a backup beside its databases."""
    return Contents(inputs_dir=project.company.inputs_dir, state_dir=project.state_dir)
