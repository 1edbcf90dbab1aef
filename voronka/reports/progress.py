"""What a step tells while it works: bars on a terminal, a line a stream elsewhere. Always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from base.shown import clean
from base.text import Text, say
from flows.steps.progress import Reached, StreamReport
from voronka.app import App
from voronka.reports.page import Page

# How often a log is told of a stream under way.
LOG_SECONDS = 300.0


class Lines:
    """A line for every stream that ended: what a log of a night needs."""

    def __init__(self, app: App, page: Page) -> None:
        self._app = app
        self._page = page
        self._clock = time.monotonic if app.given_clock is None else app.given_clock.monotonic
        self._told: dict[tuple[str, str], float] = {}

    def say(self, message: Text) -> None:
        self._page.say(self._app.redact(message.render(self._page.language)))

    def stream_started(self, source: str, stream: str, label: Text) -> None:
        return None

    def stream_advanced(self, source: str, stream: str, rows: int) -> None:
        return None

    def stream_reached(self, reached: Reached) -> None:
        """A long load tells of itself now and then in a log too."""
        now = self._clock()
        key = reached.source, reached.stream
        last = self._told.setdefault(key, now)
        if now - last >= LOG_SECONDS:
            self._told[key] = now
            self.say(describe_reached(reached, self._page))

    def stream_finished(self, report: StreamReport) -> None:
        self.say(describe_stream(report, self._page))


class Logged(Lines):
    """The same as records of a log."""

    def say(self, message: Text) -> None:
        self._app.note(message)

    def stream_finished(self, report: StreamReport) -> None:
        from voronka.logs import tell_stream

        tell_stream(self._app, report, describe_stream(report, self._page).render(self._page.language))


class Bars(Lines):
    """A line on the terminal for each stream under way; it stays when the stream has ended."""

    def __init__(self, app: App, page: Page, progress: Progress) -> None:
        super().__init__(app, page)
        self._progress = progress
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def say(self, message: Text) -> None:
        line = clean(self._app.redact(message.render(self._page.language)), keep_lines=True)
        self._progress.console.print(line, markup=False)

    def stream_started(self, source: str, stream: str, label: Text) -> None:
        title = f"{source} · {label.render(self._page.language)}"
        self._tasks[source, stream] = self._progress.add_task(title, total=None, count="")

    def stream_advanced(self, source: str, stream: str, rows: int) -> None:
        task = self._tasks.get((source, stream))
        if task is not None:
            self._progress.update(task, count=self._page.numbers.count(rows))

    def stream_reached(self, reached: Reached) -> None:
        task = self._tasks.get((reached.source, reached.stream))
        if task is not None and reached.seconds_left is not None:
            count = self._page.numbers.count(reached.rows)
            self._progress.update(task, count=f"{count} · {describe_rest(reached, self._page)}")

    def stream_finished(self, report: StreamReport) -> None:
        task = self._tasks.get((report.source, report.stream))
        if task is not None:
            mark = "✓" if report.is_ok else "!"
            self._progress.update(task, total=1, completed=1, count=f"{mark} +{self._page.numbers.count(report.rows)}")


def describe_reached(reached: Reached, page: Page) -> Text:
    """`amo/leads: прочитано 120 000, по 12.03.2024, осталось ≈ 25 мин`."""
    return say(
        "{source}/{stream}: прочитано {rows}, {rest}",
        "{source}/{stream}: read {rows}, {rest}",
        source=reached.source,
        stream=reached.stream,
        rows=page.numbers.count(reached.rows),
        rest=describe_rest(reached, page),
    )


def describe_rest(reached: Reached, page: Page) -> str:
    """Until when everything is read, and about how long the rest takes; whole minutes, for it is a guess."""
    day = reached.read_until.astimezone(page.numbers.zone)
    if reached.seconds_left is None:
        return say("по {day:%d.%m.%Y}", "up to {day:%Y-%m-%d}", day=day).render(page.language)
    minutes = max(1, round(reached.seconds_left / 60))
    left = say("{minutes} мин", "{minutes} min", minutes=minutes)
    if minutes >= 120:
        left = say("{hours} ч", "{hours} h", hours=round(minutes / 60))
    text = say("по {day:%d.%m.%Y}, осталось ≈ {left}", "up to {day:%Y-%m-%d}, ≈ {left} left", day=day, left=left)
    return text.render(page.language)


def describe_stream(report: StreamReport, page: Page) -> Text:
    """`amo/leads: новых и изменённых 600, запросов 12, не прочитано 0, 3,2 с`.

    Why a stream failed is told once, at the end, with the remedy: a source that is down fails in every stream alike.
    """
    count = page.numbers.count
    line = say(
        "{source}/{stream}: новых и изменённых {rows}, запросов {requests}, не прочитано {rejected}, {seconds} с",
        "{source}/{stream}: new and changed {rows}, requests {requests}, unreadable {rejected}, {seconds} s",
        source=report.source,
        stream=report.stream,
        rows=count(report.rows),
        requests=count(report.requests),
        rejected=count(report.rejected),
        seconds=page.numbers.tenths(report.seconds),
    )
    return line if report.error is None else say("{line} — ошибка", "{line}: failed", line=line)


@contextmanager
def showing(app: App) -> Iterator[Lines]:
    """The progress that fits where stderr goes."""
    page = app.page(to_stderr=True)
    if app.is_logging:
        yield Logged(app, page)
        return
    if not page.is_terminal:
        yield Lines(app, page)
        return
    columns = (
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[count]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr, markup=False), transient=False) as progress:
        yield Bars(app, page, progress)
