"""The reference fixture of metrics.md, section 3, resolved: who is credited with what, and when."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import pytest

from metrics.resolve import resolve
from metrics.resolve.money import MoneyReport
from tests.metrics.fixture_core import COMPANY, add_paid_deals, fresh_clock, moscow, reference

IN_NOVEMBER = "local_date >= DATE '2026-11-01' AND local_date < DATE '2026-12-01'"


def _paid_by_hand(connection: duckdb.DuckDBPyConnection, *_: Any) -> MoneyReport:
    add_paid_deals(connection)
    return MoneyReport()


@pytest.fixture(scope="module")
def resolved() -> duckdb.DuckDBPyConnection:
    connection = reference()
    resolve(connection, COMPANY, fresh_clock(), money=_paid_by_hand)
    return connection


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


def test_november_has_eight_leads_and_the_deleted_one_is_among_them(resolved: duckdb.DuckDBPyConnection) -> None:
    found = rows(
        resolved,
        f"SELECT person_id, list(deal_id ORDER BY deal_id) FROM calc.leads "
        f"WHERE {IN_NOVEMBER} AND excluded_by IS NULL GROUP BY person_id ORDER BY person_id",
    )
    assert found == [("A", ["D1", "D2", "D3", "D7", "D9"]), ("B", ["D4", "D5", "D6"])]


def test_same_phone_as_an_open_deal_is_a_duplicate_and_is_listed(resolved: duckdb.DuckDBPyConnection) -> None:
    found = rows(resolved, "SELECT deal_id, duplicate_of, excluded_by FROM calc.leads WHERE excluded_by IS NOT NULL")
    assert found == [("D10", "D4", "duplicate")]


def test_first_actions_and_successes_are_those_of_metric_5(resolved: duckdb.DuckDBPyConnection) -> None:
    found = rows(
        resolved,
        f"""
        SELECT deal_id, first_action_call_id, date_diff('minute', created_at, first_action_at),
            first_success_call_id, date_diff('minute', created_at, first_success_at)
        FROM calc.leads WHERE {IN_NOVEMBER} AND excluded_by IS NULL ORDER BY deal_id
        """,
    )
    weekend = date_minutes("06 17:50", "09 09:10")
    assert found == [
        ("D1", "C1", 12, "C1", 12),
        ("D2", "C2", 4, "C3", 180),
        ("D3", "C4", 15, "C5", 140),
        ("D4", "C6", 3, "C6", 3),
        ("D5", "C7", weekend, None, None),
        ("D6", None, None, None, None),
        ("D7", "C9", 31, "C9", 31),
        ("D9", "C11", 10, "C11", 10),
    ]


def date_minutes(start: str, end: str) -> int:
    return int((moscow(end) - moscow(start)).total_seconds() // 60)


def test_passes_of_november_leads_are_the_cohort_of_metric_19(resolved: duckdb.DuckDBPyConnection) -> None:
    found = rows(
        resolved,
        f"""
        SELECT pass.kind, count(*) FROM calc.stage_passes AS pass
        JOIN calc.leads AS lead USING (source, deal_id)
        WHERE lead.{IN_NOVEMBER.replace(" AND local", " AND lead.local")} AND pass.excluded_by IS NULL
        GROUP BY pass.kind, pass.position ORDER BY pass.position
        """,
    )
    assert found == [
        ("base", 8), ("qualified", 6), ("meeting", 5), ("offer", 5), ("invoice", 4), ("won", 4), ("paid", 3),
    ]  # fmt: skip


def test_passes_in_november_are_the_period_form_of_metric_20(resolved: duckdb.DuckDBPyConnection) -> None:
    found = rows(
        resolved,
        f"SELECT kind, count(*) FROM calc.stage_passes WHERE {IN_NOVEMBER} AND excluded_by IS NULL "
        f"GROUP BY kind, position ORDER BY position",
    )
    assert found == [
        ("base", 8), ("qualified", 6), ("meeting", 5), ("offer", 6), ("invoice", 5), ("won", 5), ("paid", 4),
    ]  # fmt: skip


def test_skipped_stage_is_passed_but_not_touched(resolved: duckdb.DuckDBPyConnection) -> None:
    found = rows(
        resolved,
        "SELECT kind, passed_at, touched_at FROM calc.stage_passes "
        "WHERE deal_id = 'D2' AND kind IN ('meeting', 'offer', 'invoice') ORDER BY position",
    )
    assert found == [
        ("meeting", moscow("06 12:00"), None),
        ("offer", moscow("06 12:00"), moscow("06 12:00")),
        ("invoice", moscow("11 12:00"), None),
    ]


def test_deal_handed_over_keeps_its_entry_with_a_and_its_payment_with_b(resolved: duckdb.DuckDBPyConnection) -> None:
    found = rows(
        resolved,
        "SELECT kind, person_id, team, entry_person_id, entry_team FROM calc.stage_passes "
        "WHERE deal_id = 'D7' AND kind IN ('base', 'meeting', 'paid') ORDER BY position",
    )
    assert found == [
        ("base", "A", "North", "A", "North"),
        ("meeting", "B", "South", "A", "North"),
        ("paid", "B", "South", "A", "North"),
    ]
    owners = rows(
        resolved,
        "SELECT valid_from, valid_to, owner_id, person_id, precision FROM core.deal_owners "
        "WHERE deal_id = 'D7' ORDER BY valid_from",
    )
    assert owners == [
        (moscow("10 11:00"), moscow("12 09:00"), "101", "A", "log"),
        (moscow("12 09:00"), None, "102", "B", "log"),
    ]


def test_touches_of_november_are_meetings_and_offers_by_owner_at_the_event(resolved: duckdb.DuckDBPyConnection) -> None:
    found = rows(
        resolved,
        f"SELECT kind, person_id, count(*) FROM calc.kind_touches "
        f"WHERE {IN_NOVEMBER} AND excluded_by IS NULL AND kind IN ('meeting', 'offer') GROUP BY ALL ORDER BY ALL",
    )
    assert found == [("meeting", "A", 2), ("meeting", "B", 2), ("offer", "A", 3), ("offer", "B", 3)]


def test_terminal_events_are_eight_with_the_deletion(resolved: duckdb.DuckDBPyConnection) -> None:
    found = rows(resolved, "SELECT outcome, person_id, count(*) FROM calc.terminal_events GROUP BY ALL ORDER BY ALL")
    assert found == [("deleted", "A", 1), ("lost", "A", 1), ("lost", "B", 1), ("won", "A", 2), ("won", "B", 3)]


def test_visits_add_up_for_every_stage(resolved: duckdb.DuckDBPyConnection) -> None:
    counted = rows(
        resolved,
        """
        SELECT stage_id, outcome, count(*) FROM core.deal_stage_visits WHERE stage_id IN ('10', '20', '30')
        GROUP BY ALL ORDER BY ALL
        """,
    )
    assert counted == [
        ("10", "advanced", 7), ("10", "lost", 1), ("10", "open", 2),
        ("20", "advanced", 7), ("20", "deleted", 1),
        ("30", "advanced", 5), ("30", "moved_back", 1),
    ]  # fmt: skip
    entries = rows(resolved, "SELECT stage_id, count(*) FROM calc.stage_events GROUP BY ALL ORDER BY ALL")
    visits = rows(resolved, "SELECT stage_id, count(*) FROM core.deal_stage_visits GROUP BY ALL ORDER BY ALL")
    assert visits == entries


def test_return_to_a_stage_is_a_second_visit_of_22_hours_in_all(resolved: duckdb.DuckDBPyConnection) -> None:
    found = rows(
        resolved,
        "SELECT entered_at, left_at, outcome FROM core.deal_stage_visits "
        "WHERE deal_id = 'D3' AND stage_id = '30' ORDER BY entered_at",
    )
    assert found == [
        (moscow("09 11:00"), moscow("10 16:00"), "moved_back"),
        (moscow("12 11:00"), moscow("13 10:00"), "advanced"),
    ]


def test_calls_have_the_verdicts_of_section_4_2(resolved: duckdb.DuckDBPyConnection) -> None:
    found = rows(
        resolved,
        """
        SELECT count(*) FILTER (is_attempt), count(*) FILTER (is_successful),
            count(*) FILTER (is_successful AND person_id = 'A'), count(*) FILTER (is_successful AND person_id = 'B'),
            count(*) FILTER (is_missed), count(*) FILTER (direction = 'in')
        FROM calc.calls WHERE excluded_by IS NULL
        """,
    )
    assert found == [(9, 8, 5, 3, 2, 4)]


def test_thirty_seconds_is_not_longer_than_thirty(resolved: duckdb.DuckDBPyConnection) -> None:
    assert rows(resolved, "SELECT is_answered, is_successful FROM calc.calls WHERE call_id = 'C4'") == [(True, False)]


def test_call_with_two_legs_is_one_and_bs(resolved: duckdb.DuckDBPyConnection) -> None:
    found = rows(resolved, "SELECT person_id, team, talk_seconds FROM calc.calls WHERE call_id = 'C12'")
    assert found == [("B", "South", 200)]


def test_internal_call_is_kept_and_left_out(resolved: duckdb.DuckDBPyConnection) -> None:
    found = rows(
        resolved, "SELECT excluded_by, is_attempt, is_successful, is_missed FROM calc.calls WHERE call_id = 'C14'"
    )
    assert found == [("internal", False, False, False)]


def test_call_of_several_deals_belongs_to_the_open_one_created_last(resolved: duckdb.DuckDBPyConnection) -> None:
    found = rows(resolved, "SELECT deal_source, deal_id, pipeline_id FROM calc.calls WHERE call_id = 'C13'")
    assert found == [("amo", "D10", "7")]


def test_second_resolve_finds_nothing_to_do() -> None:
    connection = reference()
    assert resolve(connection, COMPANY, fresh_clock()).rows > 0
    again = resolve(connection, COMPANY, fresh_clock())
    assert (again.ran, again.rows) == (False, 0)


def test_remaking_what_did_not_change_writes_no_row() -> None:
    """Only a digest was lost: everything is computed again and compares equal."""
    connection = reference()
    resolve(connection, COMPANY, fresh_clock())
    connection.execute("DELETE FROM meta.settings")
    again = resolve(connection, COMPANY, fresh_clock())
    assert again.ran
    assert {change.relation: change.rows for change in again.changes if change.rows} == {}


def test_one_changed_deal_rewrites_only_its_own_rows() -> None:
    connection = reference()
    resolve(connection, COMPANY, fresh_clock())
    connection.execute(
        "UPDATE core.deal_events SET occurred_at = occurred_at + INTERVAL 1 HOUR, version = 2 "
        "WHERE deal_id = 'D6' AND event_type = 'created'"
    )
    again = resolve(connection, COMPANY, fresh_clock())
    touched = {change.relation: change.rows for change in again.changes if change.rows}
    assert touched["calc.leads"] == 1
    assert touched["calc.stage_events"] == 1
    assert "calc.calls" not in touched
    assert rows(connection, "SELECT local_date, created_at FROM calc.leads WHERE deal_id = 'D6'") == [
        (date(2026, 11, 9), moscow("09 11:00"))
    ]


def test_failure_half_way_leaves_everything_as_it_was() -> None:
    """Money matching raising after calc.leads was written: the transaction takes it back, and a rerun does the work."""
    connection = reference()

    def break_down(*_: Any) -> MoneyReport:
        raise RuntimeError("no money today")

    with pytest.raises(RuntimeError, match="no money today"):
        resolve(connection, COMPANY, fresh_clock(), money=break_down)
    assert rows(connection, "SELECT count(*) FROM calc.leads") == [(0,)]
    assert rows(connection, "SELECT count(*) FROM duckdb_tables() WHERE temporary") == [(0,)]
    assert resolve(connection, COMPANY, fresh_clock()).ran
