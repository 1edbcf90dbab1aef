"""How a loading went: a row for each stream, then what failed and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from base.text import say
from flows.steps.progress import StreamReport
from voronka.reports.page import Cell, Field, Page

# A source that is down fails in twenty streams at once.
NAMED = 3


def show_streams(page: Page, streams: Sequence[StreamReport]) -> None:
    """The table of streams; nothing but a sentence when there are none."""
    if not streams:
        page.say(say("Загружать нечего: источников нет.", "Nothing to load: there are no sources."))
        return
    numbers = page.numbers
    fields = (
        Field(page.render(say("Источник", "Source"))),
        Field(page.render(say("Что", "What")), is_wide=True),
        Field(page.render(say("Загружено", "Loaded")), "right"),
        Field(page.render(say("Изменено в базе", "Rows changed")), "right"),
        Field(page.render(say("Запросов", "Requests")), "right"),
        Field(page.render(say("Не прочитано", "Unreadable")), "right"),
        Field(page.render(say("Итог", "Result"))),
    )
    rows = [
        (
            report.source,
            report.label.render(page.language),
            numbers.count(report.rows),
            numbers.count(report.core_rows),
            numbers.count(report.requests),
            Cell(numbers.count(report.rejected), "yellow" if report.rejected else ""),
            _verdict(page, report),
        )
        for report in streams
    ]
    page.table(fields, rows)


def _verdict(page: Page, report: StreamReport) -> Cell:
    if report.error is not None:
        return Cell(page.render(say("ошибка", "failed")), "red")
    if report.rejected:
        return Cell(page.render(say("не всё прочитано", "partly unreadable")), "yellow")
    return Cell(page.render(say("готово", "done")), "green")


def failures(streams: Sequence[StreamReport], page: Page) -> list[str]:
    """Every failure once, with its remedy; streams of a source that failed alike are told together."""
    told: dict[tuple[str, str], list[str]] = {}
    for report in streams:
        if report.error is not None:
            told.setdefault((report.source, report.error.render(page.language)), []).append(report.stream)
    # The message names its source already.
    return [
        f"{source} ({_listed(names, page)}): {message.removeprefix(f'{source}: ')}"
        for (source, message), names in told.items()
    ]


def _listed(names: Sequence[str], page: Page) -> str:
    """The first names, and how many more."""
    more = len(names) - NAMED
    if more <= 0:
        return ", ".join(names)
    return page.render(
        say("{names} и ещё {more}", "{names} and {more} more", names=", ".join(names[:NAMED]), more=more)
    )


def unreadable(streams: Sequence[StreamReport], page: Page) -> list[str]:
    """What could not be read, a line for each of the first records and files, and where the rest is told."""
    lines = []
    for report in streams:
        if not report.rejected:
            continue
        lines += [f"{report.source}: {page.render(example)}" for example in report.examples]
        more = report.rejected - len(report.examples)
        if more > 0:
            others = say("и ещё {more}", "and {more} more", more=page.numbers.count(more))
            lines.append(f"{report.source}: {page.render(others)}")
    sources = sorted({report.source for report in streams if report.rejected})
    command = " ".join(["voronka rejects", *(sources if len(sources) == 1 else [])])
    hint = say("Подробнее: {command}", "More: {command}", command=command)
    return [*lines, page.render(hint)] if sources else []


def streams_document(streams: Sequence[StreamReport]) -> list[dict[str, Any]]:
    return [
        {
            "source": report.source,
            "stream": report.stream,
            "label": report.label,
            "rows": report.rows,
            "core_rows": report.core_rows,
            "requests": report.requests,
            "rejected": report.rejected,
            "seconds": round(report.seconds, 3),
            "status": "failed" if report.error else "done",
            "error": report.error.what if report.error else None,
            "remedy": report.error.remedy if report.error else None,
        }
        for report in streams
    ]
