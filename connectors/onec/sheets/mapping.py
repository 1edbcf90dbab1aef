"""From a stored row of a table to the core. Pure: the payload and the context are all it knows."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from base.purposes import read_vat_amount
from base.text import say
from connectors.onec.money_kinds import BANK_TRANSIT, CURRENCIES, Facts, Kind, currency_of, kind_of
from connectors.onec.movements import clean_account
from connectors.onec.settings import OnecSettings
from connectors.onec.sheets.entry import Entry
from connectors.stream import BadRecord, MapContext, RawRecord, Rows, target

PAYMENTS = target(
    "core.payments",
    "payment_id paid_on amount currency amount_reporting vat_amount kind payer_name payer_tax_id payer_account"
    " own_account purpose document_number document_on order_id invoice_number contract_number file channel",
)
ORDERS = target(
    "core.orders",
    "order_id number issued_on amount currency customer_tax_id customer_name channel deal_source deal_id",
)
SALES = target(
    "core.sales_documents",
    "document_id number issued_on amount currency order_id customer_tax_id customer_name channel deal_source deal_id",
)
COSTS = target("core.costs", "cost_id number issued_on amount currency deal_source deal_id")
RECEIVABLES = target(
    "core.receivables",
    "receivable_id number issued_on as_of due_on amount currency customer deal_source deal_id",
)
# A row its file no longer states. Costs and debts have no mark for it: they are worth nothing then.
GONE = {
    "payments": target("core.payments", "payment_id is_deleted"),
    "orders": target("core.orders", "order_id is_deleted"),
    "sales": target("core.sales_documents", "document_id is_deleted"),
    "costs": target("core.costs", "cost_id amount"),
    "receivables": target("core.receivables", "receivable_id amount"),
}
CHANNEL = "sheet"
_DECODER = msgspec.json.Decoder(Entry)


def map_sheet_row(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """One row of the relation that the table's kind names."""
    entry = _DECODER.decode(record.payload)
    if entry.is_gone:
        into = GONE[entry.kind]
        rows.add(into, (record.record_id, True if "is_deleted" in into.columns else entry.amount))
        return
    into, make = _MAKERS[entry.kind]
    rows.add(into, make(record, entry, context))


def _payment(record: RawRecord, entry: Entry, context: MapContext) -> tuple[Any, ...]:
    sign = -1 if entry.direction == "out" else 1
    purpose = entry.purpose or ""
    currency = _currency(entry, context)
    amount = sign * entry.amount
    vat = read_vat_amount(purpose) if purpose else None
    is_transit = (entry.account or "").startswith(BANK_TRANSIT)
    return (
        record.record_id,
        entry.date,
        amount,
        currency,
        amount if currency == context.currency else None,
        sign * vat if vat is not None and vat < entry.amount else None,
        _kind(entry, purpose, context),
        entry.counterparty,
        None if is_transit else entry.tax_id,
        entry.account,
        entry.own_account,
        purpose or None,
        _payment_order(entry),
        entry.document_on or entry.date,
        entry.order,
        entry.invoice,
        entry.contract,
        file_of(record.origin),
        CHANNEL,
    )


def _order(record: RawRecord, entry: Entry, context: MapContext) -> tuple[Any, ...]:
    return (
        record.record_id,
        entry.number,
        entry.document_on or entry.date,
        entry.amount,
        _currency(entry, context),
        entry.tax_id,
        entry.counterparty,
        CHANNEL,
        entry.deal_source,
        entry.deal,
    )


def _sale(record: RawRecord, entry: Entry, context: MapContext) -> tuple[Any, ...]:
    return (
        record.record_id,
        entry.number,
        entry.date or entry.document_on,
        _signed(entry),
        _currency(entry, context),
        entry.order,
        entry.tax_id,
        entry.counterparty,
        CHANNEL,
        entry.deal_source,
        entry.deal,
    )


def _cost(record: RawRecord, entry: Entry, context: MapContext) -> tuple[Any, ...]:
    return (
        record.record_id,
        entry.number,
        entry.date or entry.document_on,
        _signed(entry),
        _currency(entry, context),
        entry.deal_source,
        entry.deal,
    )


def _signed(entry: Entry) -> Decimal:
    """1C writes the amount of a return without a minus."""
    words = f"{entry.document_type or ''} {entry.operation or ''}".casefold()
    return -entry.amount if "возврат" in words and entry.amount > 0 else entry.amount


def _receivable(record: RawRecord, entry: Entry, context: MapContext) -> tuple[Any, ...]:
    return (
        record.record_id,
        entry.number,
        entry.document_on,
        entry.date,
        entry.due_on,
        entry.amount,
        _currency(entry, context),
        entry.counterparty,
        entry.deal_source,
        entry.deal,
    )


_MAKERS: dict[str, tuple[Any, Callable[[RawRecord, Entry, MapContext], tuple[Any, ...]]]] = {
    "payments": (PAYMENTS, _payment),
    "orders": (ORDERS, _order),
    "sales": (SALES, _sale),
    "costs": (COSTS, _cost),
    "receivables": (RECEIVABLES, _receivable),
}


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────


def file_of(origin: str | None) -> str | None:
    """The file of an origin, without the place in it."""
    return origin.rpartition(":")[0] or None if origin else None


_NAMED_CURRENCIES = {"РУБ": "RUB", "RUR": "RUB", "₽": "RUB", "ТЕНГЕ": "KZT", "ДОЛЛ": "USD", "ЕВРО": "EUR"}


def _currency(entry: Entry, context: MapContext) -> str:
    """Of its column (`RUB`, `руб.`, `643`), else of the own account, else the company's."""
    named = (entry.currency or "").strip().upper().rstrip(".")
    if named:
        found = CURRENCIES.get(named) or _NAMED_CURRENCIES.get(named) or (named if named.isascii() else None)
        if found is None or len(found) != 3 or not found.isalpha():
            raise BadRecord(
                "unknown_currency",
                say("Неизвестная валюта: {text!r}.", "Unknown currency: {text!r}.", text=entry.currency),
                path="$.currency",
                got=entry.currency or "",
            )
        return found
    try:
        return currency_of(entry.own_account or "") or context.currency
    except KeyError:
        return context.currency


# What the other account of 1C's chart says: (money came, money went). Prefixes, the first that fits.
_BY_ACCOUNT: tuple[tuple[str, Kind, Kind], ...] = (
    ("62", "customer", "refund"),
    ("57.03", "customer", "other"),  # card sales on their way
    ("57.02", "customer", "other"),
    ("50", "own_transfer", "own_transfer"),
    ("51", "own_transfer", "own_transfer"),
    ("52", "own_transfer", "own_transfer"),
    ("55", "own_transfer", "own_transfer"),
    ("57", "own_transfer", "own_transfer"),
)
# 1C's kinds of operation, by a part of their names.
_BY_OPERATION: tuple[tuple[str, Kind], ...] = (
    ("возврат поставщик", "other"),
    ("возврат от поставщик", "other"),
    ("возврат оплаты клиент", "refund"),
    ("возврат покупател", "refund"),
    ("оплата от покупател", "customer"),
    ("оплата покупател", "customer"),
    ("поступление оплаты от клиент", "customer"),
    ("платежным картам", "customer"),
    ("перевод", "own_transfer"),
    ("инкассац", "own_transfer"),
    ("взнос наличн", "own_transfer"),
    ("прочее", "other"),
    ("оплата поставщик", "other"),
)


# Accounting's own numbers (`ТП00-000031`): no bank knows them.
_OWN_NUMBER = re.compile(r"^\w{2,4}-\d{5,6}$")


def _payment_order(entry: Entry) -> str | None:
    """The payment order's number, by which the bank's copy of this payment is recognised."""
    if entry.payment_order:
        return entry.payment_order
    is_own = entry.document_type is not None or _OWN_NUMBER.match(entry.number or "")
    return None if is_own else entry.number


def _kind(entry: Entry, purpose: str, context: MapContext) -> Kind:
    """By whose money it is, 1C's own account or operation, else by what the purpose says."""
    came = entry.direction != "out"
    if _is_ours(entry, context):
        return "own_transfer"
    if entry.corr_account and not entry.corr_account.startswith("76"):
        return _by_account(entry.corr_account, came)
    if entry.operation:
        operation = " ".join(entry.operation.casefold().replace("ё", "е").split())
        stated = next((kind for words, kind in _BY_OPERATION if words in operation), None)
        if stated is not None:
            return stated
    return kind_of(
        Facts(
            direction="in" if came else "out",
            other_account=entry.account or "",
            purpose=" ".join(purpose.casefold().replace("ё", "е").split()),
            is_budget=False,
        )
    )


def _by_account(account: str, came: bool) -> Kind:
    for prefix, incoming, outgoing in _BY_ACCOUNT:
        if account.startswith(prefix):
            return incoming if came else outgoing
    return "other"


def _is_ours(entry: Entry, context: MapContext) -> bool:
    if entry.tax_id is not None and entry.tax_id in context.own_tax_ids:
        return True
    own: frozenset[str] | None = context.cache.get("own_accounts")
    if own is None:
        settings = context.settings
        accounts = settings.own_accounts if isinstance(settings, OnecSettings) else []
        own = context.cache["own_accounts"] = frozenset(map(clean_account, accounts))
    return entry.account in own
