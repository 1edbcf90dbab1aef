"""The folder client: what is read again, what is told, what is complete, and overlapping statements in any order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onec_files import CUSTOMER, EXAMPLE, OWN, SECOND, document, section, statement

from base.clock import FakeClock
from base.errors import ConfigError, FileError
from connectors.onec.client import OnecClient
from connectors.onec.folder import LARGE_BYTES, Memory, digest_of, digested, found_file
from connectors.onec.settings import OnecSettings
from connectors.onec.streams import CONNECTOR
from connectors.registry import load_connector
from connectors.stream import Page, Request, Runtime

MOSCOW = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 2, 10, 6, 0, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def client_of(folder: Path, *, page_records: int = 5_000, **keys: Any) -> OnecClient:
    runtime = Runtime(source="accounting", clock=FakeClock(NOW), zone=MOSCOW, state_dir=folder)
    return OnecClient(OnecSettings(type="onec", path=str(folder), **keys), runtime, page_records=page_records)


def fetch(client: OnecClient, position: Any = None, **keys: Any) -> list[Page]:
    return list(client.fetch_statements(Request(**{"position": position, "start": None, "end": NOW, **keys})))


def ids_of(pages: Sequence[Page]) -> list[str]:
    return [record_id for page in pages for record_id in page.ids]


def rejects_of(pages: Sequence[Page]) -> list[tuple[str, str]]:
    return [(reject.record_id, reject.code) for page in pages for reject in page.rejects]


def write(folder: Path, name: str, data: bytes | str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode("cp1251") if isinstance(data, str) else data)
    return path


# ── what is read ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_registry_finds_it() -> None:
    assert load_connector("onec") is CONNECTOR


def test_records_carry_version_cursor_and_origin(tmp_path: Path) -> None:
    write(tmp_path, "2026/февраль.txt", EXAMPLE)
    (page,) = fetch(client_of(tmp_path))
    assert len(page.ids) == 6
    assert page.origins is not None
    assert page.origins[0] == "2026/февраль.txt:20"
    made = datetime(2026, 2, 6, 9, 15, tzinfo=MOSCOW)
    assert set(page.versions) == {int(made.timestamp()) * 1_000_000}
    assert page.cursors[0] == int(datetime(2026, 2, 2, tzinfo=MOSCOW).timestamp()) * 1_000_000


def test_an_unchanged_file_is_not_even_opened(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", EXAMPLE)
    position = fetch(client_of(tmp_path))[-1].position
    before = path.stat()
    path.write_bytes(bytes(len(EXAMPLE)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    (page,) = fetch(client_of(tmp_path), position)
    assert (page.ids, page.rejects, page.position) == ([], [], None)


def test_a_large_files_digest_is_made_while_it_is_read(tmp_path: Path) -> None:
    """Of a stream that somebody moves meanwhile; a file whose content may be known is not read before that is clear."""
    path = tmp_path / "large.txt"
    path.write_bytes(b"1CClientBankExchange")
    os.truncate(path, LARGE_BYTES)
    file, memory = found_file(path), Memory("reader")
    with file.open() as stream:
        expected = digest_of(stream)
        stream.seek(7)
        with digested(file, stream, memory) as digest:
            assert digest is not None
            digest.begin()
            assert (digest.value(), stream.tell()) == (expected, 7)
        memory.remember(file, expected)
        with digested(replace(file, name="renamed.txt"), stream, memory) as digest:
            assert digest is None
    assert memory.is_untouched(replace(file, name="renamed.txt"))


def test_a_renamed_or_touched_file_is_known_by_its_content(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", EXAMPLE)
    position = fetch(client_of(tmp_path))[-1].position
    path.rename(tmp_path / "b.txt")
    os.utime(tmp_path / "b.txt", ns=(1, 1))
    pages = fetch(client_of(tmp_path), position)
    assert ids_of(pages) == []
    assert pages[-1].position is not None
    assert "b.txt" in pages[-1].position["files"]


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", statement(document("1")))
    position = fetch(client_of(tmp_path))[-1].position
    write(tmp_path, "a.txt", statement(document("1"), document("2")))
    assert len(ids_of(fetch(client_of(tmp_path), position))) == 2


def test_full_and_changed_settings_read_everything_again(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", EXAMPLE)
    position = fetch(client_of(tmp_path))[-1].position
    assert len(ids_of(fetch(client_of(tmp_path), None, full=True))) == 6
    assert len(ids_of(fetch(client_of(tmp_path, own_accounts=[SECOND]), position))) == 6


def test_hidden_and_temporary_files_are_passed_over_and_none_is_touched(tmp_path: Path) -> None:
    for name in (".hidden.txt", "~$book.xlsx", "x.txt.part", "Thumbs.db", ".git/config", "desktop.ini"):
        write(tmp_path, name, PNG)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    assert rejects_of(fetch(client_of(tmp_path))) == []
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_a_large_file_comes_in_pages_and_is_remembered_after_the_last(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", statement(document("0", day="01.02.2026"), last="01.02.2026"))
    write(tmp_path, "b.txt", statement(*(document(str(number)) for number in range(1, 8)), first="02.02.2026"))
    first, last = fetch(client_of(tmp_path, page_records=5))
    assert (len(first.ids), len(last.ids)) == (5, 3)
    assert first.position is not None
    assert last.position is not None
    assert list(first.position["files"]) == ["a.txt"]
    assert list(last.position["files"]) == ["a.txt", "b.txt"]
    assert first.complete_until is None


def test_days_before_the_start_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", EXAMPLE)
    assert len(ids_of(fetch(client_of(tmp_path), start=datetime(2026, 2, 4, tzinfo=MOSCOW)))) == 3


def test_a_window_by_hand_gives_its_days_and_moves_nothing(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", EXAMPLE)
    start, end = datetime(2026, 2, 3, tzinfo=MOSCOW), datetime(2026, 2, 3, 23, 59, 59, tzinfo=MOSCOW)
    (page,) = fetch(client_of(tmp_path), start=start, end=end, window=True)
    assert len(page.ids) == 2
    assert (page.position, page.complete_until) == (None, None)


# ── what is told ────────────────────────────────────────────────────────────────────────────────────────────────


def test_bad_files_are_told_every_run_and_the_rest_loads(tmp_path: Path) -> None:
    write(tmp_path, "1.txt", PNG)
    write(tmp_path, "2.txt", EXAMPLE[:3000])
    write(tmp_path, "3.txt", b"")
    write(tmp_path, "4.txt", EXAMPLE)
    expected = [("1.txt", "not_a_statement"), ("2.txt", "truncated"), ("3.txt", "not_a_statement")]
    pages = fetch(client_of(tmp_path))
    assert rejects_of(pages) == expected
    assert len(ids_of(pages)) == 6
    again = fetch(client_of(tmp_path), pages[-1].position)
    assert rejects_of(again) == expected
    assert ids_of(again) == []
    message = pages[-1].rejects[0].message.render("ru")
    assert "картинка PNG" in message
    assert "kl_to_1c" in message


def test_a_mended_file_is_read_and_told_no_more(tmp_path: Path) -> None:
    write(tmp_path, "1.txt", EXAMPLE[:3000])
    position = fetch(client_of(tmp_path))[-1].position
    write(tmp_path, "1.txt", EXAMPLE)
    pages = fetch(client_of(tmp_path), position)
    assert rejects_of(pages) == []
    assert len(ids_of(pages)) == 6


def test_a_bad_document_is_told_every_run_with_line_and_content(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", statement(document("1"), document("2", amount="x")))
    pages = fetch(client_of(tmp_path))
    again = fetch(client_of(tmp_path), pages[-1].position)
    assert rejects_of(pages) == rejects_of(again) == [("a.txt:18", "bad_amount")]
    (reject,) = pages[-1].rejects
    assert (reject.path, reject.got) == ("line 18 Сумма", "x")
    assert reject.payload is not None
    assert "Номер" in reject.payload.decode()


def test_a_missing_folder_fails_the_source(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="No folder"):
        fetch(client_of(tmp_path / "nowhere"))


def test_an_unknown_encoding_is_a_configuration_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sources\.accounting\.encoding"):
        client_of(tmp_path, encoding="windows-9999")


# ── what is complete ────────────────────────────────────────────────────────────────────────────────────────────


def quiet(last: str, made: str, *accounts: str) -> str:
    return statement(first="01.02.2026", last=last, made=made, accounts=accounts or (OWN,))


@pytest.mark.parametrize(
    ("files", "keys", "through"),
    [
        ([quiet("05.02.2026", "06.02.2026")], {}, "2026-02-05"),
        ([quiet("06.02.2026", "06.02.2026")], {}, "2026-02-05"),
        ([quiet("28.02.2026", "06.02.2026")], {}, "2026-02-05"),
        ([quiet("05.02.2026", "01.02.2026")], {}, None),
        ([quiet("05.02.2026", "")], {}, "2026-02-05"),
        ([quiet("28.02.2026", "")], {}, "2026-02-09"),
        ([quiet("05.02.2026", "06.02.2026"), quiet("03.02.2026", "06.02.2026")], {}, "2026-02-05"),
        ([quiet("05.02.2026", "06.02.2026", OWN), quiet("03.02.2026", "06.02.2026", SECOND)], {}, "2026-02-03"),
        (
            [quiet("05.02.2026", "06.02.2026", OWN), quiet("03.02.2026", "06.02.2026", SECOND)],
            {"closed_accounts": [SECOND]},
            "2026-02-05",
        ),
        ([], {}, None),
        ([EXAMPLE[:3000]], {}, None),
    ],
    ids=[
        "closed interval", "intraday", "interval in the future", "all of it may grow", "no date of making",
        "none, in the future", "an older file", "slower second account", "closed account", "empty folder",
        "refused file",
    ],
)  # fmt: skip
def test_completeness(tmp_path: Path, files: list[str | bytes], keys: dict[str, Any], through: str | None) -> None:
    for place, data in enumerate(files):
        write(tmp_path, f"{place}.txt", data)
    *_, last = fetch(client_of(tmp_path, **keys))
    day = date.fromisoformat(through) if through else None
    assert last.complete_until == (
        datetime(day.year, day.month, day.day + 1, tzinfo=MOSCOW).astimezone(UTC) if day else None
    )


def test_completeness_stays_known_when_nothing_is_new(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", EXAMPLE)
    first = fetch(client_of(tmp_path))[-1]
    assert fetch(client_of(tmp_path), first.position)[-1].complete_until == first.complete_until is not None


# ── check ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_check_says_what_is_there_and_what_does_not_belong(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", EXAMPLE)
    write(tmp_path, "b.txt", statement(first="01.01.2026", last="15.01.2026", accounts=(OWN, SECOND)))
    write(tmp_path, "c.txt", PNG)
    write(tmp_path, "d.txt", EXAMPLE.decode("utf-8", errors="replace").encode())
    lines = [(line.verdict, line.detail.render("ru")) for line in CONNECTOR.check(client_of(tmp_path))]
    assert lines == [
        ("ok", f"{tmp_path}: файлов 4"),
        ("ok", "выписок 2, счетов 2, последняя за 02.02.2026–05.02.2026"),
        (
            "warning",
            "по счёту …0102 выписки только до 15.01.2026: данные о деньгах считаются полными лишь до этого дня",
        ),
        ("warning", "по счёту …0101 нет выписки за 16.01.2026–01.02.2026"),
        ("warning", "никто не читает, картинка PNG: c.txt"),
        ("failed", "d.txt: Русские буквы в файле испорчены: его пересохранили в неверной кодировке."),
    ]


def test_check_of_a_missing_folder_has_a_remedy(tmp_path: Path) -> None:
    (line,) = CONNECTOR.check(client_of(tmp_path / "nowhere"))
    assert line.verdict == "failed"
    assert line.remedy is not None


# ── overlapping statements ──────────────────────────────────────────────────────────────────────────────────────

ACCOUNTS = (CUSTOMER, "40702810200000000301")


@st.composite
def exports(draw: st.DrawFn) -> tuple[list[tuple[int, str, str, int]], list[tuple[int, int]]]:
    """Payments `(day, amount, payer, twins)` of ten days, and intervals that together cover them."""
    payments = draw(
        st.lists(
            st.tuples(
                st.integers(1, 10), st.sampled_from(["100", "250.5"]), st.sampled_from(ACCOUNTS), st.integers(1, 3)
            ),
            max_size=8,
        )
    )
    cuts = draw(st.lists(st.integers(1, 9), max_size=3, unique=True).map(sorted))
    borders = [0, *cuts, 10]
    intervals = [
        (max(1, start + 1 - draw(st.integers(0, 3))), min(10, end + draw(st.integers(0, 3))))
        for start, end in pairwise(borders)
    ]
    return payments, draw(st.permutations(intervals))


def export(payments: list[tuple[int, str, str, int]], first: int, last: int) -> str:
    documents = [
        document("7", day=f"{day:02}.02.2026", amount=amount, payer=payer)
        for day, amount, payer, twins in payments
        if first <= day <= last
        for _ in range(twins)
    ]
    return statement(*documents, first=f"{first:02}.02.2026", last=f"{last:02}.02.2026", made="11.02.2026")


@settings(max_examples=25, deadline=None)
@given(exports())
def test_overlapping_statements_in_any_order_end_in_the_same_payments(
    case: tuple[list[tuple[int, str, str, int]], list[tuple[int, int]]],
) -> None:
    """Split at any days, overlapping, loaded file by file in any order and twice: nothing doubles, no twin is lost."""
    payments, intervals = case
    with TemporaryDirectory() as whole, TemporaryDirectory() as parts:
        write(Path(whole), "whole.txt", export(payments, 1, 10))
        expected = dict(_stored(fetch(client_of(Path(whole)))))
        assert len(expected) == sum(twins for _, _, _, twins in payments)
        stored: dict[str, bytes] = {}
        position = None
        for place, (first, last) in enumerate([*intervals, *intervals]):
            write(Path(parts), f"{place}.txt", export(payments, first, last))
            pages = fetch(client_of(Path(parts)), position)
            stored |= _stored(pages)
            position = pages[-1].position or position
        assert stored == expected


def _stored(pages: list[Page]) -> dict[str, bytes]:
    return {record_id: data for page in pages for record_id, data in zip(page.ids, page.payloads, strict=True)}


def test_an_intraday_file_and_the_day_after_end_in_one_set(tmp_path: Path) -> None:
    balance = section("02.02.2026", "02.02.2026", came="1000", closing="1000")
    write(
        tmp_path, "a.txt", statement(balance, document("1"), first="02.02.2026", last="02.02.2026", made="02.02.2026")
    )
    first = fetch(client_of(tmp_path))
    balance = section("02.02.2026", "02.02.2026", came="3000", closing="3000")
    documents = (document("1"), document("1"), document("2"))
    write(tmp_path, "b.txt", statement(balance, *documents, first="02.02.2026", last="02.02.2026", made="03.02.2026"))
    second = fetch(client_of(tmp_path), first[-1].position)
    assert len({*ids_of(first), *ids_of(second)}) == 3
