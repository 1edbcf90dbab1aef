"""The simulators' plumbing: real sockets, faults as a network shows them, a clock of its own."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from base.clock import FakeClock
from demo.http import (
    HttpRequest,
    HttpResponse,
    ScriptedFaults,
    SeededFaults,
    SimulatedServer,
    json_response,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def echo(request: HttpRequest) -> HttpResponse:
    return json_response({"path": request.path, "query": request.query, "body": request.body.decode()})


def test_request_reaches_the_handler_whole_and_is_logged() -> None:
    with SimulatedServer(echo) as server, httpx.Client(base_url=server.url) as http:
        answer = http.post("/a/b", params=[("filter[id][]", "1"), ("filter[id][]", "я")], content="тело".encode())
        assert answer.json() == {
            "path": "/a/b",
            "query": [["filter[id][]", "1"], ["filter[id][]", "я"]],
            "body": "тело",
        }
        assert server.requests == ["POST /a/b?filter[id][]=1&filter[id][]=я"]


def test_connection_is_kept_alive_and_204_has_no_body() -> None:
    answers = [HttpResponse(status=204), json_response([1]), HttpResponse(status=204), json_response([2])]
    with SimulatedServer(lambda request: answers.pop(0)) as server, httpx.Client(base_url=server.url) as http:
        got = [http.get("/") for _ in range(4)]
        assert [(answer.status_code, answer.content) for answer in got] == [
            (204, b""),
            (200, b"[1]"),
            (204, b""),
            (200, b"[2]"),
        ]
        streams = {answer.extensions["network_stream"].get_extra_info("client_addr") for answer in got}
        assert len(streams) == 1


@pytest.mark.parametrize(("fault", "error"), [("reset", httpx.ReadError), ("truncated", httpx.RemoteProtocolError)])
def test_broken_connections_look_the_same_with_and_without_a_socket(fault: str, error: type[httpx.HTTPError]) -> None:
    with SimulatedServer(echo, faults=ScriptedFaults(fault, fault)) as server:  # type: ignore[arg-type]
        with httpx.Client(base_url=server.url) as http, pytest.raises(error):
            http.get("/")
        with httpx.Client(base_url="http://x", transport=server.transport) as http:
            with pytest.raises(error):
                http.get("/")
            assert http.get("/").status_code == 200


def test_date_and_latency_follow_the_injected_clock() -> None:
    clock = FakeClock(NOW)
    server = SimulatedServer(echo, clock=clock, latency=3600.0)
    with httpx.Client(base_url="http://x", transport=server.transport) as http:
        assert http.get("/").headers["date"] == "Fri, 20 Nov 2026 13:00:00 GMT"


def test_same_seed_gives_the_same_bad_day() -> None:
    request = HttpRequest(method="GET", path="/")
    first, second = SeededFaults(7, 0.3), SeededFaults(7, 0.3)
    days = [[faults(request) for _ in range(200)] for faults in (first, second)]
    assert days[0] == days[1]
    assert 30 < sum(fault is not None for fault in days[0]) < 90
