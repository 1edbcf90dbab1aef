"""The cheapest self-check of a statement: opening balance + in − out = closing balance, and the bank's own totals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise

from base.money import parse_money
from base.text import Text, say
from connectors.onec.movements import Movement, clean_account, read_day
from connectors.onec.statement import Block

ZERO = Decimal("0.00")


@dataclass(frozen=True)
class Balance:
    """A balance section: what the bank says of one account from day to day, both inclusive."""

    account: str
    first_on: date
    last_on: date
    opening: Decimal | None
    came: Decimal | None
    left: Decimal | None
    closing: Decimal | None

    @property
    def is_checkable(self) -> bool:
        has_balances = self.opening is not None and self.closing is not None
        return has_balances or (self.came is not None and self.left is not None)


@dataclass(frozen=True)
class Mismatch:
    """Statement and documents disagree about an account in an interval."""

    balance: Balance
    subject: Text
    stated: Decimal
    found: Decimal

    def render(self) -> Text:
        return say(
            "по счёту …{tail} за {first}–{last} {subject}: в выписке {stated}, по документам {found}",
            "account …{tail}, {first}–{last}, {subject}: the statement says {stated}, its documents {found}",
            tail=self.balance.account[-4:],
            first=f"{self.balance.first_on:%d.%m.%Y}",
            last=f"{self.balance.last_on:%d.%m.%Y}",
            subject=self.subject,
            stated=self.stated,
            found=self.found,
        )


_CAME = say("поступило", "came in")
_LEFT = say("списано", "went out")
_CLOSING = say("остаток на конец", "closing balance")
_OPENING = say("остаток на начало", "opening balance")


def read_balance(section: Block, default_last_on: date | None) -> Balance | None:
    """A section's figures, or None when it doesn't say of which account and from when, or a figure is no amount."""
    account = clean_account(section.get("РасчСчет"))
    try:
        first_on = read_day(section.get("ДатаНачала"))
        last_on = read_day(section.get("ДатаКонца")) or default_last_on or first_on
        names = ("НачальныйОстаток", "ВсегоПоступило", "ВсегоСписано", "КонечныйОстаток")
        figures = [parse_money(text) if (text := section.get(name)) else None for name in names]
    except ValueError:
        return None
    if not account or first_on is None or last_on is None:
        return None
    return Balance(account, first_on, last_on, *figures)


class Ledger:
    """Sums of movements by account and day."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[date, tuple[Decimal, Decimal]]] = defaultdict(dict)

    def add(self, movement: Movement) -> None:
        days = self._sums[movement.own_account]
        came, left = days.get(movement.booked_on, (ZERO, ZERO))
        if movement.direction == "in":
            days[movement.booked_on] = (came + movement.amount, left)
        else:
            days[movement.booked_on] = (came, left + movement.amount)

    def add_all(self, other: Ledger) -> None:
        """What another ledger holds, too."""
        for account, days in other._sums.items():
            ours = self._sums[account]
            for day, (came, left) in days.items():
                our_came, our_left = ours.get(day, (ZERO, ZERO))
                ours[day] = (our_came + came, our_left + left)

    def copy(self) -> Ledger:
        """A ledger of its own with the same sums."""
        twin = Ledger()
        for account, days in self._sums.items():
            twin._sums[account] = dict(days)
        return twin

    def turnover(self, account: str, first_on: date, last_on: date) -> tuple[Decimal, Decimal]:
        """`(came, left)` from day to day, both inclusive."""
        came = left = ZERO
        for day, (day_came, day_left) in self._sums.get(account, {}).items():
            if first_on <= day <= last_on:
                came += day_came
                left += day_left
        return came, left

    def mismatches(self, balances: Iterable[Balance]) -> list[Mismatch]:
        """Where documents and balances disagree. An account may have one section or one a day; repeated ones count
        once."""
        found: list[Mismatch] = []
        by_account: dict[str, list[Balance]] = defaultdict(list)
        for balance in dict.fromkeys(balances):
            by_account[balance.account].append(balance)
            found += self._check(balance)
        for chain in by_account.values():
            found += _check_chain(sorted(chain, key=lambda balance: (balance.first_on, balance.last_on)))
        return found

    def _check(self, balance: Balance) -> list[Mismatch]:
        came, left = self.turnover(balance.account, balance.first_on, balance.last_on)
        turnovers = [(_CAME, balance.came, came), (_LEFT, balance.left, left)]
        wrong = [
            Mismatch(balance, subject, stated, found)
            for subject, stated, found in turnovers
            if stated is not None and stated != found
        ]
        # A wrong turnover explains a wrong closing balance.
        if not wrong and balance.opening is not None and balance.closing is not None:
            closing = balance.opening + came - left
            if closing != balance.closing:
                wrong.append(Mismatch(balance, _CLOSING, balance.closing, closing))
        return wrong


def _check_chain(chain: Sequence[Balance]) -> list[Mismatch]:
    """Days between two sections had no movement: the next one opens as the one before closed."""
    return [
        Mismatch(after, _OPENING, after.opening, before.closing)
        for before, after in pairwise(chain)
        if after.first_on > before.last_on
        and before.closing is not None
        and after.opening is not None
        and before.closing != after.opening
    ]
