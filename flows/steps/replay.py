"""Replay: conform the stored raw records again, after a mapping was mended. No network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from base.clock import Clock, SystemClock
from base.points import reached
from connectors.registry import load_connector
from connectors.stream import Connector
from flows.project import Project, Source
from flows.steps.conforming import examples_of
from flows.steps.progress import Progress, Silent, StreamReport
from flows.steps.recompute import prepare
from flows.steps.sources import choose_sources, files_to_load, map_context
from flows.steps.sync import SyncReport
from warehouse.conform import Conformer
from warehouse.database import Warehouse, open_warehouse
from warehouse.replay import forget_core


def replay(
    project: Project,
    *,
    sources: Sequence[str] = (),
    clock: Clock | None = None,
    wait_seconds: float = 60.0,
    progress: Progress | None = None,
    find_connector: Callable[[str], Connector[Any]] = load_connector,
) -> SyncReport:
    """Make the core rows of sources anew from the log.

    Killed meanwhile, the next sync or replay conforms the rest; until then the source counts as complete until
    nowhere, so nothing is computed from the half of it.

    Raises:
        ConfigError: an unknown source name.
        BusyError: another command holds the warehouse.
    """
    clock = clock or SystemClock()
    progress = progress or Silent()
    chosen = choose_sources(project, sources)
    report = SyncReport(run_id="replay")
    with open_warehouse(
        files_to_load(project), command="replay", clock=clock, wait_seconds=wait_seconds, on_wait=progress.say
    ) as warehouse:
        for source in chosen:
            connector = find_connector(source.type).serving(source.settings)
            report.streams += _replay_source(project, warehouse, source, connector, clock, progress)
        prepare(warehouse, project, clock)
    return report


def _replay_source(
    project: Project,
    warehouse: Warehouse,
    source: Source,
    connector: Connector[Any],
    clock: Clock,
    progress: Progress,
) -> list[StreamReport]:
    conformer = Conformer(warehouse, clock, project.company.language)
    context = map_context(project, source)
    reports = []
    with warehouse.transaction():
        forget_core(warehouse.connection, source.name)
    reached("replay.forgotten")
    for stream in connector.streams:
        progress.stream_started(source.name, stream.name, stream.label)
        started = clock.monotonic()
        done = conformer.conform(stream, context)
        reports.append(
            StreamReport(
                source=source.name,
                stream=stream.name,
                label=stream.label,
                rows=0,
                core_rows=done.written,
                requests=0,
                rejected=done.rejected,
                seconds=clock.monotonic() - started,
                let_go=done.let_go,
                examples=tuple(examples_of(done)),
            )
        )
        progress.stream_finished(reports[-1])
    return reports
