"""A generated company (demo/company.py) as core rows in memory, as connectors and conforming would have made them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache

import duckdb

from base.clock import FakeClock
from demo.calls import digits_of
from demo.company import MOSCOW
from demo.story import Deal, Payment, Story
from metrics.compute import PeriodReport, recompute
from metrics.periods import parse_period
from metrics.resolve import resolve
from tests.metrics.fixture_core import COMPANY, Batch, Crm, Row, Target, empty_warehouse, insert
from tests.truth.world import Truth, tell

SIDE_PIPELINE = "8"  # beside the story's one: a place to move deals to
PERIODS = parse_period("2026-10")  # the story's second month: its backlog and customers come from the first
DEALS = 80
EVER = date(1900, 1, 1)
FIRST_NIGHT = datetime(2026, 10, 12, 6, 0, tzinfo=MOSCOW)
COVERED_UNTIL = datetime(2026, 11, 1, 0, 0, tzinfo=MOSCOW)


class World:
    """A story's records, put aside to be tampered with before they go into a database."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.truth = Truth(story)
        self.batch = Batch()
        self.crm = Crm(self.batch, pipeline=str(story.pipeline_id))
        _add_inputs(self.batch, story)
        for deal in story.deals:
            self._add_deal(deal)
        self._add_contacts()
        _add_notes(self.batch, story)
        _add_calls(self.batch, self.truth)
        insert(self.batch, "core.payments", [_payment_row(payment) for payment in story.payments])

    def load(self, *, shuffled_by: int | None = None) -> duckdb.DuckDBPyConnection:
        """The records in a new database, in their own order or in one that dice choose, resolved and computed."""
        relations = list(self.batch.rows)
        dice = random.Random(shuffled_by)
        if shuffled_by is not None:
            dice.shuffle(relations)
        connection = empty_warehouse()
        for relation in relations:
            rows = self.batch.rows[relation]
            insert(connection, relation, rows if shuffled_by is None else dice.sample(rows, len(rows)))
        compute(connection, self.story)
        return connection

    def deal_row(self, deal: Deal) -> dict[str, object]:
        """The card of a deal, to be edited as anybody may edit a card."""
        row = next(row for row in self.batch.rows["core.deals"] if row["deal_id"] == str(deal.deal_id))
        assert isinstance(row, dict)
        return row

    def _add_deal(self, deal: Deal) -> None:
        owners = [deal.owner, *(change.user_id for change in deal.owner_changes)]
        amounts = [deal.amount, *(change.amount for change in deal.amount_changes)]
        key = str(deal.deal_id)
        self.crm.deal(
            key,
            str(deal.owner),
            stamp(deal.created_at),
            [(stamp(move.moved_at), str(move.stage_id)) for move in deal.moves],
            first=str(deal.first_stage_id),
            owner_now=str(owners[-1]),
            title=deal.title,
            amount=amounts[-1],
            tax_id=deal.tax_id,
            invoice_number=deal.invoice_number,
            loss_reason=deal.loss_reason,
            is_deleted=deal.deleted_at is not None,
        )
        for before, change in zip(owners, deal.owner_changes, strict=False):
            self.crm.owner(key, stamp(change.changed_at), str(before), str(change.user_id))
        for old, new in zip(amounts, deal.amount_changes, strict=False):
            self.crm.event(key, "amount", new.changed_at, from_value=str(old), to_value=str(new.amount))
        if deal.deleted_at is not None:
            self.crm.event(key, "deleted", deal.deleted_at, user_id=str(owners[-1]))

    def _add_contacts(self) -> None:
        """A contact has all its deals; its phone is known from the first one on."""
        deals_by_contact: dict[int, list[Deal]] = {}
        for deal in self.story.deals:
            deals_by_contact.setdefault(deal.contact_id, []).append(deal)
        for contact, deals in deals_by_contact.items():
            seen = stamp(min(deal.created_at for deal in deals))
            phone = "+" + digits_of(deals[0].phone)
            self.crm.contact(str(contact), phone, seen, [str(deal.deal_id) for deal in deals])


def company_of(seed: int) -> World:
    """The same company for the same seed: customers come back and share phones, deals are deleted and handed over."""
    return World(tell(seed, DEALS, FIRST_NIGHT))


@cache
def untouched(seed: int) -> duckdb.DuckDBPyConnection:
    """The company as it is, computed once for all tests: to be read, and computed again, but not changed."""
    return company_of(seed).load()


def compute(connection: duckdb.DuckDBPyConnection, story: Story) -> list[PeriodReport]:
    """Resolve, and recompute the month, at the moment the story is told."""
    clock = FakeClock(story.told_at)
    resolve(connection, COMPANY, clock)
    return recompute(connection, COMPANY, PERIODS, clock)


def stamp(moment: datetime) -> str:
    """A moment as the rows of fixture_core are told."""
    return f"{moment.astimezone(MOSCOW):%Y-%m-%d %H:%M:%S}"


def stage_rows(story: Story, pipeline: str) -> list[Row]:
    return [
        {
            "source": "amo",
            "pipeline_id": pipeline,
            "stage_id": str(stage.stage_id),
            "name": stage.name,
            "position": stage.position,
            "kind": stage.kind,
            "valid_from": EVER,
            "is_guess": False,
        }
        for stage in story.stages
    ]


def _add_inputs(target: Target, story: Story) -> None:
    for pipeline in (str(story.pipeline_id), SIDE_PIPELINE):
        insert(target, "core.stages", stage_rows(story, pipeline))
        weights = [
            {"source": "amo", "pipeline_id": pipeline, "stage_id": str(stage.stage_id), "weight": 1.0}
            for stage in story.stages
            if stage.kind in ("qualified", "offer")
        ]
        insert(target, "core.milestones", weights)
    for manager in story.managers:
        dated = {"person_id": manager.person_id, "valid_from": EVER}
        insert(target, "core.people", [dated | {"name": manager.name, "team": manager.team, "role": "manager"}])
        pairs = (("amo", str(manager.user_id)), ("mango", manager.extension))
        insert(target, "core.identities", [dated | {"source": src, "external_id": key} for src, key in pairs])
    insert(target, "core.calendar", _calendar())
    lines = {"74951234567": "Москва", "78001234567": "Регионы"}
    insert(target, "core.lines", [{"source": "mango", "line": line, "team": team} for line, team in lines.items()])
    streams = (("amo", "leads", "crm"), ("mango", "calls", "calls"), ("accounting", "files", "money"))
    coverage = [
        {"source": source, "stream": stream, "facet": facet, "complete_until": COVERED_UNTIL.astimezone(UTC)}
        for source, stream, facet in streams
    ]
    insert(target, "meta.coverage", coverage)


def _calendar() -> Sequence[Row]:
    days = (date(2026, 8, 1) + timedelta(days=place) for place in range(122))
    return [{"day": day, "hours": 8 if day.weekday() < 5 else 0, "origin": "country"} for day in days]


def _add_notes(target: Target, story: Story) -> None:
    rows = [
        note_row(f"note-{note.note_id}", str(note.user_id), note.created_at, "+" + digits_of(note.phone), note.duration)
        for note in story.notes
    ]
    insert(target, "core.activities", rows)


def note_row(key: str, user: str, moment: datetime, phone: str, seconds: int) -> Row:
    return {
        "source": "amo",
        "activity_id": key,
        "activity_type": "call_note",
        "user_id": user,
        "occurred_at": moment.astimezone(UTC),
        "duration_seconds": seconds,
        "phone": phone,
        "is_deleted": False,
    }


def _add_calls(target: Target, truth: Truth) -> None:
    extensions = {person: extension for extension, person in truth.extensions.items()}
    talks = {talk.call.call_id: talk for talk in truth.talks}
    rows = []
    for call in truth.story.calls:
        talk = talks.get(call.call_id)
        rows.append(
            {
                "source": "mango",
                "call_id": call.call_id,
                "started_at": call.started_at.astimezone(UTC),
                "local_date": call.started_at.astimezone(MOSCOW).date(),
                "direction": call.direction,
                "external_number": f"+{talk.number}" if talk else None,
                "line": call.line if talk else None,
                "extension": extensions.get(talk.person or "") if talk else None,
                "is_answered": talk.is_answered if talk else True,
                "talk_seconds": int(talk.seconds) if talk else 60,
                "duration_seconds": int((call.ended_at - call.started_at).total_seconds()),
                "leg_count": len(call.legs),
            }
        )
    insert(target, "core.calls", rows)


def _payment_row(payment: Payment) -> Row:
    is_customer = payment.deal_id is not None
    kind = ("refund" if payment.amount < 0 else "customer") if is_customer or payment.amount > 0 else "other"
    return {
        "source": "accounting",
        "payment_id": f"{payment.paid_on:%y%m%d}-{payment.number}-{payment.payer_account[-4:]}-{payment.amount}",
        "paid_on": payment.paid_on,
        "amount": payment.amount,
        "currency": "RUB",
        "amount_reporting": payment.amount,
        "kind": "own_transfer" if payment.is_own_transfer else kind,
        "payer_name": payment.payer,
        "payer_tax_id": payment.payer_tax_id,
        "payer_account": payment.payer_account,
        "own_account": "40702810600000000101",
        "purpose": payment.purpose,
        "document_number": payment.number,
        "document_on": payment.ordered_on or payment.paid_on,
        "is_deleted": False,
    }
