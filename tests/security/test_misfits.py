"""A value that no column can hold rejects its record, whole, with the place named; the run goes on."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.stream import Rows
from tests.engine import look
from tests.toy import DEALS, LINKS, Toy, page


def contact(number: int, created: int) -> dict[str, Any]:
    return {"id": number, "updated": 100, "created": created, "phones": [f"+7916000000{number}"]}


@pytest.mark.parametrize(
    "created",
    [10**15, 2**63, -(10**12), 10**30],
    ids=["past the year 9999", "past 64 bits", "before the year 1", "far past 64 bits"],
)
def test_the_rest_of_the_chunk_is_loaded(toy: Toy, created: int) -> None:
    """One such value used to fail the column of the whole chunk, and with it the run, every night again."""
    report = toy.run({"contacts": [page(contact(1, 100), contact(2, created), contact(3, 100))]})
    assert [str(error) for error in report.errors] == []
    with look(toy.project().warehouse_path) as stored:
        assert stored.execute("SELECT contact_id FROM core.contacts ORDER BY 1").fetchall() == [("1",), ("3",)]
        assert stored.execute("SELECT contact_id FROM core.contact_phones ORDER BY 1").fetchall() == [("1",), ("3",)]
        [(record_id, reason, path)] = stored.execute("SELECT record_id, reason, path FROM meta.rejects").fetchall()
    assert (record_id, reason) == ("2", "does_not_fit")
    assert path == "core.contacts.created_at"


def test_retracting_takes_back_the_present_record_only() -> None:
    """A mapping that raises after its first row must leave nothing of the record, and everything of the others."""
    rows = Rows()
    rows.begin(0)
    rows.add(DEALS, ("1", "a", None, None, 0))
    rows.add_children(LINKS, ("1",), [("1", "c1", None)])
    rows.begin(1)
    rows.add(DEALS, ("2", "b", None, None, 0))
    rows.add_children(LINKS, ("2",), [("2", "c2", None), ("2", "c3", None)])
    rows.retract()
    assert rows.rows == {DEALS: [("1", "a", None, None, 0)], LINKS: [("1", "c1", None)]}
    assert rows.owners == {LINKS: [("1",)]}
    assert (rows.ordinals, rows.owner_ordinals) == ({DEALS: [0], LINKS: [0]}, {LINKS: [0]})
    rows.begin(0)
    rows.retract()
    assert (rows.rows, rows.owners, rows.ordinals) == ({}, {}, {})
