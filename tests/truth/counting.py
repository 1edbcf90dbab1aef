"""What a count is made of: the month asked about, and the parts records give to it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from demo.story import Deal
from tests.truth.world import Paid, Talk, Truth

NOBODY = "unassigned"


@dataclass(frozen=True)
class Part:
    """What one record gives: to a person (or only to a team), a numerator, a denominator, what it is counted by."""

    person: str | None
    num: Decimal = Decimal(1)
    den: Decimal | None = None
    key: Hashable = None
    team: str | None = None  # of metrics that nobody but a team answers for


@dataclass(frozen=True)
class Question:
    """A month asked about, and until when it counts."""

    truth: Truth
    first: date
    last: date  # exclusive
    as_of: datetime

    def holds(self, moment: datetime) -> bool:
        return self.first <= moment.astimezone(self.truth.zone).date() < self.last and moment < self.as_of

    def holds_day(self, day: date) -> bool:
        return self.first <= day < self.last and self.truth.end_of(day) <= self.as_of

    @property
    def ends_at(self) -> datetime:
        """The end of what a metric that is not counted further sees."""
        return min(self.truth.end_of(self.last - timedelta(days=1)), self.as_of)

    @property
    def leads(self) -> list[Deal]:
        return [deal for deal in self.truth.leads if self.holds(deal.created_at)]

    @property
    def talks(self) -> list[Talk]:
        return [talk for talk in self.truth.talks if talk.is_human and self.holds(talk.call.started_at)]

    def paid(self) -> Iterator[Paid]:
        """What became paid in the period. (No full refund happens in these stories.)"""
        day = self.as_of.astimezone(self.truth.zone).date()
        for deal in self.truth.story.deals:
            event = self.truth.paid(deal, day)
            if event is not None and self.holds_day(event.on):
                yield event


Metric = Callable[[Question], Iterator[Part]]
ONE, NONE = Decimal(1), Decimal(0)


def share(person: str | None, is_counted: bool, *, team: str | None = None) -> Part:
    return Part(person, ONE if is_counted else NONE, ONE, team=team)


def is_paid(q: Question, deal: Deal) -> bool:
    return q.truth.paid(deal, q.as_of.astimezone(q.truth.zone).date()) is not None


def month(truth: Truth, name: str, as_of: datetime) -> Question:
    first = date.fromisoformat(f"{name}-01")
    last = (first + timedelta(days=32)).replace(day=1)
    return Question(truth, first, last, as_of)
