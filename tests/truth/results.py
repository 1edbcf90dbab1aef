"""Stages, money and discipline counted by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from demo.calls import digits_of
from demo.story import Deal
from tests.truth.activity import calls_successful, entry_owner
from tests.truth.counting import NONE, ONE, Metric, Part, Question, is_paid, share
from tests.truth.world import Paid, Truth, working_seconds

# ── stages ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _touched(q: Question, kind: str) -> Iterator[Part]:
    for deal in q.truth.leads:
        at = q.truth.touched_at(deal, q.truth.stages(kind), q.ends_at)
        if at is not None and q.holds(at):
            yield Part(q.truth.owner(deal, at))


def meetings_held(q: Question) -> Iterator[Part]:
    yield from _touched(q, "meeting")


def offers_sent(q: Question) -> Iterator[Part]:
    yield from _touched(q, "offer")


def _over(above: Metric, below: Metric, q: Question) -> Iterator[Part]:
    for part in above(q):
        yield Part(part.person, part.num, NONE)
    for part in below(q):
        yield Part(part.person, NONE, part.num)


def call_to_meeting_rate(q: Question) -> Iterator[Part]:
    yield from _over(meetings_held, calls_successful, q)


def meeting_to_offer_rate(q: Question) -> Iterator[Part]:
    yield from _over(offers_sent, meetings_held, q)


def offer_to_payment_rate(q: Question) -> Iterator[Part]:
    yield from _over(deals_paid, offers_sent, q)


def stage_conversion_cohort(q: Question) -> Iterator[Part]:
    for deal in q.leads:
        yield share(entry_owner(q, deal), is_paid(q, deal))


def stage_conversion_period(q: Question) -> Iterator[Part]:
    for deal in q.leads:
        yield Part(entry_owner(q, deal), NONE, ONE)
    for event in q.paid():
        if event.deal in q.truth.leads:
            yield Part(event.person, ONE, NONE)


def qualified_to_paid_rate(q: Question) -> Iterator[Part]:
    (qualified,) = q.truth.stages("qualified")
    for deal in q.truth.leads:
        at = q.truth.passed_at(deal, qualified, q.as_of)
        if at is not None and q.holds(at):
            yield share(q.truth.owner(deal, at), is_paid(q, deal))


def win_rate(q: Question) -> Iterator[Part]:
    truth = q.truth
    ends = truth.stages("won", "lost")
    for deal in truth.leads:
        found = [(at, truth.kinds[stage]) for at, stage in truth.entries(deal, q.ends_at) if stage in ends]
        if (
            deal.deleted_at
            and deal.deleted_at < q.ends_at
            and truth.is_open(deal, deal.deleted_at - timedelta(seconds=1))
        ):
            found.append((deal.deleted_at, "deleted"))
        here = [(at, kind) for at, kind in found if q.holds(at)]
        if here:
            at, kind = max(here)
            yield share(truth.owner(deal, at), kind == "won" and is_paid(q, deal))


def stage_skip_rate(q: Question) -> Iterator[Part]:
    truth = q.truth
    for deal in q.leads:
        for stage in truth.story.stages:
            if stage.kind in ("qualified", "meeting", "offer", "invoice"):
                at = truth.passed_at(deal, stage.stage_id, q.as_of)
                if at is not None:
                    touched = truth.touched_at(deal, {stage.stage_id}, q.as_of)
                    yield share(truth.owner(deal, at), touched is None)


def backward_move_rate(q: Question) -> Iterator[Part]:
    truth = q.truth
    for deal in truth.story.deals:
        entries = truth.entries(deal, q.ends_at)
        for (_, before), (at, after) in pairwise(entries):
            if q.holds(at) and truth.kinds[after] != "lost" and before != after:
                is_back = truth.kinds[before] == "lost" or truth.order[after] < truth.order[before]
                yield share(truth.owner(deal, at), is_back)


def time_in_stage(q: Question) -> Iterator[Part]:
    """Working hours of each deal in each stage before won, out of which it last moved in the period."""
    truth = q.truth
    for deal in truth.leads:
        stays: dict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
        for (entered, stage), (left, _) in pairwise(truth.entries(deal, q.ends_at)):
            stays[stage].append((entered, left))
        for stage, visits in stays.items():
            left = max(end for _, end in visits)
            if truth.kinds[stage] not in ("won", "lost") and q.holds(left):
                hours = sum(working_seconds(entered, end) for entered, end in visits) / 3600
                yield Part(truth.owner(deal, left), Decimal(hours))


def stage_age(q: Question) -> Iterator[Part]:
    """How long each deal open at the end has stood where it stands."""
    for deal in open_deals(q):
        entered, _ = q.truth.entries(deal, q.ends_at)[-1]
        hours = working_seconds(entered, q.ends_at) / 3600
        yield Part(q.truth.owner(deal, q.ends_at - timedelta(seconds=1)), Decimal(hours))


# ── money ───────────────────────────────────────────────────────────────────────────────────────────────────────


def deals_paid(q: Question) -> Iterator[Part]:
    for event in q.paid():
        yield Part(event.person)


def movements(q: Question) -> Iterator[tuple[str | None, Decimal]]:
    """Customers' money: whose it is on its day, a refund's on the day of the money it returns, and the amount."""
    truth = q.truth
    deals = {deal.deal_id: deal for deal in truth.story.deals}
    for payment in truth.story.payments:
        if payment.is_own_transfer or not q.holds_day(payment.paid_on):
            continue
        if payment.amount < 0 and payment.deal_id is None:
            continue  # suppliers and the bank
        parts = truth.bookings.get((payment.number, payment.paid_on, payment.amount), [])
        for deal_id, amount in parts:
            deal = deals[deal_id]
            returned = [on for on, part in truth.money[deal_id] if part > 0 and on <= payment.paid_on]
            at = payment.paid_on if amount > 0 else original_day(truth, deal_id, payment.purpose, returned)
            yield truth.owner_on(deal, at), amount
        rest = payment.amount - sum(amount for _, amount in parts)
        if rest:
            yield None, rest


def original_day(truth: Truth, deal_id: int, purpose: str, earlier: list[date]) -> date:
    """The day of the payment a refund names by its number, else of the latest earlier one of the deal."""
    for payment in truth.story.payments:
        if payment.deal_id == deal_id and payment.amount > 0 and f"п/п {payment.number} от" in purpose:
            return payment.paid_on
    return max(earlier)


def revenue_cash(q: Question) -> Iterator[Part]:
    for person, amount in movements(q):
        yield Part(person, amount)


def refund_rate(q: Question) -> Iterator[Part]:
    for person, amount in movements(q):
        yield Part(person, max(-amount, NONE), max(amount, NONE))


def avg_check(q: Question) -> Iterator[Part]:
    day = q.as_of.astimezone(q.truth.zone).date()
    for event in q.paid():
        net = sum(amount for on, amount in q.truth.money[event.deal.deal_id] if on < day)
        yield Part(event.person, Decimal(net), ONE)


def sales_cycle_days(q: Question) -> Iterator[Part]:
    truth = q.truth
    for event in q.paid():
        start = event.deal.created_at
        for talk in truth.talks_by_number.get(digits_of(event.deal.phone), []):
            if (
                timedelta(0) < event.deal.created_at - talk.call.started_at <= timedelta(minutes=10)
                and talk.is_successful
            ):
                start = min(start, talk.call.started_at)
        yield Part(event.person, Decimal((event.on - start.astimezone(truth.zone).date()).days))


def earlier_paid(q: Question, event: Paid) -> bool:
    """Whether the same taxpayer had paid for a deal before, or anything before the CRM was there."""
    day = q.as_of.astimezone(q.truth.zone).date()
    begins = min(deal.created_at for deal in q.truth.story.deals).astimezone(q.truth.zone).date()
    for payment in q.truth.story.payments:
        if payment.deal_id is None and payment.payer_tax_id == event.deal.tax_id and payment.paid_on < begins:
            return True
    for other in q.truth.story.deals:
        if other is not event.deal and other.tax_id == event.deal.tax_id:
            before = q.truth.paid(other, day)
            if before is not None and (before.on, other.deal_id) < (event.on, event.deal.deal_id):
                return True
    return False


def new_customers(q: Question) -> Iterator[Part]:
    for event in q.paid():
        if not earlier_paid(q, event):
            yield Part(event.person)


def repeat_deal_share(q: Question) -> Iterator[Part]:
    for event in q.paid():
        yield share(event.person, earlier_paid(q, event))


# ── state and discipline ────────────────────────────────────────────────────────────────────────────────────────


def open_deals(q: Question) -> Iterator[Deal]:
    moment = q.ends_at - timedelta(seconds=1)
    for deal in q.truth.leads:
        if deal.created_at <= moment and q.truth.is_open(deal, moment):
            yield deal


def pipeline_open(q: Question) -> Iterator[Part]:
    for deal in open_deals(q):
        yield Part(q.truth.owner(deal, q.ends_at - timedelta(seconds=1)))


def pipeline_amount(q: Question) -> Iterator[Part]:
    moment = q.ends_at - timedelta(seconds=1)
    for deal in open_deals(q):
        yield Part(q.truth.owner(deal, moment), q.truth.amount(deal, moment))


def won_payment_confirmation_rate(q: Question) -> Iterator[Part]:
    truth = q.truth
    for deal in truth.leads:
        at = truth.touched_at(deal, truth.stages("won"), q.ends_at)
        if at is not None and q.holds(at) and working_days_after(at, q) >= 5:
            yield share(truth.owner(deal, at), is_paid(q, deal))


def working_days_after(at: datetime, q: Question) -> int:
    """Whole working days between a moment's day and the day counting ends with."""
    day, last = at.astimezone(q.truth.zone).date(), (q.as_of - timedelta(seconds=1)).astimezone(q.truth.zone).date()
    return sum(1 for step in range(1, (last - day).days + 1) if (day + timedelta(days=step)).weekday() < 5)


def crm_call_confirmation_rate(q: Question) -> Iterator[Part]:
    for note in q.truth.story.notes:
        if not q.holds(note.created_at):
            continue
        # A note is stamped when its call began or when it was over, and tells the talk or the ringing too.
        began = {note.created_at, note.created_at - timedelta(seconds=note.duration)}
        like = [
            talk
            for talk in q.truth.talks_by_number.get(note.phone, [])
            if any(abs(talk.call.started_at - at) <= timedelta(minutes=5) for at in began)
            and any(abs(length - note.duration) <= length / 10 for length in (talk.seconds, talk.whole_seconds))
        ]
        yield share(q.truth.people.get(note.user_id), bool(like))
