from __future__ import annotations

from dataclasses import replace

import duckdb

from metrics.compute import recompute
from metrics.flags.catalogue import load_flags
from metrics.periods import parse_period
from metrics.settings import Rules
from metrics.touched import periods_touched
from tests.metrics.fixture_calc import call_row, reference_calc
from tests.metrics.fixture_core import COMPANY, fresh_clock, insert, moscow
from tests.metrics.test_compute import only

CATALOGUE = only("leads_new calls_successful revenue_cash")
# One of those that end with their period.
FLAGS = [flag for flag in load_flags() if flag.key == "I-10"]


def touched(connection: duckdb.DuckDBPyConnection, company: object = COMPANY) -> list[str]:
    return [period.name for period in periods_touched(connection, company, CATALOGUE, FLAGS)]  # type: ignore[arg-type]


def night(connection: duckdb.DuckDBPyConnection) -> None:
    periods = periods_touched(connection, COMPANY, CATALOGUE, FLAGS)
    recompute(connection, COMPANY, periods, fresh_clock(), catalogue=CATALOGUE, flags=FLAGS)


def test_every_month_with_records_is_computed_and_then_rests() -> None:
    connection = reference_calc()
    assert touched(connection) == ["2026-10", "2026-11"]
    night(connection)
    assert touched(connection) == []


def test_other_periods_once_computed_are_kept_up_too() -> None:
    connection = reference_calc()
    night(connection)
    recompute(connection, COMPANY, parse_period("2026-W47"), fresh_clock(), catalogue=CATALOGUE, flags=FLAGS)
    insert(connection, "meta.inputs", [{"file": "people.csv", "digest": "1"}])
    assert touched(connection) == ["2026-10", "2026-11", "2026-W47"]


def test_anything_the_facts_stand_on_touches_the_open_periods() -> None:
    connection = reference_calc()
    night(connection)
    insert(connection, "meta.settings", [{"name": "resolve.core_version", "value": '"2"'}])
    assert touched(connection) == ["2026-10", "2026-11"]
    night(connection)
    assert touched(connection) == []
    assert touched(connection, replace(COMPANY, rules=Rules(successful_call_seconds=60))) == ["2026-10", "2026-11"]
    connection.execute("UPDATE core.stages SET is_guess = TRUE")
    assert touched(connection) == ["2026-10", "2026-11"]


def test_a_day_more_of_complete_data_touches_only_the_running_month() -> None:
    connection = reference_calc(until="20 12:00")
    night(connection)
    connection.execute("UPDATE meta.coverage SET complete_until = ?", [moscow("20 23:00")])
    assert touched(connection) == []
    connection.execute("UPDATE meta.coverage SET complete_until = ?", [moscow("21 01:00")])
    assert touched(connection) == ["2026-11"]


def test_a_closed_period_is_left_alone_and_a_new_month_is_not() -> None:
    connection = reference_calc()
    night(connection)
    connection.execute("UPDATE meta.periods SET state = 'closed' WHERE period = '2026-10'")
    insert(connection, "calc.calls", [call_row("C99", "12-03 10:00", "B", "out", 100)])
    insert(connection, "meta.settings", [{"name": "resolve.core_version", "value": '"2"'}])
    assert touched(connection) == ["2026-11", "2026-12"]


def test_a_flag_whose_rule_changed_or_whose_input_appeared_touches_its_periods() -> None:
    """Flags kept from an older threshold would accuse, or spare, by a rule nobody has any more."""
    connection = reference_calc()
    flags = [flag for flag in load_flags() if flag.key in ("I-11", "I-13")]
    months = parse_period("2026-10..2026-11")
    recompute(connection, COMPANY, months, fresh_clock(), catalogue=CATALOGUE, flags=flags)
    assert periods_touched(connection, COMPANY, CATALOGUE, flags) == []
    stricter = replace(COMPANY, rules=Rules(redial_count=3))
    assert periods_touched(connection, stricter, CATALOGUE, flags) == months
    moved = {"source": "amo", "event_id": "1", "deal_id": "D1", "event_type": "close_date"}
    insert(connection, "core.deal_events", [moved])
    assert periods_touched(connection, COMPANY, CATALOGUE, flags) == months
