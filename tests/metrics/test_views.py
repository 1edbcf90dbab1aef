"""The views for analysts: right beside the facts they show, commented, and renewed with the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from metrics.catalogue import Catalogue, load_catalogue
from metrics.views import create_views
from tests.metrics.fixture_calc import call_row, reference_calc
from tests.metrics.fixture_core import ZONE, insert
from tests.metrics.test_catalogue import OWN, own
from tests.metrics.test_compute import compute, only

KEYS = "leads_new calls_attempted lead_contact_rate revenue_cash deals_paid stage_conversion_cohort"


@pytest.fixture(scope="module")
def computed() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = reference_calc()
    catalogue = only(KEYS)
    compute(connection, catalogue=catalogue)
    compute(connection, period="2026-W47", catalogue=catalogue)
    yield connection
    connection.close()


def test_kpi_wide_is_a_row_for_each_entity_with_the_values_of_its_facts(computed: duckdb.DuckDBPyConnection) -> None:
    rows = computed.execute(
        "SELECT entity_type, entity_id, leads_new, lead_contact_rate, revenue_cash, currency FROM facts.kpi_wide "
        "WHERE period = '2026-11' AND entity_type <> 'team' ORDER BY entity_id"
    ).fetchall()
    assert rows == [
        ("manager", "A", 5, 1.0, Decimal("200000.00"), "RUB"),
        ("manager", "B", 3, 1 / 3, Decimal("210000.00"), "RUB"),
        ("company", "company", 8, 0.75, Decimal("430000.00"), "RUB"),
        # Nobody's money, and nobody's leads.
        ("manager", "unassigned", None, None, Decimal("20000.00"), "RUB"),
    ]


def test_every_fact_stands_in_its_column(computed: duckdb.DuckDBPyConnection) -> None:
    """A column filled from another metric, or a form taken for the plain one."""
    wide = {
        (row[0], row[1], row[2], key): row[index]
        for index, key in enumerate(KEYS.split(), start=3)
        for row in computed.execute(
            f"SELECT period, entity_type, entity_id, {', '.join(KEYS.split())} FROM facts.kpi_wide"
        ).fetchall()
    }
    facts = computed.execute(
        "SELECT period, entity_type, entity_id, metric, value FROM facts.kpi WHERE variant = '' AND pipeline = ''"
        " AND value IS NOT NULL"
    ).fetchall()
    assert {
        (period, kind, entity, key): float(wide[period, kind, entity, key]) for period, kind, entity, key, _ in facts
    } == {(period, kind, entity, key): value for period, kind, entity, key, value in facts}
    assert sum(value is not None for value in wide.values()) == len(facts)


def test_funnel_wide_is_the_chain_from_the_base_stage(computed: duckdb.DuckDBPyConnection) -> None:
    row = computed.execute(
        "SELECT base, qualified, meeting, offer, invoice, won, paid, paid_share, maturity FROM facts.funnel_wide "
        "WHERE period = '2026-11' AND form = 'cohort' AND entity_type = 'company'"
    ).fetchall()
    assert row == [(8, 6, 5, 5, 4, 4, 3, 3 / 8, 7 / 8)]


def test_daily_adds_up_to_the_month_whatever_else_was_computed(computed: duckdb.DuckDBPyConnection) -> None:
    """A week computed beside its month holds the same records: counted twice, the days would not add up."""
    rows = computed.execute(
        "SELECT sum(leads_new), sum(calls_attempted), sum(revenue_cash), sum(deals_paid), min(day), max(day) "
        "FROM facts.daily WHERE entity_type = 'company'"
    ).fetchall()
    assert rows == [(8, 9, 430_000, 4, date(2026, 11, 2), date(2026, 11, 26))]
    day = computed.execute(
        "SELECT leads_new, calls_attempted FROM facts.daily WHERE day = '2026-11-02' AND entity_id = 'A'"
    ).fetchall()
    assert day == [(2, 3)]


def test_a_day_is_the_companys(computed: duckdb.DuckDBPyConnection) -> None:
    """00:30 in Moscow is still yesterday in UTC."""
    connection = reference_calc()
    insert(connection, "calc.calls", [call_row("X1", "20 00:30", "A", "out", 100)])
    compute(connection, "calls_attempted")
    rows = connection.execute(
        "SELECT calls_attempted FROM facts.daily WHERE day = '2026-11-20' AND entity_type = 'company'"
    ).fetchall()
    assert rows == [(1,)]


def test_every_view_and_each_of_its_columns_carries_a_comment(computed: duckdb.DuckDBPyConnection) -> None:
    silent = computed.execute(
        "SELECT table_name, column_name FROM duckdb_columns() AS c "
        "WHERE schema_name = 'facts' AND comment IS NULL AND table_name IN (SELECT view_name FROM duckdb_views())"
    ).fetchall()
    assert silent == []
    named = {
        row[0]
        for row in computed.execute(
            "SELECT view_name FROM duckdb_views() WHERE schema_name = 'facts' AND comment IS NOT NULL"
        ).fetchall()
    }
    assert named == {"kpi_evidence", "kpi_wide", "funnel_wide", "daily"}


def test_a_metric_of_the_companys_own_gets_its_columns(tmp_path: Path) -> None:
    connection = reference_calc()
    text = OWN.replace("additivity: distinct", "additivity: additive") + "WHERE c.is_attempt\n"
    metric = load_catalogue(own(tmp_path, text)).get("calls_people")
    compute(connection, catalogue=Catalogue({**only("leads_new").metrics, metric.key: metric}))
    wide = connection.execute("SELECT calls_people FROM facts.kpi_wide WHERE entity_id = 'company'").fetchall()
    days = connection.execute("SELECT sum(calls_people) FROM facts.daily WHERE entity_id = 'company'").fetchall()
    assert (wide, days) == ([(9,)], [(9,)])
    assert create_views(connection, only("leads_new"), ZONE)
    columns = connection.execute("SELECT column_name FROM duckdb_columns() WHERE table_name = 'kpi_wide'").fetchall()
    assert "calls_people" not in {name for (name,) in columns}


def test_a_part_of_evidence_is_read_for_a_few_metrics(computed: duckdb.DuckDBPyConnection) -> None:
    """`facts.daily` reads the evidence of additive metrics alone: medians and funnels would take it minutes."""
    plan = str(computed.execute("EXPLAIN SELECT sum(leads_new) FROM facts.daily").fetchall())
    assert "stage_passes" not in plan
