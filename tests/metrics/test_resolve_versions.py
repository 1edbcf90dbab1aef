"""Which changes of inputs are a reason to resolve."""

from __future__ import annotations

from pathlib import Path

import pytest

from metrics import resolve
from metrics.resolve.versions import UNREAD_INPUTS, present_versions
from metrics.versions import input_version
from tests.metrics.fixture_core import COMPANY, empty_warehouse


@pytest.mark.parametrize(
    ("file", "resolves"),
    [
        ("people.csv", True),
        ("calendar.csv", True),
        ("plans.csv", False),
        ("absences.csv", False),
        ("calendar:RU", False),
    ],
)
def test_what_no_step_reads_resolves_nothing_but_computes_periods_anew(file: str, resolves: bool) -> None:
    """A plan typed into a file, or a newer version of the calendar's package with the same days, cost a company of a
    hundred million calls the resolving of all of them."""
    with empty_warehouse() as connection:
        before = present_versions(connection, COMPANY), input_version(connection)
        connection.execute(
            "INSERT INTO meta.inputs (file, digest, rows, loaded_at) VALUES ($file, 'other', 1, now())", {"file": file}
        )
        assert (present_versions(connection, COMPANY) != before[0]) == resolves
        assert input_version(connection) != before[1], "periods would not be computed anew"


@pytest.mark.parametrize("relation", UNREAD_INPUTS.values())
def test_no_step_reads_what_is_no_reason_to_resolve(relation: str) -> None:
    """A step that began to read plans would go on with those of the last resolve."""
    paths = [path for path in Path(resolve.__file__).parent.rglob("*") if path.suffix in (".py", ".sql")]
    texts = {path.name: path.read_text(encoding="utf-8") for path in paths}
    assert any("core.people" in text for text in texts.values()), "the search finds nothing"
    assert [name for name, text in texts.items() if relation in text] == []
