"""From a document to movements of money on own accounts: side, day, amount, and the key that makes a record of it.

There is no document id in the format and statements overlap, so a movement's id is its natural key: own account,
direction, booked day, number, order date, amount and counterparty. The purpose stays out, channels re-wrap it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Literal

import msgspec

from base.money import parse_money
from base.tax_ids import clean_tax_id
from base.text import Text, say
from connectors.onec.statement import Block

Direction = Literal["in", "out"]
# Key prefix of the own side and of the other one, and the key of the own side's booked day.
PAYER, PAYEE = "Плательщик", "Получатель"
_OUT: Direction = "out"
_IN: Direction = "in"
DEBITED, CREDITED = "ДатаСписано", "ДатаПоступило"


class DocumentError(Exception):
    """One document can't be read; `key` is the line of it that is wrong."""

    def __init__(self, code: str, message: Text, *, key: str = "", expected: str = "", got: str = "") -> None:
        super().__init__(str(message))
        self.code = code
        self.message = message
        self.key = key
        self.expected = expected
        self.got = got


class Movement(msgspec.Struct, frozen=True):
    """Money that came to or left one own account, by one document."""

    own_account: str
    direction: Direction
    booked_on: date
    amount: Decimal  # positive
    number: str
    ordered_on: date | None
    other: str  # the other party's account, else taxpayer id, else ""
    is_between_own: bool  # the other account is known to be ours too


@dataclass(frozen=True)
class OwnAccounts:
    """`stated`: those of the document's statement (or of the configuration, if it states none): only they get
    movements. `known`: all that are known to be ours."""

    stated: frozenset[str]
    known: frozenset[str]


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────


def clean_account(text: str) -> str:
    """An account's letters and digits: `40702.810.6 0000…` and `KZ…` as they compare."""
    return text if text.isalnum() else "".join(filter(str.isalnum, text))


@lru_cache(maxsize=4096)  # a statement repeats a few dates many thousand times
def read_day(text: str) -> date | None:
    """`dd.mm.yyyy`, with or without a time; an empty value and `00.00.0000` mean none.

    Raises:
        ValueError: something else.
    """
    day = text[:10].strip()
    if not day or day == "00.00.0000":
        return None
    return datetime.strptime(day, "%d.%m.%Y").date() if day.count(".") == 2 else date.fromisoformat(day)  # noqa: DTZ007


def _day(document: Block, keys: tuple[str, ...]) -> date | None:
    for key in keys:
        text = document.values.get(key)
        if not text:
            continue
        try:
            day = read_day(text)
        except ValueError:
            message = say("Непонятная дата: {key}={text}.", "Unreadable date: {key}={text}.", key=key, text=text)
            raise DocumentError("bad_date", message, key=key, expected="dd.mm.yyyy", got=text) from None
        if day is not None:
            return day
    return None


def read_amount(document: Block) -> Decimal:
    """`Сумма`, which is never negative: the sign comes from the direction.

    Raises:
        DocumentError: no amount.
    """
    text = document.values.get("Сумма", "")
    try:
        amount = parse_money(text)
    except ValueError:
        amount = Decimal(-1)
    if amount < 0:
        message = say("Непонятная сумма: {text!r}.", "Unreadable amount: {text!r}.", text=text)
        raise DocumentError("bad_amount", message, key="Сумма", expected="1000.50", got=text)
    return amount


def _accounts(document: Block, side: str) -> list[str]:
    """Both accounts of a side: the one used for settlement, and the real one of an indirect settlement."""
    first, second = _ACCOUNT_KEYS[side]
    values = document.values
    return [clean_account(text) for text in (values.get(first), values.get(second)) if text]


_ACCOUNT_KEYS = {side: (f"{side}Счет", f"{side}РасчСчет") for side in (PAYER, PAYEE)}
_DAY_KEYS = {"in": (CREDITED, DEBITED, "Дата"), "out": (DEBITED, CREDITED, "Дата")}


# ── movements ───────────────────────────────────────────────────────────────────────────────────────────────────


def read_movements(document: Block, own: OwnAccounts) -> list[Movement]:
    """The movements of a document: one, or two (out, in) when both sides are own accounts of the same statement.

    Accounts beat dates: card and cash-in documents come with a filled `ДатаСписано` and no `ДатаПоступило`.

    Raises:
        DocumentError: no readable amount or day, or nothing tells in which direction the money went.
    """
    payers, payees = _accounts(document, PAYER), _accounts(document, PAYEE)
    payer = next((account for account in payers if account in own.stated), None)
    payee = next((account for account in payees if account in own.stated), None)
    sides: list[tuple[str, Direction]] = []
    if payer != payee:
        sides = [(account, way) for account, way in ((payer, _OUT), (payee, _IN)) if account]
    if not sides:
        direction = _direction_by_dates(document)
        sides = [(payer or _own_account(document, direction, own), direction)]
    movements = []
    for account, way in sides:
        others = payers if way == _IN else payees
        is_between_own = not own.known.isdisjoint(others)
        movements.append(_movement(document, account, way, others, is_between_own=is_between_own))
    return movements


def _direction_by_dates(document: Block) -> Direction:
    debited, credited = _day(document, (DEBITED,)), _day(document, (CREDITED,))
    if credited and not debited:
        return "in"
    if debited and not credited:
        return "out"
    raise DocumentError(
        "unknown_direction",
        say(
            "Ни один счёт документа не указан в выписке как свой: непонятно, пришли деньги или ушли.",
            "Neither account of the document is stated as own: it is unclear whether money came or went.",
        ),
        key=f"{PAYER}Счет",
        got=", ".join(account for side in (PAYER, PAYEE) for account in _accounts(document, side)[:1]),
    )


def _own_account(document: Block, direction: Direction, own: OwnAccounts) -> str:
    if len(own.stated) == 1:
        return next(iter(own.stated))
    accounts = _accounts(document, PAYEE if direction == "in" else PAYER)
    return accounts[0] if accounts else ""


def read_movement(document: Block, own_account: str, direction: Direction, *, is_between_own: bool) -> Movement:
    """The movement of a document whose own side is known.

    Raises:
        DocumentError: no readable amount or day.
    """
    others = _accounts(document, PAYER if direction == "in" else PAYEE)
    return _movement(document, own_account, direction, others, is_between_own=is_between_own)


def _movement(
    document: Block, own_account: str, direction: Direction, others: list[str], *, is_between_own: bool
) -> Movement:
    days = _DAY_KEYS[direction]
    booked_on = _day(document, days)
    if booked_on is None:
        message = say("В документе нет даты.", "The document has no date.")
        raise DocumentError("no_date", message, key=days[0], expected="dd.mm.yyyy")
    # The real account where the bank gives both.
    other = others[-1] if others else _tax_id_of_other(document, direction)
    return Movement(
        own_account,
        direction,
        booked_on,
        read_amount(document),
        document.values.get("Номер", ""),
        _day(document, ("Дата",)),
        other,
        is_between_own,
    )


def _tax_id_of_other(document: Block, direction: Direction) -> str:
    return clean_tax_id(document.get(f"{PAYER if direction == 'in' else PAYEE}ИНН")) or ""


# ── records ─────────────────────────────────────────────────────────────────────────────────────────────────────


def natural_key(movement: Movement) -> bytes:
    """What makes two lines of two statements the same movement, as a digest."""
    ordered_on = movement.ordered_on
    parts = (
        f"{movement.own_account}\x1f{movement.direction}\x1f{movement.booked_on}\x1f{movement.number.lstrip('0')}"
        f"\x1f{ordered_on or ''}\x1f{movement.amount}\x1f{movement.other}"
    )
    return blake2b(parts.encode(), digest_size=8).digest()


def record_id(booked_on: str, number: str, key: bytes, ordinal: int) -> str:
    """`2026-02-02_501_9f3c2a7b1d0e4c55`; the second of genuine twins ends in `.2`."""
    short = number.lstrip("0")
    if not short.isalnum():
        short = "".join(filter(str.isalnum, short))
    twin = f".{ordinal}" if ordinal > 1 else ""
    return f"{booked_on}_{short}_{key.hex()}{twin}"


def document_json(document: Block) -> bytes:
    """A document's own keys, sorted."""
    return msgspec.json.encode({**document.values, "СекцияДокумент": document.title}, order="sorted")


def payload(document: bytes, own_account: str, direction: str, *, is_between_own: bool) -> bytes:
    """The record as it is kept: the document's own keys (`document_json`), and whose account it is seen from. No file,
    no line, so that the copy in an overlapping statement is the same payload. Keys stand in alphabetical order."""
    flag = b"true" if is_between_own else b"false"
    account = msgspec.json.encode(own_account)
    return b'{"direction":"%s","document":%s,"is_between_own":%s,"own_account":%s}' % (
        direction.encode(),
        document,
        flag,
        account,
    )


def unreadable_payload(document: Block) -> bytes:
    """A document that gave no movement, as it is kept beside its reject."""
    return b'{"document":%s}' % document_json(document)
