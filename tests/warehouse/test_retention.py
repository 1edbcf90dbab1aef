"""Raw payloads that are kept for a while only: what goes, what must stay, and what that costs a replay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connectors.stream import Connector
from flows.project import Project
from flows.steps.replay import replay
from flows.steps.retain import RetainReport, retain
from tests.e2e.state import State, read_state
from tests.engine import look
from tests.toy import SECOND, Toy, ToyClient, deal, page
from tests.warehouse.test_land_and_conform import query

DAY = 86_400


class KeepingToy(Toy):
    """A toy with `raw_days`."""

    raw_days: dict[str, int] = {}  # noqa: RUF012 - one test's toy has one

    def project(self) -> Project:
        project = super().project()
        source = project.sources["toy"]
        settings = type(source.settings)(type="toy", meaning=self.meaning, raw_days=self.raw_days)
        return replace(project, sources={"toy": replace(source, settings=settings)})

    def retain(self) -> RetainReport:
        connector: Connector[ToyClient] = self.connector()
        return retain(self.project(), clock=self.clock, find_connector=lambda name: connector)

    def replay(self) -> Any:
        connector: Connector[ToyClient] = self.connector()
        return replay(self.project(), clock=self.clock, find_connector=lambda name: connector)

    def core(self) -> State:
        state = read_state(self.project().warehouse_path)
        return {name: rows for name, rows in state.items() if name.startswith("core.") and name != "core.calendar"}

    def sizes(self) -> list[tuple[Any, ...]]:
        return query(self, "SELECT stream, records, kept, bytes FROM meta.raw_sizes ORDER BY 1")


@pytest.fixture
def keeping(toy: Toy) -> KeepingToy:
    """Two loads, thirty days apart."""
    made = KeepingToy(toy.folder, toy.clock)
    made.run({"deals": [page(deal(1, 100, contacts=["a"]), deal(2, 110))], "users": [page({"id": 7, "title": "Анна"})]})
    made.clock.advance(30 * DAY)
    made.run({"deals": [page(deal(2, 200, title="later"), deal(3, 210))], "users": [page({"id": 7, "title": "Анна"})]})
    return made


def test_old_payloads_go_and_the_core_and_the_log_of_what_was_read_stay(keeping: KeepingToy) -> None:
    before = read_state(keeping.project().warehouse_path)
    keeping.raw_days = {"deals": 10}
    report = keeping.retain()

    assert [(done.stream, done.records) for done in report.streams] == [("deals", 2)]
    assert query(
        keeping, "SELECT record_id, payload IS NULL FROM raw.records WHERE stream = 'deals' ORDER BY seq", raw=True
    ) == [
        ("1", True),
        ("2", True),
        ("2", False),
        ("3", False),
    ]
    assert read_state(keeping.project().warehouse_path) == before
    assert keeping.retain().streams == []


def test_what_was_let_go_is_not_read_as_new_when_it_comes_again(keeping: KeepingToy) -> None:
    """Without its hash every `--full` would bring back what retention had just dropped."""
    keeping.raw_days = {"deals": 10}
    keeping.retain()
    report = keeping.run(
        {"deals": [page(deal(1, 100, contacts=["a"]), deal(2, 200, title="later"), deal(3, 210))]}, full=True
    )

    assert [stream.rows for stream in report.streams if stream.stream == "deals"] == [0]


def test_a_dictionary_keeps_its_latest_version_whatever_its_age(keeping: KeepingToy) -> None:
    """Mappings of other streams read it: without it the next new deal would lose its responsible person."""
    keeping.clock.advance(DAY)
    keeping.run({"users": [page({"id": 7, "title": "Анна Б."})]})
    keeping.clock.advance(300 * DAY)
    keeping.raw_days = {"*": 10}
    keeping.retain()

    assert query(keeping, "SELECT payload IS NULL FROM raw.records WHERE stream = 'users' ORDER BY seq", raw=True) == [
        (True,),
        (False,),
    ]


def test_nothing_is_let_go_before_it_is_in_the_core(keeping: KeepingToy) -> None:
    """Landed, killed, and older than its keeping at the next night: it would be lost without ever being counted."""

    with look(keeping.project().warehouse_path, writes=True) as connection:
        connection.execute("UPDATE meta.watermarks SET seq = 2 WHERE stream = 'deals'")
    keeping.raw_days = {"deals": 1}
    keeping.clock.advance(300 * DAY)

    assert [done.records for done in keeping.retain().streams] == [1]


def test_a_replay_leaves_rows_of_lost_payloads_and_makes_the_others_anew(keeping: KeepingToy) -> None:
    before = keeping.core()
    keeping.raw_days = {"deals": 10}
    keeping.retain()
    report = keeping.replay()

    assert keeping.core() == before
    assert {stream.stream: stream.let_go for stream in report.streams}["deals"] == 2


def test_changing_the_setting_reads_no_log_again(keeping: KeepingToy) -> None:
    keeping.raw_days = {"deals": 100}
    report = keeping.run({"users": [page({"id": 7, "title": "Анна"})]})

    assert [stream.core_rows for stream in report.streams] == [0] * len(report.streams)


def test_sizes_are_measured_once_for_each_record_and_follow_what_is_let_go(keeping: KeepingToy) -> None:
    keeping.retain()
    first = keeping.sizes()
    keeping.retain()
    assert keeping.sizes() == first
    lengths = "SELECT stream, count(*), count(payload), sum(strlen(payload)) FROM raw.records GROUP BY ALL ORDER BY 1"
    assert first == query(keeping, lengths, raw=True)

    keeping.raw_days = {"deals": 10}
    keeping.retain()
    assert keeping.sizes() == query(keeping, lengths, raw=True)
    oldest = "SELECT epoch_us(oldest_at) FROM meta.raw_sizes WHERE stream = 'deals'"
    assert query(keeping, oldest)[0][0] == int(keeping.clock.now().timestamp()) * SECOND
