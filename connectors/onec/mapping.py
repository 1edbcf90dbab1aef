"""From a stored movement of a bank statement to `core.payments`. Pure: the payload and the context are all it knows."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from base.purposes import clean_purpose, read_vat_amount
from base.tax_ids import clean_tax_id
from base.text import say
from connectors.onec.money_kinds import BANK_TRANSIT, Facts, Kind, currency_of, kind_of
from connectors.onec.movements import (
    CREDITED,
    DEBITED,
    PAYEE,
    PAYER,
    DocumentError,
    Movement,
    clean_account,
    read_movement,
)
from connectors.onec.settings import OnecSettings
from connectors.onec.statement import Block
from connectors.stream import BadRecord, MapContext, RawRecord, Rows, target

PAYMENTS = target(
    "core.payments",
    "payment_id paid_on amount currency amount_reporting vat_amount kind payer_name payer_tax_id payer_account"
    " own_account purpose document_number document_on file channel",
)
CHANNEL = "statement"

# The keys of a document that a payment is made of; the others stay in the payload and aren't even decoded.
_KEYS = (
    *(f"{side}{suffix}" for side in (PAYER, PAYEE) for suffix in ("", "1", "ИНН", "Счет", "РасчСчет")),
    *("СекцияДокумент", "Номер", "Дата", "Сумма", DEBITED, CREDITED, "СтатусСоставителя", "ПоказательКБК"),
    *("НазначениеПлатежа", *(f"НазначениеПлатежа{line}" for line in range(1, 7))),
)
_FIELDS = [f"key_{place}" for place in range(len(_KEYS))]
# A struct and no TypedDict: msgspec 0.22 finds none of the Cyrillic keys of a TypedDict.
_DOCUMENT = msgspec.json.Decoder(
    msgspec.defstruct(
        "Document", [(name, str, "") for name in _FIELDS], rename=dict(zip(_FIELDS, _KEYS, strict=True)), frozen=True
    )
)


class Stored(msgspec.Struct):
    """A payload: the document's keys, and from which own account it is seen."""

    document: msgspec.Raw
    own_account: str
    direction: Literal["in", "out"]
    is_between_own: bool


_DECODER = msgspec.json.Decoder(Stored)


def _document_of(stored: Stored) -> Block:
    values = msgspec.structs.astuple(_DOCUMENT.decode(stored.document))
    filled = {key: value for key, value in zip(_KEYS, values, strict=True) if value}
    return Block("document", 0, 0, filled.get("СекцияДокумент", ""), filled)


def map_movement(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """One payment: positive came in, negative went out. VAT has the payment's sign.

    `paid_on` is the own side's booked day. `payer_…` is the other party, whoever paid. The payer's tax id stays empty
    where a bank stands between: it would be the bank's.
    """
    stored = _DECODER.decode(record.payload)
    document = _document_of(stored)
    try:
        movement = read_movement(document, stored.own_account, stored.direction, is_between_own=stored.is_between_own)
    except DocumentError as error:
        raise BadRecord(
            error.code, error.message, path=f"$.document.{error.key}", expected=error.expected, got=error.got
        ) from None
    side = PAYER if stored.direction == "in" else PAYEE
    purpose = purpose_of(document)
    cleaned = clean_purpose(purpose)
    sign = 1 if stored.direction == "in" else -1
    vat = read_vat_amount(cleaned)
    currency = _currency(stored.own_account, context)
    is_transit = movement.other.startswith(BANK_TRANSIT)
    amount = sign * movement.amount
    rows.add(
        PAYMENTS,
        (
            record.record_id,
            movement.booked_on,
            amount,
            currency,
            amount if currency == context.currency else None,
            # A text can't hold more VAT than money: such a figure was misread or torn.
            sign * vat if vat is not None and vat < movement.amount else None,
            _kind(document, movement, cleaned, context),
            name_of(document, side) or None,
            None if is_transit else clean_tax_id(document.get(f"{side}ИНН")),
            document.get(f"{side}РасчСчет", f"{side}Счет") or None,
            stored.own_account or None,
            purpose or None,
            movement.number or None,
            movement.ordered_on,
            record.origin,
            CHANNEL,
        ),
    )


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────

_PURPOSE_LINES = tuple(f"НазначениеПлатежа{line}" for line in range(1, 7))
# `ИНН 7700000000\770101001 ООО "А"`, `7700000000, ООО "А"`; behind the name the real account of an indirect payment,
# or an individual's address.
_BEFORE_NAME = re.compile(r"^(?:ИНН\s*)?\d{10,12}(?:[\\/]\d{9})?[,\s]*", re.IGNORECASE)
_BEHIND_NAME = re.compile(r"\s+р/с\s+\d{20}.*$|//.*$", re.IGNORECASE)
_NAME_KEYS = {side: (f"{side}1", side) for side in (PAYER, PAYEE)}


def purpose_of(document: Block) -> str:
    """The whole purpose, else its lines joined; never both, which would double every number in it."""
    whole = document.get("НазначениеПлатежа")
    return whole or " ".join(part for key in _PURPOSE_LINES if (part := document.get(key)))


def name_of(document: Block, side: str) -> str:
    """The name of a side without tax id, account and address."""
    name = document.get(*_NAME_KEYS[side])
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


def _kind(document: Block, movement: Movement, purpose: str, context: MapContext) -> Kind:
    if _is_own_transfer(document, movement, context):
        return "own_transfer"
    return kind_of(
        Facts(
            direction=movement.direction,
            other_account=movement.other,
            purpose=purpose.casefold(),
            is_budget=_is_budget(document),
        )
    )


def _is_own_transfer(document: Block, movement: Movement, context: MapContext) -> bool:
    """Both accounts are ours, or both sides are one taxpayer (or two of the configured ones), with no bank between."""
    if movement.is_between_own or movement.other in _own_accounts(context):
        return True
    own_side, other_side = (PAYEE, PAYER) if movement.direction == "in" else (PAYER, PAYEE)
    other = clean_tax_id(document.get(f"{other_side}ИНН"))
    if other is None or movement.other.startswith(BANK_TRANSIT):
        return False
    return other in context.own_tax_ids or other == clean_tax_id(document.get(f"{own_side}ИНН"))


def _own_accounts(context: MapContext) -> frozenset[str]:
    known: frozenset[str] | None = context.cache.get("own_accounts")
    if known is None:
        settings = context.settings
        accounts = settings.own_accounts if isinstance(settings, OnecSettings) else []
        known = context.cache["own_accounts"] = frozenset(map(clean_account, accounts))
    return known


def _is_budget(document: Block) -> bool:
    """A 20-digit budget code, or a filled status of the payer: taxes. `0` stands for empty."""
    code = document.get("ПоказательКБК")
    return (len(code) == 20 and code.strip("0") != "") or document.get("СтатусСоставителя").strip("0") != ""
