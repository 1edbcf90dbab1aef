"""A story's own truth, in plain Python: who was responsible when, which stages were passed, which calls reached whom.

Nothing here is shared with the program: no SQL, no mapping, no calendar. Only what nobody can know from a story is
taken from the published file: which deal a payment was booked on, and until when a metric counts.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from zoneinfo import ZoneInfo

from demo.calls import digits_of
from demo.company import build_company
from demo.story import Call, Deal, Story
from tests.truth.papers import Papers

OPENS, CLOSES = 9, 18


def tell(seed: int, deals: int, first_night: datetime) -> Story:
    """A company of its own for each seed: besides what the demo does, customers come back, twice within days at times,
    and deals vanish only after the first night has seen them."""
    story = build_company(deals=deals, seed=seed)
    dice = random.Random(seed)
    for deal in story.deals:
        if deal.deleted_at and not deal.created_at < first_night < deal.deleted_at:
            deal.deleted_at = None
    for place, deal in enumerate(story.deals[deals // 4 :], start=deals // 4):
        if dice.random() < 0.15:
            earlier = story.deals[dice.randrange(place - deals // 8, place)]
            deal.phone, deal.contact_id, deal.customer = earlier.phone, earlier.contact_id, earlier.customer
            deal.company_id = earlier.company_id
    return story


def working_seconds(start: datetime, end: datetime) -> float:
    """Seconds of Monday to Friday, 09:00–18:00, between two moments of autumn 2026, before its first holiday."""
    total, day = 0.0, start.date()
    while day <= end.date():
        if day.weekday() < 5:
            opens = datetime.combine(day, time(OPENS), start.tzinfo)
            closes = datetime.combine(day, time(CLOSES), start.tzinfo)
            total += max(0.0, (min(end, closes) - max(start, opens)).total_seconds())
        day += timedelta(days=1)
    return total


def after_working(start: datetime, seconds: float) -> datetime:
    """The moment by which so much working time is over."""
    day = start
    while True:
        opens = datetime.combine(day.date(), time(OPENS), start.tzinfo)
        closes = datetime.combine(day.date(), time(CLOSES), start.tzinfo)
        here = max(day, opens)
        left = (closes - here).total_seconds() if here.weekday() < 5 else 0
        if left > 0 and left >= seconds:
            return here + timedelta(seconds=seconds)
        seconds -= max(0, left)
        day = datetime.combine(day.date() + timedelta(days=1), time(0), start.tzinfo)


@dataclass(frozen=True)
class Talk:
    """A conversation with somebody outside."""

    call: Call
    number: str
    person: str | None  # who talked longest, else whose phone rang
    seconds: float  # of the longest talk of one person
    is_answered: bool
    is_human: bool  # it got past the menu

    @property
    def whole_seconds(self) -> float:
        return (self.call.ended_at - self.call.started_at).total_seconds()

    @property
    def is_successful(self) -> bool:
        return self.is_answered and self.seconds > 30


@dataclass(frozen=True)
class Paid:
    """A deal reached what was due (+1), or gave all of it back (-1)."""

    deal: Deal
    on: date
    sign: int
    person: str | None


@dataclass
class Truth:
    story: Story
    # (payment order's number, day, amount) -> deals it was booked on, from the published file.
    bookings: dict[tuple[str, date, Decimal], list[tuple[int, Decimal]]] = field(default_factory=dict)
    papers: Papers = field(default_factory=lambda: Papers([], {}, [], {}))

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.story.timezone)

    @cached_property
    def people(self) -> dict[int, str]:
        return {manager.user_id: manager.person_id for manager in self.story.managers}

    @cached_property
    def teams(self) -> dict[str | None, str]:
        return {manager.person_id: manager.team for manager in self.story.managers}

    @cached_property
    def extensions(self) -> dict[str, str]:
        return {manager.extension: manager.person_id for manager in self.story.managers}

    @cached_property
    def order(self) -> dict[int, int]:
        return {stage.stage_id: stage.position for stage in self.story.stages}

    @cached_property
    def kinds(self) -> dict[int, str]:
        return {stage.stage_id: stage.kind for stage in self.story.stages}

    def stages(self, *kinds: str) -> set[int]:
        return {stage.stage_id for stage in self.story.stages if stage.kind in kinds}

    # ── deals ───────────────────────────────────────────────────────────────────────────────────────────────────

    def owner(self, deal: Deal, moment: datetime) -> str | None:
        user = deal.owner
        for change in sorted(deal.owner_changes, key=lambda change: change.changed_at):
            if change.changed_at <= moment:
                user = change.user_id
        return self.people.get(user)

    def owner_on(self, deal: Deal, day: date) -> str | None:
        return self.owner(deal, self.end_of(day) - timedelta(seconds=1))

    def amount(self, deal: Deal, moment: datetime) -> Decimal:
        amount = deal.amount
        for change in sorted(deal.amount_changes, key=lambda change: change.changed_at):
            if change.changed_at <= moment:
                amount = change.amount
        return amount

    def entries(self, deal: Deal, until: datetime) -> list[tuple[datetime, int]]:
        """Every entry of a stage, the creation first."""
        moves = sorted((move.moved_at, move.stage_id) for move in deal.moves if move.moved_at < until)
        return [(deal.created_at, deal.first_stage_id), *moves]

    def touched_at(self, deal: Deal, stages: Iterable[int], until: datetime) -> datetime | None:
        wanted = set(stages)
        return min((at for at, stage in self.entries(deal, until) if stage in wanted), default=None)

    def passed_at(self, deal: Deal, stage_id: int, until: datetime) -> datetime | None:
        """The first entry of the stage or of any later one that is not a loss."""
        place = self.order[stage_id]
        later = {stage for stage, at in self.order.items() if at >= place and self.kinds[stage] != "lost"}
        return self.touched_at(deal, later, until)

    def is_open(self, deal: Deal, moment: datetime) -> bool:
        stage = [stage for at, stage in self.entries(deal, moment + timedelta(microseconds=1)) if at <= moment][-1]
        is_there = deal.deleted_at is None or deal.deleted_at > moment
        return is_there and self.kinds[stage] not in ("won", "lost")

    def is_duplicate(self, deal: Deal) -> bool:
        for other in self.story.deals:
            if other is deal or digits_of(other.phone) != digits_of(deal.phone):
                continue
            if other.created_at < deal.created_at and (
                self.is_open(other, deal.created_at) or deal.created_at - other.created_at < timedelta(days=30)
            ):
                return True
        return False

    @cached_property
    def leads(self) -> list[Deal]:
        """What counts as a lead: every deal but the duplicates, deleted ones too."""
        return [deal for deal in self.story.deals if not self.is_duplicate(deal)]

    def end_of(self, day: date) -> datetime:
        return datetime.combine(day + timedelta(days=1), time(0), self.zone)

    # ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def talks(self) -> list[Talk]:
        return [self._talk(call) for call in self.story.calls if call.direction != "internal"]

    def _talk(self, call: Call) -> Talk:
        if call.direction == "out":
            seconds = (call.ended_at - call.answered_at).total_seconds() if call.answered_at else 0.0
            person = self.extensions.get(call.legs[-1].extension)
            return Talk(call, call.number, person, seconds, call.answered_at is not None, True)
        lengths = [
            ((leg.ended_at - leg.answered_at).total_seconds() if leg.answered_at else 0.0, place)
            for place, leg in enumerate(call.legs)
        ]
        if not lengths:
            return Talk(call, call.number, None, 0.0, False, False)
        seconds, place = max(lengths)
        person = self.extensions.get(call.legs[place].extension)
        return Talk(call, call.number, person, seconds, seconds > 0, True)

    @cached_property
    def talks_by_number(self) -> dict[str, list[Talk]]:
        found: dict[str, list[Talk]] = defaultdict(list)
        for talk in self.talks:
            found[talk.number].append(talk)
        return found

    def talks_after(self, deal: Deal, until: datetime) -> list[Talk]:
        """Conversations with the deal's customer since its creation; the call that created it is the first."""
        since = deal.created_at - timedelta(minutes=10)
        return [
            talk
            for talk in self.talks_by_number.get(digits_of(deal.phone), [])
            if since <= talk.call.started_at < until
        ]

    # ── money ───────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def money(self) -> dict[int, list[tuple[date, Decimal]]]:
        """What was booked on each deal, in the order of days, receipts of a day before its refunds."""
        found: dict[int, list[tuple[date, Decimal]]] = defaultdict(list)
        for (_, day, _), parts in self.bookings.items():
            for deal_id, amount in parts:
                found[deal_id].append((day, amount))
        for rows in found.values():
            rows.sort(key=lambda row: (row[0], row[1] < 0))
        return found

    def paid(self, deal: Deal, until: date) -> Paid | None:
        """The first day by whose payments what was due had come in."""
        rows = [row for row in self.money.get(deal.deal_id, []) if row[0] < until]
        if not rows:
            return None
        due = self.amount(deal, self.end_of(rows[0][0]) - timedelta(seconds=1))
        total = Decimal(0)
        for day, amount in rows:
            total += amount
            if total >= due > 0:
                return Paid(deal, day, 1, self.owner_on(deal, day))
        return None
