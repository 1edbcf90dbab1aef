"""A month reads its own blocks of `calc.*`, not the history: what the short way leaves unread must not matter.

Deals of November that go forward, back, to lost, to another pipeline; are paid before, during and after; in a pipeline
with one map of stages, and in one whose order changes on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

import duckdb
import pytest

from metrics.availability import Bounds
from metrics.catalogue import load_catalogue
from metrics.given import LATER_PASSES, given_periods, relations
from metrics.periods import parse_period
from metrics.resolve import resolve
from tests.metrics.fixture_core import (
    COMPANY,
    PIPELINE,
    Batch,
    Crm,
    add_people,
    add_stages,
    empty_warehouse,
    fresh_clock,
    insert,
    moscow,
)

MOVING = "moving"
EVERY_PASS = "\nlater_passes AS NOT MATERIALIZED (FROM calc.stage_passes)"
NAMES = ("qualified", "meeting", "offer", "invoice", "won", "lost", "new")


@cache
def world() -> duckdb.DuckDBPyConnection:
    random, batch = Random(16), Batch()
    add_people(batch)
    for pipeline in (PIPELINE, MOVING):
        add_stages(batch, pipeline=pipeline)
    changed = {"source": "amo", "pipeline_id": MOVING, "valid_from": date(2026, 11, 12), "is_guess": False}
    # The meeting goes behind the offer, and stages come that nobody could pass before, one of them in front of all.
    for stage_id, position, kind in (("30", 45, "meeting"), ("15", 15, "qualified"), ("5", 5, "base")):
        stage = {"stage_id": stage_id, "name": stage_id, "position": position, "kind": kind}
        insert(batch, "core.stages", [changed | stage])
    for number in range(60):
        add_deal(batch, random, f"D{number}", PIPELINE if number % 2 else MOVING)
    connection = empty_warehouse()
    batch.flush(connection)
    resolve(connection, COMPANY, fresh_clock())
    return connection


def add_deal(batch: Batch, random: Random, deal: str, pipeline: str) -> None:
    """At most eight moves from the 2nd on, and perhaps a payment that a person has matched."""
    days = sorted(random.sample(range(2, 29), random.randint(1, 8)))
    stages = random.choices(NAMES, k=len(days))
    moves = [(f"{day:02d} 12:00", stage) for day, stage in zip(days, stages, strict=True)]
    if stages[0] == "new":
        moves = moves[1:]
    moves = [move for place, move in enumerate(moves) if place == 0 or move[1] != moves[place - 1][1]]
    Crm(batch, pipeline=pipeline).deal(deal, random.choice("AB"), "01 10:00", moves, amount=Decimal(100))
    if random.random() < 0.6:
        paid = {"paid_on": date(2026, 11, random.randint(1, 28)), "amount": Decimal(100), "currency": "RUB"}
        payment = {"source": "accounting", "payment_id": f"P{deal}"}
        insert(batch, "core.payments", [payment | paid | {"kind": "customer", "is_deleted": False}])
        insert(batch, "core.matches", [payment | {"deal_source": "amo", "deal_id": deal}])


def rows(query: str) -> list[tuple[Any, ...]]:
    return world().execute(query).fetchall()


def days() -> Iterator[Bounds]:
    """Days of November as periods of their own, as they look when the month is over."""
    for day in (date(2026, 11, 1) + timedelta(days=shift) for shift in (0, 4, 9, 12, 15, 19, 24)):
        (period,) = parse_period(day.isoformat())
        yield Bounds(
            period=period,
            basis="",
            starts_at=period.starts_at(COMPANY.zone),
            ends_at=period.ends_at(COMPANY.zone),
            as_of=moscow("30 23:59"),
            covered=("crm", "calls", "money"),
            counted_to=period.ends_on,
        )


@pytest.mark.parametrize("key", ["stage_conversion_cohort", "qualified_to_paid_rate", "stage_skip_rate"])
def test_what_lies_behind_a_stage_is_found_without_the_history(key: str) -> None:
    """A deal paid before it came to the stage, or moved under another map, would be counted as gone no further."""
    metric = load_catalogue().get(key)
    strange = 0
    for bounds in days():
        before = relations(given_periods([bounds]), metric)
        told, whole, late = (
            rows(f"WITH {before.replace(LATER_PASSES, read)} SELECT * FROM ({metric.sql}) ORDER BY ALL")
            for read in (LATER_PASSES, EVERY_PASS, LATER_PASSES.replace("s.is_ahead", "FALSE"))
        )
        assert LATER_PASSES in before
        assert told == whole, bounds.period
        strange += late != whole
    assert strange, "without what was passed ahead the answer would be the same: the world is too plain"


def test_few_passes_are_ahead_where_the_map_stays() -> None:
    """Else every month would read all of them again."""
    ahead = dict(
        rows("SELECT kind, count(*) FROM calc.stage_passes WHERE is_ahead AND pipeline_id = '7' GROUP BY kind")
    )
    assert set(ahead) == {"paid"}
    assert rows(f"SELECT count(*) > 20 FROM calc.stage_passes WHERE is_ahead AND pipeline_id = '{MOVING}'") == [(True,)]


def test_the_first_pass_of_a_kind_has_none_of_it_before() -> None:
    """In the second map of `moving` two stages are `qualified`: a deal would be two of the cohort."""
    query = """
        SELECT is_first_of_kind, EXISTS (
            FROM calc.stage_passes AS e WHERE e.source = b.source AND e.deal_id = b.deal_id
            AND e.pipeline_id = b.pipeline_id AND e.kind = b.kind AND e.position < b.position
        ), count(*)
        FROM calc.stage_passes AS b GROUP BY ALL ORDER BY ALL
    """
    assert [row[:2] for row in rows(query)] == [(False, True), (True, False)]


def test_an_open_deal_knows_its_entry_into_the_stage() -> None:
    """The age of a stage counted from the change of a responsible person would begin anew with each."""
    query = """
        SELECT count(*), count_if(
            o.entered_at = e.entered_at AND o.entered_on = e.local_date AND o.entry_team IS NOT DISTINCT FROM e.team
                AND o.stage_id = e.stage_id
        )
        FROM calc.open_deals AS o
        JOIN (
            SELECT *, lead(entered_at, 1, 'infinity') OVER (PARTITION BY deal_id ORDER BY ordinal) AS next_at
            FROM calc.stage_events
        ) AS e ON e.deal_id = o.deal_id AND e.entered_at < o.valid_to AND e.next_at >= o.valid_to
    """
    ((spans, right),) = rows(query)
    assert spans == right == rows("SELECT count(*) FROM calc.open_deals")[0][0] > 100
