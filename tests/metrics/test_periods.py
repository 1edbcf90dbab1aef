from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from base.errors import UsageError
from metrics.periods import month_of, parse_period


@pytest.mark.parametrize(
    ("text", "starts_on", "ends_on"),
    [
        ("2026-11", date(2026, 11, 1), date(2026, 12, 1)),
        ("2026-12", date(2026, 12, 1), date(2027, 1, 1)),
        ("2026-Q4", date(2026, 10, 1), date(2027, 1, 1)),
        ("2026-q1", date(2026, 1, 1), date(2026, 4, 1)),
        # ISO week 1 of 2026 begins in December 2025.
        ("2026-W01", date(2025, 12, 29), date(2026, 1, 5)),
        ("2026-W47", date(2026, 11, 16), date(2026, 11, 23)),
        ("2026-W53", date(2026, 12, 28), date(2027, 1, 4)),
        ("2026-11-16", date(2026, 11, 16), date(2026, 11, 17)),
        (" 2024-02-29 ", date(2024, 2, 29), date(2024, 3, 1)),
    ],
)
def test_each_form_has_its_half_open_bounds(text: str, starts_on: date, ends_on: date) -> None:
    """An off-by-one in a form's end would move records into the neighbouring period."""
    (period,) = parse_period(text)
    assert (period.starts_on, period.ends_on) == (starts_on, ends_on)
    assert period.name == text.strip().upper()


def test_a_range_is_its_months_in_order_across_a_year() -> None:
    assert [period.name for period in parse_period("2025-11..2026-02")] == ["2025-11", "2025-12", "2026-01", "2026-02"]


@pytest.mark.parametrize(
    "text",
    [
        "", "2026", "november", "2026-13", "2026-00", "2026-Q5", "2026-W54", "2025-W53", "2026-W00", "2026-02-30",
        "2026-1", "2026-11-1", "2026-06..2026-01", "2026-Q1..2026-Q2", "2026-01..", "..2026-01", "1926-01..2026-01",
        "0000-01", "2026-11; DROP TABLE facts.kpi",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_examples_in_both_languages(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_period(text)
    for language in ("ru", "en"):
        said = caught.value.render(language)
        assert "2026-Q4" in said
        assert "2026-01..2026-06" in said
    assert caught.value.exit_status == 2


def test_a_month_ends_on_the_companys_clock() -> None:
    """With UTC bounds a deal of 1 December 00:30 in Moscow would count in November."""
    zone = ZoneInfo("Europe/Moscow")
    november = month_of(date(2026, 11, 30))
    assert november.starts_at(zone) == datetime(2026, 10, 31, 21, tzinfo=UTC)
    assert november.ends_at(zone) == datetime(2026, 11, 30, 21, tzinfo=UTC)
