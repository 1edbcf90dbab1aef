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
from connectors.onec.particulars import CREDITED, DEBITED, ORDERED, PAYER, Particulars

Direction = Literal["in", "out"]
KEY_BYTES = 8
_OUT: Direction = "out"
_IN: Direction = "in"


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


def _day(key: str, text: str) -> date | None:
    try:
        return read_day(text)
    except ValueError:
        message = say("Непонятная дата: {key}={text}.", "Unreadable date: {key}={text}.", key=key, text=text)
        raise DocumentError("bad_date", message, key=key, expected="dd.mm.yyyy", got=text) from None


def _amount(text: str) -> Decimal:
    """`Сумма`, which is never negative: the sign comes from the direction."""
    try:
        amount = parse_money(text)
    except ValueError:
        amount = Decimal(-1)
    if amount < 0:
        message = say("Непонятная сумма: {text!r}.", "Unreadable amount: {text!r}.", text=text)
        raise DocumentError("bad_amount", message, key="Сумма", expected="1000.50", got=text)
    return amount


def _accounts(first: str, second: str) -> list[str]:
    """The accounts of a side: the one used for settlement, and another real one of an indirect settlement."""
    if first == second or not second:
        return [clean_account(first)] if first else []
    return [clean_account(first), clean_account(second)] if first else [clean_account(second)]


# ── movements ───────────────────────────────────────────────────────────────────────────────────────────────────


def read_movements(written: Particulars, own: OwnAccounts) -> list[Movement]:
    """The movements of a document: one, or two (out, in) when both sides are own accounts of the same statement.

    Accounts beat dates: card and cash-in documents come with a filled `ДатаСписано` and no `ДатаПоступило`.

    Raises:
        DocumentError: no readable amount or day, or nothing tells in which direction the money went.
    """
    payers = _accounts(written.payer_account, written.payer_real_account)
    payees = _accounts(written.payee_account, written.payee_real_account)
    payer = _first_of(payers, own.stated)
    payee = _first_of(payees, own.stated)
    movements = []
    if payer != payee:
        if payer:
            movements.append(_movement(written, payer, _OUT, payees, own))
        if payee:
            movements.append(_movement(written, payee, _IN, payers, own))
    if not movements:
        direction = _direction_by_dates(written, payers, payees)
        ours, others = (payees, payers) if direction == _IN else (payers, payees)
        account = payer or _own_account(ours, own)
        movements.append(_movement(written, account, direction, others, own))
    return movements


def common_movement(written: Particulars, own: OwnAccounts) -> Movement | None:
    """The one movement of a document as nearly all of them are, in a third of the time; None: see `read_movements`.

    Both sides have an account, one of them is stated as own and has its day, and the amount has a point.
    """
    payer, payee, amount = written.payer_account, written.payee_account, written.amount
    payer_real, payee_real = written.payer_real_account, written.payee_real_account
    if not (payer.isalnum() and payee.isalnum() and payer_real in (payer, "") and payee_real in (payee, "")):
        return None
    left, came = payer in own.stated, payee in own.stated
    if left == came or not (amount.isascii() and amount[-3:-2] == "." and amount[:-3].isdigit()):
        return None
    try:
        booked_on = read_day(written.debited if left else written.credited)
        ordered_on = read_day(written.ordered)
        money = parse_money(amount)
    except ValueError:
        return None
    if booked_on is None:
        return None
    account, way, other = (payer, _OUT, payee) if left else (payee, _IN, payer)
    return Movement(account, way, booked_on, money, written.number, ordered_on, other, other in own.known)


def _first_of(accounts: list[str], known: frozenset[str]) -> str | None:
    for account in accounts:
        if account in known:
            return account
    return None


def _direction_by_dates(written: Particulars, payers: list[str], payees: list[str]) -> Direction:
    debited, credited = _day(DEBITED, written.debited), _day(CREDITED, written.credited)
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
        got=", ".join(account for accounts in (payers, payees) for account in accounts[:1]),
    )


def _own_account(ours: list[str], own: OwnAccounts) -> str:
    if len(own.stated) == 1:
        return next(iter(own.stated))
    return ours[0] if ours else ""


def read_movement(written: Particulars, own_account: str, direction: Direction, *, is_between_own: bool) -> Movement:
    """The movement of a document whose own side is known.

    Raises:
        DocumentError: no readable amount or day.
    """
    if direction == "in":
        others = _accounts(written.payer_account, written.payer_real_account)
    else:
        others = _accounts(written.payee_account, written.payee_real_account)
    return _movement(written, own_account, direction, others, is_between_own)


def _movement(
    written: Particulars, own_account: str, direction: Direction, others: list[str], own: OwnAccounts | bool
) -> Movement:
    """`own`: the own accounts, or whether the other side is known to be ours."""
    # The real account where the bank gives both.
    other = others[-1] if others else _tax_id_of_other(written, direction)
    return Movement(
        own_account,
        direction,
        _booked_on(written, direction),
        _amount(written.amount),
        written.number,
        _day(ORDERED, written.ordered),
        other,
        own if isinstance(own, bool) else not own.known.isdisjoint(others),
    )


def _booked_on(written: Particulars, direction: Direction) -> date:
    """The own side's day, else the other side's, else the document's."""
    came, left = (CREDITED, written.credited), (DEBITED, written.debited)
    for key, text in (came, left) if direction == "in" else (left, came):
        if text and (day := _day(key, text)) is not None:
            return day
    if written.ordered and (day := _day(ORDERED, written.ordered)) is not None:
        return day
    message = say("В документе нет даты.", "The document has no date.")
    raise DocumentError("no_date", message, key=CREDITED if direction == "in" else DEBITED, expected="dd.mm.yyyy")


def _tax_id_of_other(written: Particulars, direction: Direction) -> str:
    return clean_tax_id(written.payer_tax_id if direction == "in" else written.payee_tax_id) or ""


# ── records ─────────────────────────────────────────────────────────────────────────────────────────────────────


def natural_key(movement: Movement) -> bytes:
    """What makes two lines of two statements the same movement, as a digest."""
    ordered_on = movement.ordered_on
    parts = (
        f"{movement.own_account}\x1f{movement.direction}\x1f{iso_of(movement.booked_on)}"
        f"\x1f{movement.number.lstrip('0')}\x1f{iso_of(ordered_on) if ordered_on else ''}"
        f"\x1f{movement.amount!s}\x1f{movement.other}"
    )
    return blake2b(parts.encode(), digest_size=KEY_BYTES).digest()


def record_id(movement: Movement, key: bytes) -> str:
    """`2026-02-02_501_9f3c2a7b1d0e4c55` with the movement's natural key."""
    short = movement.number.lstrip("0")
    if not short.isalnum():
        short = "".join(filter(str.isalnum, short))
    return f"{iso_of(movement.booked_on)}_{short}_{key.hex()}"


def twin_id(record_id: str, ordinal: int) -> str:
    """The id of the n-th of genuine twins: the second one's ends in `.2`."""
    return f"{record_id}.{ordinal}" if ordinal > 1 else record_id


@lru_cache(maxsize=4096)
def iso_of(day: date) -> str:
    return day.isoformat()


def payload_of(movement: Movement, document: bytes) -> bytes:
    """The record as it is kept: the document's own keys (its `json`), and whose account it is seen from. No file, no
    line, so that the copy in an overlapping statement is the same payload. Keys stand in alphabetical order."""
    before, behind = _frame(movement.own_account, movement.direction, movement.is_between_own)
    return before + document + behind


@lru_cache(maxsize=256)
def _frame(own_account: str, direction: str, is_between_own: bool) -> tuple[bytes, bytes]:
    told = {"direction": direction, "document": None, "is_between_own": is_between_own, "own_account": own_account}
    before, _, behind = msgspec.json.encode(told).partition(b"null")
    return before, behind


def unreadable_payload(document: bytes) -> bytes:
    """A document that gave no movement (its `json`), as it is kept beside its reject."""
    return b'{"document":%s}' % document
