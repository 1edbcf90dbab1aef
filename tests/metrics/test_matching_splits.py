"""How a payment for several deals is divided."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from metrics.resolve.splitting import LedgerRow, Share, split_amount, split_ledger

MONEY = st.integers(1, 10**12).map(lambda kopecks: Decimal(kopecks).scaleb(-2))
SHARES = st.lists(st.builds(Share, st.none() | MONEY, st.none() | MONEY), min_size=1, max_size=6)


def amounts(*values: str) -> list[Decimal]:
    return [Decimal(value) for value in values]


def test_deals_are_filled_in_the_order_named_and_the_last_takes_the_advance() -> None:
    shares = [Share(remaining=Decimal(60)), Share(remaining=Decimal(30))]
    assert split_amount(Decimal(70), shares, is_partial=False) == amounts("60", "10")
    assert split_amount(Decimal(100), shares, is_partial=False) == amounts("60", "40")


def test_what_a_payment_names_beyond_known_deals_stays_unbooked() -> None:
    """Else the deals we know would be credited with another deal's money."""
    assert split_amount(Decimal(100), [Share(remaining=Decimal(60))], is_partial=True) == amounts("60")


def test_declared_amounts_come_before_what_deals_ask() -> None:
    shares = [Share(remaining=Decimal(90)), Share(declared=Decimal(40))]
    assert split_amount(Decimal(100), shares, is_partial=False) == amounts("60", "40")


def test_an_overpaid_deal_takes_nothing_from_the_next() -> None:
    shares = [Share(remaining=Decimal(-50)), Share(remaining=Decimal(100))]
    assert split_amount(Decimal(80), shares, is_partial=False) == amounts("0", "80")


@given(amount=MONEY, shares=SHARES, is_partial=st.booleans())
def test_no_kopeck_is_made_or_lost(amount: Decimal, shares: list[Share], is_partial: bool) -> None:
    parts = split_amount(amount, shares, is_partial=is_partial)
    assert all(part >= 0 for part in parts)
    assert sum(parts) <= amount
    if not is_partial and any(share.declared is None for share in shares):
        assert sum(parts) == amount


def ledger_row(payment: str, deal: str, amount: str, due: str | None, *, is_split: bool, gross: str = "") -> LedgerRow:
    return LedgerRow(
        source="bank",
        payment_id=payment,
        rule="invoice_number",
        deal_source="amo",
        deal_id=deal,
        amount=Decimal(amount),
        gross=Decimal(gross or amount),
        declared=None,
        is_partial=False,
        is_split=is_split,
        due=None if due is None else Decimal(due),
    )


def test_a_deal_asks_only_what_earlier_payments_left() -> None:
    parts = split_ledger(
        [
            ledger_row("p1", "d1", "30", "100", is_split=False),
            ledger_row("p2", "d1", "100", "100", is_split=True),
            ledger_row("p2", "d2", "100", "100", is_split=True),
            ledger_row("p3", "d2", "90", "100", is_split=True),
            ledger_row("p3", "d3", "90", "100", is_split=True),
        ]
    )
    assert [(part.payment_id, part.deal_id, part.amount) for part in parts] == [
        ("p2", "d1", Decimal(70)),
        ("p2", "d2", Decimal(30)),
        ("p3", "d2", Decimal(70)),
        ("p3", "d3", Decimal(20)),
    ]


def test_what_deals_ask_is_turned_into_the_payments_currency() -> None:
    rows = [
        ledger_row("p1", deal, "1000", due, is_split=True, gross="80000")
        for deal, due in (("d1", "60000"), ("d2", "20000"))
    ]
    assert [part.amount for part in split_ledger(rows)] == amounts("750", "250")
