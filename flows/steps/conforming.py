"""Conforming the streams of a source: what landed early while the rest is still read, and everything at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from base.clock import Clock
from base.errors import SourceError, TooManyRejectsError
from base.text import Text, say
from flows.project import Project, Source
from flows.steps.progress import StreamReport
from flows.steps.sources import map_context
from flows.steps.state import StreamState
from warehouse import bookkeeping
from warehouse.conform import Conformer, ConformReport
from warehouse.database import Warehouse
from warehouse.land import StreamRun

# A merge reads the keys of everything its rows may replace: so many records at least, and a part of those before.
LEAST_AHEAD = 10_240
PART_AHEAD = 8
# Conformed at a time while pages arrive: a second's work, which the readers' queue outlasts.
CHUNKS_AHEAD = 3
# More rejects than both mean that the source, not a record, is wrong (design promise 5).
REJECT_SHARE = 0.01
REJECT_COUNT = 20
# Unreadable records and files that a report names; the rest is counted.
EXAMPLES = 5


class SourceConforming:
    """One source's streams, conformed in the order they are declared in: a record comes before what buries it."""

    def __init__(
        self,
        warehouse: Warehouse,
        clock: Clock,
        project: Project,
        source: Source,
        states: Sequence[StreamState],
        requests: Callable[[StreamState], int],
        *,
        least_ahead: int = LEAST_AHEAD,
        conformer: Conformer | None = None,
    ) -> None:
        self._connection = warehouse.connection
        self._clock = clock
        self._language = project.company.language
        self._states = list(states)
        self._requests = requests
        self._least_ahead = least_ahead
        self._context = map_context(project, source)
        self._conformer = conformer or Conformer(warehouse, clock, self._language)
        self._finished: list[StreamReport] = []
        self._seen_waiting = 0

    def ahead(self) -> bool:
        """Conform a slice of what has landed, if enough waits; False: nothing was done.

        A first load at a vendor's pace leaves the processor idle, and ends sooner so. Small loads are left to the end.
        """
        for place, state in enumerate(self._states[len(self._finished) :], start=len(self._finished)):
            if self._is_worth(state):
                while len(self._finished) < place:
                    self._finish_next()
                done = self._conformer.conform_some(state.stream, self._context, chunks=CHUNKS_AHEAD)
                state.conformed = state.conformed.with_(done)
                state.waiting = max(state.waiting - done.read, 0)
                return True
            if not state.has_ended:
                return False
        return False

    def keep_up(self) -> None:
        """Called between pages: large files land as quickly as they are read, and helpers are to have their part of
        the work meanwhile."""
        for place, state in enumerate(self._states[len(self._finished) :], start=len(self._finished)):
            is_large = (
                state.waiting >= self._conformer.large_records
                or self._conformer.has_helpers
                or self._conformer.has_slice(state.stream, state.run.source)
            )
            if state.stream.kind == "files" and is_large and state.waiting != self._seen_waiting:
                while len(self._finished) < place:
                    self._finish_next()
                while done := self._conformer.keep_up(state.stream, self._context):
                    state.conformed = state.conformed.with_(done)
                    state.waiting = max(state.waiting - done.read, 0)
                self._seen_waiting = state.waiting
            if not state.has_ended:
                return

    def bring(self, state: StreamState, written: int) -> None:
        """Called when the stream's batch has landed, so many records of it: its rows may have come along."""
        self._conformer.bring(state.stream, state.run.source, state.batch, written)

    def close(self) -> None:
        """After `finish`, or instead of it."""
        self._conformer.close()

    def finish(self) -> Iterator[StreamReport]:
        """Conform the rest; how each stream ended."""
        yield from self._finished
        while len(self._finished) < len(self._states):
            yield self._finish_next()

    def _is_worth(self, state: StreamState) -> bool:
        # Files have helper processes, which read all that waits at once, and no vendor's pace to wait for.
        if state.stream.kind == "files" or state.waiting < max(self._least_ahead, state.conformed.read // PART_AHEAD):
            return False
        return all(other.has_ended for other in self._states if other.stream.name in state.stream.needs)

    def _finish_next(self) -> StreamReport:
        state = self._states[len(self._finished)]
        done = self._conformer.conform(
            state.stream, self._context, at_end=partial(self._judge, state), so_far=state.conformed
        )
        report = StreamReport(
            source=state.run.source,
            stream=state.run.stream,
            label=state.stream.label,
            rows=state.written,
            core_rows=done.written,
            requests=self._requests(state),
            rejected=state.rejected + done.rejected,
            seconds=self._clock.monotonic() - state.started,
            error=state.error,
            examples=tuple([*state.examples, *examples_of(done)][:EXAMPLES]),
        )
        self._finished.append(report)
        return report

    def _judge(self, state: StreamState, done: ConformReport) -> None:
        """Count what mapping rejected in the run's line, and fail the run if that is the rule rather than a case."""
        failure = too_many_rejects(state.run, done.rejected, done.read)
        state.error = state.error or failure
        if done.rejected:
            bookkeeping.count_rejected(
                self._connection,
                state.run.run_id,
                state.run.source,
                state.run.stream,
                done.rejected,
                failure.render(self._language) if failure else None,
            )


def example(record_id: str, message: Text) -> Text:
    """One unreadable record or file for a report."""
    return say("{record}: {message}", "{record}: {message}", record=record_id, message=message)


def examples_of(done: ConformReport) -> list[Text]:
    return [example(reject.record_id, reject.verdict.message) for reject in done.rejects[:EXAMPLES]]


def too_many_rejects(run: StreamRun, rejected: int, read: int) -> SourceError | None:
    """The error of a stream whose records can't be read as a rule; what was loaded is kept."""
    if rejected <= REJECT_COUNT or rejected <= read * REJECT_SHARE:
        return None
    return TooManyRejectsError(
        say(
            "{source}/{stream}: не прочитано {rejected} из {read} записей, остальное загружено.",
            "{source}/{stream}: {rejected} of {read} records could not be read, the rest is loaded.",
            source=run.source,
            stream=run.stream,
            rejected=rejected,
            read=read,
        ),
        say("Посмотрите причины: voronka rejects {source}", "See why: voronka rejects {source}", source=run.source),
    )
