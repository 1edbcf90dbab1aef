"""Publish: the analysts' file becomes a picture of the warehouse as it stands, with personal data or without."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from base.clock import Clock, SystemClock
from flows.project import Project
from flows.steps.progress import Progress, Silent
from flows.steps.sources import files_of
from metrics.catalogue import load_catalogue
from metrics.views import views
from warehouse.company_key import company_key
from warehouse.database import open_warehouse
from warehouse.lock import writer_lock
from warehouse.migrate import ensure_schema
from warehouse.publish import publish_copy, publish_lake, publish_masked


@dataclass(frozen=True)
class PublishReport:
    path: Path
    size: int  # bytes


def publish(
    project: Project, *, clock: Clock | None = None, wait_seconds: float = 60.0, progress: Progress | None = None
) -> PublishReport:
    """Replace the analysts' file in one step; who has it open keeps the old picture.

    Raises:
        BusyError: another command holds the warehouse.
    """
    clock = clock or SystemClock()
    progress = progress or Silent()
    files = files_of(project)
    if files.lake is not None:
        with open_warehouse(
            files, command="publish", clock=clock, wait_seconds=wait_seconds, on_wait=progress.say
        ) as warehouse:
            size = publish_open(project, warehouse.connection)
        return PublishReport(project.publish_path, size)
    files.warehouse.parent.mkdir(parents=True, exist_ok=True)
    with writer_lock(files.warehouse, command="publish", clock=clock, wait_seconds=wait_seconds, on_wait=progress.say):
        ensure_schema(files.warehouse, "warehouse", clock)
        size = publish_now(project)
    return PublishReport(project.publish_path, size)


def publish_open(project: Project, connection: duckdb.DuckDBPyConnection) -> int:
    """The same for a step that has the lake open; gives the file's size in bytes."""
    mode = None if project.personal_data == "full" else project.personal_data
    company = project.company
    words = {view.name: view.columns for view in views(load_catalogue(company.metrics_dir), company.zone)}
    return publish_lake(connection, project.publish_path, mode, company_key(project.state_dir), words)


def publish_now(project: Project) -> int:
    """The same for a step that holds the writer's lock itself; gives the file's size in bytes."""
    if project.personal_data == "full":
        return publish_copy(project.warehouse_path, project.publish_path)
    key = company_key(project.state_dir)
    return publish_masked(project.warehouse_path, project.publish_path, project.personal_data, key)
