"""Tables for tests, and a folder of them read as a source reads it: pages, core rows, rejects."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import xlsxwriter  # type: ignore[import-untyped]

from base.clock import FakeClock
from connectors.onec.client import OnecClient
from connectors.onec.settings import OnecSettings
from connectors.onec.sheets.mapping import map_sheet_row
from connectors.onec.sheets.settings import Columns, SheetMapping
from connectors.stream import MapContext, Page, RawRecord, Request, Rows, Runtime

MOSCOW = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 2, 10, 6, 0, tzinfo=UTC)
OWN = "40702810600000000101"
# What most tests map: a bank's table.
PAYMENTS = SheetMapping(
    kind="payments",
    columns=Columns(date="Дата", number="Номер", amount="Сумма", counterparty="Плательщик", purpose="Назначение"),
)
HEADER = ("Дата", "Номер", "Сумма", "Плательщик", "Назначение")


@dataclass
class Loaded:
    """What one run made of a folder: core rows as dicts by relation, rejects as (file or place, code, path)."""

    pages: list[Page]
    rows: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    @property
    def rejects(self) -> list[tuple[str, str, str]]:
        return [(reject.record_id, reject.code, reject.path) for page in self.pages for reject in page.rejects]

    @property
    def messages(self) -> list[str]:
        return [reject.message.render("ru") for page in self.pages for reject in page.rejects]

    @property
    def amounts(self) -> list[str]:
        return sorted(str(row["amount"]) for rows in self.rows.values() for row in rows.values())

    def of(self, relation: str) -> list[dict[str, Any]]:
        return list(self.rows.get(relation, {}).values())


def client_of(folder: Path, *, page_records: int = 5_000, **keys: Any) -> OnecClient:
    runtime = Runtime(source="accounting", clock=FakeClock(NOW), zone=MOSCOW, state_dir=folder)
    return OnecClient(OnecSettings(type="onec", path=str(folder), **keys), runtime, page_records=page_records)


def load(folder: Path, *mappings: SheetMapping, position: Any = None, stream: str = "sheets", **keys: Any) -> Loaded:
    """Read a folder's stream; the newest version of a record stands, as in the warehouse."""
    client = client_of(folder, sheets=list(mappings), **keys)
    loaded = Loaded(list(client.fetch_files(stream, Request(position=position, start=None, end=NOW))))
    if stream != "sheets":
        return loaded
    context = MapContext(
        source="accounting", settings=client.settings, zone=MOSCOW, country="RU", currency="RUB",
        own_tax_ids=frozenset({"7701234567"}),
    )  # fmt: skip
    newest: dict[str, tuple[int, bytes, str]] = {}
    for page in loaded.pages:
        for record_id, data, version, origin in zip(
            page.ids, page.payloads, page.versions, page.origins or [], strict=True
        ):
            if version >= newest.get(record_id, (0, b"", ""))[0]:
                newest[record_id] = (version, data, origin)
    for record_id, (version, data, origin) in newest.items():
        rows = Rows()
        map_sheet_row(RawRecord(record_id, data, version, version, origin), context, rows)
        for into, made in rows.rows.items():
            row = dict(zip(into.columns, made[0], strict=True))
            loaded.rows.setdefault(into.relation, {})[record_id] = row
    return loaded


def write(folder: Path, name: str, data: bytes | str, *, made: datetime = NOW, encoding: str = "cp1251") -> Path:
    """A file made at a moment (its time of change)."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode(encoding) if isinstance(data, str) else data)
    os.utime(path, (made.timestamp(), made.timestamp()))
    return path


def csv_text(*rows: Sequence[str], header: Sequence[str] = HEADER, delimiter: str = ";") -> str:
    return "".join(delimiter.join(row) + "\r\n" for row in (header, *rows))


def workbook(*sheets: tuple[str, Sequence[Sequence[Any]]], merges: Sequence[tuple[int, int, int, int]] = ()) -> bytes:
    """An XLSX: days as real date cells, `merges` (first row, column, last row, column) on the first sheet."""
    stream = io.BytesIO()
    book = xlsxwriter.Workbook(stream, {"in_memory": True})
    day_format = book.add_format({"num_format": "dd.mm.yyyy"})
    for name, rows in sheets:
        sheet = book.add_worksheet(name)
        if name == sheets[0][0]:
            for first_row, first_column, last_row, last_column in merges:
                sheet.merge_range(first_row, first_column, last_row, last_column, "")
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                if isinstance(cell, date):
                    sheet.write_datetime(number, column, cell, day_format)
                elif cell not in ("", None):
                    sheet.write(number, column, cell)
    book.close()
    return stream.getvalue()
