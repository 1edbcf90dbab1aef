"""Shipments, margin, customers over time, debts, points, the pipeline's worth and plans, counted by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from demo.calls import digits_of
from demo.story import Deal
from tests.truth.counting import NONE, ONE, Part, Question, share
from tests.truth.papers import KOPECK, ODDS, POINTS
from tests.truth.results import avg_check, earlier_paid, movements, open_deals, original_day, sales_cycle_days, win_rate
from tests.truth.world import Truth

WINDOW = timedelta(days=90)
DORMANT = timedelta(days=180)
CLAWBACK = timedelta(days=30)
OWN_HISTORY = 30

# ── documents ───────────────────────────────────────────────────────────────────────────────────────────────────


def _deal(truth: Truth, deal_id: int | None) -> Deal | None:
    return next((deal for deal in truth.story.deals if deal.deal_id == deal_id), None)


def _owner_on(truth: Truth, deal_id: int | None, day: date) -> str | None:
    """Whose a document's deal was at the end of its day; nobody's before the deal was there."""
    deal = _deal(truth, deal_id)
    return truth.owner_on(deal, day) if deal and truth.end_of(day) > deal.created_at else None


def revenue_accrual(q: Question) -> Iterator[Part]:
    for paper in q.truth.papers.shipments:
        if q.holds_day(paper.on):
            yield Part(_owner_on(q.truth, paper.deal_id, paper.on), paper.amount)


def overdue_share(q: Question) -> Iterator[Part]:
    debts = [paper for paper in q.truth.papers.debts if q.holds_day(paper.on)]
    latest = max((paper.on for paper in debts), default=None)
    for paper in debts:
        if paper.on == latest:
            is_over = paper.due_on is not None and paper.due_on < paper.on
            yield Part(_owner_on(q.truth, paper.deal_id, paper.on), paper.amount if is_over else NONE, paper.amount)


def _margins(q: Question) -> Iterator[tuple[str | None, Decimal, Decimal]]:
    """Person, amount and cost of every part of money on a deal with a known cost."""
    truth = q.truth
    for deal in truth.story.deals:
        lines, rows = truth.papers.costs.get(deal.deal_id), truth.money.get(deal.deal_id, [])
        if not lines or not rows:
            continue
        cost = sum(line.amount for line in lines)
        due = truth.amount(deal, truth.end_of(rows[0][0]) - timedelta(seconds=1))
        paid = borne = NONE
        for place, (day, amount) in enumerate(rows):
            paid += amount
            through = (cost * max(min(paid, due), NONE) / due).quantize(KOPECK, rounding="ROUND_FLOOR")
            part, borne = through - borne, through
            if q.holds_day(day):
                yield truth.owner_on(deal, _credited_on(truth, deal, place)), amount, part


def _credited_on(truth: Truth, deal: Deal, place: int) -> date:
    """The day of a movement; of a refund that of the payment it returns."""
    day, amount = truth.money[deal.deal_id][place]
    if amount > 0:
        return day
    earlier = [on for on, part in truth.money[deal.deal_id] if part > 0 and on <= day]
    same = (deal.deal_id, day, amount)
    refund = next(each for each in truth.story.payments if (each.deal_id, each.paid_on, each.amount) == same)
    return original_day(truth, deal.deal_id, refund.purpose, earlier)


def gross_margin(q: Question) -> Iterator[Part]:
    for person, amount, cost in _margins(q):
        yield Part(person, amount - cost)


def margin_rate(q: Question) -> Iterator[Part]:
    for person, amount, cost in _margins(q):
        yield Part(person, amount - cost, amount)


# ── customers ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Paid:
    """A payment of a customer, or its part on a deal."""

    customer: str
    on: date
    person: str | None


def _customers_payments(truth: Truth) -> list[Paid]:
    found = []
    deals = {deal.deal_id: deal for deal in truth.story.deals}
    for payment in truth.story.payments:
        if payment.is_own_transfer or payment.amount <= 0:
            continue
        parts = truth.bookings.get((payment.number, payment.paid_on, payment.amount), [])
        found += [
            Paid(deals[deal_id].tax_id or "", payment.paid_on, truth.owner_on(deals[deal_id], payment.paid_on))
            for deal_id, _ in parts
        ]
        if sum(amount for _, amount in parts) != payment.amount:
            found.append(Paid(payment.payer_tax_id, payment.paid_on, None))
    return found


def _account_owner(truth: Truth, customer: str, moment: datetime) -> tuple[bool, str | None]:
    """Whether the customer has a deal by then, and who is responsible for the latest."""
    known = [deal for deal in truth.story.deals if deal.tax_id == customer and deal.created_at <= moment]
    if not known:
        return False, None
    return True, truth.owner(max(known, key=lambda deal: (deal.created_at, deal.deal_id)), moment)


def customer_retention_rate(q: Question) -> Iterator[Part]:
    middle = q.ends_at - WINDOW
    days: dict[str, list[datetime]] = defaultdict(list)
    for paid in _customers_payments(q.truth):
        at = q.truth.end_of(paid.on) - timedelta(seconds=1)
        if middle - WINDOW <= at < q.ends_at:
            days[paid.customer].append(at)
    for customer, moments in days.items():
        if min(moments) < middle:
            yield share(_account_owner(q.truth, customer, middle)[1], max(moments) >= middle)


def customers_returned(q: Question) -> Iterator[Part]:
    days: dict[str, dict[date, str | None]] = defaultdict(dict)
    for paid in _customers_payments(q.truth):
        days[paid.customer].setdefault(paid.on, paid.person)
    for persons in days.values():
        for day, person in persons.items():
            before = max((other for other in persons if other < day), default=None)
            if before is not None and day - before >= DORMANT and q.holds_day(day):
                yield Part(person)


def client_coverage_rate(q: Question) -> Iterator[Part]:
    truth = q.truth
    begins = truth.end_of(q.first - timedelta(days=1))
    paying = {paid.customer for paid in _customers_payments(truth) if paid.on < q.first}
    for customer in paying:
        has_deal, person = _account_owner(truth, customer, begins)
        if has_deal:
            deals = [deal for deal in truth.story.deals if deal.tax_id == customer]
            yield share(person, any(_talked(q, deal) for deal in deals))


def _talked(q: Question, deal: Deal) -> bool:
    """A successful call of the period with the number of the deal's contact, since the contact is known."""
    story = q.truth.story
    known_at = min(other.created_at for other in story.deals if other.contact_id == deal.contact_id)
    talks = q.truth.talks_by_number.get(digits_of(deal.phone), [])
    reached = [talk.call.started_at for talk in talks if talk.is_successful]
    return any(q.holds(at) and at >= known_at for at in reached)


def new_customer_revenue(q: Question) -> Iterator[Part]:
    day = q.as_of.astimezone(q.truth.zone).date()
    for event in q.paid():
        if not earlier_paid(q, event):
            net = sum(amount for on, amount in q.truth.money[event.deal.deal_id] if on < day)
            yield Part(event.person, Decimal(net))


# ── stages and the pipeline's worth ─────────────────────────────────────────────────────────────────────────────


def milestones_passed(q: Question) -> Iterator[Part]:
    truth = q.truth
    for deal in truth.leads:
        lost = [at for at, stage in truth.entries(deal, q.ends_at) if truth.kinds[stage] == "lost"]
        if deal.deleted_at and truth.is_open(deal, deal.deleted_at - timedelta(seconds=1)):
            lost.append(deal.deleted_at)
        for stage in truth.story.stages:
            at = truth.passed_at(deal, stage.stage_id, q.ends_at) if stage.kind in POINTS else None
            if at is None:
                continue
            points, person = Decimal(POINTS[stage.kind]), truth.owner(deal, at)
            if q.holds(at):
                yield Part(person, points)
            back = min((moment for moment in lost if at <= moment < at + CLAWBACK), default=None)
            if back is not None and q.holds(back):
                yield Part(person, -points)


def _odds(q: Question, stage_id: int) -> Decimal:
    """Of the month's own history where it is long enough: deals that passed the stage and ended before the month."""
    truth = q.truth
    closed = paid = 0
    for deal in truth.leads:
        ends = [at for at, stage in truth.entries(deal, truth.story.told_at) if truth.kinds[stage] in ("won", "lost")]
        ends += [deal.deleted_at] if deal.deleted_at else []
        is_past = bool(ends) and max(ends) < truth.end_of(q.first - timedelta(days=1))
        if is_past and truth.passed_at(deal, stage_id, truth.story.told_at) is not None:
            closed += 1
            paid += truth.paid(deal, q.first) is not None
    return Decimal(paid) / closed if closed >= OWN_HISTORY else Decimal(ODDS[truth.kinds[stage_id]])


def pipeline_weighted(q: Question) -> Iterator[Part]:
    moment = q.ends_at - timedelta(seconds=1)
    for deal in open_deals(q):
        _, stage = q.truth.entries(deal, q.ends_at)[-1]
        yield Part(q.truth.owner(deal, moment), q.truth.amount(deal, moment) * _odds(q, stage))


def forecast_weighted(q: Question) -> Iterator[Part]:
    """Money that came, open deals by their odds, and what deals that are won and paid in part still owe."""
    truth, moment = q.truth, q.ends_at - timedelta(seconds=1)
    for person, amount in movements(q):
        yield Part(person, amount)
    yield from pipeline_weighted(q)
    for deal in truth.story.deals:
        rows = truth.money.get(deal.deal_id, [])
        paid = sum(amount for on, amount in rows if truth.end_of(on) <= q.ends_at)
        _, stage = truth.entries(deal, q.ends_at)[-1]
        if paid <= 0 or truth.kinds[stage] != "won":
            continue
        due = truth.amount(deal, truth.end_of(rows[0][0]) - timedelta(seconds=1))
        if due > paid:
            yield Part(truth.owner(deal, moment), due - paid)


def pipeline_velocity(q: Question) -> Iterator[Part]:
    """The factors, each under its name."""
    for deal in open_deals(q):
        _, stage = q.truth.entries(deal, q.ends_at)[-1]
        if q.truth.kinds[stage] in ("qualified", "meeting", "offer", "invoice"):
            yield Part(q.truth.owner(deal, q.ends_at - timedelta(seconds=1)), ONE, key="open")
    for name, factor in (("won", win_rate), ("check", avg_check), ("cycle", sales_cycle_days)):
        for part in factor(q):
            yield Part(part.person, part.num, part.den if part.den is not None else ONE, key=name)


def velocity_of(parts: list[Part]) -> tuple[float, float]:
    """Open × win rate × average check / mean cycle; 0 where one of them has no base."""
    sums: dict[str, list[Decimal]] = defaultdict(lambda: [NONE, NONE])
    for part in parts:
        sums[str(part.key)][0] += part.num
        sums[str(part.key)][1] += part.den or NONE
    (won, ended), (money, paid), (days, cycles) = sums["won"], sums["check"], sums["cycle"]
    if not ended or not paid or not days:
        return 0.0, 0.0
    return float(sums["open"][0] * won / ended * money / paid * cycles / days), 0.0
