"""The demo company: two months of a believable sales department, the same for the same seed.

Eight managers in two teams sell tools to firms. Deals skip stages, return, get lost, deleted and handed over; calls
are transferred and missed; money comes in parts, goes back, and sometimes names no invoice. Nothing here knows how
a metric is computed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from demo.calls import CallMaker
from demo.names import CITIES, FIRMS, GOODS, LOSS_REASONS, SURNAMES, personal_name
from demo.payments import PaymentMaker
from demo.story import (
    AmountChange,
    Call,
    CallNote,
    Deal,
    Manager,
    Move,
    OwnerChange,
    Payment,
    Stage,
    Story,
    Task,
)

MOSCOW = ZoneInfo("Europe/Moscow")
FIRST_DAY = date(2026, 9, 1)
LAST_DAY = date(2026, 10, 31)
# The story is told on the first working morning after it.
TOLD_AT = datetime(2026, 11, 2, 8, 0, tzinfo=MOSCOW)

NEW, QUALIFIED, MEETING, OFFER, INVOICE, WON, LOST = 60011, 60012, 60013, 60014, 60015, 142, 143
STAGES = [
    Stage(stage_id=NEW, name="Новая заявка", position=10, kind="base"),
    Stage(stage_id=QUALIFIED, name="Квалифицирована", position=20, kind="qualified"),
    Stage(stage_id=MEETING, name="Встреча проведена", position=30, kind="meeting"),
    Stage(stage_id=OFFER, name="КП отправлено", position=40, kind="offer"),
    Stage(stage_id=INVOICE, name="Счёт выставлен", position=50, kind="invoice"),
    Stage(stage_id=WON, name="Успешно реализовано", position=100, kind="won"),
    Stage(stage_id=LOST, name="Закрыто и не реализовано", position=110, kind="lost"),
]

# How well each manager works: chance that a lead is taken up, and that a step forward follows.
MANAGERS = [
    ("petrova", "Анна Петрова", "Москва", 0.98, 0.86),
    ("ivanov", "Дмитрий Иванов", "Москва", 0.95, 0.80),
    ("smirnova", "Ольга Смирнова", "Москва", 0.93, 0.78),
    ("kuznetsov", "Павел Кузнецов", "Москва", 0.84, 0.72),
    ("sokolova", "Мария Соколова", "Регионы", 0.97, 0.82),
    ("popov", "Сергей Попов", "Регионы", 0.92, 0.77),
    ("lebedeva", "Елена Лебедева", "Регионы", 0.90, 0.74),
    ("morozov", "Игорь Морозов", "Регионы", 0.80, 0.66),
]


@dataclass
class Company:
    """What is being told, with the dice it is told by."""

    dice: random.Random
    story: Story
    skill: dict[int, tuple[float, float]] = field(default_factory=dict)


def build_company(*, deals: int = 600, seed: int = 7) -> Story:
    """Tell the company's two months; `deals` scales everything."""
    company = Company(random.Random(seed), _empty_story())
    story = company.story
    for place, (person_id, name, team, takes_up, goes_on) in enumerate(MANAGERS):
        manager = Manager(
            person_id=person_id,
            name=name,
            team=team,
            email=f"{person_id}@romashka.example",
            extension=str(101 + place),
            user_id=8800101 + place,
            telephony_user_id=300000101 + place,
        )
        story.managers.append(manager)
        company.skill[manager.user_id] = (takes_up, goes_on)
    calls = CallMaker(company.dice, story)
    payments = PaymentMaker(company.dice, story, LAST_DAY)
    for number in range(deals):
        deal = _tell_deal(company, number)
        story.deals.append(deal)
        calls.around_deal(deal, takes_up=company.skill[deal.owner][0])
        payments.for_deal(deal)
    calls.beside_deals(FIRST_DAY, LAST_DAY, count=deals * 6)
    payments.beside_deals(FIRST_DAY, count=max(3, deals // 6))
    _sort(story)
    return story


def _empty_story() -> Story:
    return Story(
        name="ООО «Ромашка-Инструмент»",
        timezone="Europe/Moscow",
        tax_id="7701234567",
        own_account="40702810600000000101",
        second_account="40702810900000000102",
        pipeline_id=7100200,
        pipeline_name="Продажи",
        stages=STAGES,
        managers=[],
        deals=[],
        calls=[],
        notes=[],
        tasks=[],
        payments=[],
        opened_at=datetime(2025, 3, 3, 10, 0, tzinfo=MOSCOW),
        told_at=TOLD_AT,
    )


def _tell_deal(company: Company, number: int) -> Deal:
    dice, story = company.dice, company.story
    manager = dice.choice(story.managers)
    created = _creation_moment(dice)
    firm = f"{dice.choice(FIRMS)} {dice.choice(CITIES)}" if dice.random() < 0.7 else f"ИП {dice.choice(SURNAMES)}"
    deal = Deal(
        deal_id=31570000 + number,
        title=f"{dice.choice(GOODS)} — {firm}",
        amount=Decimal(dice.randrange(20, 400)) * 1000,
        owner=manager.user_id,
        created_at=created,
        first_stage_id=NEW,
        phone=_typed_phone(dice, number),
        customer=personal_name(dice),
        contact_id=41000000 + number,
        company_id=52000000 + number,
        tax_id=_tax_id(number),
    )
    _move_through_stages(company, deal)
    _change_hands(dice, story, deal)
    if _last_moment(deal) < story.told_at and dice.random() < 0.06 and not _is_closed(deal):
        deal.deleted_at = min(_later(dice, _last_moment(deal), 1, 10), story.told_at - timedelta(hours=1))
    _add_meeting_tasks(dice, story, deal)
    return deal


def _move_through_stages(company: Company, deal: Deal) -> None:
    dice, until = company.dice, company.story.told_at
    takes_up, goes_on = company.skill[deal.owner]
    moment = deal.created_at
    if dice.random() > takes_up:
        if dice.random() < 0.5:
            _enter(deal, _later(dice, moment, 1, 6), LOST, until)
        return
    ladder = [QUALIFIED, MEETING, OFFER, INVOICE, WON]
    for place, stage in enumerate(ladder):
        skipped = stage in (MEETING, INVOICE) and dice.random() < 0.15
        if skipped:
            continue
        if dice.random() > goes_on:
            if dice.random() < 0.75:
                _enter(deal, _later(dice, moment, 1, 12), LOST, until)
                deal.loss_reason = dice.choice(LOSS_REASONS)
            return
        moment = _later(dice, moment, 0, 5)
        if not _enter(deal, moment, stage, until):
            return
        if stage == INVOICE:
            deal.invoice_number = f"РИ-{deal.deal_id % 100000:05d}"
        if stage in (MEETING, OFFER) and dice.random() < 0.08:
            # A step back and forth again: the customer changed his mind.
            moment = _later(dice, moment, 1, 3)
            back = ladder[place - 1]
            if not _enter(deal, moment, back, until):
                return
            moment = _later(dice, moment, 1, 3)
            if not _enter(deal, moment, stage, until):
                return
        if stage == OFFER and dice.random() < 0.2:
            deal.amount_changes.append(
                AmountChange(changed_at=moment + timedelta(minutes=7), amount=deal.amount - deal.amount // 20)
            )
    if deal.invoice_number is None and deal.moves and deal.moves[-1].stage_id == WON:
        deal.invoice_number = f"РИ-{deal.deal_id % 100000:05d}"


def _enter(deal: Deal, moment: datetime, stage_id: int, until: datetime) -> bool:
    if moment >= until:
        return False
    deal.moves.append(Move(moved_at=moment, stage_id=stage_id))
    return True


def _change_hands(dice: random.Random, story: Story, deal: Deal) -> None:
    if len(deal.moves) < 2 or dice.random() > 0.06:
        return
    heir = dice.choice([manager for manager in story.managers if manager.user_id != deal.owner])
    moment = deal.moves[0].moved_at + (deal.moves[1].moved_at - deal.moves[0].moved_at) / 2
    deal.owner_changes.append(OwnerChange(changed_at=moment.replace(microsecond=0), user_id=heir.user_id))


def _add_meeting_tasks(dice: random.Random, story: Story, deal: Deal) -> None:
    for move in deal.moves:
        if move.stage_id == MEETING:
            story.tasks.append(
                Task(
                    task_id=900000 + len(story.tasks),
                    deal_id=deal.deal_id,
                    user_id=deal.owner,
                    created_at=max(deal.created_at, move.moved_at - timedelta(days=1)),
                    due_at=move.moved_at,
                    is_meeting=True,
                    completed_at=move.moved_at if dice.random() < 0.9 else None,
                )
            )


def _creation_moment(dice: random.Random) -> datetime:
    day = FIRST_DAY + timedelta(days=dice.randrange((LAST_DAY - FIRST_DAY).days + 1))
    if day.weekday() >= 5 and dice.random() < 0.7:
        day -= timedelta(days=day.weekday() - 4)
    day = max(day, FIRST_DAY)
    hour = dice.randrange(9, 18) if dice.random() < 0.85 else dice.choice([7, 8, 18, 19, 20, 21, 22])
    return datetime(day.year, day.month, day.day, hour, dice.randrange(60), dice.randrange(60), tzinfo=MOSCOW)


def _later(dice: random.Random, moment: datetime, least_days: int, most_days: int) -> datetime:
    """A working moment some days on, always later than `moment`."""
    day = (moment + timedelta(days=dice.randint(least_days, most_days))).date()
    while day.weekday() >= 5:
        day += timedelta(days=1)
    later = datetime(
        day.year, day.month, day.day, dice.randrange(9, 18), dice.randrange(60), dice.randrange(60), tzinfo=MOSCOW
    )
    return later if later > moment + timedelta(minutes=30) else moment + timedelta(minutes=dice.randrange(35, 240))


def _last_moment(deal: Deal) -> datetime:
    moments = [deal.created_at, *(m.moved_at for m in deal.moves), *(c.changed_at for c in deal.owner_changes)]
    return max([*moments, *(c.changed_at for c in deal.amount_changes)])


def _is_closed(deal: Deal) -> bool:
    return bool(deal.moves) and deal.moves[-1].stage_id in (WON, LOST)


def _typed_phone(dice: random.Random, number: int) -> str:
    """A mobile number as people type it; the digits are unique to the deal."""
    digits = f"9{dice.choice('0126')}{number:07d}{dice.randrange(10)}"
    forms = ("+7{}", "8{}", "8 ({a}) {b}-{c}-{d}", "+7 {a} {b} {c} {d}")
    parts = {"a": digits[:3], "b": digits[3:6], "c": digits[6:8], "d": digits[8:]}
    return dice.choice(forms).format(digits, **parts)


def _tax_id(number: int) -> str:
    """Ten digits of a region that doesn't exist, with valid check digit."""
    digits = [int(digit) for digit in f"00{number % 10_000_000:07d}"]
    weights = (2, 4, 10, 3, 5, 9, 4, 6, 8)
    check = sum(weight * digit for weight, digit in zip(weights, digits, strict=True)) % 11 % 10
    return "".join(map(str, digits)) + str(check)


def _sort(story: Story) -> None:
    story.deals.sort(key=lambda deal: deal.created_at)
    story.calls.sort(key=_call_order)
    story.notes.sort(key=_note_order)
    story.payments.sort(key=_payment_order)


def _call_order(call: Call) -> tuple[datetime, str]:
    return call.started_at, call.call_id


def _note_order(note: CallNote) -> tuple[datetime, int]:
    return note.created_at, note.note_id


def _payment_order(payment: Payment) -> tuple[date, str]:
    return payment.paid_on, payment.number
