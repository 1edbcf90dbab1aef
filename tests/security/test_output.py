"""What others write into a name is shown as a name: no terminal, spreadsheet or page of Markdown obeys it."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import FileError
from base.shown import clean, fence, guard_cell, unguard_cell
from base.text import say
from metrics.inputs.append import append_lines
from metrics.inputs.declared import EXCLUSIONS, PEOPLE
from metrics.inputs.reader import read_file
from tests.security.fuzz import settings_for
from voronka.app import App
from voronka.reports.page import Cell, Field, Page
from voronka.reports.results import rows_document, write_csv

# A title of each kind that has hurt somebody: formulas, DDE, escape sequences, markup, bidi, a line of its own.
HOSTILE = (
    '=HYPERLINK("http://evil.test","счёт")',
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "\t=1+1",
    "'=1+1",
    "\x1b]0;pwned\x07\x1b[2J\x1b[31mкрасное",
    "\x9b31m",
    "[red]markup[/red] [link=file:///etc/passwd]x[/link]",
    "```\n# heading\n<script>alert(1)</script>",
    "| a | b |",
    "\u202egnp.exe",
    "\u2066скрыто\u2069",
    "a\rb",
    "first\u2028second",
    "{source} {0} %s",
)
ESCAPES = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def test_no_cell_of_a_csv_file_is_a_formula() -> None:
    stream = io.StringIO()
    write_csv(stream, ["=title", "amount"], [[(title, -100) for title in HOSTILE]])
    table = list(csv.reader(io.StringIO(stream.getvalue())))
    assert len(table) == len(HOSTILE) + 1
    for title, amount in table[1:]:
        assert title.lstrip(" ")[:1] not in ("=", "@", "\t", "\r")
        assert not re.match(r"[+-].*[^0-9 ().,/+-]", title)
        assert amount == "-100"
    assert table[0][0] == "'=title"


@pytest.mark.parametrize("text", ["+7 (916) 00", "+79160000000", "-100", "-1,50", "Оплата = 5", "a@b.ru", "12-3", ""])
def test_phones_numbers_and_plain_words_stay_as_they_are(text: str) -> None:
    """An apostrophe before every phone would spoil each join on it."""
    assert guard_cell(text) == text


def test_whatever_was_guarded_is_read_back() -> None:
    """An input file is written for a spreadsheet and read by us: an id must come back as it was."""

    @settings_for(200)
    @given(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=8), st.text("'=+-@1a", max_size=6)))
    def check(text: str) -> None:
        assert unguard_cell(guard_cell(text)) == text.replace("\r\n", "\n").replace("\r", "\n")

    check()


def test_json_has_every_value_as_it_is() -> None:
    """For programs: nothing is escaped but by JSON."""
    assert rows_document(["title"], [(HOSTILE[0],)]) == [{"title": HOSTILE[0]}]


def test_lines_added_to_an_input_file_are_no_formulas_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / EXCLUSIONS.name
    line = {"source": "amo", "record_type": "deal", "record_id": "=1+1", "reason": HOSTILE[0], "approved_by": "@я",
            "approved_on": "2026-01-01"}  # fmt: skip
    append_lines(path, EXCLUSIONS, [line])
    assert not re.search(r'(^|[,;"])[=@]', path.read_text("utf-8").partition("\n")[2])
    [row] = read_file(path, EXCLUSIONS, "RU").rows
    assert (row.values["record_id"], row.values["reason"], row.values["approved_by"]) == ("=1+1", HOSTILE[0], "@я")


def test_a_person_of_a_hostile_name_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / PEOPLE.name
    append_lines(path, PEOPLE, [{"person_id": "p", "name": HOSTILE[0], "valid_from": "2026-01-01"}])
    [row] = read_file(path, PEOPLE, "RU").rows
    assert row.values["name"] == HOSTILE[0]


# ── terminals ───────────────────────────────────────────────────────────────────────────────────────────────────


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("is_terminal", [True, False])
def test_no_report_carries_escapes_or_markup_of_a_record(is_terminal: bool) -> None:
    """On a terminal our own colours are the only escapes; markup is shown, not obeyed."""
    stream = Terminal() if is_terminal else io.StringIO()
    page = Page.on_stream(stream, language="ru", zone=None, width=200)
    page.table([Field("Сделка", is_wide=True), Field("Кто")], [(Cell(title, "red"), title) for title in HOSTILE])
    for title in HOSTILE:
        page.say(title)
        page.verbatim(title)
        page.heading(title)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert ESCAPES.findall(shown) == []
    assert "[red]markup[/red]" in shown
    assert "pwned" in shown


def test_no_message_carries_escapes_of_a_vendor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error quotes the vendor's answer, or a file's name, on stderr."""
    app = App(tmp_path / "voronka.toml", chosen_language="ru")
    for title in HOSTILE:
        app.complain(FileError(say("{file}: {title}", "{file}: {title}", file=title, title=title)))
    told = capsys.readouterr().err
    assert ESCAPES.findall(told) == []
    assert "pwned" in told


# ── Markdown ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", [*HOSTILE, "`" * 20, "~~~\n```\n````\nx"])
def test_nothing_leaves_a_block_of_markdown(text: str) -> None:
    """Prefect's page shows failures as Markdown: a vendor's answer must not become a page of its own."""
    marks, *body, end = fence(text).split("\n")
    assert marks == end
    assert set(marks) == {"`"}
    assert not any(line.strip().startswith(marks) for line in body)
    assert ESCAPES.findall("\n".join(body)) == []


def test_clean_keeps_words() -> None:
    assert clean("ООО «Ромашка» №7, 100 ₽ — оплата") == "ООО «Ромашка» №7, 100 ₽ — оплата"
