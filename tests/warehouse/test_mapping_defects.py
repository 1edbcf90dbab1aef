"""A mapping that breaks at one record: our own mistake costs that record, in the open, and not the run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from base.errors import TooManyRejectsError
from connectors.stream import MapContext, RawRecord, Rows, Settings, target
from tests.engine import look
from tests.toy import Toy, page
from warehouse.mapping import map_records

CONTEXT = MapContext(
    source="toy", settings=Settings(type="toy"), zone=ZoneInfo("Europe/Moscow"), country="RU", currency="RUB"
)
ROWS = target("core.toys", "a")
# A value of the record; most of the exceptions below repeat it in their words.
VALUE = "Иванов +79161234567"
MISTAKES: dict[str, Callable[[str], Any]] = {
    "ValueError": int,
    "TypeError": lambda value: {}[[value]],  # type: ignore[index]
    "KeyError": lambda value: {}[value],
    "IndexError": lambda value: [][len(value)],
    "AttributeError": lambda value: getattr(value, value),
    "InvalidOperation": Decimal,
    "OverflowError": lambda value: float(10**400 + len(value)),
    "ZeroDivisionError": lambda value: len(value) // 0,
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_names_its_kind_and_place_and_no_value_of_the_record(kind: str) -> None:
    def break_down(record: RawRecord, context: MapContext, rows: Rows) -> None:
        rows.add(ROWS, (record.record_id,))
        if record.record_id == "2":
            MISTAKES[kind](record.payload.decode())

    columns = [["1", "2", "3"], ["put"] * 3, [1, 2, 3], [0] * 3, [None] * 3, [VALUE.encode()] * 3]
    mapped = map_records(break_down, CONTEXT, columns)

    # The half that was mapped before it broke is taken back.
    assert mapped.rows.rows[ROWS] == [("1",), ("3",)]
    ((place, verdict),) = mapped.rejects
    assert (place, verdict.code, verdict.got) == (1, "mapping_defect", kind)
    for text in (verdict.message.render("ru"), verdict.message.render("en")):
        assert kind in text
        assert f"{Path(__file__).name}:" in text
        assert VALUE not in text


def test_the_record_is_kept_and_told_of_and_the_rest_is_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Before, one record without a key ended the whole run with a traceback."""
    toy = Toy(tmp_path)
    whole, lacking = {"id": 1, "deal": 7, "deleted": True}, {"id": 2, "phone": VALUE}
    with caplog.at_level(logging.WARNING, logger="voronka"):
        report = toy.run({"events": [page(whole, lacking)]})

    assert not report.is_ok
    with look(toy.project().warehouse_path) as connection:
        assert connection.execute("SELECT deal_id FROM core.deals").fetchall() == [("7",)]
        rejects = connection.execute("SELECT record_id, reason, got FROM meta.rejects").fetchall()
    assert rejects == [("2", "mapping_defect", "KeyError")]
    with look(toy.project().raw_path) as connection:
        kept = connection.execute("SELECT payload FROM raw.records WHERE record_id = '2'").fetchone()
    assert kept is not None
    assert VALUE in kept[0]
    warned = [record.getMessage() for record in caplog.records if "mapping_defect" in record.getMessage()]
    assert warned == ["source=toy stream=events event=mapping_defect error=KeyError records=1"]


def test_a_mapping_that_breaks_at_every_record_fails_the_run(tmp_path: Path) -> None:
    report = Toy(tmp_path).run({"events": [page(*({"id": number} for number in range(30)))]})

    assert [type(error) for error in report.errors] == [TooManyRejectsError]
