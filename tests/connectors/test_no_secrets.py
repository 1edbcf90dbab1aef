"""No secret, token or webhook path outside the token store: a run's every log, error, traceback and file is searched.

A vendor joins by a function in `VENDORS` that opens it: its settings, its server, and the secrets there are by now.
"""

from __future__ import annotations

import logging
import shutil
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import msgspec
import pytest

from base.clock import FakeClock
from base.secrets import Secret
from base.text import LANGUAGES
from connectors.amocrm.settings import AmocrmSettings
from connectors.bitrix24.settings import Bitrix24Settings
from connectors.registry import load_connector
from connectors.stream import Runtime, Settings
from demo import amocrm, bitrix24
from demo.company import build_company
from demo.http import HttpRequest, HttpResponse, SimulatedServer
from demo.story import Story
from flows.project import Project, Source
from flows.steps.sync import sync
from metrics.settings import Company

ZONE = ZoneInfo("Europe/Moscow")
CLIENT = {"client_id": "b1f0", "redirect_uri": "https://etl.example.com/amo"}
CLIENT_SECRET = "s3cr3t-of-the-integration"
WEBHOOK_CODE = "webhook-code-of-the-test"


@dataclass
class Vendor:
    """A vendor under search. `disturb` kills what a run holds (an access token), so that it must be renewed."""

    settings: Settings
    server: SimulatedServer
    secrets: Callable[[], set[str]]
    disturb: Callable[[], None] = lambda: None


def amocrm_by_oauth(story: Story, clock: FakeClock) -> Vendor:
    office = amocrm.TokenOffice(clock, client_secret=CLIENT_SECRET, **CLIENT)
    code = office.issue_code()
    issued = {code, CLIENT_SECRET}
    answer = office.answer

    def listen(request: HttpRequest) -> HttpResponse:
        response = answer(request)
        if response.status == 200:
            told = msgspec.json.decode(response.body)
            issued.update((told["access_token"], told["refresh_token"]))
        return response

    office.answer = listen  # type: ignore[method-assign]
    server = amocrm.AmocrmServer(amocrm.world_from_story(story), token="none", clock=clock, oauth=office)
    keys = {"client_secret": Secret(CLIENT_SECRET), "code": Secret(code), **CLIENT}
    settings = AmocrmSettings(type="amocrm", base_url="https://example.amocrm.ru", **keys)  # type: ignore[arg-type]
    return Vendor(settings, server, lambda: issued, office.revoke_access)


def bitrix24_by_webhook(story: Story, clock: FakeClock) -> Vendor:
    server = bitrix24.Bitrix24Server(bitrix24.world_from_story(story), secret=WEBHOOK_CODE, clock=clock)
    webhook = Secret(f"https://example.bitrix24.ru/rest/1/{WEBHOOK_CODE}/")
    return Vendor(Bitrix24Settings(type="bitrix24", webhook_url=webhook), server, lambda: {WEBHOOK_CODE})


def bitrix24_by_oauth(story: Story, clock: FakeClock) -> Vendor:
    address = "https://example.bitrix24.ru"
    server = bitrix24.Bitrix24Server(bitrix24.world_from_story(story), secret="none", clock=clock)
    office = server.install(client_id="app.65", client_secret=CLIENT_SECRET, endpoint=address)
    code = office.issue_code()
    issued = {code, CLIENT_SECRET}
    answer = office.answer

    def listen(request: HttpRequest) -> HttpResponse:
        response = answer(request)
        if response.status == 200:
            told = msgspec.json.decode(response.body)
            issued.update((told["access_token"], told["refresh_token"]))
        return response

    office.answer = listen  # type: ignore[method-assign]
    settings = Bitrix24Settings(
        type="bitrix24",
        base_url=address,
        client_id="app.65",
        client_secret=Secret(CLIENT_SECRET),
        code=Secret(code),
        oauth_url=f"{address}/oauth/token/",
    )
    return Vendor(settings, server, lambda: issued, office.expire_access)


VENDORS = {
    "amocrm by OAuth": amocrm_by_oauth,
    "bitrix24 by webhook": bitrix24_by_webhook,
    "bitrix24 by OAuth": bitrix24_by_oauth,
}


@dataclass
class Run:
    """A project with one source, and everything its runs have said."""

    vendor: Vendor
    project: Project
    clock: FakeClock
    told: list[str] = field(default_factory=list)

    def sync(self) -> list[BaseException]:
        report = sync(self.project, clock=self.clock, transport=self.vendor.server.transport)
        self.told.append(repr(report))
        for error in report.errors:
            self.told += [error.render(language) for language in LANGUAGES]
            # The whole chain, with what is hidden behind `from None` too.
            shown: BaseException | None = error
            while shown is not None:
                self.told += [repr(shown), *traceback.format_exception(shown)]
                shown = shown.__cause__ or shown.__context__
        return list(report.errors)

    def check(self) -> None:
        connector = load_connector(self.vendor.settings.type)
        runtime = Runtime(
            source="crm",
            clock=self.clock,
            zone=ZONE,
            state_dir=self.project.state_dir,
            transport=self.vendor.server.transport,
        )
        with connector.open(self.vendor.settings, runtime) as client:
            self.told += [repr(line) for line in connector.check(client)]

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Every file but those of the token store."""
        for path in self.project.root.rglob("*"):
            if path.is_file() and self.project.state_dir / "tokens" not in path.parents:
                yield str(path.relative_to(self.project.root)), path.read_bytes()

    def stored(self) -> Iterator[str]:
        """Every relation as text: DuckDB compresses what it keeps."""
        with duckdb.connect(config={"threads": 1}) as connection:
            for name, path in (("log", self.project.raw_path), ("stored", self.project.warehouse_path)):
                connection.execute(f"ATTACH '{path}' AS {name} (READ_ONLY)")
            for relation in connection.execute(
                "SELECT database_name || '.' || schema_name || '.' || table_name FROM duckdb_tables()"
                " WHERE database_name IN ('log', 'stored')"
            ).fetchall():
                yield str(connection.execute(f"SELECT t::TEXT FROM {relation[0]} AS t").fetchall())


@pytest.fixture(params=list(VENDORS))
def run(request: pytest.FixtureRequest, tmp_path: Path, empty_files: Path) -> Run:
    shutil.copytree(empty_files, tmp_path / "var")
    story = build_company(deals=6, seed=1)
    clock = FakeClock(story.told_at.astimezone(UTC))
    vendor = VENDORS[request.param](story, clock)
    project = Project(
        root=tmp_path,
        config_path=tmp_path / "voronka.toml",
        company=Company(zone=ZONE),
        warehouse_path=tmp_path / "var" / "warehouse.duckdb",
        raw_path=tmp_path / "var" / "raw.duckdb",
        publish_path=tmp_path / "analytics.duckdb",
        sources={"crm": Source(name="crm", type=vendor.settings.type, settings=vendor.settings)},
        state_dir=tmp_path / "var" / "state",
    )
    return Run(vendor, project, clock)


def test_secrets_stand_nowhere_but_in_the_token_store(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """A first load, a renewal in the middle, a check, and a vendor that repeats everything it was sent."""
    caplog.set_level(logging.DEBUG)
    assert run.sync() == []
    run.clock.advance(3600)
    run.vendor.disturb()
    assert run.sync() == []
    run.check()

    def echo(request: HttpRequest) -> HttpResponse:
        body = f"{request} {dict(request.headers)} {request.body!r} {' '.join(run.vendor.secrets())}"
        return HttpResponse(status=500, body=body.encode())

    run.vendor.server._handler = echo
    run.clock.advance(100 * 86_400)
    assert run.sync() != []
    run.check()

    secrets = run.vendor.secrets()
    told = [*run.told, caplog.text, repr(run.vendor.settings), *run.stored()]
    assert [secret for secret in secrets if any(secret in text for text in told)] == []
    files = dict(run.files())
    assert len(files) >= 3
    assert [name for name, content in files.items() if any(secret.encode() in content for secret in secrets)] == []


def test_search_would_find_a_secret(run: Run) -> None:
    """The search itself: a token in any file or row is found."""
    assert run.sync() == []
    secret = sorted(run.vendor.secrets())[0]
    (run.project.state_dir / "limits" / "leak.json").write_text(secret)
    assert any(secret.encode() in content for _, content in run.files())
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    with duckdb.connect(str(run.project.warehouse_path)) as connection:
        connection.execute("UPDATE core.users SET name = ?, loaded_at = ?", [secret, moment])
    assert any(secret in text for text in run.stored())
