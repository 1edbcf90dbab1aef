"""The estimate of a long load: it must not promise less than what the load itself has shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from made_up import page

from base.clock import FakeClock
from base.text import say
from flows.steps.progress import Pace, Reached
from voronka.app import App
from voronka.reports.progress import Lines, describe_reached

START = datetime(2020, 1, 1, tzinfo=UTC)
END = datetime(2024, 1, 1, tzinfo=UTC)


def reached(**values: object) -> Reached:
    defaults: dict[str, object] = {
        "source": "amo",
        "stream": "leads",
        "label": say("Сделки", "Deals"),
        "rows": 120_000,
        "read_until": datetime(2024, 3, 12, tzinfo=UTC),
        "seconds_left": 1500.0,
    }
    return Reached(**{**defaults, **values})  # type: ignore[arg-type]


def test_even_load_is_foretold_exactly() -> None:
    pace = Pace()
    step = (END - START) / 1000
    told = [pace.seconds_left(float(second), START + step * second, END) for second in range(501)]
    assert told[9] is None
    assert told[500] == pytest.approx(500.0)


def test_load_that_slows_down_is_not_foretold_by_its_quick_beginning() -> None:
    """The first years hold few records: their pace says nothing about the last ones."""
    pace = Pace()
    at = START
    for second in range(301):
        pace.seconds_left(float(second), at, END)
        at += timedelta(days=4 if second < 100 else 0.5)
    left = (END - at).total_seconds()
    told = pace.seconds_left(301.0, at, END)
    assert told is not None
    assert told == pytest.approx(left / (0.5 * 86_400), rel=0.05)


def test_load_that_stands_still_is_not_foretold() -> None:
    """One second of an import may hold a hundred pages."""
    pace = Pace()
    assert [pace.seconds_left(float(second), START, END) for second in range(0, 100, 10)] == [None] * 10


@pytest.mark.parametrize(
    ("seconds_left", "ending"),
    [(1500.0, "осталось ≈ 25 мин"), (5.0, "осталось ≈ 1 мин"), (20_000.0, "осталось ≈ 6 ч"), (None, "по 12.03.2024")],
)
def test_estimate_is_told_in_whole_minutes_or_hours(seconds_left: float | None, ending: str) -> None:
    text = describe_reached(reached(seconds_left=seconds_left), page()[0]).render("ru")
    assert text.startswith("amo/leads: прочитано 120")
    assert text.endswith(ending)


def test_log_is_told_every_five_minutes_not_at_every_page() -> None:
    clock = FakeClock(START)
    paper, written = page()
    lines = Lines(App(Path("voronka.toml"), given_clock=clock), paper)
    for _ in range(70):
        lines.stream_reached(reached())
        clock.advance(10)
    assert written.getvalue().count("осталось") == 2
