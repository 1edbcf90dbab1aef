"""Clocks that jump, ours and the vendor's: nothing is lost or doubled, and what a wrong hour left behind heals."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from base.clock import FakeClock
from base.text import say
from base.times import to_unix
from connectors.limiter import LONGEST_BLOCK_SECONDS, Limiter
from connectors.states import FileStates
from connectors.stream import Reject
from flows.steps.sources import files_of
from tests.campaign.checks import broken_rules
from tests.toy import EPOCH, Toy, deal, page
from warehouse.batch import Batch
from warehouse.database import connect, open_warehouse
from warehouse.land import Landing, StreamRun

YEAR = 366 * 86_400.0


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


def set_clock(toy: Toy, seconds: float) -> None:
    """The machine's clock is set, forward or back; what only measures goes on."""
    toy.clock.advance(seconds)


def rows(toy: Toy, query: str) -> list[tuple[Any, ...]]:
    with connect(files_of(toy.project())) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("jump", [-YEAR, YEAR])
def test_a_record_without_the_vendors_time_is_as_it_came_last(toy: Toy, jump: float) -> None:
    """The fetch time is its version: after the clock was set back a new name would be older than the old one."""
    toy.run({"users": [page({"id": 1, "title": "Анна"})]})
    set_clock(toy, jump)
    toy.run({"users": [page({"id": 1, "title": "Мария"})]})
    set_clock(toy, -jump)
    toy.run({"users": [page({"id": 1, "title": "Ольга"})]})

    assert rows(toy, "SELECT name FROM core.users") == [("Ольга",)]
    assert broken_rules(toy.folder / "var") == []


def test_a_user_who_left_under_a_clock_ahead_can_come_back(toy: Toy) -> None:
    """The tombstone of a wrong hour would bury everything until that hour comes."""
    anna = page({"id": 1, "title": "Анна"})
    toy.run({"users": [anna]})
    set_clock(toy, YEAR)
    toy.run({"users": [page({"id": 2, "title": "Иван"})]})
    set_clock(toy, -YEAR)
    toy.run({"users": [page({"id": 1, "title": "Анна"}, {"id": 2, "title": "Иван"})]})

    assert rows(toy, "SELECT name, is_active FROM core.users ORDER BY 1") == [("Анна", True), ("Иван", True)]


def test_a_deal_deleted_under_a_clock_ahead_lives_when_the_vendor_lists_it(toy: Toy) -> None:
    """`is_deleted` waits for a version after the deletion's, which is a year away."""
    toy.run({"deals": [page(deal(1, 100), deal(2, 100))]})
    set_clock(toy, YEAR)
    toy.run({"deals": [page(deal(2, 100))]}, full=True)
    set_clock(toy, -YEAR)
    assert rows(toy, "SELECT is_deleted FROM core.deals WHERE deal_id = '1'") == [(True,)]
    toy.run({"deals": [page(deal(1, 100), deal(2, 100))]}, full=True)

    assert rows(toy, "SELECT DISTINCT is_deleted FROM core.deals") == [(False,)]
    toy.run({"deals": [page(deal(2, 100))]}, full=True)
    assert rows(toy, "SELECT is_deleted FROM core.deals WHERE deal_id = '1'") == [(True,)]


@pytest.mark.parametrize("name", ["updated_at", "created_at", "since", "until"])
def test_a_position_of_a_vendors_clock_ahead_is_no_position(toy: Toy, name: str) -> None:
    """Its answers once came with next year's date: everything until then would lie before the position, unread."""
    ahead = to_unix(EPOCH + timedelta(days=366))
    toy.run({"deals": [page(deal(1, 100), position={name: ahead})]})
    toy.run({"deals": [page(deal(1, 100), deal(2, 200), position={name: to_unix(EPOCH)})]})

    assert toy.client is not None
    asked = {stream: request.position for stream, request in toy.client.requests}
    assert asked["deals"] is None
    assert rows(toy, "SELECT count(*) FROM landing.raw.records WHERE stream = 'deals'") == [(2,)]
    assert rows(toy, f"SELECT (position->>'{name}')::BIGINT FROM meta.positions") == [(to_unix(EPOCH),)]


def test_a_position_minutes_ahead_is_kept(toy: Toy) -> None:
    """A vendor's servers differ by seconds: a first load for each of them would never end."""
    held = {"since": to_unix(EPOCH) + 300}
    toy.run({"deals": [page(deal(1, 100), position=held)]})
    toy.run({"deals": []})

    assert toy.client is not None
    assert dict(toy.client.requests)["deals"].position == held


def test_an_unreadable_file_seen_by_a_clock_ahead_is_forgotten_once_mended(tmp_path: Path) -> None:
    """It would stand among the rejects until that hour comes."""
    toy = Toy(tmp_path)
    with open_warehouse(files_of(toy.project()), command="test", clock=toy.clock) as warehouse:
        landing, run = Landing(warehouse), StreamRun("1", "bank", "statements")
        set_clock(toy, YEAR)
        reject = Reject(record_id="a.txt", code="cut", message=say("Обрыв", "Cut"))
        landing.write(run, Batch(rejects=[reject]), requests=0)
        set_clock(toy, -YEAR)
        landing.forget_healed_files(run, toy.clock.now())
        assert warehouse.connection.execute("SELECT count(*) FROM landing.raw.rejects").fetchone() == (0,)


def test_a_block_written_by_a_clock_ahead_does_not_stop_an_account_for_a_year(tmp_path: Path) -> None:
    clock = FakeClock(EPOCH + timedelta(days=366))
    Limiter("amo", rate=5, clock=clock, states=FileStates(tmp_path, clock)).block(900, "403")
    back = FakeClock(EPOCH)
    Limiter("amo", rate=5, clock=back, states=FileStates(tmp_path, back)).wait_turn()

    assert sum(back.slept) < LONGEST_BLOCK_SECONDS
