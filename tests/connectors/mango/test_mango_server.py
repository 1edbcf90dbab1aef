"""The simulated server refuses what the vendor refuses: otherwise the client's care would prove nothing."""

from __future__ import annotations

import httpx
import pytest

from base.secrets import Secret
from connectors.mango.signing import build_form
from demo.mango.world import MangoCall

KEY, SALT = "test_vpbx_key_0001", "test_vpbx_salt_0002"
DAY = {"start_date": "01.11.2026 00:00:00", "end_date": "01.11.2026 23:59:59", "limit": "5000", "offset": "0"}


@pytest.fixture
def post(make_server):
    """A raw question to a server without limits; `post.server` is the server."""

    class Post:
        server = make_server(limits=False)

        def __call__(self, path, asked, *, key=KEY, salt=SALT):
            form = build_form(Secret(key), Secret(salt), asked)
            with httpx.Client(transport=self.server.transport) as client:
                return client.post(f"http://mango.test/vpbx/{path}", data=form)

        def code(self, path, asked, **options):
            return self(path, asked, **options).json().get("result")

    return Post()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"start_date": "2026-11-01"}, 3104),  # ISO dates are not understood
        ({"start_date": "31.11.2026 00:00:00"}, 3104),
        ({"start_date": "02.10.2026 00:00:00", "end_date": "01.11.2026 00:00:00"}, 3111),  # exactly 30 days
        ({"start_date": "02.10.2026 00:00:00", "end_date": "31.10.2026 23:59:59"}, None),  # a second less
        ({"end_date": "31.10.2026 00:00:00"}, 3111),
        ({"limit": "300"}, 3100),
        ({"limit": "0"}, 3108),
        ({"limit": "9999"}, 3109),
        ({"limit": "many"}, 3104),
        ({"offset": "-1"}, 3108),
    ],
)
def test_parameters_of_a_report_are_checked(post, changes, code):
    assert post.code("stats/calls/request", DAY | changes) == code


def test_missing_parameters_keys_and_signatures_are_refused(post, clock):
    assert post.code("stats/calls/request", {name: DAY[name] for name in DAY if name != "offset"}) == 3103
    clock.advance(121)
    assert post.code("account/balance", {}, salt="other") == 3102
    clock.advance(121)
    assert post.code("account/balance", {}, key="other") == 3105
    clock.advance(121)
    assert post.code("stats/request", {"date_from": 0, "date_to": 40 * 86_400}) == 3111


def test_the_second_wrong_request_locks_the_key_until_two_minutes_after_the_first(post, clock):
    assert post.code("account/balance", {}, salt="other") == 3102
    clock.advance(60)
    assert post("account/balance", {}).status_code == 200
    assert post("account/balance", {}, salt="other").status_code == 401
    clock.advance(59)
    assert post("account/balance", {}).status_code == 401
    clock.advance(1)
    assert post("account/balance", {}).status_code == 200


def test_a_result_is_given_once_and_not_for_long(post, clock):
    first, second = (post("stats/calls/request", DAY).json()["key"] for _ in range(2))
    assert post("stats/calls/result", {"key": first}).json()["status"] == "complete"
    assert post("stats/calls/result", {"key": first}).status_code == 404
    assert post("stats/result", {"key": second}).status_code == 404
    third = post("stats/calls/request", DAY).json()["key"]
    clock.advance(61)
    assert post("stats/calls/result", {"key": third}).status_code == 404


def test_reports_may_not_be_started_faster_than_every_two_seconds(make_server, post, clock):
    post.server = make_server()
    assert post("stats/calls/request", DAY).status_code == 200
    clock.advance(1.9)
    refused = post("stats/calls/request", DAY)
    assert (refused.status_code, refused.json()["code"]) == (429, 0)
    clock.advance(0.1)
    assert post("stats/calls/request", DAY).status_code == 200
    assert [post("account/balance", {}).status_code for _ in range(11)] == [200] * 9 + [429] * 2
    assert post.server.wrong_requests == []


def test_employees_show_their_ids_only_when_asked(post):
    post.server.world.users = [{"general": {"name": "А", "user_id": 1}, "telephony": {}, "groups": [5]}]
    assert post("config/users/request", {}).json()["users"] == [{"general": {"name": "А"}, "telephony": {}}]
    asked = {"ext_fields": ["general.user_id", "groups"]}
    assert post("config/users/request", asked).json()["users"] == post.server.world.users


def test_the_basic_report_has_no_ids_unless_asked(post, clock):
    row = {"start": "1793520000", "finish": "1793520060", "answer": "0", "entry_id": "E", "create": "1793520000"}
    post.server.world.calls = [MangoCall(ended_at=0, card={"context_start_time": 1793520000}, rows=[row])]
    bounds = {"date_from": "1793500000", "date_to": "1793600000"}
    bodies = []
    for asked in (bounds, bounds | {"fields": "entry_id,start"}):
        key = post("stats/request", asked).json()["key"]
        bodies.append(post("stats/result", {"key": key}).text)
    assert bodies == [";1793520000;1793520060;0;;;;;;;\r\n", "E;1793520000\r\n"]
