"""An application's tokens: renewed upon a refusal only, rotated durably, not lost by a kill, explained when refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bitrix24_office import BASE_URL, MOSCOW, NOW, SECRET, deal, empty_world, ids_of

from base.clock import FakeClock, SystemClock
from base.errors import ConfigError, CredentialsError, RightsError, ServerFaultError, SourceError
from base.secrets import Secret
from connectors.bitrix24.access import ApplicationAccess
from connectors.bitrix24.check import check
from connectors.bitrix24.client import Bitrix24Client
from connectors.bitrix24.settings import Bitrix24Settings
from connectors.bitrix24.streams import CONNECTOR
from connectors.stream import Page, Request, Runtime
from demo.bitrix24 import Bitrix24Server
from demo.bitrix24.oauth import MEMBER_ID, TokenOffice
from demo.http import HttpResponse, ScriptedFaults, json_response

CLIENT_ID, CLIENT_SECRET = "app.6500000000000.12345678", "an-application-secret"
TOKEN_URL = f"{BASE_URL}/oauth/token/"


@dataclass
class Installed:
    """A portal with our application, and clients of it that share one folder of tokens."""

    server: Bitrix24Server
    office: TokenOffice
    clock: FakeClock
    folder: Path

    def client(self, **keys: Any) -> Bitrix24Client:
        known: dict[str, Any] = {"client_id": CLIENT_ID, "client_secret": Secret(CLIENT_SECRET), "oauth_url": TOKEN_URL}
        settings = Bitrix24Settings(type="bitrix24", base_url=BASE_URL, **{**known, **keys})
        runtime = Runtime(
            source="b24", clock=self.clock, zone=MOSCOW, state_dir=self.folder, transport=self.server.transport
        )
        return Bitrix24Client(settings, runtime)

    def tokens(self) -> dict[str, Any]:
        [path] = (self.folder / "tokens").glob("*.json")
        return dict(json.loads(path.read_text()))


def read(client: Bitrix24Client, stream: str = "deals") -> list[Page]:
    request = Request(position=None, start=None, end=client.now())
    return list(CONNECTOR.stream(stream).fetch(client, request))


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    clock = FakeClock(NOW)
    world = empty_world()
    for number in range(1, 6001):
        deal(world, number)
    server = Bitrix24Server(world, secret=SECRET, clock=clock)
    office = server.install(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, endpoint=BASE_URL)
    return Installed(server, office, clock, tmp_path)


# ── the way in ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_code_becomes_tokens_and_later_runs_need_none(installed: Installed) -> None:
    client = installed.client(code=Secret(installed.office.issue_code()))
    assert len(ids_of(read(client))) == 6000
    assert installed.tokens()["refresh_token"].startswith("refresh")
    assert len(ids_of(read(installed.client()))) == 6000
    assert installed.office.refresh_count == 0


def test_a_refresh_token_of_the_installation_begins_the_chain_too(installed: Installed) -> None:
    client = installed.client(refresh_token=Secret(installed.office.issue_refresh_token()))
    assert len(ids_of(read(client))) == 6000
    assert installed.office.refresh_count == 1


def test_tokens_travel_in_the_body_and_the_file_is_ours_alone(installed: Installed) -> None:
    """Addresses stand in the logs of every proxy on the way."""
    client = installed.client(code=Secret(installed.office.issue_code()))
    read(client)
    assert [request for request in installed.server.requests if "access0" in request or "refresh0" in request] == []
    [path] = (installed.folder / "tokens").glob("*.json")
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "keys",
    [
        {"client_secret": None},
        {"client_id": None},
        {"webhook_url": Secret(f"{BASE_URL}/rest/1/{SECRET}/")},
        {"client_id": None, "client_secret": None},
    ],
)
def test_half_a_way_in_or_two_are_told_before_anything_is_asked(installed: Installed, keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        installed.client(**keys)
    assert installed.server.requests == []


# ── renewal ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_token_that_ends_in_the_middle_of_a_run_costs_one_refresh(installed: Installed) -> None:
    """Four lanes meet the refusal at once: each refresh kills the tokens of the one before."""
    client = installed.client(code=Secret(installed.office.issue_code()))
    count = 0
    lock = threading.Lock()

    def end_the_hour(method: str) -> None:
        nonlocal count
        with lock:
            count += 1
            if count == 2:
                installed.office.expire_access()

    installed.server.after_request = end_the_hour
    assert sorted(map(int, ids_of(read(client)))) == list(range(1, 6001))
    assert installed.office.refresh_count == 1


def test_tokens_are_not_renewed_by_the_clock(installed: Installed) -> None:
    """Applications that refresh on a schedule get blocked: only the portal's own refusal is a reason."""
    client = installed.client(code=Secret(installed.office.issue_code()))
    client.call("profile")
    installed.clock.advance(3599)
    client.call("profile")
    assert installed.office.refresh_count == 0
    installed.clock.advance(2)
    client.call("profile")
    assert installed.office.refresh_count == 1


def test_two_processes_refresh_once(installed: Installed) -> None:
    one = installed.client(code=Secret(installed.office.issue_code()))
    one.call("profile")
    other = installed.client()
    other.call("profile")
    installed.office.expire_access()
    one.call("profile")
    other.call("profile")
    assert installed.office.refresh_count == 1


def test_a_new_pair_is_on_the_disk_before_it_is_used(installed: Installed) -> None:
    client = installed.client(code=Secret(installed.office.issue_code()))
    client.call("profile")
    installed.office.expire_access()
    seen: list[bool] = []

    def look(method: str) -> None:
        stored = installed.tokens()
        seen.append(installed.office.problem_with(stored["access_token"]) is None)

    installed.server.after_request = look
    client.call("profile")
    assert seen == [True]


def test_an_answer_a_killed_run_did_not_store_is_taken_up_by_the_next(installed: Installed) -> None:
    """The vendor has changed the pair; without the answer kept apart the account would be locked out."""
    client = installed.client(code=Secret(installed.office.issue_code()))
    client.call("profile")
    installed.office.expire_access()
    access = client.access
    assert isinstance(access, ApplicationAccess)
    before = installed.tokens()
    request = access.tokens._server.ask_with_pair(access.tokens._read())  # type: ignore[arg-type]
    # Killed here: the answer is on the disk, the pair is not.
    access.tokens._exchange.ask(request)
    assert installed.tokens() == before
    installed.client().call("profile")
    assert installed.tokens() != before
    assert installed.office.refresh_count == 1


def test_a_machine_that_stopped_between_the_answer_and_the_disk_is_told_so(installed: Installed) -> None:
    """Never a silent neither: the person is told what happened and how to get in again."""
    client = installed.client(code=Secret(installed.office.issue_code()))
    client.call("profile")
    installed.office.expire_access()
    access = client.access
    assert isinstance(access, ApplicationAccess)
    request = access.tokens._server.ask_with_pair(access.tokens._read())  # type: ignore[arg-type]
    access.tokens._exchange.ask(request)
    next((installed.folder / "tokens").glob("*.answer")).unlink()
    with pytest.raises(CredentialsError) as caught:
        installed.client().call("profile")
    assert "cut off with the machine" in caught.value.render("en")
    assert f"{BASE_URL}/oauth/authorize/?client_id={CLIENT_ID}" in caught.value.render("ru")


def test_a_new_code_heals_a_lost_chain(installed: Installed) -> None:
    client = installed.client(code=Secret(installed.office.issue_code()))
    client.call("profile")
    installed.office.remove_application()
    with pytest.raises(CredentialsError):
        client.call("profile")
    healed = installed.client(code=Secret(installed.office.issue_code()))
    installed.office.expire_access()
    # The portal knows the old token no more, which is no matter of its age: only a new chain helps.
    healed.access.renew({"auth": installed.tokens()["access_token"]})
    assert healed.call("profile").failure is None


KILLED_RUN = """
import sys
from pathlib import Path
from zoneinfo import ZoneInfo
from base.clock import SystemClock
from base.secrets import Secret
from connectors.bitrix24.client import Bitrix24Client
from connectors.bitrix24.settings import Bitrix24Settings
from connectors.stream import Runtime
url, folder, client_id, secret = sys.argv[1:5]
settings = Bitrix24Settings(
    type="bitrix24", base_url=url, client_id=client_id, client_secret=Secret(secret), oauth_url=url + "/oauth/token/"
)
runtime = Runtime(source="b24", clock=SystemClock(), zone=ZoneInfo("UTC"), state_dir=Path(folder))
Bitrix24Client(settings, runtime).call("profile")
"""


@pytest.mark.e2e
@pytest.mark.parametrize("point", ["tokens.before_refresh", "tokens.after_answer", "tokens.after_write"])
def test_kill_during_a_refresh_leaves_a_pair_that_works(tmp_path: Path, point: str) -> None:
    """A real process, killed at its worst moments: neither pair good would need a person at night."""
    clock = SystemClock()
    with Bitrix24Server(empty_world(), secret=SECRET, clock=clock) as server:
        office = server.install(client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
        settings = Bitrix24Settings(
            type="bitrix24",
            base_url=server.url,
            client_id=CLIENT_ID,
            client_secret=Secret(CLIENT_SECRET),
            code=Secret(office.issue_code()),
            oauth_url=f"{server.url}/oauth/token/",
        )
        runtime = Runtime(source="b24", clock=clock, zone=MOSCOW, state_dir=tmp_path)
        Bitrix24Client(settings, runtime).call("profile")
        office.expire_access()
        killed = subprocess.Popen(
            [sys.executable, "-c", KILLED_RUN, server.url, str(tmp_path), CLIENT_ID, CLIENT_SECRET],
            env={**os.environ, "VORONKA_KILL_AT": point},
            start_new_session=True,
        )
        assert killed.wait() == -signal.SIGKILL
        later = msgspec.structs.replace(settings, code=None)
        assert Bitrix24Client(later, runtime).call("profile").failure is None


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_code_grown_old_is_told_with_the_way_to_a_new_one(installed: Installed) -> None:
    client = installed.client(code=Secret(installed.office.issue_code()))
    installed.clock.advance(31)
    with pytest.raises(CredentialsError, match="invalid_grant") as caught:
        client.call("profile")
    assert "/oauth/authorize/?client_id=" in caught.value.render("en")


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "invalid_client", CredentialsError),
        (400, "invalid_request", CredentialsError),
        (401, "invalid_grant", CredentialsError),
        (400, "invalid_scope", RightsError),
        (402, "PAYMENT_REQUIRED", RightsError),
        (200, "invalid_grant", CredentialsError),
        (503, "anything", ServerFaultError),
    ],
)
def test_each_refusal_of_the_token_server_has_its_remedy(
    installed: Installed, status: int, code: str, error: type[SourceError]
) -> None:
    client = installed.client(refresh_token=Secret(installed.office.issue_refresh_token()))
    answer = json_response({"error": code, "error_description": CLIENT_SECRET}, status=status)
    installed.server._handler = lambda request: answer
    with pytest.raises(error) as caught:
        client.call("profile")
    assert caught.value.remedy is not None or error is ServerFaultError
    # The vendor repeats what it was sent.
    assert CLIENT_SECRET not in caught.value.render("ru") + caught.value.render("en")


def test_a_token_server_that_fails_for_a_moment_costs_a_moment(installed: Installed) -> None:
    installed.server._faults = ScriptedFaults("bad_gateway")
    client = installed.client(refresh_token=Secret(installed.office.issue_refresh_token()))
    assert client.call("profile").failure is None


def test_tokens_of_another_portal_are_refused(installed: Installed) -> None:
    """Read by mistake they would fill this source with another company's deals."""
    installed.office.endpoint = "https://other.example.ru"
    client = installed.client(code=Secret(installed.office.issue_code()))
    with pytest.raises(CredentialsError, match=r"other\.example\.ru"):
        client.call("profile")
    installed.office.endpoint = BASE_URL
    stranger = installed.client(code=Secret(installed.office.issue_code()), member_id="another")
    with pytest.raises(CredentialsError):
        stranger.call("profile")
    ours = installed.client(code=Secret(installed.office.issue_code()), member_id=MEMBER_ID)
    assert ours.call("profile").failure is None


def test_a_renamed_portal_is_known_by_the_tokens_from_then_on(installed: Installed) -> None:
    installed.office.endpoint = "https://renamed.bitrix24.ru"
    installed.client(code=Secret(installed.office.issue_code())).call("profile")
    assert installed.client()._base == "https://renamed.bitrix24.ru"


def test_no_token_is_in_any_error_or_log(installed: Installed, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    client = installed.client(code=Secret(installed.office.issue_code()))
    client.call("profile")
    stored = installed.tokens()
    secrets = [stored["access_token"], stored["refresh_token"], CLIENT_SECRET]
    echo = HttpResponse(status=400, body=f'{{"error": "{stored["access_token"]}"}}'.encode())
    installed.server._handler = lambda request: echo
    with pytest.raises(SourceError) as caught:
        client.call("profile")
    told = caught.value.render("ru") + caplog.text
    assert [secret for secret in secrets if secret in told] == []


# ── check ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_check_tells_until_when_the_application_is_let_in(installed: Installed) -> None:
    client = installed.client(code=Secret(installed.office.issue_code()))
    found = {str(line.subject): line for line in check(client)}
    assert found["expiry"].verdict == "ok"
    assert f"{NOW + timedelta(days=180):%Y-%m-%d}" in str(found["expiry"].detail)
    installed.clock.advance(timedelta(days=170).total_seconds())
    stale = {str(line.subject): line for line in check(installed.client())}
    # Reading renews it: what is near its end is only a chain nobody has used for months.
    assert stale["expiry"].verdict == "ok"
