"""Rotating tokens: a refresh token is used once, a new pair is on the disk before its first use."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from amocrm_office import MOSCOW, NOW, empty_world, lead

from base.clock import FakeClock, SystemClock
from base.errors import BlockedError, ConfigError, CredentialsError, SourceError, UnreachableError
from base.secrets import Secret
from base.times import to_unix
from connectors.amocrm.client import AmocrmClient
from connectors.amocrm.settings import AmocrmSettings
from connectors.stream import Runtime
from connectors.tokens import RotatingTokens
from demo.amocrm import AmocrmServer, TokenOffice
from demo.http import HttpRequest, HttpResponse, ScriptedFaults, html_response

CLIENT = {"client_id": "b1f0", "redirect_uri": "https://etl.example.com/amo"}
CLIENT_SECRET = "s3cr3t-of-the-integration"
DAY = 86_400


@dataclass
class Integration:
    """An integration of a simulated account; `run` opens the client of one run of ours."""

    server: AmocrmServer
    tokens: TokenOffice
    clock: FakeClock
    folder: Path

    def run(self, code: str | None = None, **changes: object) -> AmocrmClient:
        keys = {"client_secret": Secret(CLIENT_SECRET), "code": Secret(code) if code else None, **CLIENT, **changes}
        settings = AmocrmSettings(type="amocrm", base_url="https://example.amocrm.ru", **keys)  # type: ignore[arg-type]
        runtime = Runtime(
            source="amo",
            clock=self.clock,
            zone=MOSCOW,
            state_dir=self.folder,
            transport=self.server.transport,
        )
        return AmocrmClient(settings, runtime)

    @property
    def token_file(self) -> Path:
        (path,) = (self.folder / "tokens").glob("*.json")
        return path

    def grants(self) -> int:
        return sum(line.startswith("POST") for line in self.server.requests)


@pytest.fixture
def integration(tmp_path: Path) -> Integration:
    clock = FakeClock(NOW)
    world = empty_world()
    world.add("leads", lead(1, to_unix(NOW) - 3600))
    tokens = TokenOffice(clock, client_secret=CLIENT_SECRET, **CLIENT)
    return Integration(AmocrmServer(world, token="none", clock=clock, oauth=tokens), tokens, clock, tmp_path)


def reads(client: AmocrmClient) -> bool:
    return len(client.page("/leads", "leads", []).rows) == 1


def test_code_is_used_once_and_later_runs_go_on_with_the_stored_pair(integration: Integration) -> None:
    code = integration.tokens.issue_code()
    assert reads(integration.run(code))
    assert reads(integration.run(code))
    assert integration.grants() == 1
    assert integration.token_file.stat().st_mode & 0o777 == 0o600


def test_token_is_refreshed_shortly_before_it_ends(integration: Integration) -> None:
    assert reads(integration.run(integration.tokens.issue_code()))
    integration.clock.advance(DAY - 200)
    assert reads(integration.run())
    assert integration.tokens.refresh_count == 1


def test_token_that_ends_in_the_middle_of_a_run_is_replaced_once_and_the_request_repeated(
    integration: Integration,
) -> None:
    client = integration.run(integration.tokens.issue_code())
    assert reads(client)
    integration.tokens.revoke_access()
    assert reads(client)
    assert integration.tokens.refresh_count == 1


def test_refusal_of_a_fresh_token_is_not_answered_with_refreshes_without_end(integration: Integration) -> None:
    client = integration.run(integration.tokens.issue_code())
    assert reads(client)
    integration.server._knows = lambda authorization: False  # type: ignore[method-assign]
    with pytest.raises(CredentialsError):
        reads(client)
    assert integration.tokens.refresh_count == 1


def test_two_processes_refresh_once_between_them(integration: Integration) -> None:
    """The second use of a refresh token is refused and loses the chain: parallel workers did exactly that."""
    assert reads(integration.run(integration.tokens.issue_code()))
    integration.clock.advance(2 * DAY)
    clients = [integration.run() for _ in range(4)]
    results: list[bool] = []
    threads = [threading.Thread(target=lambda client=client: results.append(reads(client))) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 4
    assert integration.tokens.refresh_count == 1


def test_pair_refreshed_elsewhere_is_taken_from_the_disk(integration: Integration) -> None:
    first = integration.run(integration.tokens.issue_code())
    assert reads(first)
    integration.clock.advance(DAY - 100)
    assert reads(integration.run())
    assert reads(first)
    assert integration.tokens.refresh_count == 1


def test_refresh_that_was_never_heard_is_repeated(integration: Integration) -> None:
    assert reads(integration.run(integration.tokens.issue_code()))
    integration.clock.advance(2 * DAY)
    integration.server._faults = ScriptedFaults("reset")
    assert reads(integration.run())


def test_refresh_whose_answer_was_lost_ends_in_a_plain_request_for_a_new_code(integration: Integration) -> None:
    """The old token is dead and the new one unknown: only a person can go on, and asking in a loop helps nobody."""
    assert reads(integration.run(integration.tokens.issue_code()))
    integration.clock.advance(2 * DAY)
    answer = integration.tokens.answer

    def lose(request: HttpRequest) -> HttpResponse:
        answer(request)
        integration.tokens.answer = answer  # type: ignore[method-assign]
        return HttpResponse(broken="reset")

    integration.tokens.answer = lose  # type: ignore[method-assign]
    with pytest.raises(CredentialsError, match="Token has been revoked") as caught:
        reads(integration.run())
    assert "20" in str(caught.value.remedy)
    assert integration.grants() == 3


def test_new_code_in_the_configuration_heals_a_lost_chain(integration: Integration) -> None:
    old_code = integration.tokens.issue_code()
    assert reads(integration.run(old_code))
    integration.clock.advance(100 * DAY)
    with pytest.raises(CredentialsError):
        reads(integration.run(old_code))
    assert reads(integration.run(integration.tokens.issue_code()))


def test_used_code_without_a_stored_pair_says_what_to_do(integration: Integration) -> None:
    with pytest.raises(CredentialsError, match="Authorization code has expired"):
        reads(integration.run("def50200used-before"))


def test_wrong_secret_is_not_taken_for_a_lost_chain(integration: Integration) -> None:
    client = integration.run(integration.tokens.issue_code(), client_secret=Secret("another-secret"))
    with pytest.raises(CredentialsError, match="did not recognise"):
        reads(client)


def test_block_shows_at_the_token_server_too(integration: Integration) -> None:
    integration.tokens.answer = lambda request: html_response(403, "403 Forbidden")  # type: ignore[method-assign]
    with pytest.raises(BlockedError):
        reads(integration.run(integration.tokens.issue_code()))


def test_unreachable_token_server_is_asked_twice_and_keeps_the_old_pair(integration: Integration) -> None:
    assert reads(integration.run(integration.tokens.issue_code()))
    before = integration.token_file.read_bytes()
    integration.clock.advance(2 * DAY)
    integration.server._faults = ScriptedFaults("reset", "reset")
    with pytest.raises(UnreachableError):
        reads(integration.run())
    assert integration.token_file.read_bytes() == before
    assert reads(integration.run())


def test_damaged_token_file_is_told(integration: Integration) -> None:
    assert reads(integration.run(integration.tokens.issue_code()))
    integration.token_file.write_bytes(b'{"access_to')
    with pytest.raises(CredentialsError, match="damaged"):
        reads(integration.run())


def test_missing_keys_are_named_at_once(integration: Integration) -> None:
    with pytest.raises(ConfigError) as caught:
        integration.run(client_id=None, redirect_uri=None)
    assert "client_id, redirect_uri" in caught.value.render("en")


def test_no_token_in_any_log_error_or_file_outside_the_store(
    integration: Integration, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    code = integration.tokens.issue_code()
    client = integration.run(code)
    assert reads(client)
    stored = integration.token_file.read_text()
    secrets = [part for part in stored.split('"') if len(part) > 20] + [CLIENT_SECRET, code]
    assert len(secrets) >= 4
    integration.server._handler = lambda request: html_response(500, stored)
    with pytest.raises(SourceError) as caught:
        reads(client)
    told = caplog.text + caught.value.render("ru") + caught.value.render("en") + repr(client.settings)
    told += "".join(
        path.read_text() for path in integration.folder.rglob("*") if path.is_file() and path != integration.token_file
    )
    assert [secret for secret in secrets if secret in told] == []


def test_answer_a_killed_run_left_behind_is_taken_up_for_a_code_too(integration: Integration) -> None:
    """A code works once: without the answer only an administrator could go on."""
    code = integration.tokens.issue_code()
    killed = integration.run(code).tokens
    assert isinstance(killed, RotatingTokens)
    killed._exchange.ask(killed._server.ask_with_code(Secret(code)))
    integration.clock.advance(3600)
    client = integration.run(code)
    assert reads(client)
    assert integration.grants() == 1
    # Its age counts from the request, not from when it was taken up.
    integration.clock.advance(DAY - 3700)
    assert reads(client)
    assert integration.tokens.refresh_count == 1


def test_refusal_a_killed_run_left_behind_is_forgotten(integration: Integration) -> None:
    killed = integration.run("def50200wrong").tokens
    assert isinstance(killed, RotatingTokens)
    killed._exchange.ask(killed._server.ask_with_code(Secret("def50200wrong")))
    assert reads(integration.run(integration.tokens.issue_code()))


def test_renamed_account_is_found_through_the_shared_host_and_read_at_its_new_domain(integration: Integration) -> None:
    assert reads(integration.run(integration.tokens.issue_code()))
    integration.tokens.domain = "renamed.amocrm.ru"
    integration.clock.advance(2 * DAY)
    client = integration.run()
    assert reads(client)
    assert client.new_address() == "https://renamed.amocrm.ru"
    assert integration.tokens.refresh_count == 1
    # And again by the next run, which finds the new domain beside the tokens.
    integration.clock.advance(2 * DAY)
    assert reads(integration.run())


def test_refresh_token_is_shown_to_no_host_but_the_vendors(integration: Integration) -> None:
    """The domain in a token or an answer is only text: whoever forged it would be given the account."""
    assert reads(integration.run(integration.tokens.issue_code()))
    integration.tokens.domain = "amocrm.ru.example.com"
    integration.clock.advance(2 * DAY)
    with pytest.raises(CredentialsError):
        reads(integration.run())
    assert integration.grants() == 2


def test_token_files_are_readable_by_their_owner_only(integration: Integration) -> None:
    """The request's answer lies beside the pair for a moment, and holds the same secrets."""
    seen: list[int] = []
    answer = integration.tokens.answer

    def look(request: HttpRequest) -> HttpResponse:
        kept = [path for path in integration.token_file.parent.iterdir() if path.suffix != ".lock"]
        seen.extend(path.stat().st_mode & 0o077 for path in kept)
        return answer(request)

    assert reads(integration.run(integration.tokens.issue_code()))
    integration.clock.advance(2 * DAY)
    integration.tokens.answer = look  # type: ignore[method-assign]
    assert reads(integration.run())
    assert seen == [0, 0, 0]  # pair, intent, lock of the request
    left = sorted(path.suffix for path in integration.token_file.parent.iterdir())
    assert left == [".asking", ".json", ".lock"]


KILLED_RUN = """
import sys
from pathlib import Path
from zoneinfo import ZoneInfo
from base.clock import SystemClock
from base.secrets import Secret
from connectors.amocrm.client import AmocrmClient
from connectors.amocrm.settings import AmocrmSettings
from connectors.stream import Runtime
url, folder, client_id, secret, redirect = sys.argv[1:6]
settings = AmocrmSettings(
    type="amocrm", base_url=url, client_id=client_id, client_secret=Secret(secret), redirect_uri=redirect
)
runtime = Runtime(source="amo", clock=SystemClock(), zone=ZoneInfo("UTC"), state_dir=Path(folder))
client = AmocrmClient(settings, runtime)
client.tokens.replace(client.tokens.current())
"""


@dataclass
class Killing:
    """An account on a socket, whose token was refreshed by a run that did not live to the end."""

    server: AmocrmServer
    tokens: TokenOffice
    runtime: Runtime
    settings: AmocrmSettings

    def start(self, kill_at: str) -> subprocess.Popen[bytes]:
        arguments = [self.server.url, str(self.runtime.state_dir), CLIENT["client_id"]]
        return subprocess.Popen(
            [sys.executable, "-c", KILLED_RUN, *arguments, CLIENT_SECRET, CLIENT["redirect_uri"]],
            env={**os.environ, "VORONKA_KILL_AT": kill_at},
            start_new_session=True,
        )

    def next_run(self) -> AmocrmClient:
        return AmocrmClient(self.settings, self.runtime)


@pytest.fixture
def killing(tmp_path: Path) -> Iterator[Killing]:
    clock = SystemClock()
    tokens = TokenOffice(clock, client_secret=CLIENT_SECRET, **CLIENT)
    world = empty_world()
    world.add("leads", lead(1, to_unix(NOW) - 3600))
    with AmocrmServer(world, token="none", clock=clock, oauth=tokens) as server:
        keys = {"client_secret": Secret(CLIENT_SECRET), "code": Secret(tokens.issue_code()), **CLIENT}
        runtime = Runtime(source="amo", clock=clock, zone=MOSCOW, state_dir=tmp_path)
        settings = AmocrmSettings(type="amocrm", base_url=server.url, **keys)  # type: ignore[arg-type]
        assert reads(AmocrmClient(settings, runtime))
        yield Killing(server, tokens, runtime, settings)


@pytest.mark.e2e
@pytest.mark.parametrize("point", ["tokens.before_refresh", "tokens.after_answer", "tokens.after_write"])
def test_kill_during_a_refresh_leaves_a_pair_that_works(killing: Killing, point: str) -> None:
    assert killing.start(point).wait() == -signal.SIGKILL
    assert reads(killing.next_run())
    assert killing.tokens.refresh_count == (0 if point == "tokens.before_refresh" else 1)


@pytest.mark.e2e
def test_kill_while_the_vendor_answers_loses_no_answer(killing: Killing) -> None:
    """The old pair dies with the answer: a run killed in that moment used to lock the account out."""
    asked, may_answer = threading.Event(), threading.Event()
    answer = killing.tokens.answer

    def dawdle(request: HttpRequest) -> HttpResponse:
        response = answer(request)
        asked.set()
        may_answer.wait(30)
        return response

    killing.tokens.answer = dawdle  # type: ignore[method-assign]
    run = killing.start("")
    assert asked.wait(30)
    # As hard as it can be done from outside: the whole process group.
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    threading.Timer(0.3, may_answer.set).start()
    assert reads(killing.next_run())
    assert killing.tokens.refresh_count == 1


@pytest.mark.e2e
def test_machine_that_stops_between_answer_and_disk_is_told_as_such(killing: Killing) -> None:
    """Nothing can be saved then: the next run says what happened and what a person does, after a single try."""
    killing.start("tokens.before_answer_kept").wait()
    asked = killing.tokens.refresh_count
    with pytest.raises(CredentialsError, match="cut off with the machine") as caught:
        killing.next_run().tokens.replace(killing.next_run().tokens.current())
    assert "20 minutes" in str(caught.value.remedy)
    assert killing.tokens.refresh_count == asked + 1
