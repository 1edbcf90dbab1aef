"""`voronka check` of a portal: what would go wrong without an error is told, each with what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from bitrix24_office import NOW, Office, deal, empty_world, ids_of, position_of

from base.secrets import Secret
from connectors.bitrix24.check import check
from connectors.bitrix24.settings import FieldNames
from connectors.stream import CheckLine
from demo.bitrix24 import Bitrix24World, Limits, Quirks

OpenPortal = Callable[..., Office]


def small_world(count: int = 3) -> Bitrix24World:
    world = empty_world()
    for number in range(1, count + 1):
        deal(world, number)
    return world


def findings(office: Office) -> dict[str, CheckLine]:
    return {str(line.subject): line for line in check(office.client)}


def test_check_of_a_good_portal_loads_nothing_and_costs_few_requests(open_portal: OpenPortal) -> None:
    office = open_portal(small_world())
    found = findings(office)
    assert {subject: line.verdict for subject, line in found.items() if line.verdict != "ok"} == {}
    assert {"access", "expiry", "owner's rights", "deals", "leads", "invoices", "calls", "clock"} <= set(found)
    assert len(office.server.requests) <= 6


def test_a_refused_webhook_is_one_line_with_a_remedy(open_portal: OpenPortal) -> None:
    office = open_portal(small_world(), settings={"webhook_url": Secret("1/another-secret")})
    (line,) = check(office.client)
    assert line.verdict == "failed"
    assert line.remedy is not None


def test_whoever_sees_only_his_own_deals_is_told_that_nobody_will_tell_him(open_portal: OpenPortal) -> None:
    line = findings(open_portal(small_world(), quirks=Quirks(is_admin=False)))["owner's rights"]
    assert line.verdict == "warning"
    assert "without an error" in str(line.detail)
    assert line.remedy is not None


def test_each_missing_scope_is_named_with_where_to_switch_it_on(open_portal: OpenPortal) -> None:
    """What is optional is left out with a warning; without users or deals there is nothing to load."""
    found = findings(open_portal(small_world(), quirks=Quirks(scopes=frozenset({"crm", "department"}))))
    assert {name: found[name].verdict for name in ("users", "calls", "payment marks", "departments")} == {
        "users": "failed",
        "calls": "warning",
        "payment marks": "warning",
        "departments": "ok",
    }
    assert "telephony" in str(found["calls"].detail)
    assert "Inbound webhook" in str(found["calls"].remedy)
    assert "telephony" in str(found["calls"].remedy)


def test_a_module_that_is_not_there_is_no_failure(open_portal: OpenPortal) -> None:
    found = findings(open_portal(small_world(), quirks=Quirks(missing_methods=frozenset({"crm.quote.list"}))))
    assert found["quotes"].verdict == "warning"


def test_a_misspelt_field_is_found_here_and_nowhere_else(open_portal: OpenPortal) -> None:
    office = open_portal(small_world(), settings={"fields": FieldNames(invoice_number="Нет такого")})
    assert findings(office)["field invoice_number"].verdict == "warning"


def test_clock_of_the_portal_is_compared_with_ours(open_portal: OpenPortal) -> None:
    office = open_portal(small_world())
    office.client.call("profile")
    office.client.api._skew = timedelta(minutes=5)
    office.client.api._note_clock = lambda response: None  # type: ignore[method-assign]
    assert findings(office)["clock"].verdict == "warning"


def test_load_of_both_budgets_is_told(open_portal: OpenPortal) -> None:
    """A large load begun on spent budgets would crawl: better to know before."""
    limits = Limits(page_seconds=2.0, operating=60.0)
    office = open_portal(small_world(900), limits=limits, settings={"operating_seconds": 60.0})
    office.read("deals")
    found = findings(office)
    assert found["server time"].verdict == "warning"
    assert "crm.deal.list" in str(found["server time"].detail)
    assert "%" in str(found["stock of requests"].detail)


def test_portal_that_finds_nothing_by_times_with_an_offset_is_found_out(open_portal: OpenPortal) -> None:
    """Every run after the first would say "nothing changed" for ever."""
    world = small_world()
    world.finds_naive_times_only = True
    line = findings(open_portal(world))["filter by time"]
    assert line.verdict == "failed"
    assert "naive_times" in str(line.remedy)
    mended = open_portal(world, settings={"naive_times": True})
    assert findings(mended)["filter by time"].verdict == "ok"


def test_naive_times_are_in_the_portals_own_clock(open_portal: OpenPortal) -> None:
    """Read in UTC they would shift every load by the portal's offset and skip hours of changes."""
    world = small_world()
    world.finds_naive_times_only = True
    office = open_portal(world, settings={"naive_times": True})
    position = position_of(office.read("deal_contacts"))
    office.clock.advance(3600)
    world.edit("deals", 2, office.clock.now(), TITLE="x")
    world.edit("deals", 3, NOW - timedelta(hours=2), TITLE="y")
    assert ids_of(office.read("deal_contacts", position=position)) == ["2"]
