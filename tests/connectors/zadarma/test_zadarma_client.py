"""Refusals, the two buckets, and periods that are checked."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import httpx
import pytest

from base.errors import BudgetError, CredentialsError, ProtocolError, ServerFaultError
from base.secrets import Secret
from connectors.registry import load_connector
from connectors.zadarma.check import check
from connectors.zadarma.streams import CONNECTOR
from demo.http import ScriptedFaults
from demo.zadarma import ZadarmaWorld

PERIOD = {"start": "2026-11-01 00:00:00", "end": "2026-11-01 23:59:59", "version": "2"}
GOOD = httpx.Response(200, json={"status": "success", "balance": 10.34, "currency": "USD"})


class Answers:
    """Gives its answers in turn, the last one for ever; keeps when it was asked."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = 0

    def handle_request(self, request):
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    @property
    def transport(self):
        return httpx.MockTransport(self.handle_request)


def refusal(status, message="no", **headers):
    return httpx.Response(status, json={"status": "error", "message": message}, headers=headers)


@pytest.mark.parametrize(
    ("answer", "error", "word"),
    [
        (refusal(401, "Not authorized"), CredentialsError, "Not authorized"),
        (refusal(403), CredentialsError, "403"),
        (refusal(400, "Wrong parameter start"), ProtocolError, "Wrong parameter start"),
        (refusal(404, "Wrong method name"), ProtocolError, "Wrong method name"),
        (refusal(200, "nothing for you"), ProtocolError, "nothing for you"),  # an error under a good status
    ],
)
def test_a_final_refusal_is_asked_once_and_said(answer, error, word, make_client):
    answers = Answers(answer)
    with pytest.raises(error, match=word):
        make_client(answers).fetch_balance()
    assert answers.asked == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(429), BudgetError),
        (httpx.Response(500, content=b"oops"), ServerFaultError),
        (httpx.Response(200, content=b"<html>"), ServerFaultError),
        (refusal(503), ServerFaultError),
    ],
)
def test_a_passing_refusal_is_waited_out(answer, error, make_client):
    answers = Answers(answer, GOOD)
    assert make_client(answers).fetch_balance() == "10.34 USD"
    with pytest.raises(error):
        make_client(Answers(answer)).fetch_balance()


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"X-RateLimit-Reset": "1795165235"}, 35, 36),  # 35 s after the clock's present
        ({"X-RateLimit-Reset": "1795175200"}, 120, 121),  # hours away: somebody's clock is wrong
        ({"X-RateLimit-Reset": "1"}, 1, 2),
        ({"X-RateLimit-Reset": "soon"}, 60, 61),
        ({"Retry-After": "9"}, 9, 10),
        ({}, 60, 61),
    ],
)
def test_a_429_is_waited_for_as_long_as_it_says(headers, least, most, make_client, clock):
    assert clock.now().timestamp() == 1795165200
    began = clock.monotonic()
    make_client(Answers(refusal(429, **headers), GOOD)).fetch_balance()
    assert least <= clock.monotonic() - began < most


def test_the_statistics_bucket_is_used_up_and_never_overrun(make_server, make_client):
    server = make_server()
    client = make_client(server)
    for _ in range(20):
        client.fetch_page("statistics/pbx/", PERIOD, 0)
    gaps = [later - earlier for earlier, later in pairwise(server.statistics_at)]
    assert server.refused == 0
    assert len(gaps) == 19
    assert sum(gaps) <= 19 * 20.0 / 0.95


def test_two_clients_of_one_key_share_the_bucket(make_server, make_client):
    server = make_server()
    for client in [make_client(server), make_client(server)] * 4:
        client.fetch_page("statistics/pbx/", PERIOD, 0)
    assert server.refused == 0


def test_dictionaries_do_not_wait_for_statistics(make_server, make_client, clock):
    client = make_client(make_server())
    began = clock.monotonic()
    for _ in range(50):
        client.fetch_balance()
    assert clock.monotonic() - began <= 50 * 0.6 / 0.95


def test_somebody_else_on_the_key_is_survived(make_server, make_client, clock):
    """A second integration eats the bucket: we wait for the stated end of the minute and go on."""
    server = make_server()
    server._recent["statistics"].extend([clock.now().timestamp()] * 3)
    assert make_client(server).fetch_page("statistics/pbx/", PERIOD, 0) == []
    assert server.refused == 1


def test_a_period_that_was_cut_is_an_error(make_server, make_client):
    """The vendor shortens long periods in silence: calls would be missing and nobody would know."""
    asked = PERIOD | {"start": "2026-09-01 00:00:00"}
    with pytest.raises(ProtocolError, match="2026-10-01 00:00:00"):
        make_client(make_server()).fetch_page("statistics/pbx/", asked, 0)


def test_a_bad_day_ends_well(make_server, make_client):
    server = make_server(faults=ScriptedFaults("reset", "too_many_stated", "damaged", "bad_gateway"))
    assert make_client(server).fetch_balance() == "10.34 USD"


def test_neither_key_nor_secret_reach_messages_or_state_files(make_client, tmp_path):
    text = "key 0123456789abcdef0123 secret fedcba98765432100123"
    with pytest.raises(ProtocolError) as caught:
        make_client(Answers(httpx.Response(418, content=text.encode()))).fetch_balance()
    assert "0123456789abcdef" not in caught.value.render()
    state = "".join(path.name + path.read_text() for path in (tmp_path / "limits").iterdir())
    assert state
    assert "0123456789abcdef" not in state


# ── check ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_check_of_a_good_account_names_each_right(make_server, make_client):
    lines = list(check(make_client(make_server())))
    assert [line.verdict for line in lines] == ["ok"] * 5


def test_check_stops_at_a_refused_key(make_server, make_client):
    server = make_server()
    lines = list(check(make_client(server, secret=Secret("wrong_secret"))))
    assert [line.verdict for line in lines] == ["failed"]
    assert len(server.requests) == 1


def test_check_warns_when_the_account_lives_in_another_zone(make_server, make_client):
    """Calls would be shifted for the whole year."""
    lines = list(check(make_client(make_server(), timezone="Europe/Warsaw")))
    [zone] = [line for line in lines if line.verdict == "warning"]
    assert "UTC+3" in zone.detail.render()
    assert "UTC+1" in zone.detail.render("ru")


def test_a_half_hour_zone_is_stated_exactly(make_server, make_client):
    world = ZadarmaWorld(zone=ZoneInfo("Asia/Kolkata"))
    assert make_client(make_server(world)).fetch_offset() == timedelta(hours=5, minutes=30)


def test_the_registry_knows_zadarma():
    assert load_connector("zadarma") is CONNECTOR
