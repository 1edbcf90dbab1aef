"""A calendar that grows, or is mended where nothing was timed, is no reason to resolve old records anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from metrics.inputs import load_inputs
from metrics.resolve.scope import Scope
from metrics.resolve.timed import is_timed_otherwise
from tests.metrics.fixture_core import empty_warehouse, insert
from tests.metrics.test_resolve_incremental import TOLD, Twins, add_lone_deals

# The worlds' records are of 1 September to 20 November 2026, the last norm ends on the 24th; their calendar reaches
# from 22 August to 18 January.
DAYS = "INSERT INTO core.calendar SELECT day, CASE WHEN isodow(day) < 6 THEN 8 ELSE 0 END, 'country' FROM "


@pytest.mark.parametrize(
    ("change", "is_scoped"),
    [
        (DAYS + "(SELECT unnest(range(DATE '2025-01-01', DATE '2026-08-22', INTERVAL 1 DAY))::DATE AS day)", True),
        (DAYS + "(SELECT unnest(range(DATE '2027-01-19', DATE '2028-01-01', INTERVAL 1 DAY))::DATE AS day)", True),
        ("UPDATE core.calendar SET hours = 0 WHERE day = DATE '2027-01-11'", True),
        ("UPDATE core.calendar SET hours = 7 WHERE day = DATE '2026-10-05'", False),
        ("UPDATE core.calendar SET hours = 0 WHERE day = DATE '2026-11-23'", False),
        ("DELETE FROM core.calendar WHERE day < DATE '2026-09-05'", False),
    ],
)
def test_days_that_timed_nothing_may_change(change: str, is_scoped: bool) -> None:
    """An account a year older had a hundred million calls resolved anew; and a day off decreed for a month that is
    over must reach the deals nobody touched."""
    twins = Twins(7, 2)
    twins.change(0.6)
    twins.connection.execute(change)
    resolved = twins.resolve()
    assert (resolved.ran, resolved.scoped) == (True, is_scoped)
    assert twins.compare()[1] == {}


def test_a_year_may_come_without_a_record() -> None:
    """A night in January on which nothing was loaded: its calendar is to be read, and nothing else."""
    twins = Twins(7, 2)
    twins.connection.execute(DAYS + "(SELECT DATE '2027-01-19' AS day)")
    resolved = twins.resolve()
    assert resolved.scoped
    assert {change.relation for change in resolved.changes if change.rows} == {"calc.working_days"}
    assert twins.compare()[1] == {}


def test_a_calendar_that_ended_too_early_and_grew_times_what_it_had_cut() -> None:
    """A deal won in its last week has no grace until the calendar goes on: left alone, it never would have one."""
    twins = Twins(8, 4)
    twins.connection.execute(
        "CREATE TABLE main.later AS FROM core.calendar WHERE day > DATE '2026-11-14';"
        "DELETE FROM core.calendar WHERE day > DATE '2026-11-14'"
    )
    twins.resolve()
    twins.connection.execute("INSERT INTO core.calendar FROM main.later")
    assert not twins.resolve().scoped
    assert twins.compare()[1] == {}


def test_a_new_year_and_an_older_account_resolve_what_came(tmp_path: Path) -> None:
    """The country's calendar as inputs are loaded: its digest is that of its years, and was an input's like others."""
    twins = Twins(9, 4)
    company = replace(TOLD, inputs_dir=tmp_path)

    def load() -> list[str]:
        return load_inputs(twins.connection, company, twins.clock).changed

    assert load() == ["calendar:RU"]
    twins.resolve()
    twins.clock.advance(3600)
    add_lone_deals(twins.connection, ["ancient"], "2020-03-03", twins.clock.now())
    assert load() == ["calendar:RU"]
    assert twins.resolve().scoped
    assert twins.compare()[1] == {}
    twins.clock.advance((datetime(2027, 1, 2, tzinfo=UTC) - twins.clock.now()).total_seconds())
    twins.change(0.5)
    assert load() == ["calendar:RU"]
    assert twins.resolve().scoped
    assert twins.compare()[1] == {}
    first, last = twins.connection.execute("SELECT min(day), max(day) FROM core.calendar").fetchall()[0]
    assert (first.year, last.year) == (2019, 2028)


# ── each thing that is counted in working time ──────────────────────────────────────────────────────────────────────


def june(day: int) -> datetime:
    return datetime(2026, 6, day, 12, tzinfo=UTC)


@pytest.fixture
def scope() -> Iterator[Scope]:
    """Nothing was resolved but what a test adds; the calendar's day now is one more."""
    with empty_warehouse() as connection:
        connection.execute("CREATE TEMP TABLE next_working_days AS FROM calc.working_days LIMIT 0")
        yield Scope(connection=connection, home="memory")


def is_timed(scope: Scope, day: int, *, is_gone: bool = False) -> bool:
    """Whether a working day in June, new or gone, concerns what is stored."""
    opens_at = june(day) - timedelta(hours=6)
    row = {"team": "", "day": june(day).date(), "opens_at": opens_at, "closes_at": opens_at + timedelta(hours=9)}
    insert(scope.connection, "calc.working_days", [row | {"minutes_before": 0, "ordinal": 1}])
    if not is_gone:
        scope.run("INSERT INTO next_working_days FROM calc.working_days; DELETE FROM calc.working_days")
    found = is_timed_otherwise(scope)
    scope.run("DELETE FROM calc.working_days; DELETE FROM next_working_days")
    return found


_DEAL = {"source": "amo", "deal_id": "1", "pipeline_id": "7"}
_CALL = {"source": "mango", "call_id": "1", "started_at": june(10)}
_NORM = _DEAL | {"created_at": june(10), "sla_ends_at": june(11)}
_WON = _DEAL | {"occurred_at": june(10), "outcome": "won"}
_STAY = _DEAL | {"entered_at": june(10), "stage_id": "1"}


@pytest.mark.parametrize(
    ("relation", "row"),
    [
        ("calc.leads", _NORM | {"sla_ends_at": june(16)}),
        ("calc.leads", _NORM | {"first_action_at": june(16), "action_minutes": 9.0}),
        ("calc.leads", _NORM | {"first_success_at": june(16), "success_minutes": 9.0}),
        ("calc.missed_calls", _CALL | {"callback_ends_at": june(16)}),
        ("calc.terminal_events", _WON | {"grace_ends_at": june(16)}),
        ("core.deal_stage_visits", _STAY | {"left_at": june(16)}),
    ],
)
def test_what_was_timed_over_a_day(scope: Scope, relation: str, row: dict[str, Any]) -> None:
    """Working time that this day lies in would stay as it was; before and after it, nothing has to be made anew."""
    insert(scope.connection, relation, [row])
    assert [is_timed(scope, day) for day in (8, 10, 13, 16, 18)] == [False, True, True, True, False]
    assert is_timed(scope, 13, is_gone=True)


@pytest.mark.parametrize(
    ("relation", "row"),
    [
        ("calc.leads", _NORM | {"sla_ends_at": None}),
        ("calc.leads", _NORM | {"first_action_at": june(11)}),
        ("calc.leads", _NORM | {"first_success_at": june(11)}),
        ("calc.missed_calls", _CALL),
        ("calc.terminal_events", _WON),
        ("calc.stage_times", _DEAL | {"left_at": june(11), "stage_id": "1"}),
    ],
)
def test_what_the_calendar_could_not_time(scope: Scope, relation: str, row: dict[str, Any]) -> None:
    """Whatever day came, it may be the one that was missing."""
    insert(scope.connection, relation, [row])
    assert is_timed(scope, 25)


def test_days_that_are_as_they_were_concern_nobody(scope: Scope) -> None:
    """A deal the calendar can't time, as one made in 1970, would have everything resolved every night."""
    insert(scope.connection, "calc.leads", [_NORM | {"sla_ends_at": None}])
    assert not is_timed_otherwise(scope)
