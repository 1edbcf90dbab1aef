"""Webhook, refusals, the two budgets, a moved portal, check: each told for what it is, no secret in any of it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from bitrix24_office import BASE_URL, NOW, SECRET, Office, deal, empty_world, ids_of

from base.clock import FakeClock
from base.errors import (
    BlockedError,
    BudgetError,
    ConfigError,
    CredentialsError,
    ProtocolError,
    RightsError,
    SourceError,
)
from base.secrets import Secret
from connectors.bitrix24.access import read_webhook
from connectors.bitrix24.answers import Timing
from connectors.bitrix24.budget import BucketLimiter, OperatingBudget
from connectors.bitrix24.settings import Bitrix24Settings, is_same_vendor
from connectors.states import FileStates
from demo.bitrix24 import Bitrix24World, Limits, Quirks
from demo.http import HttpResponse, html_response, json_response

OpenPortal = Callable[..., Office]


def small_world(count: int = 3) -> Bitrix24World:
    world = empty_world()
    for number in range(1, count + 1):
        deal(world, number)
    return world


# ── the webhook ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [f"{BASE_URL}/rest/12/abcdefgh/", f"{BASE_URL}/rest/12/abcdefgh", "12/abcdefgh", "/rest/12/abcdefgh/profile.json"],
)
def test_webhook_is_taken_in_every_form_people_paste_it(text: str) -> None:
    settings = Bitrix24Settings(type="bitrix24", base_url=BASE_URL, webhook_url=Secret(text))
    user, secret = read_webhook(settings, "b24")
    assert (user, secret.reveal()) == ("12", "abcdefgh")


def test_the_webhooks_address_alone_names_the_portal() -> None:
    settings = Bitrix24Settings(type="bitrix24", webhook_url=Secret(f"{BASE_URL}/rest/12/abcdefgh/"))
    assert settings.portal == BASE_URL
    assert read_webhook(settings, "b24")[0] == "12"


def test_a_short_webhook_without_an_address_is_no_way_in() -> None:
    settings = Bitrix24Settings(type="bitrix24", webhook_url=Secret("12/abcdefgh"))
    with pytest.raises(ConfigError):
        read_webhook(settings, "b24")


@pytest.mark.parametrize("text", ["https://other.bitrix24.ru/rest/12/abcdefgh/", "abcdefgh", ""])
def test_webhook_of_another_portal_or_none_is_told_without_quoting_it(text: str) -> None:
    settings = Bitrix24Settings(type="bitrix24", base_url=BASE_URL, webhook_url=Secret(text))
    with pytest.raises(ConfigError) as caught:
        read_webhook(settings, "b24")
    assert "abcdefgh" not in caught.value.render("ru") + caught.value.render("en")


@pytest.mark.parametrize(
    "answer",
    [
        html_response(500, f"/rest/1/{SECRET}/batch.json failed"),
        json_response({"error": SECRET, "error_description": f"x /rest/1/{SECRET}/"}, status=400),
        json_response({"error": "ACCESS_DENIED", "error_description": SECRET}, status=403),
        html_response(429, SECRET),
        HttpResponse(status=200, body=f'{{"{SECRET}'.encode()),
        HttpResponse(status=200, body=b'{"result": "?", "time": 5}'),
        HttpResponse(status=302, headers={"Location": f"https://evil.example/rest/1/{SECRET}/"}),
    ],
)
def test_webhook_is_in_no_error_and_no_log(
    open_portal: OpenPortal, answer: HttpResponse, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    office = open_portal(small_world())
    office.server._handler = lambda request: answer
    with pytest.raises(SourceError) as caught:
        office.read("deals")
    told = "".join(traceback.format_exception(caught.value)) + caught.value.render("ru") + caplog.text
    assert SECRET not in told


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "code", "description", "error", "requests"),
    [
        (401, "INVALID_CREDENTIALS", "", CredentialsError, 1),
        (403, "invalid_token", "", CredentialsError, 1),
        (403, "PORTAL_DELETED", "", CredentialsError, 1),
        (403, "insufficient_scope", "", RightsError, 1),
        (401, "insufficient_scope", "", RightsError, 1),
        (403, "ACCESS_DENIED", "REST is available only on commercial plans", RightsError, 1),
        (400, "", "Access denied.", RightsError, 1),
        (503, "OVERLOAD_LIMIT", "", BlockedError, 1),
        (400, "INVALID_ARG_VALUE", "", ProtocolError, 1),
        (200, "ERROR_CORE", "an error in a good answer", ProtocolError, 1),
        (503, "QUERY_LIMIT_EXCEEDED", "", BudgetError, 6),
    ],
)
def test_refusals_by_code_first(
    open_portal: OpenPortal, status: int, code: str, description: str, error: type[SourceError], requests: int
) -> None:
    office = open_portal(small_world())
    office.server._handler = lambda request: json_response(
        {"error": code, "error_description": description}, status=status
    )
    with pytest.raises(error):
        office.read("deals")
    assert len(office.server.requests) == requests


def test_a_missing_scope_costs_its_stream_only(open_portal: OpenPortal) -> None:
    office = open_portal(small_world(), quirks=Quirks(scopes=frozenset({"crm", "user"})))
    assert office.read("calls") == []
    assert office.read("departments") == []
    assert len(ids_of(office.read("deals"))) == 3


def test_a_renamed_portal_is_followed_within_the_vendor_only(open_portal: OpenPortal) -> None:
    """A POST re-sent by a redirect loses its parameters, and a webhook must never go to a foreign host."""
    office = open_portal(small_world(), quirks=Quirks(moved_to="https://renamed.bitrix24.ru"))
    assert len(ids_of(office.read("deals"))) == 3
    assert is_same_vendor(BASE_URL, "renamed.bitrix24.ru")
    foreign = ["bitrix24.ru.evil.example", "evil.example", "a.bitrix24.com", "bitrix24.ru", ""]
    assert [host for host in foreign if is_same_vendor(BASE_URL, host)] == []
    assert not is_same_vendor("https://crm.example.ru", "other.example.ru")


# ── budgets ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_stock_is_spent_at_once_and_then_the_pace_is_kept(tmp_path: Path) -> None:
    clock = FakeClock(NOW)
    limiter = BucketLimiter("portal", rate=2.0, stock=40, clock=clock, states=FileStates(tmp_path, clock))
    for _ in range(40):
        limiter.wait_turn()
    assert clock.slept == []
    for _ in range(20):
        limiter.wait_turn()
    assert sum(clock.slept) == pytest.approx(10.0)
    clock.advance(600)
    before = len(clock.slept)
    for _ in range(40):
        limiter.wait_turn()
    assert len(clock.slept) == before


def test_after_a_refusal_the_stock_counts_as_spent(tmp_path: Path) -> None:
    clock = FakeClock(NOW)
    limiter = BucketLimiter("portal", rate=2.0, stock=40, clock=clock, states=FileStates(tmp_path, clock))
    limiter.pause(5.0)
    limiter.wait_turn()
    assert sum(clock.slept) == pytest.approx(5.0)
    limiter.wait_turn()
    assert sum(clock.slept) == pytest.approx(5.5)


def test_a_stock_held_by_a_second_process_is_the_same_stock(tmp_path: Path) -> None:
    clock = FakeClock(NOW)
    one, other = (
        BucketLimiter("p", rate=1.0, stock=10, clock=clock, states=FileStates(tmp_path, clock)) for _ in range(2)
    )
    for _ in range(5):
        one.wait_turn()
        other.wait_turn()
    assert clock.slept == []
    one.wait_turn()
    assert sum(clock.slept) == pytest.approx(1.0)


@pytest.mark.parametrize("page_seconds", [0.0, 0.01])
def test_small_requests_never_overflow_the_bucket(open_portal: OpenPortal, page_seconds: float) -> None:
    office = open_portal(small_world(), limits=Limits(page_seconds=page_seconds))
    began = office.clock.monotonic()
    for _ in range(150):
        office.client.call("profile")
    assert office.server.meter.highest_level <= 50
    assert 150 / (office.clock.monotonic() - began) >= 0.95 * 2


def test_when_operating_time_runs_out_the_connector_slows_instead_of_failing(open_portal: OpenPortal) -> None:
    """Heavy pages: 8,000 records at half a second a page are 80 s of server time, the limit is 30 s in ten minutes."""
    limits = Limits(page_seconds=0.5, operating=30.0)
    office = open_portal(small_world(8000), limits=limits, settings={"operating_seconds": 30.0})
    assert len(set(ids_of(office.read("deals")))) == 8000
    assert office.clock.monotonic() > 600


def test_a_portal_that_does_not_tell_its_operating_time_is_waited_for(open_portal: OpenPortal) -> None:
    limits = Limits(page_seconds=0.5, operating=30.0)
    office = open_portal(small_world(4000), limits=limits, quirks=Quirks(tells_operating=False))
    assert len(set(ids_of(office.read("deals")))) == 4000
    assert max(office.clock.slept) >= 299


@pytest.mark.parametrize("bills_batch", [False, True])
def test_whoever_is_billed_no_429_stops_a_load(open_portal: OpenPortal, bills_batch: bool) -> None:
    limits = Limits(page_seconds=0.5, operating=60.0)
    office = open_portal(
        small_world(6000),
        limits=limits,
        quirks=Quirks(bills_batch=bills_batch),
        settings={"operating_seconds": 60.0},
    )
    assert len(set(ids_of(office.read("deals")))) == 6000


def test_a_parked_method_stops_no_other() -> None:
    clock = FakeClock(NOW)
    budget = OperatingBudget(420.0, clock)
    budget.note("crm.deal.list", Timing(operating=421.0, operating_reset_at=int(NOW.timestamp()) + 120))
    assert budget.park("crm.deal.list")
    budget.wait(["crm.contact.list"])
    assert clock.slept == []
    budget.wait(["crm.deal.list"])
    assert sum(clock.slept) == pytest.approx(121.0)


def test_a_method_refused_for_a_quarter_of_an_hour_is_given_up() -> None:
    clock = FakeClock(NOW)
    budget = OperatingBudget(420.0, clock)
    probes = 0
    while budget.park("crm.deal.list"):
        budget.wait(["crm.deal.list"])
        probes += 1
    assert 5 <= probes <= 15


# ── dictionaries and calls ──────────────────────────────────────────────────────────────────────────────────────


def test_presence_of_users_is_no_change_of_them(open_portal: OpenPortal) -> None:
    """LAST_LOGIN and the like change all day: every run would find every user changed."""
    office = open_portal(small_world())
    before = office.read("users")[0].payloads
    office.world.edit("users", 1, None, LAST_LOGIN="2026-11-20T12:00:00+03:00", IS_ONLINE="Y", TIMESTAMP_X={})
    assert office.read("users")[0].payloads == before


def call_row(world: Bitrix24World, row_id: int, call_id: str, minutes_ago: int) -> None:
    started = world.stamp(NOW - timedelta(minutes=minutes_ago))
    world.add("calls", {"ID": str(row_id), "CALL_ID": call_id, "CALL_START_DATE": started, "PORTAL_USER_ID": "7"})


def test_rows_of_a_call_on_two_pages_are_one_record(open_portal: OpenPortal) -> None:
    world = empty_world()
    for number in range(1, 61):
        call_row(world, number, f"c{number}", 600 - number)
    call_row(world, 61, "c49", 551)
    office = open_portal(world)
    pages = office.read("calls")
    assert sorted(ids_of(pages)) == sorted(f"c{number}" for number in range(1, 61))
    payload = next(raw for page in pages for key, raw in zip(page.ids, page.payloads, strict=True) if key == "c49")
    assert payload.count(b'"ID"') == 2


def test_a_call_over_the_edge_of_the_window_is_not_stored_as_half_of_itself(open_portal: OpenPortal) -> None:
    world = empty_world()
    edge = 3 * 24 * 60
    call_row(world, 1, "over", edge + 1)
    call_row(world, 2, "over", edge - 1)
    call_row(world, 3, "inside", edge - 2)
    office = open_portal(world)
    pages = office.read("calls", position={"since": int(NOW.timestamp())})
    assert ids_of(pages) == ["inside"]
