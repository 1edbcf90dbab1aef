"""What accounting's tables and the company's inputs say beside a story: shipments, costs, debts, odds, points, plans.

Made by dice from a story, written as files the program reads, and counted by hand from the very same lists.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from demo.story import Deal, Payment, Story

KOPECK = Decimal("0.01")
SHEETS = """
[[sources.accounting.sheets]]
file = "реализации.csv"
kind = "sales"
deal_source = "amo"
columns = { number = "Номер", date = "Дата", amount = "Сумма", operation = "Операция", deal = "Сделка" }

[[sources.accounting.sheets]]
file = "себестоимость.csv"
kind = "costs"
deal_source = "amo"
columns = { number = "Номер", date = "Дата", amount = "Себестоимость", deal = "Сделка" }

[[sources.accounting.sheets]]
file = "долги.csv"
kind = "receivables"
deal_source = "amo"
columns = { number = "№", date = "На дату", due_on = "Срок", amount = "Долг", counterparty = "Кто", deal = "Сделка" }
"""
# The days debts are stated for; of a month only the last one counts.
DEBT_DAYS = (date(2026, 9, 15), date(2026, 9, 30), date(2026, 10, 30))
ODDS = {"base": "0.1", "qualified": "0.2", "meeting": "0.4", "offer": "0.6", "invoice": "0.85"}
POINTS = {"qualified": 1, "offer": 3}


@dataclass(frozen=True)
class Paper:
    """A line of a table: amounts of returns are negative here and written as 1C does."""

    number: str
    on: date
    amount: Decimal
    deal_id: int | None
    due_on: date | None = None


@dataclass(frozen=True)
class Papers:
    shipments: list[Paper]
    costs: dict[int, list[Paper]]
    debts: list[Paper]
    # (metric, entity type, entity) -> plan; the same in every month
    plans: dict[tuple[str, str, str], Decimal]


def tell_papers(story: Story, seed: int) -> Papers:
    """Also gives some customers a payment of the spring, before the CRM was there: put into the story."""
    dice = random.Random(seed)
    sold = [deal for deal in story.deals if any(payment.deal_id == deal.deal_id for payment in story.payments)]
    _pay_in_spring(story, sold, dice)
    return Papers(_shipments(sold, dice), _costs(sold, dice), _debts(story, dice), _plans(story))


def _pay_in_spring(story: Story, sold: Sequence[Deal], dice: random.Random) -> None:
    """Some of those who buy in autumn, and some strangers, had paid before: 10 days to 9 months before September."""
    first_on = date(2026, 9, 1)
    for place, deal in enumerate([*sold, *story.deals[:6]]):
        like = next((payment for payment in story.payments if payment.deal_id == deal.deal_id), None)
        if place % 3 and place:
            continue
        early = Payment(
            number=str(80_000 + place),
            paid_on=first_on - timedelta(days=dice.choice((10, 60, 130, 170, 190, 250))),
            amount=Decimal(7000 + place) + Decimal("0.17"),
            payer=deal.title,
            payer_tax_id=deal.tax_id or "",
            payer_account="40702810400000999999",
            purpose="Оплата за инструмент. НДС не облагается",
        )
        story.payments.append(replace(early, payer=like.payer, payer_account=like.payer_account) if like else early)
    # Somebody must have paid more than half a year ago: only then the program knows the past.
    story.payments.append(
        Payment(
            number="79999",
            paid_on=date(2026, 2, 2),
            amount=Decimal("5000.19"),
            payer="ООО «Старый знакомый»",
            payer_tax_id="0077000011",
            payer_account="40702810400000999998",
            purpose="Оплата за инструмент. НДС не облагается",
        )
    )
    story.payments.sort(key=lambda payment: (payment.paid_on, payment.number))


def _shipments(sold: Sequence[Deal], dice: random.Random) -> list[Paper]:
    papers = []
    for place, deal in enumerate(sold):
        day = deal.moves[-1].moved_at.date() + timedelta(days=dice.randrange(20))
        named = deal.deal_id if place % 4 else None
        papers.append(Paper(f"Р-{place + 1}", day, deal.amount, named))
        if place % 5 == 0:
            papers.append(Paper(f"В-{place + 1}", day + timedelta(days=3), -(deal.amount / 10).quantize(KOPECK), named))
    return papers


def _costs(sold: Sequence[Deal], dice: random.Random) -> dict[int, list[Paper]]:
    """Most deals have a cost, some in two lines."""
    found = {}
    for place, deal in enumerate(sold):
        if place % 5 != 1:
            cost = (deal.amount * dice.randint(40, 80) / 100 + Decimal("0.01")).quantize(KOPECK)
            day = deal.moves[-1].moved_at.date()
            parts = [cost] if place % 3 else [cost - 1000, Decimal(1000)]
            found[deal.deal_id] = [Paper(f"С-{place}-{n}", day, part, deal.deal_id) for n, part in enumerate(parts)]
    return found


def _debts(story: Story, dice: random.Random) -> list[Paper]:
    papers = []
    for day in DEBT_DAYS:
        known = [deal for deal in story.deals if deal.created_at.date() < day]
        for place, deal in enumerate(dice.sample(known, min(8, len(known)))):
            due = day + timedelta(days=dice.choice((-20, -1, 0, 1, 15)))
            amount = Decimal(dice.randrange(10, 900)) * 100
            papers.append(Paper(f"Д-{day:%m%d}-{place}", day, amount, deal.deal_id if place else None, due))
    return papers


def _plans(story: Story) -> dict[tuple[str, str, str], Decimal]:
    plans = {("revenue_cash", "company", "company"): Decimal(3_000_000)}
    plans["call_connect_rate", "company", "company"] = Decimal("0.6")
    plans["speed_to_lead", "company", "company"] = Decimal(25)
    for place, manager in enumerate(story.managers):
        plans["revenue_cash", "manager", manager.person_id] = Decimal(300_000 + 1000 * place)
        plans["calls_successful", "manager", manager.person_id] = Decimal(40 + place)
        plans["calls_successful", "team", manager.team] = Decimal(120)
    return plans


# ── as files ────────────────────────────────────────────────────────────────────────────────────────────────────


def write_papers(story: Story, papers: Papers, folder: Path) -> None:
    """The tables into `exports`, plans, points and odds into `inputs` of a project's folder."""
    exports, inputs = folder / "exports", folder / "inputs"
    exports.mkdir(parents=True, exist_ok=True)
    sales = []
    for each in papers.shipments:
        operation = "Возврат" if each.amount < 0 else "Реализация"
        sales.append((each.number, _day(each.on), abs(each.amount), operation, each.deal_id or ""))
    _write(exports / "реализации.csv", "Номер;Дата;Сумма;Операция;Сделка", sales)
    costs = [
        (each.number, _day(each.on), each.amount, each.deal_id) for lines in papers.costs.values() for each in lines
    ]
    _write(exports / "себестоимость.csv", "Номер;Дата;Себестоимость;Сделка", costs)
    debts = []
    for each in papers.debts:
        due = _day(each.due_on or each.on)
        debts.append((each.number, _day(each.on), due, each.amount, f"Клиент {each.number}", each.deal_id or ""))
    _write(exports / "долги.csv", "№;На дату;Срок;Долг;Кто;Сделка", debts)
    stages = [("amo", story.pipeline_id, stage.stage_id, stage.kind) for stage in story.stages]
    where = "source,pipeline_id,stage_id"
    odds = [(*stage, ODDS[kind]) for *stage, kind in stages if kind in ODDS]
    _write(inputs / "probabilities.csv", f"{where},probability", odds, ",")
    points = [(*stage, POINTS[kind]) for *stage, kind in stages if kind in POINTS]
    _write(inputs / "milestones.csv", f"{where},weight", points, ",")
    plans = [
        (period, entity_type, entity, metric, value)
        for period in ("2026-09", "2026-10")
        for (metric, entity_type, entity), value in papers.plans.items()
    ]
    _write(inputs / "plans.csv", "period,entity_type,entity_id,metric,value", plans, ",")


def _day(day: date) -> str:
    return f"{day:%d.%m.%Y}"


def _write(path: Path, header: str, rows: Iterable[Sequence[object]], delimiter: str = ";") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(header + "\n")
        csv.writer(file, delimiter=delimiter).writerows(rows)
