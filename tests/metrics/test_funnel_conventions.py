"""Passed, touched and strict side by side (metrics.md 4.4, 19), and the ledger of stages (2.7)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import duckdb
import pytest

from base.errors import InvariantError
from metrics.funnel import read_funnel
from metrics.resolve import resolve
from tests.metrics.fixture_calc import add_calendar, reference_calc
from tests.metrics.fixture_core import COMPANY, STAGES, fresh_clock, insert, moscow, reference
from tests.metrics.test_compute import compute

KEYS = "leads_new stage_conversion_cohort stage_conversion_period backward_move_rate"
NAMES = ("qualified", "meeting", "offer", "invoice", "won", "paid")


@pytest.fixture(scope="module")
def computed() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = reference()
    add_calendar(connection)
    resolve(connection, COMPANY, fresh_clock())
    compute(connection, KEYS)
    yield connection
    connection.close()


def test_the_three_conventions_of_the_november_cohort(computed: duckdb.DuckDBPyConnection) -> None:
    """metrics.md: passed 8/6/5/5/4/4, touched 8/6/4/5/1/4, every stage in order 8/6/4/4/1/1; paid 3, 3 and 1."""
    steps = {row.to_name: row for row in read_funnel(computed, "2026-11") if row.from_name == "new"}
    assert {row.den for row in steps.values()} == {8}
    assert [int(steps[name].num) for name in NAMES] == [6, 5, 5, 4, 4, 3]
    assert [int(steps[name].touched or 0) for name in NAMES] == [6, 4, 5, 1, 4, 3]
    assert [int(steps[name].strict or 0) for name in NAMES] == [6, 4, 4, 1, 1, 1]


def test_a_return_does_not_break_the_order_and_a_stage_entered_late_does() -> None:
    """D3 went back to qualified and on; an offer before the meeting is no walk through both."""
    connection = reference_calc()
    connection.execute(
        "UPDATE calc.stage_passes SET touched_at = ? WHERE deal_id = 'D1' AND stage_id = ?",
        [moscow("07 10:00"), STAGES["meeting"][0]],
    )
    compute(connection, "stage_conversion_cohort")
    steps = {row.to_name: row for row in read_funnel(connection, "2026-11") if row.from_name == "new"}
    assert [int(steps[name].touched or 0) for name in NAMES[:-1]] == [6, 4, 5, 1, 4]
    # D3, D4 and D7; D1's offer of the 6th is older than its meeting now.
    assert [int(steps[name].strict or 0) for name in NAMES[:-1]] == [6, 4, 3, 0, 0]


def test_the_period_form_has_no_cohort_to_compare(computed: duckdb.DuckDBPyConnection) -> None:
    assert {(row.touched, row.strict) for row in read_funnel(computed, "2026-11", "period")} == {(None, None)}


def test_no_convention_counts_more_than_passed(computed: duckdb.DuckDBPyConnection) -> None:
    rows = [
        row for kind in ("company", "team", "manager") for row in read_funnel(computed, "2026-11", entity_type=kind)
    ]
    assert rows
    assert all((row.strict or 0) <= (row.touched or 0) <= row.num <= row.den for row in rows)


def test_seven_outcomes_add_up_to_the_entries(computed: duckdb.DuckDBPyConnection) -> None:
    rows = computed.execute(
        "SELECT stage_name, entries, advanced, lost, moved_back, handed_off, merged, deleted, still_there "
        "FROM facts.stage_ledger WHERE period = '2026-11' ORDER BY entries DESC, stage_name"
    ).fetchall()
    assert rows == [
        # Nine deals created in November, D10 included: a ledger leaves nothing out.
        ("new", 9, 6, 1, 0, 0, 0, 0, 2),
        # D3 came back to it and went on again; D9 was deleted there.
        ("qualified", 7, 6, 0, 0, 0, 0, 1, 0),
        ("offer", 6, 5, 1, 0, 0, 0, 0, 0),
        ("meeting", 5, 4, 0, 1, 0, 0, 0, 0),
        ("won", 5, 0, 0, 0, 0, 0, 0, 5),
        ("lost", 2, 0, 0, 0, 0, 0, 0, 2),
        ("invoice", 1, 1, 0, 0, 0, 0, 0, 0),
    ]


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM core.deal_stage_visits WHERE deal_id = 'D6'",
        "UPDATE core.deal_stage_visits SET outcome = 'vanished' WHERE deal_id = 'D5' AND left_at IS NOT NULL",
        "INSERT INTO core.deal_stage_visits FROM core.deal_stage_visits WHERE deal_id = 'D6'",
    ],
)
def test_a_stay_that_is_lost_doubled_or_ends_unknown_undoes_the_recompute(damage: str) -> None:
    connection = reference_calc()
    connection.execute(damage)
    with pytest.raises(InvariantError) as caught:
        compute(connection, "leads_new")
    assert "seven outcomes" in caught.value.render("en")
    assert "new: 9 <>" in caught.value.render("ru")
    assert connection.execute("SELECT count(*) FROM facts.kpi").fetchone() == (0,)


def test_what_ended_a_stay_after_the_data_ends_has_not_happened_yet() -> None:
    connection = reference_calc(until="2026-11-10 00:00")
    compute(connection, "leads_new")
    rows = connection.execute(
        "SELECT stage_name, entries, lost, still_there FROM facts.stage_ledger WHERE stage_id = ?", [STAGES["new"][0]]
    ).fetchall()
    # D1 to D6 came by then; D5 is lost on the 10th only.
    assert rows == [("new", 6, 0, 2)]


def test_without_a_crm_there_is_no_ledger() -> None:
    connection = reference_calc()
    connection.execute("DELETE FROM meta.coverage WHERE facet = 'crm'")
    compute(connection, "calls_attempted")
    assert connection.execute("SELECT count(*) FROM facts.stage_ledger").fetchone() == (0,)


def test_a_map_without_names_shows_the_ids() -> None:
    connection = reference_calc()
    connection.execute("UPDATE core.stages SET name = NULL")
    insert(connection, "core.people", [{"person_id": "Z", "name": "Z", "valid_from": date(1900, 1, 1)}])
    compute(connection, "leads_new")
    names = connection.execute("SELECT DISTINCT stage_name = stage_id FROM facts.stage_ledger").fetchall()
    assert names == [(True,)]
