"""From a stored movement of a bank statement to `core.payments`. Pure: the payload and the context are all it knows."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from base.purposes import clean_purpose, read_vat_amount
from base.tax_ids import clean_tax_id
from base.text import say
from connectors.onec.money_kinds import BANK_TRANSIT, Facts, Kind, currency_of, kind_of
from connectors.onec.movements import DocumentError, Movement, clean_account, read_movement
from connectors.onec.particulars import Particulars
from connectors.onec.settings import OnecSettings
from connectors.stream import BadRecord, Brought, MapContext, RawRecord, Rows, target

PAYMENTS = target(
    "core.payments",
    "payment_id paid_on amount currency amount_reporting vat_amount kind payer_name payer_tax_id payer_account"
    " own_account purpose document_number document_on file channel",
)
CHANNEL = "statement"
# Payments of large statements are mapped as their documents are read (payments.py).
BROUGHT = Brought(PAYMENTS, record_id="payment_id", origin="file")


class Stored(msgspec.Struct):
    """A payload: the document's keys, and from which own account it is seen."""

    document: Particulars
    own_account: str
    direction: Literal["in", "out"]
    is_between_own: bool


_DECODER = msgspec.json.Decoder(Stored)


class Party(msgspec.Struct, frozen=True):
    """The other side of a movement, whoever paid."""

    name: str
    account: str
    tax_id: str | None


def map_movement(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """One payment, see `payment_of`."""
    stored = _DECODER.decode(record.payload)
    document = stored.document
    try:
        movement = read_movement(document, stored.own_account, stored.direction, is_between_own=stored.is_between_own)
    except DocumentError as error:
        raise BadRecord(
            error.code, error.message, path=f"$.document.{error.key}", expected=error.expected, got=error.got
        ) from None
    rows.add(PAYMENTS, (record.record_id, *payment_of(document, movement, context), record.origin, CHANNEL))


def payment_of(document: Particulars, movement: Movement, context: MapContext) -> tuple[Any, ...]:
    """The columns between the id and the file: positive came in, negative went out. VAT has the payment's sign.

    `paid_on` is the own side's booked day. `payer_…` is the other party, whoever paid. The payer's tax id stays empty
    where a bank stands between: it would be the bank's.

    Raises:
        BadRecord: the account's currency is unknown.
    """
    sign = 1 if movement.direction == "in" else -1
    other = _other_party(document, movement.direction)
    purpose = document.whole_purpose
    cleaned = clean_purpose(purpose)
    vat = read_vat_amount(cleaned)
    currency = _currency(movement.own_account, context)
    amount = sign * movement.amount
    return (
        movement.booked_on,
        amount,
        currency,
        amount if currency == context.currency else None,
        # A text can't hold more VAT than money: such a figure was misread or torn.
        sign * vat if vat is not None and vat < movement.amount else None,
        _kind(document, movement, other, cleaned, context),
        other.name or None,
        None if movement.other.startswith(BANK_TRANSIT) else other.tax_id,
        other.account or None,
        movement.own_account or None,
        purpose or None,
        movement.number or None,
        movement.ordered_on,
    )


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────

# `ИНН 7700000000\770101001 ООО "А"`, `7700000000, ООО "А"`; behind the name the real account of an indirect payment,
# or an individual's address.
_BEFORE_NAME = re.compile(r"^(?:ИНН\s*)?\d{10,12}(?:[\\/]\d{9})?[,\s]*", re.IGNORECASE)
_BEHIND_NAME = re.compile(r"\s+р/с\s+\d{20}.*$|//.*$", re.IGNORECASE)


def _other_party(document: Particulars, direction: Literal["in", "out"]) -> Party:
    if direction == "in":
        return Party(
            bare_name(document.payer_name or document.payer),
            document.payer_real_account or document.payer_account,
            clean_tax_id(document.payer_tax_id),
        )
    return Party(
        bare_name(document.payee_name or document.payee),
        document.payee_real_account or document.payee_account,
        clean_tax_id(document.payee_tax_id),
    )


def bare_name(name: str) -> str:
    """A party's name without tax id, account and address."""
    if name[:1].isdigit() or name[:3].upper() == "ИНН":
        name = _BEFORE_NAME.sub("", name)
    if "/" in name:
        name = _BEHIND_NAME.sub("", name)
    return name.strip()


def _currency(account: str, context: MapContext) -> str:
    try:
        return currency_of(account) or context.currency
    except KeyError:
        raise BadRecord(
            "unknown_currency",
            say("Неизвестная валюта счёта: код {code}.", "Unknown currency of the account: {code}.", code=account[5:8]),
            path="$.own_account",
            got=account[5:8],
        ) from None


def _kind(document: Particulars, movement: Movement, other: Party, purpose: str, context: MapContext) -> Kind:
    if _is_own_transfer(document, movement, other, context):
        return "own_transfer"
    return kind_of(
        Facts(
            direction=movement.direction,
            other_account=movement.other,
            purpose=purpose.casefold(),
            is_budget=_is_budget(document),
        )
    )


def _is_own_transfer(document: Particulars, movement: Movement, other: Party, context: MapContext) -> bool:
    """Both accounts are ours, or both sides are one taxpayer (or two of the configured ones), with no bank between."""
    if movement.is_between_own or movement.other in _own_accounts(context):
        return True
    if other.tax_id is None or movement.other.startswith(BANK_TRANSIT):
        return False
    own = document.payee_tax_id if movement.direction == "in" else document.payer_tax_id
    return other.tax_id in context.own_tax_ids or other.tax_id == clean_tax_id(own)


def _own_accounts(context: MapContext) -> frozenset[str]:
    known: frozenset[str] | None = context.cache.get("own_accounts")
    if known is None:
        settings = context.settings
        accounts = settings.own_accounts if isinstance(settings, OnecSettings) else []
        known = context.cache["own_accounts"] = frozenset(map(clean_account, accounts))
    return known


def _is_budget(document: Particulars) -> bool:
    """A 20-digit budget code, or a filled status of the payer: taxes. `0` stands for empty."""
    code = document.budget_code
    return (len(code) == 20 and code.strip("0") != "") or document.payer_status.strip("0") != ""
