"""A line added to a user's file: the rest of it stays as it was."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from base.errors import InputError
from metrics.inputs.append import append_lines
from metrics.inputs.declared import MATCHES
from metrics.inputs.reader import read_file

LINE = {
    "source": "bank", "payment_id": "p2", "deal_source": "amo", "deal_id": "7", "amount": Decimal("90.50"),
    "approved_by": "Анна; директор", "approved_on": date(2026, 11, 30),
}  # fmt: skip
HEADER = "source,payment_id,deal_source,deal_id,amount,approved_by,approved_on"


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(b"", id="no file"),
        pytest.param(f"{HEADER}\nbank,p1,amo,5,,,\n".encode(), id="comma"),
        pytest.param(f"{HEADER}\nbank,p1,amo,5,,,".encode(), id="no end of the last line"),
        pytest.param(f"\ufeff{HEADER}\r\nbank,p1,amo,5,,,\r\n".encode(), id="Excel's UTF-8"),
        pytest.param(
            f"{HEADER}\nbank,p1,amo,5,100.5,Пётр,\n".replace(",", ";").encode("cp1251"), id="semicolons and cp1251"
        ),
        pytest.param(b"deal_id,deal_source,amount,approved_on,approved_by,payment_id,source\n", id="another order"),
    ],
)
def test_a_line_is_added_and_nothing_else_changes(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "inputs" / "matches.csv"
    if before:
        path.parent.mkdir()
        path.write_bytes(before)
    append_lines(path, MATCHES, [LINE])
    assert path.read_bytes().startswith(before)
    read = read_file(path, MATCHES, "RU")
    assert read.problems == []
    assert read.rows[-1].values == LINE
    assert len(read.rows) == before.count(b"p1") + 1
    assert [found.name for found in path.parent.iterdir()] == ["matches.csv"]


def test_a_character_the_files_encoding_lacks_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "matches.csv"
    before = f"{HEADER}\nbank,p1,amo,5,,Пётр,\n".encode("cp1251")
    path.write_bytes(before)
    with pytest.raises(InputError, match="cp1251"):
        append_lines(path, MATCHES, [LINE | {"approved_by": "Łukasz"}])
    assert path.read_bytes() == before
