"""Refusals, tokens, budget and check: each told for what it is, no secret in any of it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from amocrm_office import NOW, TOKEN, Office, empty_world, ids_of, lead, token_until

from base.errors import (
    BlockedError,
    BudgetError,
    ConfigError,
    CredentialsError,
    ProtocolError,
    RightsError,
    SourceError,
    UnreachableError,
)
from base.secrets import Secret
from base.times import to_unix
from connectors.amocrm.auth import read_expiry
from connectors.amocrm.check import check
from connectors.amocrm.client import allowed_rate
from connectors.amocrm.refusals import BLOCK_SECONDS
from connectors.amocrm.settings import AmocrmSettings
from connectors.amocrm.streams import CONNECTOR, record_url
from demo.amocrm import AmocrmWorld, Quirks
from demo.http import HttpResponse, ScriptedFaults, html_response, json_response

OpenOffice = Callable[..., Office]


def small_world() -> AmocrmWorld:
    world = empty_world()
    world.add("leads", lead(1, to_unix(NOW) - 3600))
    return world


# ── tokens ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_expired_token_is_told_before_any_request(open_office: OpenOffice) -> None:
    office = open_office(small_world(), token=token_until(NOW - timedelta(days=1)))
    with pytest.raises(CredentialsError, match="expired on 2026-11-19"):
        office.read("leads")
    assert office.server.requests == []


def test_expiry_is_read_from_the_token_and_unreadable_ones_tell_nothing() -> None:
    assert read_expiry(Secret(token_until(NOW))) == NOW
    assert [read_expiry(Secret(text)) for text in ("opaque", "a.b.c", "a.e30.c", "")] == [None] * 4


def test_refused_token_is_not_asked_again(open_office: OpenOffice) -> None:
    office = open_office(small_world(), token="another-token-of-a-test")
    with pytest.raises(CredentialsError) as caught:
        office.read("leads")
    assert len(office.server.requests) == 1
    assert caught.value.remedy is not None


@pytest.mark.parametrize(
    "answer",
    [
        html_response(500, f"token {TOKEN} leaked"),
        json_response({"detail": f"bad {TOKEN}", "validation-errors": [{"errors": [{"path": TOKEN}]}]}, status=400),
        json_response({"detail": TOKEN}, status=403),
        html_response(429, TOKEN),
        HttpResponse(status=200, body=f'{{"{TOKEN}'.encode()),
        HttpResponse(status=302, headers={"Location": f"https://evil.example/{TOKEN}"}),
    ],
)
def test_token_is_in_no_error_whatever_the_server_echoes(open_office: OpenOffice, answer: HttpResponse) -> None:
    office = open_office(small_world())
    office.server._handler = lambda request: answer
    with pytest.raises(SourceError) as caught:
        office.read("leads")
    told = caught.value.render("ru") + caught.value.render("en") + "".join(traceback.format_exception(caught.value))
    assert TOKEN not in told


def test_neither_token_nor_oauth_keys_is_a_wrong_configuration(open_office: OpenOffice) -> None:
    with pytest.raises(ConfigError):
        open_office(small_world(), settings={"token": None})


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_block_by_the_edge_is_no_rights_error_and_is_not_retried(open_office: OpenOffice) -> None:
    office = open_office(small_world())
    office.server.blocked = True
    with pytest.raises(BlockedError):
        office.read("leads")
    assert len(office.server.requests) == 1


def test_third_block_in_a_row_stops_all_requests_for_a_quarter_of_an_hour(open_office: OpenOffice) -> None:
    """Hammering prolongs the block; the breaker must hold for other clients of the account too."""
    office = open_office(small_world())
    office.server.blocked = True
    for _ in range(5):
        with pytest.raises(BlockedError):
            office.read("leads")
    assert len(office.server.requests) == 3
    office.server.blocked = False
    office.clock.advance(BLOCK_SECONDS - 60)
    with pytest.raises(BlockedError):
        office.read("leads")
    office.clock.advance(120)
    assert ids_of(office.read("leads")) == ["1"]


def test_blocks_with_good_answers_between_them_do_not_open_the_breaker(open_office: OpenOffice) -> None:
    faults = ScriptedFaults("forbidden_html", None, "forbidden_html", None, "forbidden_html", None)
    office = open_office(small_world(), faults=faults)
    for _ in range(3):
        with pytest.raises(BlockedError):
            office.read("leads")
        assert ids_of(office.read("leads")) == ["1"]


def test_missing_right_is_told_for_its_stream(open_office: OpenOffice) -> None:
    office = open_office(small_world(), quirks=Quirks(is_admin=False))
    with pytest.raises(RightsError, match="/api/v4/users"):
        office.read("users")
    assert ids_of(office.read("leads")) == ["1"]


def test_unpaid_account_in_the_middle_of_a_run_stops_it_without_retries(open_office: OpenOffice) -> None:
    office = open_office(small_world())
    assert ids_of(office.read("leads")) == ["1"]
    office.server.quirks = replace(office.server.quirks, is_paid=False)
    with pytest.raises(RightsError, match="unpaid"):
        office.read("contacts")
    assert len(office.server.requests) == 2


def test_redirect_is_a_changed_domain_and_the_token_does_not_follow_it(open_office: OpenOffice) -> None:
    office = open_office(small_world())
    moved = HttpResponse(status=301, headers={"Location": "https://new-name.amocrm.ru/api/v4/leads"})
    office.server._handler = lambda request: moved
    with pytest.raises(ProtocolError, match=r"new-name\.amocrm\.ru"):
        office.read("leads")
    assert len(office.server.requests) == 1


def test_rejected_request_shows_the_vendors_reasons(open_office: OpenOffice) -> None:
    office = open_office(small_world())
    with pytest.raises(ProtocolError, match=r"filter\.entity_id"):
        office.client.page("/events", "events", [("filter[entity_id][]", number) for number in range(11)])


def test_stated_wait_is_kept_and_an_unstated_one_grows(open_office: OpenOffice) -> None:
    faults = ScriptedFaults("too_many_stated", "too_many", "too_many")
    office = open_office(small_world(), faults=faults)
    assert ids_of(office.read("leads")) == ["1"]
    stated, first, second = (seconds for seconds in office.clock.slept if seconds > 1)
    assert stated == 2.0
    # 10 s, then twice as long, each with its own jitter.
    assert 10 <= first <= 40
    assert 20 <= second <= 70


def test_refusals_without_end_give_up_and_say_so(open_office: OpenOffice) -> None:
    office = open_office(small_world(), faults=ScriptedFaults(*["too_many"] * 99))
    with pytest.raises(BudgetError):
        office.read("leads")
    assert len(office.server.requests) == 6


@pytest.mark.parametrize("fault", ["server_error", "bad_gateway", "reset", "truncated", "damaged", "slow"])
def test_passing_fault_is_healed_by_asking_again(open_office: OpenOffice, fault: str) -> None:
    office = open_office(small_world(), faults=ScriptedFaults(fault))  # type: ignore[arg-type]
    assert ids_of(office.read("leads")) == ["1"]


def test_damaged_account_answer_is_asked_for_again(open_office: OpenOffice) -> None:
    office = open_office(small_world(), faults=ScriptedFaults("damaged"))
    (page,) = office.read("account")
    assert page.ids == ["account"]
    assert len(office.server.requests) == 2


def test_lost_connection_names_the_host(open_office: OpenOffice) -> None:
    office = open_office(small_world(), faults=ScriptedFaults(*["reset"] * 9))
    with pytest.raises(UnreachableError, match=r"example\.amocrm\.ru"):
        office.read("leads")


# ── budget ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_first_load_uses_the_budget_and_is_never_refused(open_office: OpenOffice) -> None:
    """Five a second with one in flight leaves no room for idle time at 200 ms latency."""
    world = empty_world()
    for number in range(5_000):
        world.add("leads", lead(number + 1, to_unix(NOW) - 90_000 + number))
    office = open_office(world, latency=0.199)
    started = office.clock.monotonic()
    office.read("leads")
    assert len(office.server.requests) / (office.clock.monotonic() - started) >= 0.95 * 5


@pytest.mark.parametrize(
    ("base_url", "wanted", "allowed"),
    [
        ("https://example.amocrm.ru", None, 5.0),
        ("https://example.amocrm.ru", 7.0, 7.0),
        ("https://example.amocrm.ru", 50.0, 7.0),
        ("http://127.0.0.1:8080", 50.0, 50.0),
    ],
)
def test_budget_never_passes_the_vendors_limit(base_url: str, wanted: float | None, allowed: float) -> None:
    settings = AmocrmSettings(type="amocrm", base_url=base_url, requests_per_second=wanted)
    assert allowed_rate(settings) == allowed


# ── check, links ────────────────────────────────────────────────────────────────────────────────────────────────


def verdicts(office: Office) -> dict[str, str]:
    return {str(line.subject): line.verdict for line in check(office.client)}


def test_check_of_a_good_account_finds_nothing_wrong(open_office: OpenOffice) -> None:
    token = token_until(NOW + timedelta(days=300))
    office = open_office(small_world(), token=token)
    office.server.token = token
    assert set(verdicts(office).values()) == {"ok"}


def test_check_warns_of_a_token_that_ends_within_two_weeks(open_office: OpenOffice) -> None:
    token = token_until(NOW + timedelta(days=13))
    office = open_office(small_world(), token=token)
    office.server.token = token
    assert verdicts(office)["token's expiry"] == "warning"


def test_check_says_that_a_non_administrator_sees_less_without_an_error(open_office: OpenOffice) -> None:
    found = verdicts(open_office(small_world(), quirks=Quirks(is_admin=False)))
    assert (found["user's rights"], found["users"], found["deals"]) == ("warning", "failed", "ok")


def test_check_says_that_filters_are_off(open_office: OpenOffice) -> None:
    world = small_world()
    world.account["is_api_filter_enabled"] = False
    assert verdicts(open_office(world))["filters"] == "warning"


def test_check_of_a_wrong_token_is_one_finding_with_its_remedy(open_office: OpenOffice) -> None:
    (line,) = check(open_office(small_world(), token="another-token-of-a-test").client)
    assert (line.verdict, line.remedy is not None) == ("failed", True)


def test_check_names_a_missing_scope_and_where_to_switch_it_on(open_office: OpenOffice) -> None:
    token = token_until(NOW + timedelta(days=300), scopes=["notifications", "files"])
    office = open_office(small_world(), token=token)
    office.server.token = token
    (line,) = [line for line in check(office.client) if str(line.subject) == "scopes"]
    assert (line.verdict, "crm" in str(line.detail)) == ("failed", True)
    assert line.remedy is not None
    assert "amoMarket" in str(line.remedy)


def test_check_tells_how_much_of_the_budget_is_in_use(open_office: OpenOffice) -> None:
    """A load under way, or a pause the vendor asked for, explains a slow check and a slower load."""
    office = open_office(small_world())
    for _ in range(3):
        office.client.api.limiter.wait_turn()
    office.clock.advance(0.2)
    (quiet,) = [line for line in check(office.client) if str(line.subject) == "load"]
    assert (quiet.verdict, str(quiet.detail)[:6]) == ("ok", "3 of 5")
    office.client.api.limiter.pause(60)
    (busy,) = [line for line in check(office.client) if str(line.subject) == "load"]
    assert busy.verdict == "warning"
    assert "60 s" in str(busy.detail)


def test_check_says_where_a_renamed_account_is(open_office: OpenOffice) -> None:
    office = open_office(small_world())
    office.client.new_address = lambda: "https://new.amocrm.ru"  # type: ignore[method-assign]
    (line,) = [line for line in check(office.client) if str(line.subject) == "address"]
    assert (line.verdict, "new.amocrm.ru" in str(line.detail)) == ("warning", True)


def test_links_open_the_cards_people_know() -> None:
    settings = AmocrmSettings(type="amocrm", base_url="https://acme.kommo.com/")
    assert record_url(settings, "deal", "7") == "https://acme.kommo.com/leads/detail/7"
    assert record_url(settings, "task", "7") is None


def test_streams_the_engine_needs_are_declared() -> None:
    names = {stream.name for stream in CONNECTOR.streams}
    assert names >= {need for stream in CONNECTOR.streams for need in stream.needs}
    assert len(names) == len(CONNECTOR.streams)
