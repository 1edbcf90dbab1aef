"""Working time: the country's calendar × a team's hours, and what is measured by it (metrics.md 2.1, 4.1, 4.2)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import duckdb
import pytest

from metrics.compute import recompute
from metrics.periods import parse_period
from metrics.reading import read_absent, read_kpi
from metrics.resolve import resolve
from tests.metrics.fixture_core import COMPANY, Batch, Crm, add_call, company, fresh_clock, insert, moscow, phone_of
from tests.metrics.test_pipeline_metrics import crm_world, some


def minutes(
    created: str, called: str, *, hours: list[dict[str, Any]] | None = None, days: dict[str, float] | None = None
) -> float:
    """Working minutes from a lead of A (team North) to the first attempt, with hours.csv and calendar.csv."""
    batch = Batch()
    Crm(batch).deal("D1", "A", created, phone=phone_of(1))
    add_call(batch, "C1", called, "A", "out", phone_of(1), 0)
    connection = crm_world(batch)
    insert(connection, "core.hours", hours or [])
    for day, worked in (days or {}).items():
        connection.execute("UPDATE core.calendar SET hours = ? WHERE day = ?", [worked, date.fromisoformat(day)])
    resolve(connection, COMPANY, fresh_clock())
    (row,) = connection.execute("SELECT action_minutes FROM calc.leads").fetchall()
    return float(row[0])


def week(
    opens: str, closes: str, weekdays: tuple[int, ...] = (1, 2, 3, 4, 5), zone: str | None = None
) -> list[dict[str, Any]]:
    place = {"team": "North", "opens": opens, "closes": closes, "timezone": zone}
    return [place | {"weekday": weekday} for weekday in weekdays]


@pytest.mark.parametrize(
    ("created", "called", "expected"),
    [
        ("06 17:50", "09 09:10", 20),  # over a weekend
        ("07 12:00", "09 09:10", 10),  # created on a Saturday: the clock starts on Monday
        ("09 07:00", "09 08:30", 0),  # answered before opening
        ("09 17:59", "09 23:00", 1),  # answered after closing
        ("03 15:00", "05 09:10", 130),  # the 3rd is short, closes at 17:00, and the 4th is a holiday
        ("03 17:30", "05 09:10", 10),  # after the short day's end
        ("09 10:00:00", "09 10:00:30", 0.5),
    ],
)
def test_the_clock_runs_in_working_time_only(created: str, called: str, expected: float) -> None:
    assert minutes(created, called) == expected


def test_a_team_has_its_own_hours_on_its_own_clock() -> None:
    """10:00 in Almaty was 08:00 in Moscow: the clock has run for an hour by 09:00 Moscow time."""
    assert minutes("09 07:00", "09 09:00", hours=week("10:00", "19:00", zone="Asia/Almaty")) == 60


def test_a_weekday_the_team_does_not_list_is_not_worked() -> None:
    assert minutes("13 10:00", "16 10:30", hours=week("10:00", "18:00", (1, 2, 3, 4))) == 30


def test_a_saturday_moved_to_work_is_worked_like_the_teams_first_day() -> None:
    assert minutes("14 10:00", "14 12:00", hours=week("11:00", "18:00"), days={"2026-11-14": 8}) == 60


def test_a_team_of_another_name_leaves_the_default_hours_alone() -> None:
    hours = [row | {"team": "South"} for row in week("11:00", "18:00")]
    assert minutes("09 09:30", "09 10:00", hours=hours) == 30


# ── the norm ────────────────────────────────────────────────────────────────────────────────────────────────────


def sla(called: str | None, until: str, created: str = "09 17:45") -> tuple[Any, Any]:
    """num and den of lead_sla_rate when every source is complete until a moment; the norm is 15 minutes."""
    batch = Batch()
    Crm(batch).deal("D1", "A", created, phone=phone_of(1))
    if called:
        add_call(batch, "C1", called, "A", "out", phone_of(1), 0)
    connection = crm_world(batch)
    connection.execute("UPDATE meta.coverage SET complete_until = ?", [moscow(until)])
    resolve(connection, COMPANY, fresh_clock())
    recompute(connection, COMPANY, parse_period("2026-11"), fresh_clock(), catalogue=some("lead_sla_rate"))
    (row,) = read_kpi(connection, "2026-11", "lead_sla_rate", "company")
    return row.num, row.den


@pytest.mark.parametrize(
    ("called", "until", "expected"),
    [
        ("09 18:00", "2026-11-12 00:00", (1, 1)),
        ("10 09:00", "2026-11-12 00:00", (1, 1)),  # the norm was used up at closing: nothing is lost until opening
        ("10 09:01", "2026-11-12 00:00", (0, 1)),
        (None, "2026-11-12 00:00", (0, 1)),
        # At the end of the 9th the norm has not run out.
        ("09 17:50", "2026-11-10 00:00", (0, 0)),
        (None, "2026-11-10 00:00", (0, 0)),
    ],
)
def test_a_lead_is_in_the_norm_late_or_pending(called: str | None, until: str, expected: tuple[int, int]) -> None:
    assert sla(called, until) == expected


def test_the_norm_is_a_setting() -> None:
    batch = Batch()
    Crm(batch).deal("D1", "A", "09 10:00", phone=phone_of(1))
    connection = crm_world(batch)
    resolve(connection, company(sla_minutes=60), fresh_clock())
    assert connection.execute("SELECT sla_ends_at FROM calc.leads").fetchall() == [(moscow("09 11:00"),)]


def test_without_a_calendar_the_clock_is_absent_and_says_why() -> None:
    batch = Batch()
    Crm(batch).deal("D1", "A", "09 10:00", phone=phone_of(1))
    connection = crm_world(batch)
    connection.execute("DELETE FROM core.calendar WHERE day = DATE '2026-11-27'")
    resolve(connection, COMPANY, fresh_clock())
    keys = "speed_to_lead lead_sla_rate missed_callback_rate time_in_stage won_payment_confirmation_rate leads_new"
    recompute(connection, COMPANY, parse_period("2026-11"), fresh_clock(), catalogue=some(keys))
    absent = read_absent(connection, "2026-11")
    assert set(absent) == set(keys.split()) - {"leads_new"}
    assert "календарь" in absent["speed_to_lead"]


# ── missed calls ────────────────────────────────────────────────────────────────────────────────────────────────


def missed(calls: list[tuple[str, str, str, int]]) -> dict[str, tuple[str | None, bool]]:
    """Each missed call by its start: why it does not count, and whether it was called back in thirty minutes."""
    batch = Batch()
    for number, (at, direction, phone, talk) in enumerate(calls):
        add_call(batch, f"C{number}", f"10 {at}", "A" if direction == "out" else None, direction, phone, talk)
    connection = crm_world(batch)
    resolve(connection, COMPANY, fresh_clock())
    rows = connection.execute(
        "SELECT started_at, excluded_by, coalesce(called_back_at <= callback_ends_at, FALSE) FROM calc.missed_calls"
    ).fetchall()
    return {f"{at.astimezone(COMPANY.zone):%H:%M}": (excluded, back) for at, excluded, back in rows}


def test_missed_calls_of_a_number_within_the_window_are_one() -> None:
    """The window is the first call's: a caller who tries every twenty minutes is not one missed call all day."""
    found = missed([(at, "in", "+7999", 0) for at in ("10:00", "10:20", "10:40", "11:00", "11:30")])
    counted = [at for at, (excluded, _) in sorted(found.items()) if excluded is None]
    assert counted == ["10:00", "10:40", "11:30"]
    assert {excluded for excluded, _ in found.values()} == {None, "repeat_missed"}


@pytest.mark.parametrize(
    ("later", "is_back"),
    [
        (("10:30", "out", "+7999", 0), True),  # an attempt, answered or not
        (("10:31", "out", "+7999", 60), False),  # too late
        (("10:10", "in", "+7999", 60), True),  # they called again and somebody answered
        (("10:10", "in", "+7999", 0), False),  # they called again in vain
        (("10:10", "out", "+7888", 60), False),  # another number
        (("09:59", "out", "+7999", 60), False),  # before
    ],
)
def test_an_attempt_or_an_answered_repeat_in_time_is_a_callback(
    later: tuple[str, str, str, int], is_back: bool
) -> None:
    assert missed([("10:00", "in", "+7999", 0), later])["10:00"] == (None, is_back)


def test_the_window_stands_still_out_of_hours() -> None:
    batch = Batch()
    add_call(batch, "C1", "06 17:50", None, "in", "+7999", 0)
    connection = crm_world(batch)
    resolve(connection, COMPANY, fresh_clock())
    assert connection.execute("SELECT callback_ends_at FROM calc.missed_calls").fetchall() == [(moscow("09 09:20"),)]


def test_hidden_numbers_are_each_their_own() -> None:
    batch = Batch()
    for number in range(2):
        add_call(batch, f"C{number}", "10 10:00", None, "in", None, 0)
    connection = crm_world(batch)
    resolve(connection, COMPANY, fresh_clock())
    assert (
        connection.execute("SELECT excluded_by, called_back_at FROM calc.missed_calls").fetchall() == [(None, None)] * 2
    )


# ── other measures by the calendar ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("until", "expected"), [("30", (0, 0)), ("12-01", (0, 1))])
def test_a_win_has_five_working_days_to_be_paid(until: str, expected: tuple[int, int]) -> None:
    """Won on the 23rd: at the end of the 29th four working days are over, at the end of the 30th five."""
    batch = Batch()
    Crm(batch).deal("D1", "A", "02 10:00", [("23 16:00", "won"), ("24 16:00", "lost")])
    connection = crm_world(batch)
    connection.execute("UPDATE meta.coverage SET complete_until = ?", [moscow(f"{until} 00:00")])
    resolve(connection, COMPANY, fresh_clock())
    key = "won_payment_confirmation_rate"
    recompute(connection, COMPANY, parse_period("2026-11"), fresh_clock(), catalogue=some(key))
    (row,) = read_kpi(connection, "2026-11", key, "company")
    assert (row.num, row.den) == expected


def note_matches(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute(
        "SELECT activity_id FROM calc.call_notes WHERE call_id IS NOT NULL ORDER BY ALL"
    ).fetchall()
    return [row[0] for row in rows]


def test_a_note_is_confirmed_by_number_start_and_duration() -> None:
    """The call: the 10th at 10:00, 200 seconds, with ten of ringing."""
    batch = Batch()
    add_call(batch, "C1", "10 10:00", "A", "out", "+7999", 200)
    start = moscow("10 10:00")
    told = {
        "at the start": ("+7999", timedelta(0), 200),
        "at the end": ("+7999", timedelta(minutes=8), 200),
        "five minutes early": ("+7999", -timedelta(minutes=5), 181),
        "with ringing": ("+7999", timedelta(0), 231),
        "too early": ("+7999", -timedelta(minutes=6), 200),
        "too late": ("+7999", timedelta(minutes=9), 200),
        "too short": ("+7999", timedelta(0), 179),
        "too long": ("+7999", timedelta(0), 232),
        "another number": ("+7888", timedelta(0), 200),
    }
    note = {"source": "amo", "activity_type": "call_note", "user_id": "101"}
    rows = [
        note | {"activity_id": name, "phone": phone, "occurred_at": start + shift, "duration_seconds": seconds}
        for name, (phone, shift, seconds) in told.items()
    ]
    insert(batch, "core.activities", rows)
    connection = crm_world(batch)
    resolve(connection, COMPANY, fresh_clock())
    assert note_matches(connection) == ["at the end", "at the start", "five minutes early", "with ringing"]
