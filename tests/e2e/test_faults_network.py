"""A network that stalls and lies, a vendor that answers yesterday's data: what can be told is told, nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from base.clock import FakeClock
from base.errors import MassDisappearanceError, ProtocolError, ServerFaultError, UnreachableError
from base.secrets import Secret
from connectors.api import LONGEST_ANSWER_SECONDS, Api, Dialect
from connectors.limiter import Limiter
from connectors.mango.settings import MangoSettings
from connectors.mango.streams import CONNECTOR as MANGO
from connectors.states import FileStates
from connectors.stream import Request, Runtime
from demo.company import build_company
from demo.http import HttpRequest, HttpResponse, html_response
from demo.mango import MangoServer, world_from_story
from flows.steps.sources import files_of
from tests.campaign.checks import broken_rules
from tests.toy import EPOCH, Toy, deal, page
from warehouse.database import connect

ZONE = ZoneInfo("Europe/Moscow")


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


def rows(toy: Toy, query: str) -> list[tuple[Any, ...]]:
    with connect(files_of(toy.project())) as connection:
        return connection.execute(query).fetchall()


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Dripping(httpx.SyncByteStream):
    """A body whose pieces come just before each time-out, for ever."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self._clock.advance(60)
            yield b" "


def api(tmp_path: Path, clock: FakeClock, answer: Callable[[httpx.Request], httpx.Response]) -> Api:
    runtime = Runtime(source="amo", clock=clock, zone=ZONE, state_dir=tmp_path, transport=httpx.MockTransport(answer))
    limiter = Limiter("amo", rate=None, clock=clock, states=FileStates(tmp_path, clock))
    return Api("https://vendor.example", runtime=runtime, limiter=limiter, dialect=Dialect(attempts=2))


def test_an_answer_that_never_ends_is_given_up(tmp_path: Path) -> None:
    """Each piece comes within the transport's time-out: a night would hang until somebody looks."""
    clock = FakeClock(EPOCH)
    asked = api(tmp_path, clock, lambda request: httpx.Response(200, stream=Dripping(clock)))
    with pytest.raises(UnreachableError, match="not over after"):
        asked.fetch("GET", "/leads", lambda response: response.content)

    assert clock.monotonic() < 3 * LONGEST_ANSWER_SECONDS


LIES: dict[str, Callable[[HttpResponse], HttpResponse]] = {
    "half of the page, and a length that fits it": lambda r: replace(r, body=r.body[: len(r.body) // 2]),
    "less than the length says": lambda r: replace(r, broken="truncated"),
    "a page of the provider's in its place": lambda r: replace(html_response(200, "Войдите в сеть")),
    "nothing at all": lambda r: replace(r, body=b""),
    "another answer's shape": lambda r: replace(r, body=b'{"result": 1000, "data": {"calls": 7}}'),
    "a list in its place": lambda r: replace(r, body=b"[]"),
}


class LyingMango(MangoServer):
    """Tells the truth but for the reports of calls."""

    lie: Callable[[HttpResponse], HttpResponse] | None = None

    def answer(self, request: HttpRequest) -> HttpResponse:
        told = super().answer(request)
        return self.lie(told) if self.lie and request.path.endswith("calls/result") and told.status == 200 else told


@pytest.fixture(scope="module")
def company() -> Any:
    return build_company(deals=12, seed=3)


@pytest.fixture
def mango(company: Any) -> LyingMango:
    clock = FakeClock(company.told_at)
    return LyingMango(world_from_story(company), api_key="key", api_salt="salt", clock=clock, limits=False)


def read_calls(server: LyingMango, company: Any, tmp_path: Path) -> tuple[list[str], list[dict[str, Any] | None]]:
    clock = server.clock
    runtime = Runtime(source="mango", clock=clock, zone=ZONE, state_dir=tmp_path, transport=server.transport)
    settings = MangoSettings(
        type="mango", api_key=Secret("key"), api_salt=Secret("salt"), base_url="https://vendor.example/vpbx"
    )
    ids, positions = [], []
    with MANGO.open(settings, runtime) as client:
        request = Request(position=None, start=company.told_at - timedelta(days=60), end=client.now())
        for found in MANGO.stream("calls").fetch(client, request):
            ids += found.ids
            positions.append(found.position)
    return ids, positions


@pytest.mark.parametrize("name", LIES)
def test_an_answer_that_lies_is_refused_or_asked_for_again_and_never_believed(
    mango: LyingMango, company: Any, tmp_path: Path, name: str
) -> None:
    """A window whose answer was no answer would count as read: its calls never come."""
    truth, _ = read_calls(mango, company, tmp_path / "truth")
    lies = iter((True, False, True, True))
    mango.lie = lambda told: LIES[name](told) if next(lies, False) else told
    found = read_until_it_succeeds(mango, company, tmp_path)

    assert next(lies, None) is None, "not all lies were told"
    assert sorted(found) == sorted(truth)


def read_until_it_succeeds(mango: LyingMango, company: Any, tmp_path: Path) -> list[str]:
    """As nights do: a source that failed is read again from where it stands."""
    for attempt in range(5):
        with suppress(ServerFaultError, UnreachableError, ProtocolError):
            return read_calls(mango, company, tmp_path / str(attempt))[0]
    pytest.fail("it never read all")


def test_a_report_of_another_period_is_not_taken_for_the_one_asked(
    mango: LyingMango, company: Any, tmp_path: Path
) -> None:
    """The window would count as read, its calls would never come."""
    other: list[HttpResponse] = []

    def keep_first(told: HttpResponse) -> HttpResponse:
        calls = [call for part in json.loads(told.body)["data"] for call in part["list"]]
        if calls and not other:
            other.append(told)
        return other[0] if other else told

    mango.lie = keep_first
    with pytest.raises(ServerFaultError, match="were asked for"):
        read_calls(mango, company, tmp_path)


# ── yesterday's data ────────────────────────────────────────────────────────────────────────────────────────────


def test_older_versions_of_a_stale_replica_change_nothing(toy: Toy) -> None:
    """What is known would go back a day, and come forward only when the record changes again."""
    toy.run({"deals": [page(deal(1, 200, title="new", contacts=["8"]), deal(2, 210))]})
    toy.run({"deals": [page(deal(1, 100, title="old", contacts=["7"]))]})

    assert rows(toy, "SELECT title FROM core.deals WHERE deal_id = '1'") == [("new",)]
    assert rows(toy, "SELECT contact_id FROM core.deal_contacts") == [("8",)]
    toy.run({"deals": [page(deal(1, 200, title="new", contacts=["8"]))]})
    assert rows(toy, "SELECT title FROM core.deals WHERE deal_id = '1'") == [("new",)]
    assert broken_rules(toy.folder / "var") == []


def test_a_list_that_shrinks_by_more_than_a_twentieth_stops_and_asks(toy: Toy) -> None:
    everything = page(*(deal(n, 100) for n in range(1_000)))
    toy.run({"deals": [everything]})
    report = toy.run({"deals": [page(*(deal(n, 100) for n in range(940)))]}, full=True)

    assert [type(error) for error in report.errors] == [MassDisappearanceError]
    assert "--accept-deletions" in report.errors[0].render("ru")
    assert rows(toy, "SELECT count(*) FROM core.deals WHERE is_deleted") == [(0,)]
    assert toy.run({"deals": [everything]}, full=True).is_ok


def test_a_list_a_little_shorter_for_a_day_is_whole_again_the_next(toy: Toy) -> None:
    """A replica lacks the newest records: buried once, they would stay buried, for nothing about them changes."""
    everything = page(*(deal(n, 100) for n in range(100)))
    toy.run({"deals": [everything]})
    toy.run({"deals": [page(*(deal(n, 100) for n in range(97)))]}, full=True)
    assert rows(toy, "SELECT count(*) FROM core.deals WHERE is_deleted") == [(3,)]
    toy.run({"deals": [everything]}, full=True)

    assert rows(toy, "SELECT count(*) FROM core.deals WHERE is_deleted") == [(0,)]
    assert rows(toy, "SELECT op, count(*) FROM landing.raw.records WHERE stream = 'deals' GROUP BY ALL ORDER BY 1") == [
        ("delete", 3),
        ("put", 103),
        ("restore", 3),
    ]
    again = toy.run({"deals": [everything]}, full=True)
    assert sum(stream.rows + stream.core_rows for stream in again.streams) == 0
    assert broken_rules(toy.folder / "var") == []


def test_ids_listed_again_without_their_records_lift_their_tombstones(toy: Toy) -> None:
    """A sweep by ids alone (Bitrix24) never reads the record that came back unchanged."""
    toy.run({"deals": [page(deal(1, 100), deal(2, 100))]})
    toy.run({"deals": [page(living=["1"], is_whole=True)]})
    assert rows(toy, "SELECT is_deleted FROM core.deals ORDER BY deal_id") == [(False,), (True,)]
    toy.run({"deals": [page(living=["1", "2"], is_whole=True)]})
    assert rows(toy, "SELECT is_deleted FROM core.deals ORDER BY deal_id") == [(False,), (False,)]


def test_a_later_change_after_a_tombstone_was_lifted_counts(toy: Toy) -> None:
    """The lifting must not stand as a version of the record: a change the vendor dates before it would be lost."""
    toy.run({"deals": [page(deal(1, 100), deal(2, 100))]})
    toy.run({"deals": [page(living=["1"], is_whole=True)]})
    toy.run({"deals": [page(living=["1", "2"], is_whole=True)]})
    toy.run({"deals": [page(deal(2, 101, title="changed in between"))]})

    assert rows(toy, "SELECT title, is_deleted FROM core.deals WHERE deal_id = '2'") == [("changed in between", False)]
