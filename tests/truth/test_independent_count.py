"""Ten generated companies through the real path, and every number counted once more in plain Python from the story."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from base.clock import FakeClock
from demo.company import MOSCOW
from demo.story import Story
from flows.steps.publish import publish
from flows.steps.recompute import recompute
from flows.steps.sync import sync
from metrics.periods import parse_period
from tests.e2e.company import confirm_inputs, served
from tests.e2e.reference import as_of
from tests.truth.catalogue import METRICS, Count, answer, answer_forecast, answer_plan
from tests.truth.counting import NOBODY, month
from tests.truth.papers import SHEETS, Papers, tell_papers, write_papers
from tests.truth.world import Truth, tell

pytestmark = pytest.mark.e2e

FIRST_NIGHT = datetime(2026, 10, 12, 6, 0, tzinfo=MOSCOW)
MONTHS = ("2026-09", "2026-10")
DEALS = 60
# Money of no deal is of no pipeline: whoever has some has more than their pipelines.
MIXED = ("revenue_cash", "refund_rate")
FORECAST = ("revenue_cash", "calls_successful", "call_connect_rate")

Facts = dict[str, tuple[datetime, dict[tuple[str, str], Count]]]


def load(story: Story, papers: Papers, folder: Path) -> None:
    """Deals are seen before managers delete them; then all that counts, and the months that are asked about."""
    confirm_inputs(story, folder)
    write_papers(story, papers, folder)
    with served(as_of(story, FIRST_NIGHT), folder, clock := FakeClock(FIRST_NIGHT)) as project:
        assert sync(project, sources=["amo"], clock=clock).is_ok
    with served(story, folder, clock := FakeClock(story.told_at), more=SHEETS) as project:
        assert sync(project, clock=clock).is_ok
        recompute(project, [period for month in MONTHS for period in parse_period(month)], clock=clock)
        publish(project, clock=clock)


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


def read_facts(file: duckdb.DuckDBPyConnection, period: str) -> Facts:
    """By metric and variant: until when it counts, and what it says of each entity."""
    found: Facts = {}
    rows: list[tuple[Any, ...]] = file.execute(
        "SELECT metric || CASE WHEN variant = '' THEN '' ELSE '/' || variant END, entity_type, entity_id, as_of,"
        " additivity, num, den, value FROM facts.kpi WHERE period = ?",
        [period],
    ).fetchall()
    for metric, entity_type, entity_id, until, additivity, num, den, value in rows:
        shown = value if additivity in ("distribution", "derived") else num
        entities = found.setdefault(metric, (until, {}))[1]
        entities[entity_type, entity_id] = (float(shown or 0), float(den or 0) if additivity == "ratio" else 0.0)
    return found


@pytest.mark.parametrize("seed", range(1, 11))
def test_every_number_is_what_a_count_by_hand_gives(seed: int, tmp_path: Path, empty_files: Path) -> None:
    """A rule wrong in SQL and nowhere else: the two counts share not a line."""
    shutil.copytree(empty_files, tmp_path / "var")
    story = tell(seed, DEALS, FIRST_NIGHT)
    papers = tell_papers(story, seed)
    load(story, papers, tmp_path)
    wrong = []
    with duckdb.connect(str(tmp_path / "analytics.duckdb"), read_only=True) as file:
        truth = Truth(story, read_bookings(file), papers)
        assert truth.money
        for period in MONTHS:
            facts = read_facts(file, period)
            wrong += [(period, *found) for found in compare_metrics(truth, period, facts)]
            wrong += [(period, *found) for found in compare_plans(truth, period, facts)]
    assert wrong == []


def compare_metrics(truth: Truth, period: str, facts: Facts) -> Iterator[tuple[Any, ...]]:
    """Every metric, plain and, where the program divides it so, by pipeline: the story has one."""
    split = 0
    for metric in METRICS:
        until, told = facts[metric]
        counted = answer(month(truth, period, until), metric)
        yield from differences(metric, counted, told)
        if (by_pipeline := f"{metric}/pipeline={truth.story.pipeline_id}") in facts:
            split += 1
            lacking = ("company", NOBODY) if metric in MIXED else ()
            ours, theirs = (
                {entity: pair for entity, pair in each.items() if entity[1] not in lacking}
                for each in (counted, facts[by_pipeline][1])
            )
            yield from differences(by_pipeline, ours, theirs)
    assert split > 15


def compare_plans(truth: Truth, period: str, facts: Facts) -> Iterator[tuple[Any, ...]]:
    for metric in {metric for metric, _, _ in truth.papers.plans}:
        name = f"plan_attainment/metric={metric}"
        until, told = facts[name]
        yield from differences(name, answer_plan(month(truth, period, until), metric), told)
    for metric in FORECAST:
        name = f"forecast_run_rate/metric={metric}"
        until, told = facts[name]
        yield from differences(name, answer_forecast(month(truth, period, until), metric), told)


def differences(
    name: str, counted: dict[tuple[str, str], Count], told: dict[tuple[str, str], Count]
) -> Iterator[tuple[Any, ...]]:
    for entity in sorted(counted.keys() | told.keys()):
        pair = counted.get(entity, (0.0, 0.0)), told.get(entity, (0.0, 0.0))
        if pair[0] != pytest.approx(pair[1], abs=0.001):
            yield name, entity, pair
