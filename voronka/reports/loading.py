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
    return [f"{source} ({_listed(names, page)}): {message}" for (source, message), names in told.items()]


def _listed(names: Sequence[str], page: Page) -> str:
    """The first names, and how many more."""
    more = len(names) - NAMED
    if more <= 0:
        return ", ".join(names)
    return page.render(
        say("{names} и ещё {more}", "{names} and {more} more", names=", ".join(names[:NAMED]), more=more)
    )


def rejects_hint(streams: Sequence[StreamReport]) -> list[str]:
    """Sources with unreadable records, to look into."""
    return sorted({report.source for report in streams if report.rejected})


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
