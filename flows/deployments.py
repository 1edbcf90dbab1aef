"""The steps as Prefect flows: a schedule, retries, a history and a page to look at. The only file that imports Prefect.

Flows hold no logic: the same functions in `flows.steps` do the work for the command line. Every flow run is a process
of its own, so it reads the configuration itself: `VORONKA_CONFIG`, else `voronka.toml` in the working directory.

A task run is a step, a stream of a source, or a period; never a page or a record. Streams report while the one step
that reads all sources side by side goes on, so their task runs tell how each ended and not how long it took.
Nothing is cached: a step asks the warehouse itself what is left to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, cast
from uuid import UUID

from prefect import Flow, State, flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.states import Crashed
from pydantic import Field

from base.clock import SystemClock
from base.errors import SourceError, VoronkaError
from base.secrets import Redactor
from base.shown import clean, fence
from base.text import Text
from flows.project import Project
from flows.steps import maintain as maintain_step
from flows.steps import publish as publish_step
from flows.steps import recompute as recompute_step
from flows.steps import retain as retain_step
from flows.steps import sync as sync_step
from flows.steps.backfill import Ledger, Look, Part, beating, plan_parts, read_months
from flows.steps.progress import Reached, StreamReport
from flows.steps.sharing import shared_states
from flows.steps.sources import sources_of, sweeping_sources
from metrics.compute import PeriodReport
from metrics.periods import Period, parse_period
from voronka.config import load_project

CONFIG_VARIABLE = "VORONKA_CONFIG"

# How long a step waits for the writer's lock: a person's command may hold it for a first load of hours.
WAIT_SECONDS = 4 * 3600.0

# The forms of metrics/periods.py, refused by the server before a run is made of them.
PERIOD_PATTERN = (
    r"^(\d{4}-(0[1-9]|1[0-2])(\.\.\d{4}-(0[1-9]|1[0-2]))?"
    r"|\d{4}-Q[1-4]"
    r"|\d{4}-W(0[1-9]|[1-4]\d|5[0-3])"
    r"|\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]))$"
)
PeriodText = Annotated[
    str,
    Field(
        pattern=PERIOD_PATTERN,
        description="2026-11 · 2026-Q4 · 2026-W47 · 2026-11-16 · 2026-01..2026-06",
        examples=["2026-11"],
    ),
]
Jobs = Annotated[int, Field(ge=1, le=64, description="Periods computed at a time")]


class StepFailed(Exception):  # noqa: N818 - the name Prefect's page shows
    """A step did what it could, and something failed. The text is for people and holds no secrets."""

    def __init__(self, text: str, *, retryable: bool = False) -> None:
        super().__init__(text)
        self.retryable = retryable


def read_project() -> Project:
    """The configuration this process was started for."""
    try:
        return load_project(Path(os.environ.get(CONFIG_VARIABLE, "voronka.toml")))
    except VoronkaError as error:
        # Every problem with its path; the language is not known yet, so it is the command line's own.
        raise StepFailed(error.render("ru")) from None


class RunProgress:
    """Says things in the company's language, without its secrets, in the log of the present run.

    A step's streams are shown as task runs, each as it ends.
    """

    def __init__(self, project: Project) -> None:
        self._language = project.company.language
        self._redact = Redactor(project.secrets)

    def render(self, text: Text | VoronkaError | None) -> str:
        return clean(self._redact(text.render(self._language)), keep_lines=True) if text is not None else ""

    def say(self, message: Text) -> None:
        get_run_logger().info(self.render(message))

    def stream_started(self, source: str, stream: str, label: Text) -> None:
        get_run_logger().info("source=%s stream=%s started", source, stream)

    def stream_advanced(self, source: str, stream: str, rows: int) -> None:
        """Too often for a log."""

    def stream_reached(self, reached: Reached) -> None:
        """Too often for a log."""

    def stream_finished(self, report: StreamReport) -> None:
        # With return_state a failed stream is shown and stops nothing.
        tell_stream.with_options(task_run_name=f"{report.source}.{report.stream}")(
            _summary(report), self.render(report.error), return_state=True
        )


@contextmanager
def telling(project: Project) -> Iterator[RunProgress]:
    """What a step tells with; an error we foresaw becomes its whole text, remedy included, without secrets."""
    progress = RunProgress(project)
    try:
        yield progress
    except VoronkaError as error:
        raise StepFailed(progress.render(error)) from None


@task(name="stream", cache_policy=NO_CACHE)
def tell_stream(summary: dict[str, Any], error: str) -> None:
    get_run_logger().info(" ".join(f"{key}={value}" for key, value in summary.items()))
    if error:
        raise StepFailed(error)


# ── steps ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _may_heal(_task: object, _run: object, state: State[Any]) -> bool:
    """Another try helps against an outage; not against a wrong token, nor an error of ours."""
    return isinstance(state.data, StepFailed) and state.data.retryable


@task(name="sync", cache_policy=NO_CACHE, retries=2, retry_delay_seconds=[60, 600], retry_condition_fn=_may_heal)
def sync_sources(
    sources: Sequence[str] = (), start: date | None = None, end: date | None = None, full: bool = False
) -> None:
    """Read the named sources, or all; what is new, a window of local days, both inclusive, or everything. What one of
    them refused stops no other, and fails the step at its end."""
    project = read_project()
    with telling(project) as progress:
        report = sync_step.sync(
            project,
            sources=sources,
            full=full,
            start=start,
            end=end,
            wait_seconds=WAIT_SECONDS,
            progress=progress,
        )
    errors = {(stream.source, stream.stream): stream.error for stream in report.streams if stream.error}
    rows = [{**_summary(stream), "error": progress.render(stream.error)} for stream in report.streams]
    create_table_artifact(key="sync", table=rows, description=f"Sync {report.run_id}")
    if errors:
        lines = [f"{source}.{stream}: {progress.render(error)}" for (source, stream), error in errors.items()]
        outage = any(isinstance(error, SourceError) and error.retryable for error in errors.values())
        raise StepFailed("\n".join(lines), retryable=outage)


@task(name="retain", cache_policy=NO_CACHE)
def let_go_of_raw() -> None:
    """Let go of raw payloads that no setting keeps."""
    project = read_project()
    with telling(project) as progress:
        report = retain_step.retain(project, wait_seconds=WAIT_SECONDS, progress=progress)
    records = sum(stream.records for stream in report.streams)
    get_run_logger().info("records=%s bytes_saved=%s", records, report.saved)


@task(name="recompute", cache_policy=NO_CACHE, task_run_name="recompute {names}")
def recompute_periods(names: Sequence[str] | None, jobs: int = 1) -> None:
    """Compute the named periods, `jobs` at a time; None = every open period touched by what changed."""
    project = read_project()
    periods: list[Period] | None = None if names is None else [parse_period(name)[0] for name in names]
    with telling(project) as progress:
        report = recompute_step.recompute(project, periods, wait_seconds=WAIT_SECONDS, progress=progress, jobs=jobs)
    rows = [_describe(period, progress) for period in report.periods]
    create_table_artifact(key="recompute", table=rows, description="Recompute " + ", ".join(names or ["*"]))


@task(name="publish", cache_policy=NO_CACHE)
def publish_file() -> None:
    project = read_project()
    with telling(project) as progress:
        report = publish_step.publish(project, wait_seconds=WAIT_SECONDS, progress=progress)
    get_run_logger().info("path=%s bytes=%s", report.path, report.size)


@task(name="maintain", cache_policy=NO_CACHE)
def tidy_up() -> None:
    """Bring the files of the lake, or of this machine, into order."""
    project = read_project()
    with telling(project) as progress:
        report = maintain_step.maintain(project, wait_seconds=WAIT_SECONDS, progress=progress)
    lakes = [{**asdict(one), "before": one.before.files, "after": one.after.files} for one in report.lakes]
    files = [{**asdict(one), "path": str(one.path)} for one in report.files]
    create_table_artifact(key="maintain", table=lakes or files, description="Maintain")


class PrefectRuns:
    """Runs of the deployment `backfill_part`, by whichever worker of its pool is free; shown below the present task."""

    def start(self, part: Part) -> str:
        run = run_deployment(
            "backfill_part/backfill_part",
            parameters={"source": part.source, "month": part.month},
            flow_run_name=part.name,
            timeout=0,
        )
        # Its type speaks of both ways to call it; outside an event loop it is a run.
        return str(cast(FlowRun, run).id)

    def look(self, run: str) -> Look:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(UUID(run)).state
        message = state.message or "" if state else ""
        if state is None or state.is_scheduled():
            return Look("waiting", message)
        if state.is_final():
            # Who cancelled it meant it.
            return Look("done" if state.is_completed() else "died" if state.is_crashed() else "failed", message)
        return Look("taken" if state.is_pending() else "running", message)

    def bury(self, run: str, why: str) -> None:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(UUID(run), Crashed(message=why), force=True)


@task(name="read", cache_policy=NO_CACHE)
def read_source(parts: Sequence[Part]) -> dict[str, str]:
    """Have the parts of a source read by the workers. Gives what failed."""
    project, clock = read_project(), SystemClock()
    with telling(project), shared_states(project, clock) as states:
        assert states is not None
        return read_months(parts, PrefectRuns(), states, clock)


@task(name="touched", cache_policy=NO_CACHE)
def touched_periods() -> list[str]:
    """The open periods whose facts may have changed."""
    project = read_project()
    with telling(project) as progress:
        found = recompute_step.touched(project, wait_seconds=WAIT_SECONDS, progress=progress)
    return [period.name for period in found]


# ── flows ───────────────────────────────────────────────────────────────────────────────────────────────────────


def tell_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Leave what went wrong, and what to do, on the page of artifacts."""
    create_markdown_artifact(
        key="failure",
        markdown=f"## {flow.name} · {clean(flow_run.name)}\n\n{fence(state.message or '')}\n",
        description=f"{flow.name} failed",
    )


def _show_what_came(*synced: State[None]) -> None:
    """Recompute what changed and publish; then raise what the first reading that failed ended with: the flow is failed,
    though all that could be done was done."""
    recompute_periods(None)
    publish_file()
    for state in synced:
        state.result()


def _read_month_by_month(period: str, sources: Sequence[str]) -> list[State[None]]:
    return [
        sync_sources.with_options(task_run_name=f"sync {one.name}")(
            sources, one.starts_on, one.ends_on - timedelta(days=1), return_state=True
        )
        for one in parse_period(period)
    ]


@flow(name="nightly", on_failure=[tell_failure], on_crashed=[tell_failure])
def nightly() -> None:
    """Sync, recompute every open period that changed, publish. A source's failure stops none of the rest."""
    synced = sync_sources(return_state=True)
    let_go_of_raw()
    _show_what_came(synced)


@flow(name="intraday", on_failure=[tell_failure], on_crashed=[tell_failure])
def intraday() -> None:
    """What happens by day: calls and payments. A source that also has deals is read whole."""
    project = read_project()
    with telling(project):
        sources = sources_of(project, {"calls", "money"})
    if sources:
        _show_what_came(sync_sources(sources, return_state=True))


@flow(name="reconcile", on_failure=[tell_failure], on_crashed=[tell_failure])
def reconcile() -> None:
    """Read the CRMs whole and compare: deletions nobody told of, records edited under an old time, anything missed.
    `voronka status` shows what was found."""
    project = read_project()
    with telling(project):
        sources = sweeping_sources(project)
    if sources:
        _show_what_came(sync_sources.with_options(task_run_name="reconcile")(sources, full=True, return_state=True))


@flow(name="maintain", on_failure=[tell_failure], on_crashed=[tell_failure])
def maintain() -> None:
    """Write files anew that hold many deleted rows, merge small ones, let go of old pictures of a lake."""
    tidy_up()


@flow(name="backfill", on_failure=[tell_failure], on_crashed=[tell_failure])
def backfill(period: PeriodText, sources: list[str] | None = None) -> None:
    """Read a period, or each month of a range, from the sources again; the positions stay as they are. Then recompute
    what changed, and publish. On a lake by as many workers as there are; files have one writer, which reads month by
    month.

    Every part is read, whatever another one ended with; what failed is the flow's own end. On a lake a backfill that
    was broken off is started again: it reads what is left.
    """
    project = read_project()
    if project.lake is None:
        _show_what_came(*_read_month_by_month(period, sources or ()))
        return
    with telling(project), shared_states(project, SystemClock()) as states:
        parts = plan_parts(project, period, sources or ())
        assert states is not None  # a lake has them
        ledger = Ledger(states)
        left = ledger.outstanding(parts)
        reading = [read_source.with_options(task_run_name=f"read {source}").submit(left[source]) for source in left]
        failed = {name: why for future in reading for name, why in future.result().items()}
        for name in touched_periods():
            recompute_periods([name])
        publish_file()
        if failed:
            raise StepFailed("\n".join(f"{name}: {why}" for name, why in failed.items()))
        ledger.forget(parts)


@flow(name="backfill_part", on_failure=[tell_failure], on_crashed=[tell_failure])
def backfill_part(source: str, month: PeriodText) -> None:
    """One month of one source. Started by `backfill`; by hand it does no harm."""
    project, part = read_project(), Part(source, month)
    with telling(project), shared_states(project, SystemClock()) as states:
        plan_parts(project, month, [source])
        assert states is not None  # plan_parts refuses files
        with beating(states, part):
            sync_sources([source], *part.days)
        Ledger(states).note(part)


@flow(name="recompute", on_failure=[tell_failure], on_crashed=[tell_failure])
def recompute(period: PeriodText, publish: bool = True, jobs: Jobs = 1) -> None:
    """Compute the facts of a period, or of each month of a range; then renew the analysts' file, unless told not to.
    `jobs` months are computed at a time, in one step: each with up to 1 GB of memory."""
    names = [one.name for one in parse_period(period)]
    for together in [names] if jobs > 1 else [[name] for name in names]:
        recompute_periods(together, jobs)
    if publish:
        publish_file()


def _summary(report: StreamReport) -> dict[str, Any]:
    return {
        "source": report.source,
        "stream": report.stream,
        "rows": report.rows,
        "core_rows": report.core_rows,
        "requests": report.requests,
        "rejected": report.rejected,
        "seconds": round(report.seconds, 1),
    }


def _describe(period: PeriodReport, progress: RunProgress) -> dict[str, Any]:
    return {
        "period": period.period,
        "rows_written": period.rows_written,
        "metrics": len(period.metrics),
        "absent": "; ".join(f"{metric}: {progress.render(reason)}" for metric, reason in sorted(period.absent.items())),
        "as_of": period.as_of.isoformat() if period.as_of else "",
    }
