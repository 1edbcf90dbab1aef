"""Recompute: bring inputs and resolve up to date, then compute the facts of the periods asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from base.clock import Clock, SystemClock
from base.points import reached
from flows.project import Project
from flows.steps.progress import Progress, Silent
from flows.steps.sources import files_to_compute
from metrics.catalogue import load_catalogue
from metrics.compute import PeriodReport
from metrics.compute import recompute as compute_periods
from metrics.inputs import InputsReport, load_inputs
from metrics.periods import Period
from metrics.resolve import ResolveReport, resolve
from metrics.sources import store_sources
from metrics.touched import periods_touched
from warehouse.database import Warehouse, open_warehouse
from warehouse.pause import let_backup_in


@dataclass
class RecomputeReport:
    """What changed on the way: inputs, resolved relations, facts by period."""

    inputs: InputsReport
    resolved: ResolveReport
    periods: list[PeriodReport] = field(default_factory=list)


def recompute(
    project: Project,
    periods: Sequence[Period] | None,
    *,
    clock: Clock | None = None,
    wait_seconds: float = 60.0,
    progress: Progress | None = None,
    jobs: int = 1,
) -> RecomputeReport:
    """Compute the facts of the periods; None = every open period touched by what changed. `jobs` periods are computed
    at a time, once inputs and resolve are up to date; each may use as much memory as one alone.

    Raises:
        InputError: the input files have problems; nothing was computed.
        ClosedPeriodError: one of the periods is closed; nothing was computed.
        BusyError: another command holds the warehouse.
    """
    clock = clock or SystemClock()
    progress = progress or Silent()
    with open_warehouse(
        files_to_compute(project, jobs),
        command="recompute",
        clock=clock,
        wait_seconds=wait_seconds,
        on_wait=progress.say,
    ) as warehouse:
        catalogue = load_catalogue(project.company.metrics_dir)
        report = prepare(warehouse, project, clock)
        if periods is None:
            periods = periods_touched(warehouse.connection, project.company, catalogue)
        report.periods = warehouse.again(
            lambda: compute_periods(
                warehouse.connection, project.company, periods, clock, catalogue=catalogue, jobs=jobs
            ),
        )
        reached("recompute.done")
        return report


def touched(
    project: Project,
    *,
    clock: Clock | None = None,
    wait_seconds: float = 60.0,
    progress: Progress | None = None,
) -> list[Period]:
    """The open periods that `recompute(project, None)` would compute, with inputs and resolve brought up to date.

    Raises:
        InputError: the input files have problems.
        BusyError: another command holds the warehouse.
    """
    clock = clock or SystemClock()
    progress = progress or Silent()
    with open_warehouse(
        files_to_compute(project, jobs=1),
        command="recompute",
        clock=clock,
        wait_seconds=wait_seconds,
        on_wait=progress.say,
    ) as warehouse:
        prepare(warehouse, project, clock)
        catalogue = load_catalogue(project.company.metrics_dir)
        return periods_touched(warehouse.connection, project.company, catalogue)


def prepare(warehouse: Warehouse, project: Project, clock: Clock) -> RecomputeReport:
    """Read changed inputs and tie records to people, deals and stages; nothing is done twice."""
    connection, company = warehouse.connection, project.company
    store_sources(connection, company)
    inputs = warehouse.again(lambda: load_inputs(connection, company, clock))
    reached("resolve.before")
    let_backup_in(warehouse.files.warehouse, warehouse.connection)
    resolved = warehouse.again(lambda: resolve(connection, company, clock))
    reached("resolve.after")
    let_backup_in(warehouse.files.warehouse, warehouse.connection)
    return RecomputeReport(inputs, resolved)
