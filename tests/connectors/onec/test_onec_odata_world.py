"""Books edited while they are read, over a network that fails one time in ten: the warehouse ends as they do."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from odata_office import (
    NOW,
    Books,
    Office,
    empty_world,
    map_row,
    party,
    position_of,
    receipt,
    receipt_values,
    rows_of,
)

from connectors.onec.odata.mapping import map_payment
from connectors.stream import Page, Rows
from demo.http import HttpRequest, SeededFaults
from demo.onec import OnecWorld
from demo.onec.world import INVOICES, PARTIES, RECEIPTS, SALES, WRITE_OFFS, key_for
from flows.steps.replay import replay

OpenOffice = Callable[..., Office]
OpenBooks = Callable[..., Books]
LIVE = "is_deleted IS NOT TRUE"


class Accountant:
    """Enters, edits, posts, unposts, re-dates, marks and removes documents of the last weeks; the same for a seed."""

    def __init__(self, world: OnecWorld, seed: int) -> None:
        self._world = world
        self._dice = random.Random(seed)
        self._entered = 1000
        self.is_on = True

    def open_books(self) -> None:
        for number in range(1, 60):
            receipt(self._world, number, self._day(), amount=self._amount(), Posted=self._dice.random() < 0.9)
        for number in range(1, 20):
            values = receipt_values(self._amount(), ВидОперации="ВозвратПокупателю")
            self._world.document(WRITE_OFFS, key_for("off", number), self._day(), **values)
            values = {"СуммаДокумента": self._amount(), "Контрагент_Key": key_for("party", 1)}
            self._world.document(INVOICES, key_for("invoice", number), self._day(), Posted=False, **values)
            self._world.document(SALES, key_for("sale", number), self._day(), **values)

    def __call__(self, request: HttpRequest) -> None:
        """Something happens before a page is made."""
        if self.is_on and "Document_" in unquote(request.path):
            for _ in range(self._dice.randrange(3)):
                self.act()

    def act(self) -> None:
        dice, world = self._dice, self._world
        entity_set = dice.choice((RECEIPTS, RECEIPTS, WRITE_OFFS, INVOICES, SALES))
        rows = world.tables[entity_set]
        key = dice.choice(rows)["Ref_Key"]
        deed = dice.randrange(9)
        if deed == 0:
            world.edit(entity_set, key, Posted=not world.row(entity_set, key)["Posted"])
        elif deed == 1:
            world.edit(entity_set, key, DeletionMark=True, Posted=False)
        elif deed == 2 and len(rows) > 15:
            world.delete(entity_set, key)
        elif deed in (3, 4):
            world.edit(entity_set, key, СуммаДокумента=self._amount())
        elif deed == 5:
            world.edit(entity_set, key, Date=f"{self._day():%Y-%m-%dT%H:%M:%S}")
        else:
            self._entered += 1
            newcomer = party(world, self._entered, ИНН=f"77{self._entered:08d}")
            receipt(world, self._entered, self._day(), amount=self._amount(), Контрагент=newcomer)

    def _day(self) -> datetime:
        """Few moments, so that pages break inside of one; a day a month ago at the earliest."""
        return datetime(2026, 11, 19, 12 * self._dice.randrange(2), tzinfo=UTC) - timedelta(self._dice.randrange(25))

    def _amount(self) -> Any:
        return self._dice.choice((100, 2500.5, 99999.99, self._dice.randrange(1, 10**6)))


def money_of(row: dict[str, Any], sign: int = 1) -> tuple[date, Decimal]:
    return date.fromisoformat(row["Date"][:10]), sign * Decimal(str(row["СуммаДокумента"])).quantize(Decimal("0.01"))


def truth(world: OnecWorld) -> dict[str, set[tuple[Any, ...]]]:
    """What is valid in the books, straight from them."""
    tax_ids = {row["Ref_Key"]: row.get("ИНН") for row in world.tables[PARTIES]}

    def valid(entity_set: str) -> list[dict[str, Any]]:
        return [row for row in world.tables[entity_set] if row["Posted"] and not row["DeletionMark"]]

    paid = [(row, 1) for row in valid(RECEIPTS)] + [(row, -1) for row in valid(WRITE_OFFS)]
    return {
        "payments": {(row["Ref_Key"], *money_of(row, sign), tax_ids[row["Контрагент"]]) for row, sign in paid},
        "orders": {(row["Ref_Key"], *money_of(row)) for row in world.tables[INVOICES] if not row["DeletionMark"]},
        "sales": {(row["Ref_Key"], *money_of(row)) for row in valid(SALES)},
    }


def loaded(books: Books) -> dict[str, set[tuple[Any, ...]]]:
    return {
        "payments": set(books.ask(f"SELECT payment_id, paid_on, amount, payer_tax_id FROM core.payments WHERE {LIVE}")),
        "orders": set(books.ask(f"SELECT order_id, issued_on, amount FROM core.orders WHERE {LIVE}")),
        "sales": set(books.ask(f"SELECT document_id, issued_on, amount FROM core.sales_documents WHERE {LIVE}")),
    }


class Copy:
    """What a warehouse would hold of the payments, without one: the last state of each document."""

    def __init__(self) -> None:
        self.live: dict[str, tuple[Any, ...]] = {}
        self.parties: dict[str, Any] = {}
        self.position: Any = None

    def sync(self, office: Office) -> None:
        pages = office.read("counterparties", full=True)
        self.parties = {key: msgspec.json.decode(raw) for page in pages for key, raw in zip(*_of(page), strict=True)}
        pages = office.read("payments", position=self.position)
        for page in pages:
            for key, raw in zip(*_of(page), strict=True):
                self._take(key, map_row(map_payment, raw, {"counterparties": self.parties}))
            for key in page.deleted:
                self.live.pop(key, None)
        self.position = position_of(pages)

    def _take(self, key: str, rows: Rows) -> None:
        (row,) = rows_of(rows, "core.payments", "amount")
        (stands,) = rows_of(rows, "core.payments", "is_deleted")
        if stands["is_deleted"]:
            self.live.pop(key, None)
        else:
            self.live[key] = (key, row["paid_on"], row["amount"], row["payer_tax_id"])


def _of(page: Page) -> tuple[list[str], list[bytes]]:
    return page.ids, page.payloads


@pytest.mark.parametrize("seed", range(6))
def test_a_copy_equals_the_books_after_every_quiet_reading(open_office: OpenOffice, seed: int) -> None:
    """Money taken back that stays, money that is lost between two pages, a document dated behind the reader."""
    world = empty_world()
    accountant = Accountant(world, seed)
    accountant.open_books()
    office = open_office(world, page_rows=7, faults=SeededFaults(seed, 0.1))
    office.server.before_page = accountant
    copy = Copy()
    for _ in range(3):
        accountant.is_on = True
        copy.sync(office)
        accountant.is_on = False
        for _ in range(5):
            accountant.act()
        copy.sync(office)
        assert set(copy.live.values()) == truth(world)["payments"]


def test_the_warehouse_equals_the_books_after_every_quiet_sync(open_books: OpenBooks) -> None:
    """The same through landing and conforming, all relations; and then nothing more is written."""
    world = empty_world()
    accountant = Accountant(world, 100)
    accountant.open_books()
    books = open_books(world, page_rows=7, faults=SeededFaults(100, 0.1))
    books.server.before_page = accountant
    for _ in range(2):
        accountant.is_on = True
        assert books.sync().errors == []
        accountant.is_on = False
        for _ in range(5):
            accountant.act()
        books.clock.advance(3600)
        assert books.sync().errors == []
        assert loaded(books) == truth(world)
        books.clock.advance(3600)
    written = [(stream.stream, stream.rows, stream.core_rows) for stream in books.sync().streams]
    assert written == [(name, 0, 0) for name, _, _ in written]


def test_unposting_takes_a_payment_back_and_posting_brings_it_again(open_books: OpenBooks) -> None:
    """In one run of conforming too (replay): the last state of the document decides, not the last deletion."""
    world = empty_world()
    key = receipt(world, 1, NOW - timedelta(days=2))
    books = open_books(world)
    states = []
    for posted in (True, False, True):
        world.edit(RECEIPTS, key, Posted=posted)
        books.clock.advance(3600)
        assert books.sync().is_ok
        states.append(books.ask("SELECT is_deleted FROM core.payments"))
    assert states == [[(False,)], [(True,)], [(False,)]]
    replay(books.project, clock=books.clock)
    assert books.ask("SELECT is_deleted FROM core.payments") == [(False,)]


def test_a_removed_document_stays_away_and_a_restored_one_returns(open_books: OpenBooks) -> None:
    world = empty_world()
    key = receipt(world, 1, NOW - timedelta(days=2))
    row = dict(world.row(RECEIPTS, key))
    books = open_books(world)
    books.sync()
    world.delete(RECEIPTS, key)
    books.clock.advance(3600)
    books.sync()
    assert books.ask("SELECT is_deleted FROM core.payments") == [(True,)]
    world.tables[RECEIPTS].append(row)
    books.clock.advance(3600)
    books.sync()
    assert books.ask("SELECT is_deleted FROM core.payments") == [(False,)]


def test_an_old_document_removed_is_found_by_a_full_reading(open_books: OpenBooks) -> None:
    """Beyond the window nothing tells of it."""
    world = empty_world()
    key = receipt(world, 1, NOW - timedelta(days=300))
    receipt(world, 2, NOW - timedelta(days=2))
    books = open_books(world)
    books.sync()
    world.delete(RECEIPTS, key)
    books.clock.advance(3600)
    books.sync()
    assert books.ask(f"SELECT count(*) FROM core.payments WHERE {LIVE}") == [(2,)]
    books.clock.advance(3600)
    books.sync(full=True)
    assert books.ask(f"SELECT count(*) FROM core.payments WHERE {LIVE}") == [(1,)]
