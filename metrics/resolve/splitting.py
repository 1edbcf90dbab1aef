"""A payment for several deals: how much each gets. Pure arithmetic, in the order the payment names them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import groupby

ZERO = Decimal("0.00")
CENT = Decimal("0.01")

Deal = tuple[str, str]  # source, deal_id


@dataclass(frozen=True)
class Share:
    """What one deal may take, in the payment's currency: the amount declared for it, or up to what it still asks.

    `remaining` None: unknown, no bound.
    """

    declared: Decimal | None = None
    remaining: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class LedgerRow:
    """A payment's claim on a deal, in the order of posting (sql/money_shares.sql, money_ledger)."""

    source: str
    payment_id: str
    rule: str
    deal_source: str
    deal_id: str
    amount: Decimal  # of the whole payment, in its currency; negative for a refund
    gross: Decimal | None  # the same in the company's currency
    declared: Decimal | None
    is_partial: bool
    is_split: bool
    due: Decimal | None  # of the deal, in the company's currency


@dataclass(frozen=True)
class Part:
    """Money booked on a deal, in the payment's currency."""

    source: str
    payment_id: str
    deal_source: str
    deal_id: str
    amount: Decimal
    rule: str


def split_amount(amount: Decimal, shares: Sequence[Share], *, is_partial: bool) -> list[Decimal]:
    """Parts of a positive amount, one a share; their sum is never more than the amount.

    Declared amounts come first, then each deal up to what it still asks, in order. What is left goes to the last deal
    without a declared amount as an advance; with `is_partial` it stays unbooked, because the payment names more than
    we know.
    """
    parts = [ZERO] * len(shares)
    left = amount
    for place, share in enumerate(shares):
        if share.declared is not None:
            parts[place] = min(left, abs(share.declared))
            left -= parts[place]
    open_places = [place for place, share in enumerate(shares) if share.declared is None]
    for place in open_places:
        remaining = shares[place].remaining
        parts[place] = left if remaining is None else min(left, max(remaining, ZERO))
        left -= parts[place]
    if open_places and not is_partial:
        parts[open_places[-1]] += left
    return parts


def split_ledger(rows: Iterable[LedgerRow]) -> list[Part]:
    """Split the payments that need it, walking all receipts of their deals in the order given.

    A deal asks its due minus what it got earlier in the ledger.
    """
    received: dict[Deal, Decimal] = {}
    parts: list[Part] = []
    for _, group in groupby(rows, key=lambda row: (row.source, row.payment_id)):
        claims = list(group)
        if claims[0].is_split:
            amounts = _split_payment(claims, received)
            parts += [
                Part(claim.source, claim.payment_id, claim.deal_source, claim.deal_id, amount, claim.rule)
                for claim, amount in zip(claims, amounts, strict=True)
                if amount
            ]
        else:
            amounts = [claims[0].amount]
        for claim, amount in zip(claims, amounts, strict=True):
            deal = (claim.deal_source, claim.deal_id)
            received[deal] = received.get(deal, ZERO) + _convert(amount, claim.gross, claim.amount)
    return parts


def _split_payment(claims: Sequence[LedgerRow], received: dict[Deal, Decimal]) -> list[Decimal]:
    sign = -1 if claims[0].amount < 0 else 1
    shares = [Share(claim.declared, _still_asked(claim, received)) for claim in claims]
    parts = split_amount(abs(claims[0].amount), shares, is_partial=claims[0].is_partial)
    return [sign * part for part in parts]


def _still_asked(claim: LedgerRow, received: dict[Deal, Decimal]) -> Decimal | None:
    """What the deal still asks, in the payment's currency; for a refund, what it can give back."""
    got = received.get((claim.deal_source, claim.deal_id), ZERO)
    if not claim.gross:
        return None
    if claim.amount < 0:
        return _convert(got, abs(claim.amount), abs(claim.gross))
    return None if claim.due is None else _convert(claim.due - got, claim.amount, claim.gross)


def _convert(amount: Decimal, numerator: Decimal | None, denominator: Decimal) -> Decimal:
    """`amount * numerator / denominator` to the kopeck; nothing without a rate."""
    if numerator is None or not denominator:
        return ZERO
    return (amount * numerator / denominator).quantize(CENT, rounding=ROUND_HALF_UP)
