"""What really happened in a company, told without any vendor's shapes.

A `Story` is the truth the simulated servers and the written statements are made from: `demo.amocrm` tells its deals
as amoCRM would, `demo.mango` its calls, `demo.statements` its payments. The reference fixture of metrics.md and the
demo company are both stories. All moments are aware datetimes; money is Decimal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Manager:
    person_id: str  # "petrova"
    name: str  # "Анна Петрова"
    team: str
    email: str
    extension: str  # at the telephony
    user_id: int  # in the CRM
    telephony_user_id: int
    is_active: bool = True


@dataclass(frozen=True, kw_only=True)
class Stage:
    stage_id: int  # 142 = won, 143 = lost in amoCRM
    name: str
    position: int
    kind: Literal["base", "qualified", "meeting", "offer", "invoice", "won", "lost", "service"]


@dataclass(frozen=True, kw_only=True)
class Move:
    """The deal enters a stage. `by` is the user who moved it (0 = a robot), default the owner."""

    moved_at: datetime
    stage_id: int
    by: int | None = None


@dataclass(frozen=True, kw_only=True)
class OwnerChange:
    changed_at: datetime
    user_id: int


@dataclass(frozen=True, kw_only=True)
class AmountChange:
    changed_at: datetime
    amount: Decimal


@dataclass(kw_only=True)
class Deal:
    deal_id: int
    title: str
    amount: Decimal  # at creation
    owner: int  # user id at creation
    created_at: datetime
    first_stage_id: int
    phone: str  # the contact's, as a person would type it
    customer: str  # contact's or firm's name
    contact_id: int
    company_id: int | None = None
    tax_id: str | None = None
    invoice_number: str | None = None
    moves: list[Move] = field(default_factory=list)
    owner_changes: list[OwnerChange] = field(default_factory=list)
    amount_changes: list[AmountChange] = field(default_factory=list)
    deleted_at: datetime | None = None
    loss_reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Leg:
    extension: str
    ringing_at: datetime
    answered_at: datetime | None
    ended_at: datetime


@dataclass(kw_only=True)
class Call:
    call_id: str
    direction: Literal["in", "out", "internal"]
    started_at: datetime
    ended_at: datetime
    number: str  # the outside party, digits with country code and no plus; the callee's extension when internal
    line: str = "74951234567"
    legs: list[Leg] = field(default_factory=list)  # none: the caller hung up in the menu
    answered_at: datetime | None = None  # outbound: when the client picked up


@dataclass(kw_only=True)
class CallNote:
    """A call note in the CRM, made by the telephony's widget or by hand."""

    note_id: int
    contact_id: int
    created_at: datetime
    user_id: int
    phone: str
    duration: int
    direction: Literal["in", "out"]
    call_id: str | None  # None: typed in by a manager


@dataclass(kw_only=True)
class Task:
    task_id: int
    deal_id: int
    user_id: int
    created_at: datetime
    due_at: datetime
    is_meeting: bool
    completed_at: datetime | None


@dataclass(kw_only=True)
class Payment:
    """A movement of money on the own account."""

    number: str  # payment order's
    paid_on: date
    amount: Decimal  # positive came in, negative went out
    payer: str  # the other party
    payer_tax_id: str
    payer_account: str
    purpose: str
    deal_id: int | None = None  # the truth; what matching should find
    ordered_on: date | None = None  # the order's own date, default paid_on
    is_own_transfer: bool = False


@dataclass(kw_only=True)
class Story:
    name: str
    timezone: str
    tax_id: str
    own_account: str
    pipeline_id: int
    pipeline_name: str
    stages: list[Stage]
    managers: list[Manager]
    deals: list[Deal]
    calls: list[Call]
    notes: list[CallNote]
    tasks: list[Task]
    payments: list[Payment]
    opened_at: datetime  # when the CRM account was made
    told_at: datetime  # the present of the story: nothing happens later
    second_account: str = ""  # for transfers between own accounts
    opening_balance: Decimal = Decimal("100000.00")
