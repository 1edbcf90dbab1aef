"""A night: sync, recompute every open period that changed, publish. One source's failure stops none of the rest."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from base.clock import Clock, SystemClock
from flows.project import Project
from flows.steps.progress import Progress
from flows.steps.publish import PublishReport, publish
from flows.steps.recompute import RecomputeReport, recompute
from flows.steps.retain import RetainReport, retain
from flows.steps.sync import SyncReport, sync


@dataclass(frozen=True)
class NightlyReport:
    synced: SyncReport
    retained: RetainReport
    recomputed: RecomputeReport
    published: PublishReport

    @property
    def is_ok(self) -> bool:
        return self.synced.is_ok


def nightly(
    project: Project,
    *,
    clock: Clock | None = None,
    wait_seconds: float = 60.0,
    progress: Progress | None = None,
    transport: httpx.BaseTransport | None = None,
) -> NightlyReport:
    """The scheduled run. Every step takes the writer's lock for itself, so a short command may slip in between.

    Raises:
        BusyError: another command held the warehouse for longer than `wait_seconds`.
        InputError: the inputs have problems; what was loaded is kept and stays unpublished.
    """
    clock = clock or SystemClock()
    synced = sync(project, clock=clock, wait_seconds=wait_seconds, progress=progress, transport=transport)
    retained = retain(project, clock=clock, wait_seconds=wait_seconds, progress=progress)
    recomputed = recompute(project, None, clock=clock, wait_seconds=wait_seconds, progress=progress)
    published = publish(project, clock=clock, wait_seconds=wait_seconds, progress=progress)
    return NightlyReport(synced, retained, recomputed, published)
