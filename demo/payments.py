"""The demo company's account: customers' money in parts and back, and everything else a statement holds."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal

from demo.names import SURNAMES
from demo.story import Deal, Payment, Story

CENT = Decimal("0.01")
VAT = Decimal(22)
WON = 142


class PaymentMaker:
    """Adds payments to a story."""

    def __init__(self, dice: random.Random, story: Story, last_day: date) -> None:
        self._dice = dice
        self._story = story
        self._last_day = last_day

    def for_deal(self, deal: Deal) -> None:
        """What a won deal's customer pays: at once, in parts, late, not at all, or partly back again."""
        won = next((move for move in deal.moves if move.stage_id == WON), None)
        if won is None or self._dice.random() < 0.12:
            return
        amount = deal.amount_changes[-1].amount if deal.amount_changes else deal.amount
        day = _working_day(won.moved_at.date() + timedelta(days=self._dice.randint(-2, 4)))
        parts = [amount]
        if self._dice.random() < 0.65:
            first = (amount * self._dice.randint(3, 5) / 10).quantize(CENT)
            parts = [first, amount - first]
            if first * 2 < amount and self._dice.random() < 0.4:
                parts = [first, first, amount - first - first]
        for place, part in enumerate(parts):
            self._receive(deal, day, part, place)
            day = _working_day(day + timedelta(days=self._dice.randint(3, 12)))
        if self._dice.random() < 0.1:
            self._give_back(deal, day, (amount / 5).quantize(CENT))

    def beside_deals(self, first_day: date, *, count: int) -> None:
        """Money without a deal: strangers, suppliers, the bank's fees, transfers between own accounts."""
        dice = self._dice
        days = (self._last_day - first_day).days
        for place in range(count):
            day = _working_day(first_day + timedelta(days=dice.randrange(days)))
            kind = dice.random()
            if kind < 0.35:
                self._stranger(day, place)
            elif kind < 0.7:
                self._supplier(day, place)
            elif kind < 0.9:
                self._bank_fee(day, place)
            else:
                self._own_transfer(day, place)

    def _receive(self, deal: Deal, day: date, amount: Decimal, place: int) -> None:
        vat = (amount * VAT / (100 + VAT)).quantize(CENT)
        tail = f"В т.ч. НДС (22%) {str(vat).replace('.', '-')}"
        issued = (day - timedelta(days=5)).strftime("%d.%m.%Y")
        says = self._dice.random()
        if says < 0.75:
            form = self._dice.choice(["Оплата по счету № {n} от {d}. {t}", "Опл. по сч.{n} от {d}г., {t}"])
            purpose = form.format(n=deal.invoice_number, d=issued, t=tail)
        elif says < 0.92:
            purpose = f"Оплата за инструмент. {tail}"
        else:
            purpose = f"По договору поставки. {tail}"
        self._add(deal, day, amount, purpose, number=f"{deal.deal_id % 10000 * 3 + place}")

    def _give_back(self, deal: Deal, day: date, amount: Decimal) -> None:
        original = next((payment for payment in self._story.payments if payment.deal_id == deal.deal_id), None)
        if original is None:
            return
        purpose = (
            f"Возврат излишне перечисленных средств по п/п {original.number} от"
            f" {original.paid_on:%d.%m.%Y} по счету № {deal.invoice_number}. НДС не облагается"
        )
        self._add(deal, day, -amount, purpose, number=f"{len(self._story.payments) + 1}")

    def _add(self, deal: Deal, day: date, amount: Decimal, purpose: str, *, number: str) -> None:
        if day > self._last_day:
            return
        self._story.payments.append(
            Payment(
                number=number,
                paid_on=day,
                amount=amount,
                payer=deal.title.split(" — ")[-1],
                payer_tax_id=deal.tax_id or "",
                payer_account=_account(deal.deal_id % 1_000_000),
                purpose=purpose,
                deal_id=deal.deal_id,
            )
        )

    def _stranger(self, day: date, place: int) -> None:
        amount = Decimal(self._dice.randrange(3, 90)) * 1000
        purpose = "Оплата по счету. НДС не облагается"
        self._other(day, amount, f"ИП {self._dice.choice(SURNAMES)}", f"00990{place:05d}", 700_000 + place, purpose)

    def _supplier(self, day: date, place: int) -> None:
        amount = -Decimal(self._dice.randrange(10, 200)) * 500
        purpose = f"Оплата поставщику по счету {place} за товар. В том числе НДС 22%"
        self._other(day, amount, "ООО «Складснаб»", "0033445566", 800_000, purpose)

    def _bank_fee(self, day: date, place: int) -> None:
        purpose = "Комиссия банка за ведение счета. НДС не облагается"
        self._other(
            day, Decimal("-290.00"), "АО «Пример-Банк»", "0044556677", 0, purpose, account="70601810000000000001"
        )

    def _own_transfer(self, day: date, place: int) -> None:
        story = self._story
        purpose = "Перевод собственных средств. НДС не облагается"
        amount = -Decimal(self._dice.randrange(50, 300)) * 1000
        self._other(day, amount, story.name, story.tax_id, 0, purpose, account=story.second_account, own=True)

    def _other(
        self,
        day: date,
        amount: Decimal,
        payer: str,
        tax_id: str,
        account_number: int,
        purpose: str,
        *,
        account: str = "",
        own: bool = False,
    ) -> None:
        self._story.payments.append(
            Payment(
                number=str(50_000 + len(self._story.payments)),
                paid_on=min(day, self._last_day),
                amount=amount,
                payer=payer,
                payer_tax_id=tax_id,
                payer_account=account or _account(account_number),
                purpose=purpose,
                is_own_transfer=own,
            )
        )


def _account(number: int) -> str:
    return f"40702810400000{number:06d}"


def _working_day(day: date) -> date:
    while day.weekday() >= 5:
        day += timedelta(days=1)
    return day
