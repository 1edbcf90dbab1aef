"""What the machines of a lake share beside its records; an installation with files has no other machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from base.clock import Clock
from flows.project import Project
from warehouse.shared_states import SharedStates


@contextmanager
def shared_states(project: Project, clock: Clock) -> Iterator[SharedStates | None]:
    """The states that all machines share; None with files.

    Raises:
        WarehouseError: no extension, or no PostgreSQL.
    """
    if project.lake is None:
        yield None
        return
    with closing(SharedStates(project.lake, clock)) as states:
        yield states
