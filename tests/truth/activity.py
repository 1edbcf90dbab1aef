"""Leads and calls counted by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from demo.calls import LINES
from demo.story import Deal
from tests.truth.counting import NOBODY, Part, Question, share
from tests.truth.world import Talk, after_working, working_seconds

# ── leads ───────────────────────────────────────────────────────────────────────────────────────────────────────


def first_action(q: Question, deal: Deal) -> datetime | None:
    found = [
        talk.call.started_at
        for talk in q.truth.talks_after(deal, q.as_of)
        if talk.call.direction == "out" or talk.is_answered
    ]
    return max(min(found), deal.created_at) if found else None


def first_success(q: Question, deal: Deal) -> datetime | None:
    found = [talk.call.started_at for talk in q.truth.talks_after(deal, q.as_of) if talk.is_successful]
    return max(min(found), deal.created_at) if found else None


def entry_owner(q: Question, deal: Deal) -> str | None:
    return q.truth.owner(deal, deal.created_at)


def leads_new(q: Question) -> Iterator[Part]:
    for deal in q.leads:
        yield Part(entry_owner(q, deal))


def leads_processed(q: Question) -> Iterator[Part]:
    for deal in q.leads:
        if first_action(q, deal):
            yield Part(entry_owner(q, deal))


def lead_contact_rate(q: Question) -> Iterator[Part]:
    for deal in q.leads:
        yield share(entry_owner(q, deal), first_success(q, deal) is not None)


def lead_no_contact_rate(q: Question) -> Iterator[Part]:
    for deal in q.leads:
        yield share(entry_owner(q, deal), first_success(q, deal) is None)


def lead_sla_rate(q: Question) -> Iterator[Part]:
    for deal in q.leads:
        if after_working(deal.created_at, 15 * 60) < q.as_of:
            action = first_action(q, deal)
            in_time = action is not None and working_seconds(deal.created_at, action) <= 15 * 60
            yield share(entry_owner(q, deal), in_time)


def speed_to_lead(q: Question) -> Iterator[Part]:
    for deal in q.leads:
        action = first_action(q, deal)
        if action is not None:
            yield Part(entry_owner(q, deal), Decimal(working_seconds(deal.created_at, action)) / 60)


def speed_to_contact(q: Question) -> Iterator[Part]:
    for deal in q.leads:
        success = first_success(q, deal)
        if success is not None:
            yield Part(entry_owner(q, deal), Decimal(working_seconds(deal.created_at, success)) / 60)


# ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────────


def calls_attempted(q: Question) -> Iterator[Part]:
    for talk in q.talks:
        if talk.call.direction == "out":
            yield Part(talk.person)


def calls_successful(q: Question) -> Iterator[Part]:
    for talk in q.talks:
        if talk.is_successful:
            yield Part(talk.person)


def calls_successful_in(q: Question) -> Iterator[Part]:
    for talk in q.talks:
        if talk.is_successful and talk.call.direction == "in":
            yield Part(talk.person)


def calls_successful_cold(q: Question) -> Iterator[Part]:
    for talk in q.talks:
        earlier = [
            other
            for other in q.truth.talks_by_number[talk.number]
            if other.call.started_at < talk.call.started_at and other.is_human
        ]
        if talk.is_successful and not earlier:
            yield Part(talk.person)


def call_connect_rate(q: Question) -> Iterator[Part]:
    for talk in q.talks:
        if talk.call.direction == "out":
            yield share(talk.person, talk.is_successful)


def contacts_reached_unique(q: Question) -> Iterator[Part]:
    for talk in q.talks:
        if talk.is_successful:
            yield Part(talk.person, key=talk.number)


def line_team(talk: Talk) -> str:
    return next((team for team, line in LINES.items() if line == talk.call.line), NOBODY)


def missed_call_rate(q: Question) -> Iterator[Part]:
    for talk in q.talks:
        if talk.call.direction == "in":
            yield share(None, not talk.is_answered, team=line_team(talk))


def missed_callback_rate(q: Question) -> Iterator[Part]:
    last: dict[str, datetime] = {}
    for talk in sorted(q.truth.talks, key=lambda talk: talk.call.started_at):
        if not talk.is_human or talk.is_answered or talk.call.direction != "in":
            continue
        at = talk.call.started_at
        ends = after_working(at, 30 * 60)
        before = last.get(talk.number)
        if before is not None and at <= before:
            continue
        last[talk.number] = ends
        if not q.holds(at) or ends >= q.as_of:
            continue
        answers = [
            other
            for other in q.truth.talks_by_number[talk.number]
            if at < other.call.started_at <= ends and (other.call.direction == "out" or other.is_answered)
        ]
        yield share(None, bool(answers), team=line_team(talk))
