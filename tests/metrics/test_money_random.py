"""Who is credited, what was due and which payment a refund returns, beside the same in plain Python over random worlds.

Each look-up by a moment is a join on a span there: an end that is counted, or one that is not, would show here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from tests.metrics.money_world import MoneyWorld

LAST_DAY = 28


@dataclass
class Told:
    """What a deal's log says: by day, since noon of it."""

    amount: int
    owners: list[tuple[int, str]]
    amounts: list[tuple[int, int, int]] = field(default_factory=list)  # day, before, after
    receipts: list[tuple[int, str, int]] = field(default_factory=list)  # day, payment, amount

    def owner(self, day: int) -> str | None:
        """At the end of a day the change at its noon holds."""
        return next((person for since, person in reversed(self.owners) if since <= day), None)

    def asked(self, day: int) -> int:
        held = [after for changed, _, after in self.amounts if changed <= day]
        return held[-1] if held else (self.amounts[0][1] if self.amounts else self.amount)

    def returned(self, day: int) -> str | None:
        earlier = [(paid, payment) for paid, payment, _ in self.receipts if paid <= day]
        return max(earlier)[1] if earlier else None


@pytest.fixture(params=range(4))
def told(request: pytest.FixtureRequest) -> tuple[MoneyWorld, dict[str, Told]]:
    dice, world = random.Random(request.param), MoneyWorld()
    deals = {f"d{place}": _tell(dice) for place in range(12)}
    for place, (deal, log) in enumerate(deals.items()):
        first = f"{log.owners[0][0]:02d} 12:00"
        owners = [(f"{day:02d} 12:00", person) for day, person in log.owners]
        number = {"invoice_number": str(900 + place), "tax_id": f"77000009{place:02d}"}
        world.deal(deal, log.amount, created=first, owners=owners, **number)
        for day, before, after in log.amounts:
            world.event(deal, "amount", f"{day:02d} 12:00", from_value=str(before), to_value=str(after))
        for paid, payment, amount in log.receipts:
            purpose = f"Оплата по счету № {number['invoice_number']}"
            world.pay(payment, f"{paid:02d}", amount, purpose, tax=number["tax_id"])
        for day in (5, 15, LAST_DAY):
            world.pay(f"{deal}-back-{day:02d}", f"{day:02d}", -1, "Возврат", tax=number["tax_id"])
    world.resolve()
    return world, deals


def _tell(dice: random.Random) -> Told:
    days = sorted(dice.sample(range(2, LAST_DAY), dice.choice([1, 2, 3])))
    log = Told(100, [(day, dice.choice("AB")) for day in days])
    for day in sorted(dice.sample(range(2, LAST_DAY), dice.choice([0, 1, 2]))):
        log.amounts.append((day, dice.choice([100, 200]), dice.choice([300, 400])))
    number = dice.randrange(10**6)
    for place, day in enumerate(sorted(dice.choices(range(2, LAST_DAY), k=dice.choice([1, 2, 4])))):
        log.receipts.append((day, f"p{number:06d}{place}", dice.choice([50, 100, 300])))
    return log


def test_everything_is_as_plain_python_has_it(told: tuple[MoneyWorld, dict[str, Told]]) -> None:
    world, deals = told
    credits = dict(world.rows("SELECT payment_id, person_id FROM calc.payments"))
    dues = dict(world.rows("SELECT deal_id, due FROM facts.deal_payments"))
    found = world.rows("""
        SELECT payment_id, refund_of_payment_id FROM core.payment_allocations WHERE match_rule = 'refund'
    """)
    assert credits == dict(_credits(deals))
    assert dues == {deal: Decimal(log.asked(log.receipts[0][0])) for deal, log in deals.items()}
    assert dict(found) == {refund: of for refund, of in _returns(deals) if of}


def _returns(deals: dict[str, Told]) -> Iterator[tuple[str, str | None]]:
    return ((f"{deal}-back-{day:02d}", log.returned(day)) for deal, log in deals.items() for day in (5, 15, LAST_DAY))


def _credits(deals: dict[str, Told]) -> Iterator[tuple[str, str | None]]:
    """A refund is credited as the payment it returns was; one that returns nothing is nobody's."""
    of_receipt = {payment: log.owner(day) for log in deals.values() for day, payment, _ in log.receipts}
    yield from of_receipt.items()
    yield from ((refund, of_receipt[of] if of else None) for refund, of in _returns(deals))
