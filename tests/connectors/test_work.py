"""What a load costs in requests and rows, counted: a slower run can be the machine, more requests are our doing.

Requests are what a vendor limits. Each number here follows from the records of the demo company and the vendor's page
size; whoever changes how a stream is read sees in this file what that costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from base.clock import FakeClock
from base.secrets import Secret
from connectors.amocrm.settings import AmocrmSettings
from connectors.bitrix24.settings import Bitrix24Settings
from connectors.stream import Settings
from demo import amocrm, bitrix24
from demo.company import build_company
from demo.http import SimulatedServer
from flows.project import Project, Source
from flows.steps.sync import sync
from metrics.settings import Company

STORY = build_company(deals=270)
BEGAN = STORY.told_at + timedelta(minutes=1)
SECRET = "s3cretwebhookcode"


@dataclass
class Loads:
    """Two syncs, the second with nothing changed. By stream: requests, records landed, core rows."""

    first: dict[str, tuple[int, int, int]]
    again: dict[str, tuple[int, int, int]]

    @property
    def requests_again(self) -> dict[str, int]:
        return {name: count for name, (count, _, _) in self.again.items()}


def load_twice(folder: Path, settings: Settings, server: SimulatedServer, clock: FakeClock) -> Loads:
    project = Project(
        root=folder,
        config_path=folder / "voronka.toml",
        company=Company(zone=ZoneInfo("Europe/Moscow")),
        warehouse_path=folder / "var" / "warehouse.duckdb",
        raw_path=folder / "var" / "raw.duckdb",
        publish_path=folder / "analytics.duckdb",
        sources={"crm": Source(name="crm", type=settings.type, settings=settings)},
        state_dir=folder / "var" / "state",
    )
    told = []
    for _ in range(2):
        report = sync(project, clock=clock, transport=server.transport)
        assert [str(error) for error in report.errors] == []
        told.append({s.stream: (s.requests, s.rows, s.core_rows) for s in report.streams})
        clock.advance(3600)
    return Loads(*told)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Loads:
    clock = FakeClock(BEGAN)
    server = amocrm.AmocrmServer(amocrm.world_from_story(STORY), token=SECRET, clock=clock)
    settings = AmocrmSettings(type="amocrm", base_url="https://example.amocrm.ru", token=Secret(SECRET))
    return load_twice(tmp_path_factory.mktemp("amocrm"), settings, server, clock)


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Loads:
    clock = FakeClock(BEGAN)
    server = bitrix24.Bitrix24Server(bitrix24.world_from_story(STORY), secret=SECRET, clock=clock)
    url = f"https://example.bitrix24.ru/rest/1/{SECRET}/"
    settings = Bitrix24Settings(type="bitrix24", webhook_url=Secret(url))
    return load_twice(tmp_path_factory.mktemp("bitrix24"), settings, server, clock)


# Streams of more than one page, or that look in more than one place; every other one costs one request.
ACCOUNT = {"leads": 2, "contacts": 2, "companies": 2, "contact_notes": 4, "events": 24}
PORTAL = {
    **dict.fromkeys(("deals", "deal_contacts", "stage_history", "contacts", "companies", "leads", "quotes"), 2),
    "pipelines": 2,
    "lead_history": 2,
    "invoices": 2,
    "process_history": 3,
    "calls": 3,
    "payments": 4,
}
# Catalogs have no time of change: their invoices are read whole in every run, and looked for first.
CATALOGS = {"invoice_fields": 2, "invoices": 4}
# Read from a little before the last entry on, or in more than one place.
PORTAL_AGAIN = {"pipelines": 2, "stage_history": 2, "lead_history": 2, "process_history": 3, "payments": 2}
# Ids of calls and of tasks lie a million apart: lanes over nothing are given up, not cut ever smaller.
SPARSE = {"activities": 12}


def test_a_first_load_of_an_account_asks_for_each_page_once(account: Loads) -> None:
    """Pages of 250, of the log 100 within windows of its time: a page asked for twice is a tenth of the budget."""
    many = {name: count for name, (count, _, _) in account.first.items() if count > 1 and name not in CATALOGS}
    assert many == ACCOUNT
    assert all(loads[name][0] <= most for loads in (account.first, account.again) for name, most in CATALOGS.items())


def test_a_first_load_of_a_portal_takes_chains_of_pages(portal: Loads) -> None:
    """A first page with the highest id, then up to fifty pages a request."""
    many = {name: count for name, (count, _, _) in portal.first.items() if count > 1 and name not in SPARSE}
    assert many == PORTAL
    assert all(portal.first[name][0] <= most for name, most in SPARSE.items())


def test_each_record_is_landed_once(account: Loads, portal: Loads) -> None:
    landed = {name: account.first[name][1] for name in ("leads", "contacts", "companies", "tasks", "contact_notes")}
    assert landed == {"leads": 264, "contacts": 270, "companies": 270, "tasks": 116, "contact_notes": 785}
    landed = {name: portal.first[name][1] for name in ("deals", "contacts", "companies", "activities", "stage_history")}
    assert landed == {"deals": 264, "contacts": 264, "companies": 264, "activities": 901, "stage_history": 882}


def test_an_unchanged_second_run_costs_a_request_a_stream_and_writes_nothing(account: Loads, portal: Loads) -> None:
    """What runs every quarter of an hour must not read, write or compare what it has."""
    many = {name for name, count in account.requests_again.items() if count > 1}
    assert many <= CATALOGS.keys()
    assert {name: count for name, count in portal.requests_again.items() if count > 1} == PORTAL_AGAIN
    written = [(name, rows, core) for again in (account.again, portal.again) for name, (_, rows, core) in again.items()]
    assert [one for one in written if one[1] or one[2]] == []
