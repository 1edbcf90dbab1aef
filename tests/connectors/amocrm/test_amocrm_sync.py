"""The whole way: an account that changes while it fails, through landing and conforming, to the core."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from amocrm_office import NOW, empty_world, lead
from amocrm_sync import SyncedAccount

from base.times import to_unix
from demo.amocrm import AmocrmWorld, Quirks
from demo.http import HttpRequest, SeededFaults

DAY = 86_400
FIRST = to_unix(NOW) - 30 * DAY
QUIRKS = [
    Quirks(clamps_to=40),
    Quirks(clamps_to=40, next_after_full_page=True, next_host="http://shard152.amocrm.ru"),
    Quirks(clamps_to=40, bounds_are_inclusive=False),
    Quirks(clamps_to=40, filters_work=False),
]
Open = Callable[..., SyncedAccount]


@pytest.fixture
def open_account(tmp_path: Path, empty_files: Path) -> Open:
    shutil.copytree(empty_files, tmp_path / "var")
    return lambda world, **options: SyncedAccount(world, tmp_path, **options)


def field(field_id: int, kind: str, *values: Any, code: str | None = None) -> dict[str, Any]:
    items = [value if isinstance(value, dict) else {"value": value} for value in values]
    return {
        "field_id": field_id,
        "field_name": f"Поле {field_id}",
        "field_code": code,
        "field_type": kind,
        "values": items,
    }


def contact(contact_id: int, updated_at: int) -> dict[str, Any]:
    return {"id": contact_id, "name": f"Контакт {contact_id}", "created_at": updated_at, "updated_at": updated_at}


class Changes:
    """What people and robots do to an account while it is read, and between runs; the same for the same seed."""

    def __init__(self, account: SyncedAccount, seed: int) -> None:
        self._account = account
        self._dice = random.Random(seed)
        self._next_id = 100_000
        self.backdated: set[str] = set()
        self.is_on = True

    def between_pages(self, request: HttpRequest) -> None:
        if self.is_on and request.path.endswith(("/leads", "/contacts", "/events")):
            for _ in range(self._dice.randrange(3)):
                self.change()

    def change(self) -> None:
        world, now, dice = self._account.world, self._account.clock.now(), self._dice
        ids = sorted(record["id"] for record in world.tables["leads"])
        kind = dice.choice(
            ("price", "price", "price", "fields", "move", "delete", "unlogged", "restore", "add", "past")
        )
        if kind in ("price", "fields", "move", "delete"):
            self._change_lead(kind, dice.choice(ids))
        elif kind == "restore" and world.trash["leads"]:
            world.restore("leads", dice.choice([stub["id"] for stub in world.trash["leads"]]), now)
        elif kind == "add":
            self._next_id += 1
            world.add("leads", lead(self._next_id, to_unix(now)))
        elif kind == "past":
            # An import writes behind the position: only a whole reading can meet it.
            self._next_id += 1
            self.backdated.add(str(self._next_id))
            world.add("leads", lead(self._next_id, to_unix(now) - dice.randrange(2 * DAY, 20 * DAY)))

    def _change_lead(self, kind: str, lead_id: int) -> None:
        world, now, dice = self._account.world, self._account.clock.now(), self._dice
        if kind == "price":
            world.edit("leads", lead_id, now, price=dice.randrange(10**6))
        elif kind == "fields":
            chosen = dice.sample(["north", "south", "west"], dice.randrange(3))
            world.edit(
                "leads", lead_id, now, custom_fields_values=[field(7, "multiselect", *chosen)] if chosen else None
            )
        elif kind == "move":
            world.move(lead_id, dice.choice((60011, 60012, 142, 143)), now)
        else:
            world.delete("leads", lead_id, now)

    def remove_unlogged(self) -> None:
        """A record nobody tells of: purged with its trace."""
        world = self._account.world
        lead_id = self._dice.choice(sorted(record["id"] for record in world.tables["leads"]))
        world.delete("leads", lead_id, self._account.clock.now(), is_logged=False)
        world.purge("leads", lead_id)


def small_world(seed: int) -> AmocrmWorld:
    """110 deals over a month, 60 of one second, and a few contacts."""
    dice = random.Random(seed)
    world = empty_world()
    for number in range(110):
        world.add("leads", lead(1000 + number, FIRST + dice.randrange(29 * DAY)))
    for number in range(60):
        world.add("leads", lead(5000 + number, FIRST + DAY))
    for number in range(30):
        world.add("contacts", contact(300 + number, FIRST + dice.randrange(29 * DAY)))
    return world


def truth(world: AmocrmWorld) -> dict[str, tuple[int, str]]:
    return {str(record["id"]): (record["price"], str(record["status_id"])) for record in world.tables["leads"]}


def core(account: SyncedAccount) -> dict[str, tuple[int, str]]:
    found = account.rows("SELECT deal_id, amount, stage_id FROM core.deals WHERE NOT is_deleted")
    return {deal_id: (int(amount), stage_id) for deal_id, amount, stage_id in found}


def true_values(world: AmocrmWorld) -> set[tuple[str, str]]:
    return {
        (str(record["id"]), item["value"])
        for record in world.tables["leads"]
        for held in record["custom_fields_values"] or ()
        for item in held["values"]
    }


def core_values(account: SyncedAccount) -> set[tuple[str, str]]:
    return set(
        account.rows(
            "SELECT record_id, text_value FROM core.custom_field_values AS v JOIN core.deals AS d"
            " ON d.source = v.source AND d.deal_id = v.record_id WHERE entity_type = 'deal' AND NOT is_deleted"
        )
    )


@pytest.mark.parametrize("seed", range(10))
def test_core_equals_the_account_after_every_sync(open_account: Open, seed: int) -> None:
    """Edits, creations, deletions, restorations and back-dated imports between any two pages, every tenth request
    failing. Between sweeps only what was written into the past may be missing; a sweep finds that and the unlogged."""
    account = open_account(
        small_world(seed),
        streams=("account", "loss_reasons", "catalogs", "leads", "contacts", "events"),
        faults=SeededFaults(seed, 0.1),
        quirks=QUIRKS[seed % len(QUIRKS)],
        limit_per_second=None,
    )
    changes = Changes(account, seed)
    account.server.after_page = changes.between_pages
    account.sync()
    account.clock.advance(3600)
    for _ in range(8):
        changes.change()
    account.sync()
    # What changed during that run is met by the next one, which nobody disturbs.
    changes.is_on = False
    account.clock.advance(900)
    account.sync()
    held, real = core(account), truth(account.world)
    assert set(held) <= set(real), "a deleted deal lives on"
    assert set(real) - set(held) <= changes.backdated, "a deal was lost"
    assert held == {deal_id: state for deal_id, state in real.items() if deal_id in held}
    changes.remove_unlogged()
    account.clock.advance(900)
    account.sync(full=True)
    assert core(account) == truth(account.world)
    assert core_values(account) == true_values(account.world)
    [(events, distinct)] = account.rows("SELECT count(*), count(DISTINCT event_id) FROM core.deal_events")
    assert events == distinct == len(account.world.tables["events"])


def test_second_sync_of_an_unchanged_account_writes_nothing_and_asks_little(open_account: Open) -> None:
    world = small_world(1)
    world.open_catalog(45, "invoices")
    account = open_account(world)
    account.sync()
    account.clock.advance(DAY)
    again = account.sync()
    assert {
        name: (report.rows, report.core_rows) for name, report in again.items() if report.rows or report.core_rows
    } == {}
    assert max(report.requests for report in again.values()) <= 10


def test_deleted_deal_is_not_brought_back_by_an_older_version_of_it(open_account: Open) -> None:
    """The event of the deletion may be read before the last page that still shows the deal."""
    world = empty_world()
    world.add("leads", lead(1, FIRST))
    account = open_account(world)
    account.sync()
    account.clock.advance(3600)
    world.edit("leads", 1, account.clock.now(), price=5)
    kept = dict(world.tables["leads"].get(1) or {})
    account.clock.advance(3600)
    world.delete("leads", 1, account.clock.now())
    account.clock.advance(3600)
    account.sync()
    assert core(account) == {}
    # A list that lags behind shows the old state once more.
    world.tables["leads"].put({**kept, "updated_at": kept["updated_at"] + 1800})
    account.sync()
    assert core(account) == {}
    world.tables["leads"].pop(1)
    world.restore("leads", 1, account.clock.now())
    account.clock.advance(3600)
    account.sync()
    assert core(account) == {"1": (5, "60011")}


def test_absent_records_are_kept_when_the_user_is_no_administrator(open_account: Open) -> None:
    """A deal given to another department is out of such a user's sight, not deleted; the trash and the log still
    tell of deletions."""
    world = empty_world()
    for number in range(1, 6):
        world.add("leads", lead(number, FIRST))
    account = open_account(world, quirks=Quirks(is_admin=False))
    assert {str(error) for error in account.try_sync().errors} != set()
    world.tables["leads"].pop(1)
    world.delete("leads", 2, account.clock.now(), is_logged=False)
    account.clock.advance(3600)
    account.try_sync(full=True)
    assert set(core(account)) == {"1", "3", "4", "5"}


def test_absent_records_are_deleted_when_the_user_is_an_administrator(open_account: Open) -> None:
    """Purged from the trash, or deleted without an event: only a sweep can tell, and an administrator sees all."""
    world = empty_world()
    for number in range(1, 6):
        world.add("leads", lead(number, FIRST))
    account = open_account(world)
    account.sync()
    world.tables["leads"].pop(1)
    account.clock.advance(3600)
    account.sync(full=True)
    assert set(core(account)) == {"2", "3", "4", "5"}


def invoice(element_id: int, updated_at: int, *, status: str = "created", **fields: Any) -> dict[str, Any]:
    return {
        "id": element_id,
        "name": f"Счет № {element_id}",
        "created_at": FIRST,
        "updated_at": updated_at,
        "is_deleted": None,
        "catalog_id": 45,
        "custom_fields_values": [
            field(701, "select", {"value": "Оплачен", "enum_id": 71, "enum_code": status}, code="BILL_STATUS"),
            field(702, "numeric", "1500.75", code="BILL_PRICE"),
        ],
        **fields,
    }


def test_invoices_come_with_their_deal_and_lose_it_when_unlinked(open_account: Open) -> None:
    """The link stands on the deal's side only, and products stand beside invoices there."""
    world = empty_world()
    elements = world.open_catalog(45, "invoices")
    world.open_catalog(46, "products")
    linked = [{"id": 15, "metadata": {"quantity": 1, "catalog_id": 45}}, {"id": 15, "metadata": {"catalog_id": 46}}]
    world.add("leads", lead(1, FIRST, _embedded={"catalog_elements": linked, "contacts": []}))
    world.add(elements, invoice(15, FIRST, status="paid"))
    world.add(elements, invoice(16, FIRST))
    account = open_account(world)
    account.sync()
    query = (
        "SELECT invoice_id, number, amount, is_paid, deal_source, deal_id FROM core.invoices WHERE NOT is_deleted"
        " ORDER BY invoice_id"
    )
    assert account.rows(query) == [
        ("45-15", "15", Decimal("1500.75"), True, "amo", "1"),
        ("45-16", "16", Decimal("1500.75"), False, None, None),
    ]
    account.clock.advance(3600)
    world.edit("leads", 1, account.clock.now(), _embedded={"catalog_elements": [], "contacts": []})
    world.edit(elements, 16, account.clock.now(), is_deleted=True)
    account.clock.advance(3600)
    account.sync()
    assert account.rows(query) == [("45-15", "15", Decimal("1500.75"), True, None, None)]


@pytest.mark.parametrize(("status", "failing"), [(403, ["catalogs"]), (402, []), (404, [])])
def test_lists_that_are_closed_cost_no_invoice_and_no_other_stream(
    open_account: Open, status: int, failing: list[str]
) -> None:
    """A right withdrawn or a plan changed hides invoices, deletes none, and holds no number of the CRM back."""
    world = empty_world()
    world.add(world.open_catalog(45, "invoices"), invoice(15, FIRST))
    account = open_account(world, streams=("account", "loss_reasons", "catalogs", "invoice_fields", "invoices"))
    account.sync()
    account.server.quirks = Quirks(catalogs_status=status)
    account.clock.advance(3600)
    report = account.try_sync(full=True)
    assert [stream.stream for stream in report.streams if stream.error] == failing
    assert account.rows("SELECT invoice_id, is_deleted FROM core.invoices") == [("45-15", False)]
    account.server.quirks = Quirks()
    account.clock.advance(3600)
    world.edit("catalogs/45/elements", 15, account.clock.now(), name="Счет № 16")
    account.sync()
    assert account.rows("SELECT number FROM core.invoices") == [("16",)]


def test_definitions_are_kept_when_a_field_is_removed(open_account: Open) -> None:
    """Old values still point at it."""
    world = empty_world()
    definition = {
        "id": 7,
        "name": "Регион",
        "type": "multiselect",
        "sort": 1,
        "enums": [{"id": 9, "value": "Юг", "sort": 1}],
    }
    world.dictionaries["leads/custom_fields"][1].append(definition)
    world.add("leads", lead(1, FIRST, custom_fields_values=[field(7, "multiselect", {"value": "Юг", "enum_id": 9})]))
    account = open_account(world)
    account.sync()
    joined = (
        "SELECT f.name, v.text_value, o.name, f.is_removed FROM core.custom_field_values AS v"
        " JOIN core.custom_fields AS f USING (source, field_id)"
        " JOIN core.custom_field_options AS o USING (source, field_id, option_id)"
    )
    assert account.rows(joined) == [("Регион", "Юг", "Юг", False)]
    world.dictionaries["leads/custom_fields"][1].clear()
    account.clock.advance(3600)
    account.sync()
    assert account.rows(joined) == [("Регион", "Юг", "Юг", True)]
    world.edit("leads", 1, account.clock.now(), custom_fields_values=None)
    account.clock.advance(timedelta(hours=1).total_seconds())
    account.sync()
    assert account.rows(joined) == []


def test_values_of_an_older_version_do_not_come_back_into_an_emptied_record(open_account: Open) -> None:
    """An empty list leaves no row whose version could refuse the older one: the deal's own version does."""
    world = empty_world()
    world.add("leads", lead(1, FIRST, custom_fields_values=[field(7, "text", "старое")]))
    account = open_account(world, streams=("account", "loss_reasons", "catalogs", "leads"))
    account.sync()
    old = dict(world.tables["leads"].get(1) or {})
    account.clock.advance(3600)
    world.edit("leads", 1, account.clock.now(), custom_fields_values=None)
    account.clock.advance(60)
    account.sync()
    assert core_values(account) == set()
    # A list that lags behind shows an older state once more.
    late = to_unix(account.clock.now()) - 120
    world.tables["leads"].put({**old, "updated_at": late})
    account.sync()
    assert core_values(account) == set()
