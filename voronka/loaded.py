"""The warehouse as commands open it that need what was loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from base.errors import WarehouseError
from base.text import say

if TYPE_CHECKING:
    import duckdb

    from flows.project import Project
    from voronka.app import App


@contextmanager
def opened(app: App, project: Project, *, command: str, wait_seconds: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection under the writer's lock; the wait is told on stderr.

    Raises:
        WarehouseError: nothing was loaded yet.
        BusyError: another command holds the warehouse.
    """
    from flows.steps.sources import files_of
    from warehouse.database import open_warehouse

    require_loaded(project)
    with open_warehouse(
        files_of(project), command=command, clock=app.clock, wait_seconds=wait_seconds, on_wait=app.note
    ) as warehouse:
        yield warehouse.connection


def require_loaded(project: Project) -> None:
    """Raises WarehouseError when there is no warehouse: a command that only looks must not make one."""
    if project.lake is None and not project.warehouse_path.exists():
        path = project.warehouse_path
        raise WarehouseError(
            say("Ещё ничего не загружено: нет {path}.", "Nothing was loaded yet: no {path}.", path=path),
            remedy=say("Выполните `voronka sync`.", "Run `voronka sync`."),
        )
