"""Ten generated companies through the real path, and every number counted once more in plain Python from the story."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from base.clock import FakeClock
from demo.company import MOSCOW
from demo.story import Story
from flows.steps.nightly import nightly
from flows.steps.sync import sync
from tests.e2e.company import confirm_inputs, served
from tests.e2e.reference import as_of
from tests.truth.catalogue import METRICS, Count, answer
from tests.truth.counting import month
from tests.truth.world import Truth, tell

pytestmark = pytest.mark.e2e

FIRST_NIGHT = datetime(2026, 10, 12, 6, 0, tzinfo=MOSCOW)
MONTHS = ("2026-09", "2026-10")
DEALS = 60


def load(story: Story, folder: Path) -> None:
    """Deals are seen before managers delete them; then the night that counts."""
    confirm_inputs(story, folder)
    with served(as_of(story, FIRST_NIGHT), folder, clock := FakeClock(FIRST_NIGHT)) as project:
        assert sync(project, sources=["amo"], clock=clock).is_ok
    with served(story, folder, clock := FakeClock(story.told_at)) as project:
        assert nightly(project, clock=clock).is_ok


def read_bookings(file: duckdb.DuckDBPyConnection) -> dict[tuple[str, date, Decimal], list[tuple[int, Decimal]]]:
    """Which deals a payment was booked on: tests/metrics/test_matching*.py hold that against the truth."""
    found = defaultdict(list)
    rows = file.execute(
        "SELECT p.document_number, p.paid_on, p.amount, a.deal_id, a.amount FROM core.payment_allocations AS a"
        " JOIN core.payments AS p USING (source, payment_id)"
    ).fetchall()
    for number, day, amount, deal_id, part in rows:
        found[number, day, amount].append((int(deal_id), part))
    return dict(found)


def read_facts(
    file: duckdb.DuckDBPyConnection, period: str
) -> dict[str, tuple[datetime, dict[tuple[str, str], Count]]]:
    """By metric: until when it counts, and what it says of each entity."""
    found: dict[str, tuple[datetime, dict[tuple[str, str], Count]]] = {}
    rows: list[tuple[Any, ...]] = file.execute(
        "SELECT metric || CASE WHEN variant = '' THEN '' ELSE '/' || variant END, entity_type, entity_id, as_of,"
        " additivity, num, den, value FROM facts.kpi WHERE period = ? AND pipeline = ''",
        [period],
    ).fetchall()
    for metric, entity_type, entity_id, until, additivity, num, den, value in rows:
        shown = value if additivity == "distribution" else num
        entities = found.setdefault(metric, (until, {}))[1]
        entities[entity_type, entity_id] = (float(shown or 0), float(den or 0) if additivity == "ratio" else 0.0)
    return found


@pytest.mark.parametrize("seed", range(1, 11))
def test_every_number_is_what_a_count_by_hand_gives(seed: int, tmp_path: Path) -> None:
    """A rule wrong in SQL and nowhere else: the two counts share not a line."""
    story = tell(seed, DEALS, FIRST_NIGHT)
    load(story, tmp_path)
    wrong = []
    with duckdb.connect(str(tmp_path / "analytics.duckdb"), read_only=True) as file:
        truth = Truth(story, read_bookings(file))
        assert truth.money
        for period in MONTHS:
            facts = read_facts(file, period)
            for metric in METRICS:
                until, told = facts[metric]
                counted = answer(month(truth, period, until), metric)
                for entity in sorted(counted.keys() | told.keys()):
                    pair = counted.get(entity, (0.0, 0.0)), told.get(entity, (0.0, 0.0))
                    if pair[0] != pytest.approx(pair[1], abs=0.001):
                        wrong.append((period, metric, entity, pair))
    assert wrong == []
