"""`voronka status`: what is loaded, until when, and where the files are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from base.text import Text, say
from voronka.bookkeeping import Origin, Reconciliation, StreamStatus
from voronka.reports.page import Cell, Field, Page
from voronka.reports.raw_sizes import RawSize, raw_sizes_document, show_raw_sizes


@dataclass(frozen=True, kw_only=True)
class FileSize:
    name: str  # warehouse, raw, published
    label: Text
    path: Path
    size: int | None  # None: there is no such file
    changed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Status:
    """Everything `status` tells. `stale` are the streams older than `--max-age`, `stale_file` the analysts' file if it
    is: a night that loaded and then failed would else look fresh."""

    streams: Sequence[StreamStatus]
    files: Sequence[FileSize]
    origin: Origin
    now: datetime
    reconciliations: Sequence[Reconciliation] = ()
    stale: Sequence[StreamStatus] = ()
    stale_file: FileSize | None = None
    max_age: timedelta | None = None
    raw_sizes: Sequence[RawSize] = ()
    # SQL by which analysts open the lake; None = there are files.
    attach_statement: str | None = None

    @property
    def is_fresh(self) -> bool:
        return not self.stale and self.stale_file is None


def stale_streams(streams: Sequence[StreamStatus], now: datetime, max_age: timedelta) -> list[StreamStatus]:
    """Streams whose last success is older than `max_age`, or that never succeeded."""
    return [stream for stream in streams if stream.last_done_at is None or now - stream.last_done_at > max_age]


def stale_file(files: Sequence[FileSize], now: datetime, max_age: timedelta) -> FileSize | None:
    """The analysts' file if it is older than `max_age`; None as well when there is none yet."""
    published = next((file for file in files if file.name == PUBLISHED), None)
    too_old = published is not None and published.changed_at is not None and now - published.changed_at > max_age
    return published if too_old else None


def show_status(page: Page, status: Status) -> None:
    """The table of streams, what failed, the files, and how to open the analysts' one."""
    if status.origin.remark is not None:
        page.say(
            say(
                "{remark} Показано по опубликованному файлу {path}.",
                "{remark} Shown as of the published file {path}.",
                remark=status.origin.remark,
                path=status.origin.path,
            )
        )
    _show_streams(page, status)
    for stream in status.streams:
        if stream.last_status == "failed" and stream.error:
            page.say(f"{stream.source}/{stream.stream}: {stream.error}", "red")
    for stream in status.stale:
        page.say(_staleness(page, stream), "red")
    if status.stale_file is not None and status.stale_file.changed_at is not None:
        when = page.numbers.moment(status.stale_file.changed_at)
        page.say(
            say(
                "Файл для аналитиков устарел: опубликован {when}",
                "The analysts' file is too old: published {when}",
                when=when,
            ),
            "red",
        )
    if status.reconciliations:
        _show_reconciliations(page, status)
    raw = next((file.size for file in status.files if file.name == "raw"), None)
    show_raw_sizes(page, status.raw_sizes, raw)
    _show_files(page, status)


def _staleness(page: Page, stream: StreamStatus) -> Text:
    name = f"{stream.source}/{stream.stream}"
    if stream.last_done_at is None:
        return say("{name}: удачной загрузки ещё не было", "{name}: no load has succeeded yet", name=name)
    when = page.numbers.moment(stream.last_done_at)
    return say(
        "{name}: последняя удачная загрузка слишком давно — {when}",
        "{name}: the last successful load is too old: {when}",
        name=name,
        when=when,
    )


def _show_streams(page: Page, status: Status) -> None:
    numbers = page.numbers
    titles = (
        say("Источник", "Source"),
        say("Поток", "Stream"),
        say("Последний запуск", "Last run"),
        say("Итог", "Result"),
        say("Загружено", "Loaded"),
        say("Не прочитано", "Unreadable"),
        say("Данные полны до", "Complete until"),
    )
    right = {4, 5}
    fields = [Field(page.render(title), "right" if i in right else "left") for i, title in enumerate(titles)]
    rows = [
        (
            stream.source,
            stream.stream,
            numbers.moment(stream.last_started_at),
            _verdict(page, stream),
            numbers.count(stream.last_rows),
            Cell(numbers.count(stream.rejects), "yellow" if stream.rejects else ""),
            numbers.moment(stream.complete_until),
        )
        for stream in status.streams
    ]
    page.table(fields, rows)


def _verdict(page: Page, stream: StreamStatus) -> Cell:
    words = {
        "done": Cell(page.render(say("готово", "done")), "green"),
        "failed": Cell(page.render(say("ошибка", "failed")), "red"),
        "running": Cell(page.render(say("не закончен", "not finished")), "yellow"),
    }
    return words.get(stream.last_status or "", Cell(stream.last_status or "—"))


def _show_reconciliations(page: Page, status: Status) -> None:
    """Whole readings against what ordinary loads had brought; what disagrees is yellow."""
    numbers = page.numbers
    page.heading(say("Сверка с источником (voronka sync --full)", "Compared with the source (voronka sync --full)"))
    titles = (
        say("Источник", "Source"),
        say("Поток", "Stream"),
        say("Когда", "When"),
        say("Там", "There"),
        say("Здесь", "Here"),
        say("Пропущено", "Missed"),
        say("Изменено без следа", "Edited unnoticed"),
        say("Удалено", "Deleted"),
    )
    fields = [Field(page.render(title), "right" if i > 2 else "left") for i, title in enumerate(titles)]
    rows: list[Sequence[Cell | str]] = []
    for one in status.reconciliations:
        colour = "" if one.agrees else "yellow"
        there = one.listed if one.total is None else one.total
        counts = (there, one.held, one.missed, one.edited, one.deleted)
        cells = [Cell(numbers.count(count), colour) for count in counts]
        rows.append((one.source, one.stream, numbers.moment(one.reconciled_at), *cells))
    page.table(fields, rows)


def _show_files(page: Page, status: Status) -> None:
    numbers = page.numbers
    page.heading(say("Файлы", "Files"))
    titles = (say("Что", "What"), say("Размер", "Size"), say("Изменён", "Changed"), say("Где", "Where"))
    fields = [
        Field(page.render(title), "right" if i == 1 else "left", is_wide=i == 3) for i, title in enumerate(titles)
    ]
    rows = [
        (page.render(file.label), numbers.size(file.size), numbers.moment(file.changed_at), str(file.path))
        for file in status.files
    ]
    page.table(fields, rows)
    if status.attach_statement is not None:
        page.heading(say("Открыть озеро в DuckDB, только на чтение", "To open the lake in DuckDB, read-only"))
        page.verbatim(f"{status.attach_statement};")
    published = next((file for file in status.files if file.name == PUBLISHED), None)
    if published is None or published.size is None:
        page.say(say("Файла для аналитиков ещё нет: voronka publish.", "No analysts' file yet: voronka publish."))
        return
    page.heading(say("Открыть файл для аналитиков", "To open the analysts' file"))
    for line in open_snippets(published.path):
        page.verbatim(line)


PUBLISHED = "published"


def open_snippets(path: Path) -> list[str]:
    """Ways to open the published file, for people to copy."""
    query = "FROM facts.kpi"
    return [
        f'voronka sql "{query}"',
        f"python -c \"import duckdb; duckdb.connect({str(path)!r}, read_only=True).sql('{query}').show()\"",
        f"duckdb -readonly {path}",
    ]


def status_document(status: Status) -> dict[str, Any]:
    return {
        "streams": [
            {
                **{name: getattr(stream, name) for name in stream.__dataclass_fields__},
                "is_stale": stream in status.stale,
            }
            for stream in status.streams
        ],
        "reconciliations": [
            {**{name: getattr(one, name) for name in one.__dataclass_fields__}, "agrees": one.agrees}
            for one in status.reconciliations
        ],
        "files": [
            {
                "name": file.name,
                "label": file.label,
                "path": file.path,
                "size": file.size,
                "changed_at": file.changed_at,
                "is_stale": file == status.stale_file,
            }
            for file in status.files
        ],
        "raw": raw_sizes_document(status.raw_sizes),
        "read_from": status.origin.path,
        "attach": status.attach_statement,
        "status": "done" if status.is_fresh else "failed",
    }
