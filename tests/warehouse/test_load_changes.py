"""Changes of owner and amount that a source does not log, found by comparing loads (metrics.md 2.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connectors.stream import Connector
from flows.steps.sync import sync
from tests.engine import look
from tests.toy import Toy, ToyClient, deal, page


class SilentToy(Toy):
    """A toy whose vendor logs no owners."""

    def connector(self) -> Connector[ToyClient]:
        told = super().connector()
        streams = tuple(replace(s, compares_loads=s.name == "deals") for s in told.streams)
        return replace(told, streams=streams)


@pytest.fixture
def silent(toy: Toy) -> SilentToy:
    return SilentToy(toy.folder, toy.clock)


def load(toy: Toy, *deals: dict[str, Any]) -> None:
    toy.clock.advance(3600)
    toy.script = {"deals": [page(*deals)]}
    connector = toy.connector()
    report = sync(toy.project(), clock=toy.clock, find_connector=lambda name: connector)
    assert not report.errors


def events(toy: Toy) -> list[tuple[Any, ...]]:
    with look(toy.project().warehouse_path) as connection:
        return connection.execute(
            "SELECT deal_id, event_type, from_value, to_value, epoch(occurred_at)::BIGINT, precision"
            " FROM core.deal_events ORDER BY occurred_at, event_id"
        ).fetchall()


def test_a_new_owner_in_a_later_load_is_a_change_at_the_records_own_time(silent: SilentToy) -> None:
    load(silent, deal(1, 100, owner="a"), deal(2, 100, owner="a"))
    assert events(silent) == []
    load(silent, deal(1, 300, owner="b"), deal(2, 300, owner="a", title="other"))
    assert events(silent) == [("1", "owner", "a", "b", 300, "load_interval")]


def test_versions_of_one_conform_are_compared_with_each_other(silent: SilentToy) -> None:
    load(silent, deal(1, 100, owner="a"), deal(1, 200, owner="b"), deal(1, 300, owner="a"))
    assert [(row[2], row[3], row[4]) for row in events(silent)] == [("a", "b", 200), ("b", "a", 300)]


def test_reading_the_log_again_adds_nothing(silent: SilentToy) -> None:
    load(silent, deal(1, 100, owner="a"))
    load(silent, deal(1, 300, owner="b"))
    before = events(silent)
    silent.meaning = "a setting changed: every record is mapped anew"
    load(silent)
    assert events(silent) == before


def test_an_older_version_that_comes_late_is_no_change(silent: SilentToy) -> None:
    load(silent, deal(1, 300, owner="b"))
    load(silent, deal(1, 100, owner="a"))
    assert events(silent) == []


def test_a_change_that_left_the_time_alone_is_dated_by_the_load_that_found_it(silent: SilentToy) -> None:
    """Its record's own time would lie before the last load, which still saw the old owner."""
    load(silent, deal(1, 100, owner="a"))
    load(silent, deal(1, 100, owner="b"))
    assert [(row[2], row[3], row[4]) for row in events(silent)] == [("a", "b", int(silent.clock.now().timestamp()))]


def test_a_source_with_a_log_of_its_own_is_not_compared(toy: Toy) -> None:
    load(toy, deal(1, 100, owner="a"))
    load(toy, deal(1, 300, owner="b"))
    assert events(toy) == []
