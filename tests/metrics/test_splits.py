"""Credit that splits.csv divides (metrics.md 2.2): every record's part, to the kopeck, whoever was responsible."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

import duckdb
import pytest

from metrics.compute import recompute
from metrics.periods import parse_period
from metrics.resolve import resolve
from tests.metrics.fixture_calc import add_calendar
from tests.metrics.fixture_core import COMPANY, fresh_clock, insert, reference

Rows = list[tuple[object, ...]]
EVER = date(1900, 1, 1)
THIRDS = (("A", 0.333333333), ("B", 0.333333333), ("C", 0.333333334))


def computed(splits: Iterable[tuple[str, str, float, date, date | None]]) -> duckdb.DuckDBPyConnection:
    """The reference fixture with C, of team South until the 19th, then of North; splits: deal, person, share, dates."""
    connection = reference()
    insert(
        connection,
        "core.people",
        [
            {"person_id": "C", "name": "C", "team": "South", "valid_from": EVER, "valid_to": date(2026, 11, 19)},
            {"person_id": "C", "name": "C", "team": "North", "valid_from": date(2026, 11, 20)},
        ],
    )
    insert(
        connection,
        "core.splits",
        [
            {"deal_source": "amo", "deal_id": deal, "person_id": person, "share": share}
            | {"valid_from": since, "valid_to": until}
            for deal, person, share, since, until in splits
        ],
    )
    add_calendar(connection)
    connection.execute("INSERT INTO core.lines (source, line, team) VALUES ('mango', '74951234567', 'North')")
    resolve(connection, COMPANY, fresh_clock())
    recompute(connection, COMPANY, parse_period("2026-11"), fresh_clock())
    return connection


@pytest.fixture(scope="module")
def divided() -> duckdb.DuckDBPyConnection:
    d8 = [("D8", person, share, date(2026, 11, 10), None) for person, share in (("A", 0.5), ("C", 0.5))]
    d1 = [("D1", "A", 0.6, EVER, None), ("D1", "B", 0.4, EVER, None)]
    return computed([*d1, *((("D2"), person, share, EVER, None) for person, share in THIRDS), *d8])


def parts(connection: duckdb.DuckDBPyConnection, metric: str, record: str, entity_type: str = "manager") -> Rows:
    return connection.execute(
        """
        SELECT entity_id, num FROM facts.kpi_evidence
        WHERE metric = $metric AND record_id = $record AND entity_type = $kind AND variant = '' AND excluded_by IS NULL
        ORDER BY ALL
        """,
        {"metric": metric, "record": record, "kind": entity_type},
    ).fetchall()


def test_money_is_divided_by_the_shares_whoever_was_responsible(divided: duckdb.DuckDBPyConnection) -> None:
    assert parts(divided, "revenue_cash", "P1") == [("A", 60_000), ("B", 40_000)]
    assert parts(divided, "deals_paid", "D1") == [("A", Decimal("0.6")), ("B", Decimal("0.4"))]
    assert parts(divided, "leads_new", "D1") == [("A", Decimal("0.6")), ("B", Decimal("0.4"))]


def test_kopecks_that_thirds_leave_go_to_the_largest_remainder(divided: duckdb.DuckDBPyConnection) -> None:
    """Rounding each share alone would make a kopeck or lose one."""
    found = parts(divided, "revenue_cash", "P3")
    assert found == [("A", Decimal("13333.33")), ("B", Decimal("13333.33")), ("C", Decimal("13333.34"))]


def test_a_share_belongs_to_the_team_of_the_records_day(divided: duckdb.DuckDBPyConnection) -> None:
    """P2 on the 11th, P3 on the 20th: C has changed teams in between."""
    thirds = {payment: dict(parts(divided, "revenue_cash", payment, "team")) for payment in ("P2", "P3")}
    assert set(thirds["P2"]) == set(thirds["P3"]) == {"North", "South"}
    teams = divided.execute("""
        SELECT valid_from < '2026-11-12', team FROM calc.split_shares
        WHERE deal_id = 'D2' AND person_id = 'C' ORDER BY ALL
    """).fetchall()
    assert teams == [(False, "North"), (True, "South")]


def test_a_split_holds_from_its_day_and_a_refund_follows_its_payment(divided: duckdb.DuckDBPyConnection) -> None:
    """D8 was paid on the 9th, before it was divided on the 10th: neither that money nor its return is A's."""
    assert parts(divided, "revenue_cash", "P5") == [("B", 90_000)]
    assert parts(divided, "revenue_cash", "P6") == [("B", -30_000)]
    assert parts(divided, "deals_paid", "D8") == [("B", 1)]


def test_a_duration_is_not_divided_but_the_largest_shares(divided: duckdb.DuckDBPyConnection) -> None:
    """Divided days would make a company's median count one deal several times, and faster than it was."""
    assert parts(divided, "sales_cycle_days", "D1") == [("A", 10)]
    assert parts(divided, "sales_cycle_days", "D1", "company") == [("company", 10)]


def test_no_split_changes_any_number_of_the_company(divided: duckdb.DuckDBPyConnection) -> None:
    query = (
        "SELECT metric, variant, pipeline, num, den, value FROM facts.kpi WHERE entity_type = 'company' ORDER BY ALL"
    )
    assert divided.execute(query).fetchall() == computed([]).execute(query).fetchall()


def test_a_divided_deal_matures_a_cohort_once(divided: duckdb.DuckDBPyConnection) -> None:
    """Counted once a person, three people's paid deal would make a young cohort look mature."""
    query = (
        "SELECT DISTINCT from_stage, maturity FROM facts.funnel"
        " WHERE form = 'cohort' AND entity_type = 'company' ORDER BY from_stage"
    )
    assert divided.execute(query).fetchall() == computed([]).execute(query).fetchall()


def test_visits_keep_who_was_responsible(divided: duckdb.DuckDBPyConnection) -> None:
    """core.deal_stage_visits says who looked after the deal, not who is paid for it."""
    people = divided.execute("SELECT DISTINCT person_id FROM core.deal_stage_visits WHERE deal_id = 'D1'").fetchall()
    assert people == [("A",)]
