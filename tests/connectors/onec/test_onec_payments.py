"""Payments mapped as a large statement is read: they must be what the mapping makes of the log."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from onec_files import CUSTOMER, EXAMPLE, FILES, OWN, SECOND, document, statement
from test_onec_client import write

from base.helpers import HelperError
from base.secrets import Secret
from connectors.onec.client import OnecClient
from connectors.onec.mapping import BROUGHT, map_movement
from connectors.onec.payments import NAMES
from connectors.onec.settings import OnecSettings
from connectors.onec.side_by_side import Answers
from connectors.onec.spool import PAYMENT
from connectors.onec.streams import CONNECTOR
from connectors.onec.survey import survey
from connectors.stream import MapContext, RawRecord, Rows, Runtime
from flows.project import Project, Source
from flows.steps.sources import files_of
from flows.steps.sync import sync
from metrics.settings import Company
from models.arrow import arrow_type, find_relation
from tests.toy import EPOCH, FakeClock
from warehouse.database import open_warehouse

SETTINGS = OnecSettings(type="onec", path="files", user="u", password=Secret("s"))
CONTEXT = MapContext(
    source="bank", settings=SETTINGS, zone=ZoneInfo("Europe/Moscow"), country="RU", currency="RUB",
    own_tax_ids=frozenset({"7701234567"}),
)  # fmt: skip
FOREIGN = "40702999600000000101"  # an account of no currency that there is


class Crew:
    """A helper in this process; those of `gone` (by turn) have died."""

    def __init__(self, gone: Sequence[int] = ()) -> None:
        self.asked: list[bytes] = []
        self._gone = gone
        self._answer = Answers()

    def submit(self, piece: bytes) -> Future[bytes]:
        self.asked.append(piece)
        found: Future[bytes] = Future()
        if len(self.asked) in self._gone:
            found.set_exception(HelperError("ended"))
        else:
            found.set_result(self._answer(piece))
        return found


def mapped(data: bytes, crew: Crew | None = None, piece_bytes: int = 2_000) -> list[Any]:
    """A record's payload and its row, for all of them."""

    @contextmanager
    def start() -> Iterator[Crew]:
        assert crew is not None
        yield crew

    found = survey(io.BytesIO(data), crew=start if crew else None, mapping=CONTEXT, piece_bytes=piece_bytes)
    return [
        pair
        for kept in found.stretches()
        for pair in zip(kept.payloads, kept.rows or [None] * len(kept.ids), strict=True)
    ]  # fmt: skip


def row_of(payload: bytes) -> dict[str, Any]:
    rows = Rows()
    map_movement(RawRecord("id", payload, 1, 1), CONTEXT, rows)
    (row,) = rows.rows[BROUGHT.into]
    values = dict(zip(BROUGHT.into.columns, row, strict=True))
    amounts = ("amount", "amount_reporting", "vat_amount")
    return {name: str(values[name]) if name in amounts and values[name] is not None else values[name] for name in NAMES}


@pytest.mark.parametrize("name", ["example_cp1251.txt", "one_day_cp1251.txt", "two_accounts_cp1251.txt"])
def test_rows_are_what_the_mapping_makes_of_the_payloads(name: str) -> None:
    crew = Crew()
    found = mapped((FILES / name).read_bytes(), crew)
    assert found
    assert [row for _, row in found] == [row_of(payload) for payload, _ in found]
    assert all(b"Secret" not in piece for piece in crew.asked)


DOCUMENTS = [document(str(number), payee=FOREIGN if number == 700 else OWN) for number in range(1, 2_000)]
MANY = statement(*DOCUMENTS, accounts=(OWN, FOREIGN)).encode("cp1251")


def test_a_stretch_with_a_bad_record_has_no_rows() -> None:
    """The bad one's reason is told when the log is mapped, so it must get there; the others aren't held up by it."""
    found = mapped(MANY)
    assert len(found) == len(DOCUMENTS)
    assert {place // 512 for place, (_, row) in enumerate(found) if row is None} == {1}
    assert sum(row is None for _, row in found) == 512


def test_what_a_helper_that_died_should_have_mapped_is_mapped_all_the_same() -> None:
    crew = Crew(gone=(2, 3))
    found = mapped(MANY, crew, piece_bytes=100_000)
    assert len(crew.asked) > 3
    rows = [(payload, row) for payload, row in found if row is not None]
    assert len(rows) > len(DOCUMENTS) - 1_024
    assert [row for _, row in rows] == [row_of(payload) for payload, _ in rows]


def test_where_no_process_can_be_started_payments_are_mapped_all_the_same() -> None:
    @contextmanager
    def refuse() -> Iterator[Crew]:
        raise HelperError("no room")
        yield

    (kept,) = survey(io.BytesIO(EXAMPLE), crew=refuse, mapping=CONTEXT).stretches()
    assert kept.rows == [row_of(payload) for payload in kept.payloads]


def test_their_fields_are_the_types_of_the_core() -> None:
    """A column of another kind would be cast as text, or leave every record to the mapping."""
    types = find_relation(BROUGHT.into.relation).columns
    for field in PAYMENT:
        kind = arrow_type(types[field.name])
        assert str(kind) in (str(field.type), "decimal128(18, 2)")


STATEMENTS = {
    "a.txt": statement(
        document("1"),
        document("1"),  # a twin
        document("2", payer=OWN, payee=SECOND, debited="02.02.2026", credited="02.02.2026"),
        document("3", amount="нет"),
        *[document(str(number), amount=f"{number}.00", НазначениеПлатежа="в т.ч. НДС 20% 1.50") for number in range(9)],
        accounts=(OWN, SECOND),
    ),
    "b.txt": statement(
        document("1"), document("7", payer=OWN, payee=CUSTOMER), document("8", payee=FOREIGN),
        accounts=(OWN, FOREIGN), made="07.02.2026",
    ),
}  # fmt: skip
STATE = (
    "SELECT * EXCLUDE (loaded_at) FROM core.payments ORDER BY ALL",
    "SELECT seq, record_id, version, origin, payload FROM landing.raw.records ORDER BY seq",
    "SELECT record_id, reason, message FROM landing.raw.rejects ORDER BY ALL",
    "SELECT record_id, reason, message FROM meta.rejects WHERE phase = 'conform' ORDER BY ALL",
)


def test_a_load_by_helpers_ends_as_a_load_without_them(tmp_path: Path) -> None:
    """Processes of their own, twins, transfers between own accounts, records known already, rejects of both kinds."""
    found = []
    for name, large_bytes in (("small", 1 << 30), ("large", 0)):

        @contextmanager
        def open_(settings: OnecSettings, runtime: Runtime, size: int = large_bytes) -> Iterator[OnecClient]:
            client = OnecClient(settings, runtime)
            client.readers["statements"] = replace(client.readers["statements"], large_bytes=size)  # type: ignore[type-var]
            yield client

        for file, text in STATEMENTS.items():
            write(tmp_path / name, file, text)
        settings = OnecSettings(type="onec", path=str(tmp_path / name))
        # Beside the statements: what lies among them is read.
        var = tmp_path / f"{name}-var"
        project = Project(
            root=tmp_path, config_path=tmp_path / "voronka.toml", company=Company(zone=ZoneInfo("Europe/Moscow")),
            warehouse_path=var / "warehouse.duckdb", raw_path=var / "raw.duckdb", lake=None,
            publish_path=tmp_path / "analytics.duckdb",
            sources={"bank": Source(name="bank", type="onec", settings=settings)}, state_dir=var,
        )  # fmt: skip
        connector = replace(CONNECTOR, open=open_)
        clock = FakeClock(EPOCH)
        sync(project, clock=clock, find_connector=lambda name, connector=connector: connector)
        with open_warehouse(files_of(project), command="test", clock=clock) as warehouse:
            found.append([warehouse.connection.execute(query).fetchall() for query in STATE])
    assert found[0] == found[1]
    assert len(found[0][0]) == 14
    assert found[0][3]
