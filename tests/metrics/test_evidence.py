"""`facts.kpi_evidence` as analysts meet it: in a copy, read-only, with comments, and in agreement with the facts."""

from __future__ import annotations

import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from metrics.availability import find_availability
from metrics.catalogue import Catalogue, load_catalogue
from metrics.evidence import COLUMNS, VIEW_COLUMNS, counted_evidence, evidence
from metrics.explain import explain
from metrics.literals import literal
from metrics.periods import parse_period
from metrics.reading import compute_kpi, read_kpi
from metrics.views import create_views
from tests.metrics.fixture_calc import reference_calc
from tests.metrics.fixture_core import COMPANY, ZONE, moscow
from tests.metrics.test_catalogue import OWN, own
from tests.metrics.test_compute import compute, only


def test_a_published_copy_shows_evidence_explains_and_computes_read_only(tmp_path: Path) -> None:
    """A view that named the file it was made in, or a session's variable, would fail in the copy."""
    connection = reference_calc()
    compute(connection, "leads_new revenue_cash")
    (working,) = connection.execute("SELECT path FROM duckdb_databases() WHERE NOT internal").fetchall()[0]
    connection.close()
    shutil.copy(working, tmp_path / "analytics.duckdb")
    published = duckdb.connect(str(tmp_path / "analytics.duckdb"), read_only=True)
    catalogue = only("leads_new revenue_cash")
    assert read_kpi(published, "2026-11", "revenue_cash", "company")[0].num == 430_000
    assert explain(published, catalogue, "2026-11", "leads_new").counted_count == 8
    rows, _ = compute_kpi(
        published, COMPANY, catalogue, parse_period("2026-11")[0], date(2026, 11, 16), "revenue_cash", "company"
    )
    assert rows[0].num == 250_000
    other = duckdb.connect()
    other.execute(f"ATTACH {literal(str(tmp_path / 'analytics.duckdb'))} AS elsewhere (READ_ONLY)")
    assert other.execute("SELECT count(*) FROM elsewhere.facts.kpi_evidence").fetchone() != (0,)


def test_the_view_and_each_of_its_columns_carry_a_comment() -> None:
    connection = reference_calc()
    create_views(connection, load_catalogue(), ZONE)
    columns = connection.execute(
        "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'kpi_evidence' ORDER BY column_index"
    ).fetchall()
    assert dict(columns) == VIEW_COLUMNS
    assert all(comment for _, comment in columns)
    assert connection.execute("SELECT comment FROM duckdb_views() WHERE view_name = 'kpi_evidence'").fetchone() != (
        None,
    )


def test_the_view_is_written_again_only_when_the_catalogue_changed() -> None:
    connection = reference_calc()
    catalogue = only("leads_new calls_attempted")
    assert create_views(connection, catalogue, ZONE)
    assert not create_views(connection, catalogue, ZONE)
    assert create_views(connection, only("leads_new"), ZONE)


def test_the_documented_columns_are_the_ones_a_body_may_yield() -> None:
    """The header of metrics/evidence.py is the manual of metric authors."""
    shown = set(VIEW_COLUMNS) - {"metric", "entity_type", "entity_id"}
    assert shown == set(COLUMNS) - {"person_id", "team", "pipeline_id"}


def test_a_distinct_metric_recounts_for_the_company(tmp_path: Path) -> None:
    """metrics.md 10: company 6, A 5, B 2; parts that were summed would give 7."""
    connection = reference_calc()
    numbers = {"C1": "1", "C3": "2", "C5": "3", "C6": "4", "C9": "7", "C11": "9", "C12": "1", "C13": "4"}
    for call, number in numbers.items():
        connection.execute("UPDATE calc.calls SET external_number = ? WHERE call_id = ?", [number, call])
    text = f"{OWN}WHERE c.is_successful\n"
    compute(connection, catalogue=Catalogue({"calls_people": load_catalogue(own(tmp_path, text)).get("calls_people")}))
    rows = {row.entity_id: row for row in read_kpi(connection, "2026-11", "calls_people")}
    assert {name: rows[name].num for name in ("company", "A", "B")} == {"company": 6, "A": 5, "B": 2}
    assert rows["company"].value == 6


def test_a_distribution_takes_its_quantile_over_records(tmp_path: Path) -> None:
    """A mean of the managers' medians would be another number."""
    connection = reference_calc()
    text = OWN.replace("additivity: distinct", "additivity: distribution").replace("1 AS num", "c.talk_seconds AS num")
    text += "WHERE c.is_successful\n"
    metric = load_catalogue(own(tmp_path, text)).get("calls_people")
    compute(connection, catalogue=Catalogue({metric.key: metric}))
    rows = {row.entity_id: row for row in read_kpi(connection, "2026-11", metric.key)}
    # Talk of the eight successful calls: 45, 60, 75, 95, 180, 200, 240, 310.
    assert (rows["company"].num, rows["company"].den, rows["company"].value) == (None, 8, 137.5)
    assert rows["A"].value == 95


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        ("O'Hara", "'O''Hara'"),
        (None, "NULL"),
        (True, "TRUE"),
        (["a", "b'"], "['a', 'b''']::VARCHAR[]"),
        (date(2026, 11, 1), "DATE '2026-11-01'"),
    ],
)
def test_a_literal_is_quoted(value: object, sql: str) -> None:
    assert literal(value) == sql


def test_an_instant_comes_back_as_the_same_instant() -> None:
    moment = moscow("30 23:59:59")
    assert duckdb.connect().execute(f"SELECT epoch_us({literal(moment)})").fetchone() == (
        int(moment.timestamp() * 1e6),
    )


@pytest.mark.parametrize("value", [moscow("01 00:00").replace(tzinfo=None), Decimal(1)])
def test_a_value_nobody_decided_about_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        literal(value)


@pytest.mark.parametrize("is_divided", [False, True])
def test_what_facts_are_made_of_is_the_evidence_that_counts(is_divided: bool) -> None:
    """Records are left out and summed before their rows by pipeline and source: a sum over another key, or a record at
    or after `as_of`, would show in facts and nowhere else."""
    connection = reference_calc()
    catalogue = load_catalogue()
    period = parse_period("2026-11")[0]
    availability = find_availability(connection, COMPANY, catalogue, period, date(2026, 11, 16))
    present = [m for m in catalogue.counted if m.key not in availability.absent and m.additivity != "distribution"]
    told = evidence(present, availability.bounds, is_divided=is_divided)
    made = counted_evidence(present, availability.bounds, is_divided=is_divided)
    keyed = ", ".join(literal(m.key) for m in present if m.additivity in ("distinct", "derived"))
    key = f"CASE WHEN metric IN ({keyed}) THEN key END"

    def summed(query: str, where: str) -> list[tuple[object, ...]]:
        return connection.execute(
            f"SELECT metric, variant, pipeline, person_id, team, {key} AS counted, evidence_class, "
            f"credit_precision, sum(num), sum(den) FROM ({query}) WHERE {where} GROUP BY ALL ORDER BY ALL"
        ).fetchall()

    assert summed(made, "TRUE") == summed(told, "excluded_by IS NULL") != []
    assert connection.execute(f"SELECT 1 FROM ({told}) WHERE excluded_by = 'after_as_of' LIMIT 1").fetchone()
    lines, records = (connection.execute(f"SELECT count(*) FROM ({query})").fetchall() for query in (made, told))
    assert lines < records
