"""Every file an accountant may put into the folder, made wrong: one message each, and never a crash or a hang."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.onec.inspect import Inspector
from connectors.onec.sheets.settings import Columns, SheetMapping
from connectors.onec.streams import CONNECTOR
from connectors.stream import MapContext, RawRecord, Request
from tests.connectors.onec.onec_files import FILES
from tests.connectors.onec.sheet_files import MOSCOW, NOW, PAYMENTS, client_of, csv_text, workbook
from tests.security.fuzz import (
    BYTE_STEPS,
    STEPS,
    ByteStep,
    Step,
    mutate_bytes,
    mutate_text,
    settings_for,
)
from tests.security.test_fuzz_mappings import ends_well

ROWS = (
    ("02.02.2026", "1", "1 000,50", "ООО «Ромашка»", "Оплата по счёту № 7 от 01.02.2026"),
    ("03.02.2026", "2", "-50", "Иванов И. И.", "Возврат"),
    ("", "Итого", "950,50", "", ""),
)
ANYTHING = SheetMapping(kind="costs", file="other*", columns=Columns(date="Дата", number="Номер", amount="Сумма"))


def _zip(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name.replace("__", "."), data)
    return stream.getvalue()


@cache
def samples() -> dict[str, tuple[str, bytes]]:
    """Name of the file and its content, by what it is."""
    statement = (FILES / "one_day_cp1251.txt").read_bytes()
    table = csv_text(*ROWS).encode("cp1251")
    return {
        "statement": ("kl_to_1c.txt", statement),
        "statement of two accounts": ("two.txt", (FILES / "two_accounts_cp1251.txt").read_bytes()),
        "commerceml": ("orders.xml", (FILES / "orders_cml208_utf8.xml").read_bytes()),
        "commerceml cp1251": ("orders.xml", (FILES / "cml203_orders_cp1251.xml").read_bytes()),
        "table": ("bank.csv", table),
        "card of an account": ("card.csv", (FILES / "card51_cp1251.csv").read_bytes()),
        "workbook": ("bank.xlsx", workbook(("Лист1", [("Дата", "Номер", "Сумма", "Плательщик", "Назначение"), *ROWS]))),
        "archive": ("all.zip", _zip(kl__txt=statement, bank__csv=table)),
    }


# Text that an export is written in; a bank's letter often comes in another encoding than it says.
ENCODINGS = ("cp1251", "utf-8", "utf-8-sig", "cp866", "koi8-r", "utf-16", "utf-16-le", "latin-1")
TEXTS = ("statement", "statement of two accounts", "commerceml", "commerceml cp1251", "table", "card of an account")


def _reads(folder: Path, name: str, content: bytes) -> None:
    """Every stream reads the folder, every record found is mapped, and `onec inspect` looks at the file."""
    for old in folder.iterdir():
        if old.is_file():
            old.unlink()
        else:
            shutil.rmtree(old)
    path = folder / name
    path.write_bytes(content)
    client = client_of(folder, sheets=[PAYMENTS, ANYTHING])
    streams = {stream.name: stream for stream in CONNECTOR.streams if stream.kind == "files"}
    context = _context(client.settings)
    for stream in streams.values():
        for page in _pages(client, stream.name):
            _check_page(page)
            for record_id, payload, origin in zip(page.ids, page.payloads, page.origins or page.ids, strict=True):
                assert stream.map is not None
                ends_well(stream.map, RawRecord(record_id, payload, 1, 1, origin), context)
    inspection = Inspector(client, streams, context).inspect(path)
    for problem in inspection.problems:
        assert problem.message.render("ru")


def _pages(client: Any, stream: str) -> Any:
    return client.fetch_files(stream, Request(position=None, start=None, end=NOW))


def _check_page(page: Any) -> None:
    """What landing asks of a page: lists of one length, payloads that are text, rejects that can be told."""
    assert len(page.ids) == len(page.payloads) == len(page.versions) == len(page.cursors)
    for payload in page.payloads:
        payload.decode("utf-8")
    for record_id in page.ids:
        record_id.encode("utf-8")
    for reject in page.rejects:
        assert reject.code
        assert reject.message.render("ru")
        assert reject.message.render("en")


def _context(settings: Any) -> MapContext:
    return MapContext(source="accounting", settings=settings, zone=MOSCOW, country="RU", currency="RUB")


@pytest.fixture
def check_file() -> Any:
    folder = Path(mkdtemp(prefix="voronka-fuzz-"))
    yield lambda name, content: _reads(folder, name, content)
    shutil.rmtree(folder)


Check = Callable[[str, bytes], None]


@pytest.mark.parametrize("kind", sorted(samples()))
def test_a_file_of_damaged_bytes_is_told(check_file: Check, kind: str) -> None:
    """Cut downloads, bytes of another encoding in the middle, torn archives and workbooks."""
    name, content = samples()[kind]

    @settings_for(6)
    @given(BYTE_STEPS)
    def check(steps: list[ByteStep]) -> None:
        check_file(name, mutate_bytes(content, steps))

    check()


@pytest.mark.parametrize("kind", TEXTS)
def test_a_file_with_other_values_is_told(check_file: Check, kind: str) -> None:
    """Lines lost, repeated and put in, values of every kind, in every encoding a bank has ever used."""
    name, content = samples()[kind]
    text = content.decode("utf-8-sig" if kind == "commerceml" else "cp1251")

    @settings_for(8)
    @given(STEPS, st.sampled_from(ENCODINGS))
    def check(steps: list[Step], encoding: str) -> None:
        check_file(name, mutate_text(text, steps).encode(encoding, "replace"))

    check()


def test_a_workbook_with_other_cells_is_told(check_file: Check) -> None:
    """A workbook is typed: numbers, days and flags stand where a person expects a text, and the other way round."""
    cell = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**15), 10**15),
        st.floats(allow_nan=False, allow_infinity=False),
        st.dates(min_value=NOW.date().replace(year=1900, month=3, day=1)),
        st.sampled_from(("Дата", "Сумма", "Номер", "Итого", "02.02.2026", "1 000,50", "²", "=1+1", "#REF!", "\u202e")),
        st.text(max_size=8),
    )

    @settings_for(8)
    @given(st.lists(st.lists(cell, max_size=6), max_size=5), st.booleans())
    def check(rows: list[list[Any]], has_header: bool) -> None:
        header = [("Дата", "Номер", "Сумма", "Плательщик", "Назначение")] if has_header else []
        check_file("bank.xlsx", workbook(("Лист1", [*header, *rows])))

    check()


def test_any_bytes_at_all_are_told(check_file: Check) -> None:
    """What is nothing we know, under every name that we know."""
    starts = (
        b"",
        b"1CClientBankExchange\r\n",
        b"<?xml version='1.0'?>",
        b"PK\x03\x04",
        b"\xd0\xcf\x11\xe0",
        b"%PDF-1.4",
    )

    @settings_for(20)
    @given(
        st.sampled_from(("a.txt", "a.xml", "a.csv", "a.xlsx", "a.xls", "a.zip", "a", "other.csv")),
        st.sampled_from(starts),
        st.binary(max_size=200),
    )
    def check(name: str, start: bytes, rest: bytes) -> None:
        check_file(name, start + rest)

    check()
