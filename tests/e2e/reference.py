"""The reference fixture of metrics.md, section 3, as a story for the simulated servers and the statement writer."""

from __future__ import annotations

import copy
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from demo.story import Call, CallNote, Deal, Leg, Manager, Move, OwnerChange, Payment, Stage, Story

ZONE = ZoneInfo("Europe/Moscow")
A, B = 8800101, 8800102
EXTENSIONS = {"A": "11", "B": "12"}
STAGES = {"new": 10, "qualified": 20, "meeting": 30, "offer": 40, "invoice": 50, "won": 142, "lost": 143}
KINDS = {**{name: name for name in STAGES}, "new": "base"}
NEXT_MORNING = datetime(2026, 12, 1, 8, tzinfo=ZONE)
BEFORE_THE_DELETION = datetime(2026, 11, 24, 8, tzinfo=ZONE)


def moment(text: str) -> datetime:
    """`02 10:00` is in November 2026; `10-20 10:00` names the month."""
    day, clock = text.split()
    return datetime.fromisoformat(f"2026-{day if '-' in day else f'11-{day}'}T{clock}").replace(tzinfo=ZONE)


# Deal: amount, owner, log.
DEALS = {
    1: (
        100_000,
        A,
        "02 10:00 new, 02 11:00 qualified, 05 12:00 meeting, 06 15:00 offer, 09 10:00 invoice, 12 10:00 won",
    ),
    2: (100_000, A, "02 12:00 new, 03 10:00 qualified, 06 12:00 offer, 11 12:00 won"),
    3: (
        80_000,
        A,
        "03 09:30 new, 03 12:00 qualified, 09 11:00 meeting, 10 16:00 qualified, 12 11:00 meeting, 13 10:00 offer,"
        " 19 15:00 lost",
    ),
    4: (120_000, B, "05 10:00 new, 05 15:00 qualified, 10 12:00 meeting, 11 10:00 offer, 18 17:00 won"),
    5: (40_000, B, "06 17:50 new, 10 10:00 lost"),
    6: (50_000, B, "09 10:00 new"),
    7: (150_000, A, "10 11:00 new, 10 14:00 qualified, 16 11:00 meeting, 17 12:00 offer, 23 16:00 won"),
    8: (90_000, B, "10-20 10:00 new, 10-21 10:00 qualified, 10-26 10:00 meeting, 03 10:00 offer, 09 11:00 won"),
    9: (70_000, A, "12 09:50 new, 13 11:00 qualified"),
    10: (120_000, B, "16 10:00 new"),
}

# Call: when, direction, deal, [(extension's person, talk seconds)]; none = it rang at A and nobody answered.
CALLS = [
    ("C1", "02 10:12", "out", 1, [("A", 95)]),
    ("C2", "02 12:04", "out", 2, [("A", 0)]),
    ("C3", "02 15:00", "out", 2, [("A", 240)]),
    ("C4", "03 09:45", "out", 3, [("A", 30)]),
    ("C5", "03 11:50", "out", 3, [("A", 180)]),
    ("C6", "05 10:03", "in", 4, [("B", 310)]),
    ("C7", "09 09:10", "out", 5, [("B", 12)]),
    ("C8", "10 11:20", "in", 7, []),
    ("C9", "10 11:31", "out", 7, [("A", 75)]),
    ("C10", "11 13:00", "in", None, []),
    ("C11", "12 10:00", "out", 9, [("A", 45)]),
    ("C12", "13 12:00", "in", 1, [("A", 20), ("B", 200)]),
    ("C13", "16 10:05", "out", 4, [("B", 60)]),
    ("C14", "16 12:00", "internal", None, [("A", 300)]),
]

# Payment: day, deal, amount, what the purpose says.
PAYMENTS = [
    ("1", 12, 1, 100_000, "Оплата по счету № СЧ-001 от 09.11.2026. НДС не облагается"),
    ("2", 11, 2, 60_000, "Предоплата по счету № СЧ-002 от 10.11.2026. НДС не облагается"),
    ("3", 20, 2, 40_000, "Доплата по счету № СЧ-002 от 10.11.2026. НДС не облагается"),
    ("4", 24, 7, 150_000, "Оплата по счету № СЧ-007 от 20.11.2026. НДС не облагается"),
    ("5", 9, 8, 90_000, "Оплата по счету № СЧ-008 от 05.11.2026. НДС не облагается"),
    ("6", 25, 8, -30_000, "Возврат по п/п 5 от 09.11.2026 по счету № СЧ-008. НДС не облагается"),
    ("7", 26, None, 20_000, "Оплата за услуги. НДС не облагается"),
]


def reference_story() -> Story:
    """Everything that happened, told on the morning of 1 December."""
    return Story(
        name="ООО «Эталон»",
        timezone="Europe/Moscow",
        tax_id="7701234567",
        own_account="40702810600000000101",
        pipeline_id=7,
        pipeline_name="Продажи",
        stages=[
            Stage(stage_id=stage, name=name, position=place, kind=KINDS[name])  # type: ignore[arg-type]
            for (name, stage), place in zip(STAGES.items(), (10, 20, 30, 40, 50, 100, 110), strict=True)
        ],
        managers=[_manager("A", A, 301, "North"), _manager("B", B, 302, "South")],
        deals=[_deal(number) for number in DEALS],
        calls=[_call(*call) for call in CALLS],
        notes=_notes(),
        tasks=[],
        payments=[_payment(*payment) for payment in PAYMENTS],
        opened_at=datetime(2026, 10, 1, 10, tzinfo=ZONE),
        told_at=NEXT_MORNING,
    )


def as_of(story: Story, present: datetime) -> Story:
    """The same story told earlier: what happened later is not in it."""
    early = copy.deepcopy(story)
    early.told_at = present
    early.deals = [deal for deal in early.deals if deal.created_at < present]
    for deal in early.deals:
        deal.moves = [move for move in deal.moves if move.moved_at < present]
        deal.owner_changes = [change for change in deal.owner_changes if change.changed_at < present]
        if deal.deleted_at and deal.deleted_at >= present:
            deal.deleted_at = None
    early.calls = [call for call in early.calls if call.ended_at < present]
    early.notes = [note for note in early.notes if note.created_at < present]
    early.payments = [payment for payment in early.payments if payment.paid_on < present.date()]
    return early


def _manager(person: str, user_id: int, telephony_user_id: int, team: str) -> Manager:
    return Manager(
        person_id=person,
        name=f"Менеджер {person}",
        team=team,
        email=f"{person.lower()}@etalon.example",
        extension=EXTENSIONS[person],
        user_id=user_id,
        telephony_user_id=telephony_user_id,
    )


def _phone(number: int) -> str:
    # D10 has D4's phone: a duplicate.
    return f"+7916000000{number if number != 10 else 4}"


def _deal(number: int) -> Deal:
    amount, owner, log = DEALS[number]
    entries = [entry.strip().rsplit(" ", 1) for entry in log.split(",")]
    created = moment(entries[0][0])
    return Deal(
        deal_id=number,
        title=f"D{number}",
        amount=Decimal(amount),
        owner=owner,
        created_at=created,
        first_stage_id=STAGES["new"],
        phone=_phone(number),
        customer=f"Клиент {number}",
        contact_id=100 + number,
        company_id=200 + number,
        tax_id=f"00556677{number:02d}",
        invoice_number=f"СЧ-{number:03d}",
        moves=[Move(moved_at=moment(when), stage_id=STAGES[stage]) for when, stage in entries[1:]],
        owner_changes=[OwnerChange(changed_at=moment("12 09:00"), user_id=B)] if number == 7 else [],
        deleted_at=moment("25 12:00") if number == 9 else None,
    )


def _call(name: str, when: str, direction: str, deal: int | None, talks: list[tuple[str, int]]) -> Call:
    start = moment(when)
    number = "74990000000" if deal is None else _phone(deal).lstrip("+")
    legs: list[Leg] = []
    at = start
    answered: datetime | None = None
    for person, seconds in talks:
        picked = at if direction != "in" else at + timedelta(seconds=5)
        if direction == "out":
            # The employee's own device is up at once; the client picks up, or doesn't.
            talking = at + timedelta(seconds=8)
            answered = talking if seconds else None
            end = talking + timedelta(seconds=seconds)
        else:
            end = picked + timedelta(seconds=seconds)
            answered = answered or picked
        legs.append(Leg(extension=EXTENSIONS[person], ringing_at=at, answered_at=picked, ended_at=end))
        at = end
    if not legs:
        legs = [Leg(extension="11", ringing_at=start, answered_at=None, ended_at=start + timedelta(seconds=20))]
        at = start + timedelta(seconds=20)
    if direction == "internal":
        number = EXTENSIONS["B"]
        legs.append(Leg(extension=number, ringing_at=start, answered_at=start, ended_at=at))
    return Call(
        call_id=name,
        direction=direction,  # type: ignore[arg-type]
        started_at=start,
        ended_at=max(at, start + timedelta(seconds=10)),
        number=number,
        legs=legs,
        answered_at=answered,
    )


def _notes() -> list[CallNote]:
    real = {"C1": (1, A, "out", 95), "C3": (2, A, "out", 240), "C5": (3, A, "out", 180), "C6": (4, B, "in", 310)}
    starts = {name: moment(when) for name, when, *_ in CALLS}
    notes = [
        CallNote(
            note_id=500 + deal,
            contact_id=100 + deal,
            created_at=starts[name] + timedelta(seconds=seconds),
            user_id=user,
            phone=_phone(deal),
            duration=seconds,
            direction=direction,  # type: ignore[arg-type]
            call_id=name,
        )
        for name, (deal, user, direction, seconds) in real.items()
    ]
    made_up = CallNote(
        note_id=599,
        contact_id=106,
        created_at=moment("09 12:00"),
        user_id=B,
        phone=_phone(6),
        duration=180,
        direction="out",
        call_id=None,
    )
    return [*notes, made_up]


def _payment(number: str, day: int, deal: int | None, amount: int, purpose: str) -> Payment:
    return Payment(
        number=number,
        paid_on=date(2026, 11, day),
        amount=Decimal(amount),
        payer=f"ООО «Клиент {deal}»" if deal else "ООО «Неизвестный»",
        payer_tax_id=f"00556677{deal:02d}" if deal else "0099001122",
        payer_account=f"4070281040000000{deal or 99:04d}",
        purpose=purpose,
        deal_id=deal,
    )
