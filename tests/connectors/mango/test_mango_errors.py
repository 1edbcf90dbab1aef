"""Result codes and HTTP statuses: what is repeated, what never is, and the two minutes of silence."""

from __future__ import annotations

import httpx
import pytest

from base.errors import (
    BlockedError,
    BudgetError,
    CredentialsError,
    ProtocolError,
    RightsError,
    ServerFaultError,
)
from base.secrets import Secret
from connectors.mango.check import check
from connectors.mango.refusals import UnsupportedError, reason_of
from demo.http import ScriptedFaults


class Answers:
    """Gives its answers in turn, the last one for ever; counts the questions."""

    def __init__(self, *answers: httpx.Response) -> None:
        self._answers = list(answers)
        self.asked = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.handle_request)


def verdict(code, status=200):
    return httpx.Response(status, json={"result": code})


GOOD = httpx.Response(200, json={"result": 1000, "balance": 12.3, "currency": "RUB"})


@pytest.mark.parametrize("status", [200, 400, 403])
@pytest.mark.parametrize(
    ("code", "error", "word"),
    [
        (2100, RightsError, "no access"),
        (2219, RightsError, "unpaid"),
        (2240, RightsError, "money"),
        (3100, ProtocolError, "parameters"),
        (3102, CredentialsError, "api_salt"),
        (3104, ProtocolError, "format"),
        (3105, CredentialsError, "api_key"),
        (3111, ProtocolError, "period"),
        (3177, ProtocolError, "parameters"),
        (3400, ProtocolError, "JSON"),
        (4001, UnsupportedError, "tariff"),
        (4123, ProtocolError, "impossible"),
        (9999, ProtocolError, "unknown"),
    ],
)
def test_a_final_code_is_asked_once_and_said_in_words(code, error, word, status, make_client):
    """Repeating a 3xxx within two minutes locks the key."""
    answers = Answers(verdict(code, status))
    with pytest.raises(error) as caught:
        make_client(answers).fetch_balance()
    assert answers.asked == 1
    assert word in str(caught.value)
    assert str(code) in caught.value.render("ru")


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (verdict(4290), BudgetError),
        (verdict(5008), BudgetError),
        (httpx.Response(429, json={"name": "Service Unavailable", "code": 0, "status": 429}), BudgetError),
        (httpx.Response(503, content=b"busy"), BudgetError),
        (verdict(5000), ServerFaultError),
        (verdict(5004, 500), ServerFaultError),
        (httpx.Response(502, content=b"<html>"), ServerFaultError),
        (httpx.Response(200, content=b'{"result":1000,"bal'), ServerFaultError),
    ],
)
def test_a_passing_refusal_is_waited_out_and_named_if_it_stays(refusal, error, make_client, clock):
    answers = Answers(refusal, GOOD)
    assert make_client(answers).fetch_balance() == "12.3 RUB"
    assert answers.asked == 2
    if error is BudgetError:
        assert max(clock.slept) >= 5.0
    with pytest.raises(error):
        make_client(Answers(refusal)).fetch_balance()


@pytest.mark.parametrize("first", [verdict(3100), verdict(3102), httpx.Response(401, content=b"")])
def test_after_a_wrong_request_nothing_is_asked_for_two_minutes(first, make_client, clock):
    """The breaker outlives the process: a second client of the same key is held back too."""
    answers = Answers(first, GOOD)
    with pytest.raises((ProtocolError, CredentialsError, BlockedError)):
        make_client(answers).fetch_balance()
    clock.advance(119)
    with pytest.raises(BlockedError, match="stopped until"):
        make_client(answers).fetch_balance()
    assert answers.asked == 1
    clock.advance(10)
    assert make_client(answers).fetch_balance() == "12.3 RUB"


def test_reports_and_employees_are_held_back_too(make_client):
    """They queue in budgets of their own: the silence is the whole key's."""
    answers = Answers(verdict(3100), httpx.Response(200, json={"key": "K", "users": []}))
    client = make_client(answers)
    with pytest.raises(ProtocolError):
        client.fetch_balance()
    for question in (lambda: client.start_report("stats/calls/request", {}), client.fetch_users):
        with pytest.raises(BlockedError):
            question()
    assert answers.asked == 1


def test_another_key_is_not_held_back(make_client):
    with pytest.raises(CredentialsError):
        make_client(Answers(verdict(3105))).fetch_balance()
    assert make_client(Answers(GOOD), api_key=Secret("another_key_0003")).fetch_balance() == "12.3 RUB"


def test_the_simulated_lock_is_never_reached(make_server, make_client, clock):
    """The server counts wrong requests: with a wrong salt it sees one in two minutes, however often we try."""
    server = make_server()
    for _ in range(5):
        with pytest.raises((CredentialsError, BlockedError)):
            make_client(server, api_salt=Secret("wrong_salt_0004")).fetch_balance()
        clock.advance(20)
    assert server.wrong_requests == [3102]


def test_the_lock_of_somebody_else_is_said_as_such(make_client):
    with pytest.raises(BlockedError) as caught:
        make_client(Answers(httpx.Response(401, json={"code": 0, "status": 401}))).fetch_balance()
    assert "две минуты" in caught.value.render("ru")


def test_neither_key_nor_salt_reach_messages_or_state_files(make_client, tmp_path):
    answers = Answers(httpx.Response(400, content=b"bad key test_vpbx_key_0001 with test_vpbx_salt_0002"))
    with pytest.raises(ProtocolError) as caught:
        make_client(answers).fetch_balance()
    assert "***" in str(caught.value)
    assert "test_vpbx" not in caught.value.render("ru")
    state = [path.name + path.read_text() for path in (tmp_path / "limits").iterdir()]
    assert state
    assert "test_vpbx" not in "".join(state)


def test_a_missing_method_names_the_address(make_client):
    with pytest.raises(ProtocolError, match="method") as caught:
        make_client(Answers(httpx.Response(404, content=b"<html>not found</html>"))).fetch_balance()
    assert "base_url" in caught.value.render()


def test_unknown_codes_fall_back_to_their_class():
    assert reason_of(2219) is reason_of(2200)
    assert reason_of(3999) is reason_of(3000)
    assert reason_of(8123).render("ru") == "неизвестный код ответа"


def test_a_bad_day_ends_well(make_server, make_client):
    server = make_server(faults=ScriptedFaults("reset", "too_many", "damaged", "bad_gateway"))
    assert make_client(server).fetch_balance() == "1234.5 RUB"


def test_check_stops_at_a_refused_key(make_server, make_client):
    """The next probe would be the second wrong request."""
    lines = list(check(make_client(make_server(), api_key=Secret("unknown_key_0005"))))
    assert [line.verdict for line in lines] == ["failed"]
    assert "api_key" in lines[0].remedy.render()


def test_check_of_a_good_account_names_each_right(make_server, make_client):
    server = make_server()
    lines = list(check(make_client(server)))
    assert [line.verdict for line in lines] == ["ok", "ok", "ok", "ok"]
    assert server.wrong_requests == []


def test_check_says_which_right_is_missing_and_goes_on(make_server, make_client):
    lines = list(check(make_client(make_server(extended=False))))
    assert [line.verdict for line in lines] == ["ok", "ok", "failed", "ok"]


def test_check_warns_of_a_clock_that_is_off(make_client):
    late = {"Date": "Fri, 20 Nov 2026 09:30:00 GMT"}
    answer = httpx.Response(200, headers=late, json={"result": 1000, "balance": 1, "users": [], "key": "k"})
    lines = list(check(make_client(Answers(answer))))
    assert [line.verdict for line in lines] == ["ok", "ok", "ok", "warning"]
    assert "1800" in lines[-1].detail.render()
