"""A company's books in 1C's shapes (Бухгалтерия 3.0): catalogues and documents, as a user would have entered them."""

from __future__ import annotations

import base64
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zlib import crc32
from zoneinfo import ZoneInfo

from demo.story import Deal, Payment, Story

Json = dict[str, Any]

NO_KEY = "00000000-0000-0000-0000-000000000000"
NO_DATE = "0001-01-01T00:00:00"
RECEIPTS = "Document_ПоступлениеНаРасчетныйСчет"
WRITE_OFFS = "Document_СписаниеСРасчетногоСчета"
INVOICES = "Document_СчетНаОплатуПокупателю"
SALES = "Document_РеализацияТоваровУслуг"
RETURNS = "Document_ВозвратТоваровОтПокупателя"
PARTIES = "Catalog_Контрагенты"
ACCOUNTS = "Catalog_БанковскиеСчета"
CURRENCIES = "Catalog_Валюты"
CONTRACTS = "Catalog_ДоговорыКонтрагентов"
ORGANISATION = "55555555-0000-4000-8000-000000000001"
ROUBLE = "55555555-0000-4000-8000-000000000643"
_SPACE = uuid.UUID("6f9b3a52-0c61-4a27-9d0e-1c0000000001")
WON = 142


def key_for(kind: str, name: object) -> str:
    """The key of something in the books; the same in every run."""
    return str(uuid.uuid5(_SPACE, f"{kind}:{name}"))


@dataclass(kw_only=True)
class OnecWorld:
    """Published sets with their rows in the order they were entered. Tests may change them while they are read."""

    zone: ZoneInfo
    tables: dict[str, list[Json]] = field(default_factory=dict)
    # Fields a set publishes beside those of its rows.
    fields: dict[str, list[str]] = field(default_factory=dict)
    writes: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, entity_set: str, key: str, **values: Any) -> Json:
        """Enter a row; documents come unposted unless `Posted` says otherwise."""
        with self.lock:
            row: Json = {"Ref_Key": key, "DataVersion": self._stamp(), "DeletionMark": False, **values}
            self.tables.setdefault(entity_set, []).append(row)
            return row

    def document(self, entity_set: str, key: str, entered_at: datetime, **values: Any) -> Json:
        """Enter a posted document dated by a local time."""
        number = f"0000-{len(self.tables.get(entity_set, [])) + 1:06d}"
        return self.add(
            entity_set,
            key,
            **{"Number": number, "Date": f"{entered_at:%Y-%m-%dT%H:%M:%S}", "Posted": True, **values},
        )

    def edit(self, entity_set: str, key: str, **values: Any) -> None:
        with self.lock:
            self.row(entity_set, key).update(values, DataVersion=self._stamp())

    def delete(self, entity_set: str, key: str) -> None:
        """Removal for good, as «Удаление помеченных объектов» does it."""
        with self.lock:
            self.tables[entity_set].remove(self.row(entity_set, key))

    def row(self, entity_set: str, key: str) -> Json:
        return next(row for row in self.tables[entity_set] if row["Ref_Key"] == key)

    def _stamp(self) -> str:
        self.writes += 1
        return base64.b64encode(self.writes.to_bytes(8, "big")).decode()


def world_from_story(story: Story) -> OnecWorld:
    """The story's money, invoices and shipments; what happens after `told_at` isn't there yet."""
    world = OnecWorld(zone=ZoneInfo(story.timezone))
    for entity_set in (PARTIES, ACCOUNTS, CURRENCIES, CONTRACTS, RECEIPTS, WRITE_OFFS, INVOICES, SALES, RETURNS):
        world.tables[entity_set] = []
    _Books(world, story).enter()
    return world


class _Books:
    def __init__(self, world: OnecWorld, story: Story) -> None:
        self._world = world
        self._story = story
        self._told_on = story.told_at.astimezone(world.zone).date()
        self._invoices: dict[int, str] = {}
        self._entered: set[str] = set()

    def enter(self) -> None:
        story, world = self._story, self._world
        world.add(CURRENCIES, ROUBLE, Code="643", Description="руб.")
        for number in (story.own_account, story.second_account):
            if number:
                self._account(number, ORGANISATION)
        for deal in story.deals:
            self._invoice(deal)
        for payment in story.payments:
            if payment.paid_on <= self._told_on:
                for account, amount in self._sides(payment):
                    self._payment(payment, account, amount)

    def _sides(self, payment: Payment) -> Iterator[tuple[str, Decimal]]:
        yield self._story.own_account, payment.amount
        if payment.is_own_transfer and payment.payer_account == self._story.second_account:
            yield self._story.second_account, -payment.amount

    def _invoice(self, deal: Deal) -> None:
        if deal.invoice_number is None:
            return
        issued = (deal.created_at + timedelta(days=1)).astimezone(self._world.zone)
        amount = deal.amount_changes[-1].amount if deal.amount_changes else deal.amount
        party = self._party(deal.customer, deal.tax_id or "")
        values = {
            "Организация_Key": ORGANISATION,
            "Контрагент_Key": party,
            "ВалютаДокумента_Key": ROUBLE,
            "СуммаДокумента": money(amount),
            "Комментарий": "",
        }
        key = key_for("invoice", deal.deal_id)
        # Invoices of Бухгалтерия are valid as soon as they are written.
        self._world.document(INVOICES, key, issued, Posted=False, **{**values, "Number": deal.invoice_number})
        self._invoices[deal.deal_id] = key
        won = next((move for move in deal.moves if move.stage_id == WON), None)
        if won is not None:
            shipped = won.moved_at.astimezone(self._world.zone)
            basis = {"СчетНаОплатуПокупателю_Key": key, "ВидОперации": "Товары"}
            self._world.document(SALES, key_for("sale", deal.deal_id), shipped, **values, **basis)

    def _payment(self, payment: Payment, account: str, amount: Decimal) -> None:
        is_receipt = amount > 0
        key = key_for("payment", f"{payment.number}|{payment.paid_on}|{amount}|{account}|{payment.payer_account}")
        while key in self._entered:  # two equal payments of one day
            key = key_for("twin", key)
        self._entered.add(key)
        invoice = self._invoices.get(payment.deal_id or 0, NO_KEY)
        # An accountant ties about half of the receipts to their invoice.
        basis = invoice if crc32(key.encode()) % 2 else NO_KEY
        part = {"LineNumber": "1", "СуммаПлатежа": money(abs(amount)), "СчетНаОплату_Key": basis}
        other = payment.payer_account if account == self._story.own_account else self._story.own_account
        self._world.document(
            RECEIPTS if is_receipt else WRITE_OFFS,
            key,
            _technical_time(payment.paid_on, key),
            ВидОперации=_operation(payment, is_receipt),
            Организация_Key=ORGANISATION,
            СчетОрганизации_Key=self._account(account, ORGANISATION),
            Контрагент=self._party(payment.payer, payment.payer_tax_id),
            Контрагент_Type="StandardODATA.Catalog_Контрагенты",
            СчетКонтрагента_Key=self._account(other, ""),
            ВалютаДокумента_Key=ROUBLE,
            СуммаДокумента=money(abs(amount)),
            НомерВходящегоДокумента=payment.number,
            ДатаВходящегоДокумента=f"{payment.ordered_on or payment.paid_on}T00:00:00",
            НазначениеПлатежа=payment.purpose,
            Комментарий="",
            РасшифровкаПлатежа=[part],
        )

    def _party(self, name: str, tax_id: str) -> str:
        key = key_for("party", tax_id or name)
        self._once(PARTIES, key, Description=name, НаименованиеПолное=name, ИНН=tax_id, КПП="", IsFolder=False)
        return key

    def _account(self, number: str, owner: str) -> str:
        if not number:
            return NO_KEY
        key = key_for("account", number)
        self._once(ACCOUNTS, key, Description=number, НомерСчета=number, ВалютаДенежныхСредств_Key=ROUBLE)
        return key

    def _once(self, entity_set: str, key: str, **values: Any) -> None:
        if key not in self._entered:
            self._entered.add(key)
            self._world.add(entity_set, key, **values)


def money(amount: Decimal) -> int | float:
    """A JSON number as 1C writes it."""
    return int(amount) if amount == int(amount) else float(amount)


def _technical_time(day: date, key: str) -> datetime:
    """Whole days share a second: documents loaded from a bank carry no time."""
    hour = (0, 0, 0, 12, 18)[crc32(key.encode()) % 5]
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def _operation(payment: Payment, is_receipt: bool) -> str:
    if payment.is_own_transfer:
        return "ПереводСДругогоСчета" if is_receipt else "ПереводНаДругойСчет"
    if is_receipt:
        return "ОплатаПокупателя"
    return "ВозвратПокупателю" if payment.purpose.startswith("Возврат") else "ОплатаПоставщику"
