"""Accounts far larger than memory should hold: deals are made up when a page of them is asked for."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from pathlib import Path

import httpx
import msgspec
from amocrm_office import MOSCOW, NOW, TOKEN, empty_world, lead
from amocrm_sync import SyncedAccount

from base.clock import FakeClock
from base.secrets import Secret
from base.times import to_unix
from connectors.amocrm.client import AmocrmClient
from connectors.amocrm.settings import AmocrmSettings
from connectors.amocrm.streams import CONNECTOR
from connectors.stream import Page, Position, Request, Runtime
from demo.http import Fault, HttpRequest

MILLION = 1_000_000
FIRST_SECOND = to_unix(NOW) - 5 * 365 * 86_400
# Whole seconds between two deals: they end two hours before the present, before the overlap of any run.
STEP = (to_unix(NOW) - 7200 - FIRST_SECOND) // MILLION
PAGE = 250


@dataclass
class LargeAccount:
    """Deal i changed `STEP` seconds after deal i-1. `asked` keeps from where."""

    folder: Path
    count: int = MILLION
    asked: list[int] = field(default_factory=list)
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        since = int(params["filter[updated_at][from]"])
        assert (params["page"], params["order[updated_at]"]) == ("1", "asc")
        self.asked.append(since)
        first = max(-(-(since - FIRST_SECOND) // STEP), 0)
        rows = [lead(number, FIRST_SECOND + number * STEP) for number in range(first, min(first + PAGE, self.count))]
        if not rows:
            return httpx.Response(204)
        links = {"self": {"href": str(request.url)}}
        if first + PAGE < self.count:
            links["next"] = {"href": str(request.url)}
        body = {"_page": 1, "_links": links, "_embedded": {"leads": rows}}
        date = self.clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT")
        return httpx.Response(200, content=msgspec.json.encode(body), headers={"Date": date})

    def read(self, position: Position | None, *, pages: int | None = None) -> list[Page]:
        """One run's pages, by a client of its own; `pages` stops it after so many."""
        runtime = Runtime(
            source="amo",
            clock=self.clock,
            zone=MOSCOW,
            state_dir=self.folder,
            transport=httpx.MockTransport(self),
        )
        settings = AmocrmSettings(type="amocrm", base_url="https://example.amocrm.ru", token=Secret(TOKEN))
        client = AmocrmClient(settings, runtime)
        request = Request(position=position, start=None, end=self.clock.now())
        return list(islice(CONNECTOR.stream("leads").fetch(client, request), pages))


def test_first_load_of_a_million_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """A stop costs one page at most: what was read is not asked for again, and nothing between is left out."""
    account = LargeAccount(tmp_path)
    before = account.read(None, pages=40)
    asked_before = list(account.asked)
    after = account.read(before[-1].position, pages=40)
    ids = [int(record_id) for page in (*before, *after) for record_id in page.ids]
    assert sorted(set(ids)) == list(range(max(ids) + 1))
    # Two pages overlap by the second they share, a resumed run by no more than one page.
    assert len(ids) - len(set(ids)) <= PAGE
    asked_after = account.asked[len(asked_before) :]
    assert min(asked_after) >= asked_before[-1]
    assert len(account.asked) <= 80


def test_million_is_read_to_its_end_in_as_many_requests_as_it_has_pages(tmp_path: Path) -> None:
    """The last pages of it, with a far position: the cost of a page does not depend on how many lie before it."""
    account = LargeAccount(tmp_path)
    position = {"updated_at": FIRST_SECOND + (MILLION - 5_000) * STEP}
    pages = account.read(position)
    assert [int(record_id) for page in pages for record_id in page.ids] == list(range(MILLION - 5_000, MILLION))
    # Each page begins with the last record of the one before.
    assert len(account.asked) <= 5_000 // (PAGE - 1) + 2
    assert pages[-1].position == {"updated_at": to_unix(NOW) - 600}


def test_every_page_says_how_far_the_load_has_come(tmp_path: Path) -> None:
    pages = LargeAccount(tmp_path).read(None, pages=20)
    reached = [page.reached_at for page in pages if page.reached_at is not None]
    assert len(reached) == 20
    assert reached == sorted(reached)
    assert reached[-1] - reached[0] > timedelta(seconds=15 * PAGE * STEP)


def test_unchanged_hundred_thousand_deals_cost_one_request(tmp_path: Path) -> None:
    """The second run reads from its position on; the deals before it are never looked at."""
    account = LargeAccount(tmp_path, count=100_000)
    position = account.read({"updated_at": FIRST_SECOND + 99_990 * STEP})[-1].position
    account.clock.advance(86_400)
    account.asked.clear()
    again = account.read(position)
    assert [record_id for page in again for record_id in page.ids] == []
    assert len(account.asked) <= 10


class DyingNetwork:
    """Every request for deals fails from the n-th on, until it is mended."""

    def __init__(self, dies_after: int) -> None:
        self.left: int | None = dies_after

    def __call__(self, request: HttpRequest) -> Fault | None:
        if self.left is None or not request.path.endswith("/leads"):
            return None
        self.left = max(self.left - 1, -1)
        return "reset" if self.left < 0 else None


def test_sync_that_failed_in_the_middle_asks_for_no_landed_page_again(tmp_path: Path, empty_files: Path) -> None:
    """Through the engine: the position is stored with the records of its page, failed run or not."""
    shutil.copytree(empty_files, tmp_path / "var")
    world = empty_world()
    for number in range(1500):
        world.add("leads", lead(number + 1, FIRST_SECOND + number * 60))
    network = DyingNetwork(3)
    account = SyncedAccount(
        world, tmp_path, streams=("account", "loss_reasons", "catalogs", "leads"), faults=network, limit_per_second=None
    )
    assert len(account.try_sync().errors) == 1
    [(landed,)] = account.rows("SELECT count(*) FROM core.deals")
    assert landed == 3 * PAGE - 2
    asked_before = cursors(account)
    network.left = None
    account.sync()
    [(landed,)] = account.rows("SELECT count(*) FROM core.deals")
    assert landed == 1500
    asked_after = cursors(account)[len(asked_before) :]
    assert min(asked_after) >= max(asked_before) - 1
    [(rows, distinct)] = account.rows(
        "SELECT count(*), count(DISTINCT record_id) FROM log.raw.records WHERE stream = 'leads'"
    )
    assert rows == distinct == 1500


def cursors(account: SyncedAccount) -> list[int]:
    marks = [line for line in account.server.requests if "/leads?" in line]
    return [int(line.partition("filter[updated_at][from]=")[2].partition("&")[0]) for line in marks]
