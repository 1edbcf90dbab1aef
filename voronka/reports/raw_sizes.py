"""What raw records take: a line for each stream, so that a retention setting can be weighed against its price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from base.text import say
from voronka.reports.page import Field, Page

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, kw_only=True)
class RawSize:
    """A stream's raw records: how many, how many are kept as they came, and what those take as they came."""

    source: str
    stream: str
    records: int
    kept: int
    bytes: int
    oldest_at: datetime | None


def read_raw_sizes(connection: duckdb.DuckDBPyConnection) -> list[RawSize]:
    """By what they take, the largest first; as measured by the last night."""
    rows = connection.execute(
        "SELECT source, stream, records, kept, bytes, oldest_at FROM meta.raw_sizes ORDER BY bytes DESC, source, stream"
    ).fetchall()
    names = ("source", "stream", "records", "kept", "bytes", "oldest_at")
    return [RawSize(**dict(zip(names, row, strict=True))) for row in rows]


def show_raw_sizes(page: Page, sizes: Sequence[RawSize], file_size: int | None) -> None:
    """The table; a stream's share of the file is reckoned by what was sent, for it is compressed as a whole."""
    if not sizes:
        return
    numbers = page.numbers
    total = sum(size.bytes for size in sizes)
    page.heading(say("Загруженное как есть, по потокам (raw_days)", "Raw records by stream (raw_days)"))
    titles = (
        say("Источник", "Source"),
        say("Поток", "Stream"),
        say("Записей", "Records"),
        say("Хранится", "Kept"),
        say("В файле около", "In the file about"),
        say("Самая старая", "Oldest"),
    )
    fields = [
        Field(page.render(title), "right" if place in (2, 3, 4) else "left") for place, title in enumerate(titles)
    ]
    rows = [
        (
            size.source,
            size.stream,
            numbers.count(size.records),
            numbers.count(size.kept),
            numbers.size(int((file_size or 0) * size.bytes / total)) if total else "—",
            numbers.moment(size.oldest_at),
        )
        for size in sizes
    ]
    page.table(fields, rows)


def raw_sizes_document(sizes: Sequence[RawSize]) -> list[dict[str, Any]]:
    return [asdict(size) for size in sizes]
