"""What a manager can do to deals in a CRM must never make a hard or logged number better (metrics.md, section 1).

Every manager of a generated company plays another trick on all deals that are theirs; then each number is held
against the company where nobody did anything. Another seed deals the tricks to other people and deals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from functools import cache

import duckdb
import pytest

from demo.calls import digits_of
from demo.company import LOST, MOSCOW, NEW, WON
from demo.story import Deal
from metrics.catalogue import load_catalogue
from tests.metrics.fixture_core import insert
from tests.metrics.fixture_story import SIDE_PIPELINE, World, company_of, note_row, stamp, untouched

# A company, and by how much the tricks are shifted among its managers.
GAMES = ((11, 1), (12, 0))
TRICKS_FROM = datetime(2026, 10, 26, 10, 0, tzinfo=MOSCOW)
TRICKS_UNTIL = datetime(2026, 10, 31, 18, 0, tzinfo=MOSCOW)

Trick = Callable[[World, Deal, datetime], None]


def delete_while_open(world: World, deal: Deal, moment: datetime) -> None:
    if stage_of(deal) not in (WON, LOST):
        world.deal_row(deal)["is_deleted"] = True
        world.crm.event(str(deal.deal_id), "deleted", moment, user_id=str(owner_of(deal)))


def merge_away_while_open(world: World, deal: Deal, moment: datetime) -> None:
    if stage_of(deal) not in (WON, LOST):
        world.deal_row(deal)["is_deleted"] = True
        world.crm.event(str(deal.deal_id), "merged", moment, user_id=str(owner_of(deal)))


def move_to_another_pipeline(world: World, deal: Deal, moment: datetime) -> None:
    world.crm.move(str(deal.deal_id), stamp(moment), str(stage_of(deal)), str(NEW), pipeline_id=SIDE_PIPELINE)
    world.deal_row(deal).update(pipeline_id=SIDE_PIPELINE, stage_id=str(NEW))


def close_as_junk(world: World, deal: Deal, moment: datetime) -> None:
    """An open deal is lost as a duplicate; one lost already gets another reason."""
    if stage_of(deal) == WON:
        return
    if stage_of(deal) != LOST:
        world.crm.move(str(deal.deal_id), stamp(moment), str(stage_of(deal)), str(LOST))
    world.deal_row(deal).update(stage_id=str(LOST), loss_reason="Дубль", closed_at=moment)


def edit_the_amount(world: World, deal: Deal, moment: datetime) -> None:
    """The day after the first payment that names the deal's invoice: to what it brought, as if that were all."""
    number = deal.invoice_number
    paid = [payment for payment in world.story.payments if number and number in payment.purpose and payment.amount > 0]
    if not paid:
        return
    first = min(paid, key=lambda payment: payment.paid_on)
    row = world.deal_row(deal)
    after = datetime.combine(first.paid_on + timedelta(days=1), time(9), MOSCOW)
    world.crm.event(str(deal.deal_id), "amount", after, from_value=str(row["amount"]), to_value=str(first.amount))
    row["amount"] = first.amount


def relabel_the_card(world: World, deal: Deal, moment: datetime) -> None:
    """Every editable field: dates of closing and creation, title, where the lead came from, why it was lost."""
    world.deal_row(deal).update(
        title="Дубль, тест, спам",
        lead_source="Другое",
        loss_reason="Спам",
        closed_at=moment,
        created_at=deal.created_at - timedelta(days=400),
        updated_at=moment,
    )


def invent_calls(world: World, deal: Deal, moment: datetime) -> None:
    """Notes of long calls nobody made, minutes after the deal came in and again today."""
    phone = "+" + digits_of(deal.phone)
    moments = (deal.created_at + timedelta(minutes=2), moment)
    notes = [
        note_row(f"made-up-{deal.deal_id}-{place}", str(owner_of(deal)), told_at, phone, 600)
        for place, told_at in enumerate(moments)
    ]
    insert(world.batch, "core.activities", notes)


def move_back_and_forth(world: World, deal: Deal, moment: datetime) -> None:
    """To the stage the deal came from, and back to where it stands: won and lost deals too."""
    if not deal.moves:
        return
    here = str(stage_of(deal))
    before = str(deal.moves[-2].stage_id if len(deal.moves) > 1 else deal.first_stage_id)
    for hours in (0, 2):
        world.crm.move(str(deal.deal_id), stamp(moment + timedelta(hours=hours)), here, before)
        world.crm.move(str(deal.deal_id), stamp(moment + timedelta(hours=hours + 1)), before, here)


TRICKS: tuple[Trick, ...] = (
    delete_while_open,
    merge_away_while_open,
    move_to_another_pipeline,
    close_as_junk,
    edit_the_amount,
    relabel_the_card,
    invent_calls,
    move_back_and_forth,
)
# These touch no record a hard or logged number is made of: not a digit may change, for better or worse.
WITHOUT_TRACE = (edit_the_amount, relabel_the_card, invent_calls)


def owner_of(deal: Deal) -> int:
    return deal.owner_changes[-1].user_id if deal.owner_changes else deal.owner


def stage_of(deal: Deal) -> int:
    return deal.moves[-1].stage_id if deal.moves else deal.first_stage_id


def last_moment(deal: Deal) -> datetime:
    changes = [change.changed_at for change in deal.owner_changes] + [edit.changed_at for edit in deal.amount_changes]
    return max([deal.created_at, *(move.moved_at for move in deal.moves), *changes])


def dealt(world: World, shift: int) -> dict[str, Trick]:
    """Who plays which trick."""
    return {
        manager.person_id: TRICKS[(place + shift) % len(TRICKS)] for place, manager in enumerate(world.story.managers)
    }


def play(world: World, tricks: dict[str, Trick]) -> dict[str, int]:
    """Play them; how many deals each manager tried it on."""
    played = dict.fromkeys(tricks, 0)
    for deal in world.story.deals:
        moment = max(TRICKS_FROM, last_moment(deal) + timedelta(hours=1))
        if deal.deleted_at is None and moment < TRICKS_UNTIL:
            person = world.truth.people[owner_of(deal)]
            tricks[person](world, deal, moment)
            played[person] += 1
    return played


@dataclass(frozen=True)
class Fact:
    additivity: str
    num: Decimal | None
    den: Decimal | None
    value: float | None


Facts = dict[tuple[str, ...], Fact]


def facts_of(company: duckdb.DuckDBPyConnection) -> Facts:
    """Every hard and logged fact by metric, variant, pipeline, entity type and entity."""
    rows = company.execute(
        "SELECT metric, variant, pipeline, entity_type, entity_id, additivity, num, den, value FROM facts.kpi"
        " WHERE evidence_class IN ('hard', 'logged')"
    ).fetchall()
    return {tuple(key): Fact(additivity, num, den, value) for *key, additivity, num, den, value in rows}


LESS_IS_BETTER = frozenset(metric.key for metric in load_catalogue() if metric.direction == "down")


def is_better(metric: str, before: Fact | None, after: Fact | None) -> bool:
    """Whether a number rose (fell, where less is better), appeared as a good one, or lost a part of its denominator."""
    if before is None or before.value is None:
        return metric not in LESS_IS_BETTER and after is not None and bool(after.value)
    if after is None or after.value is None:
        # A ratio whose whole denominator is gone.
        return bool(before.den)
    sign = -1 if metric in LESS_IS_BETTER else 1
    is_shrunk = before.additivity == "ratio" and (after.den or 0) < (before.den or 0)
    return is_shrunk or sign * after.value > sign * before.value


# Where metrics.md itself says that the number moves, by trick; for the one who plays it, their team and the company.
# 25, `time_in_stage`: hours are booked at the exit, in the period of the last one. Losing a young deal is an exit as
# much as going on, a move to another pipeline too, and who moves a deal back and forth books its first hours anew: so
# it stands beside win_rate, backward_move_rate and I-06. What is no exit, deleting and merging, moves nothing in it.
# 25, `stage_age`: of what is open; a deal that has ended, whatever way, has no age any more (22 and I-10 count how).
RULED: dict[str, tuple[str, ...]] = {
    "delete_while_open": ("stage_age",),
    "merge_away_while_open": ("stage_age",),
    "close_as_junk": ("stage_age", "time_in_stage"),
    # 2.6: the move is a new base entry in the target, beside the one in the source; 19 and 20 without a pipeline add up
    # both. By pipeline the money is the pipeline's the deal is in when it is paid: it leaves one and enters the other.
    "move_to_another_pipeline": (
        *("stage_conversion_cohort", "stage_conversion_period", "stage_age", "time_in_stage"),
        "refund_rate/by_pipeline",
    ),
    # An age is counted from the last entry.
    "move_back_and_forth": ("stage_age", "time_in_stage"),
}


@dataclass(frozen=True)
class Game:
    tricks: dict[str, Trick]
    played: dict[str, int]
    teams: dict[str | None, str]
    before: Facts
    after: Facts

    def is_ruled(self, key: tuple[str, ...]) -> bool:
        metric, _, pipeline, _, entity = key
        if pipeline == SIDE_PIPELINE:
            return True
        players = [person for person in self.tricks if entity in (person, self.teams[person], "company")]
        named = {name for person in players for name in RULED.get(self.tricks[person].__name__, ())}
        return metric in named or (pipeline != "" and f"{metric}/by_pipeline" in named)

    def better(self) -> dict[tuple[str, ...], tuple[Fact | None, Fact | None]]:
        pairs = {key: (self.before.get(key), self.after.get(key)) for key in self.before.keys() | self.after.keys()}
        return {key: pair for key, pair in pairs.items() if is_better(key[0], *pair)}


@cache
def game(seed: int, shift: int) -> Game:
    world = company_of(seed)
    tricks = dealt(world, shift)
    played = play(world, tricks)
    before, after = facts_of(untouched(seed)), facts_of(world.load())
    return Game(tricks, played, world.truth.teams, before, after)


@pytest.mark.parametrize(("seed", "shift"), GAMES)
def test_no_trick_makes_a_number_better(seed: int, shift: int) -> None:
    """A base that forgets a deleted, merged, moved or relabelled deal, or a field of the card that makes a fact."""
    played = game(seed, shift)
    assert min(played.played.values()) > 3
    assert played.before != played.after
    assert {key: pair for key, pair in played.better().items() if not played.is_ruled(key)} == {}


@pytest.mark.parametrize(("seed", "shift"), GAMES)
def test_editing_cards_and_notes_changes_no_digit(seed: int, shift: int) -> None:
    """An amount edited after the payment, a date of closing or creation, a made-up call note that still counts."""
    played = game(seed, shift)
    for person, trick in played.tricks.items():
        if trick in WITHOUT_TRACE:
            before, after = (
                {key: fact for key, fact in facts.items() if key[4] == person}
                for facts in (played.before, played.after)
            )
            assert before == after, (person, trick.__name__)
            assert len(before) > 50


@pytest.mark.parametrize(("seed", "shift"), GAMES)
def test_pipelines_are_the_whole(seed: int, shift: int) -> None:
    """A deal that was moved counted in both its pipelines, or in none; what has no deal has no pipeline."""
    facts = game(seed, shift).after
    parts: dict[tuple[str, ...], list[Fact]] = defaultdict(list)
    for (metric, variant, pipeline, *entity), fact in facts.items():
        # (19 and 20 by pipeline go from that pipeline's own base: another question.)
        if variant == f"pipeline={pipeline}" and not metric.startswith("stage_conversion"):
            parts[metric, *entity].append(fact)
    checked = set()
    for (metric, *entity), rows in parts.items():
        whole = facts[metric, "", "", entity[0], entity[1]]
        is_lacking = metric in ("revenue_cash", "refund_rate") and entity[1] in ("company", "unassigned")
        if whole.additivity not in ("additive", "ratio") or is_lacking:
            continue
        checked.add(metric)
        assert sum(row.num or 0 for row in rows) == whole.num, (metric, entity)
        assert whole.additivity == "additive" or sum(row.den or 0 for row in rows) == whole.den, (metric, entity)
    assert checked > {"revenue_cash", "deals_paid", "avg_check", "win_rate", "leads_new", "offers_sent"}


@pytest.mark.parametrize("metric", ["win_rate", "won_payment_confirmation_rate"])
def test_winning_again_helps_nobody(metric: str) -> None:
    """A deal won and paid in September is taken out of won and back in October: October has one win more (22).

    A deal won and not paid is won again near the end of the month: it is young once more, and out of 44's denominator.
    """
    played = game(*GAMES[1])
    players = {person for person, trick in played.tricks.items() if trick is move_back_and_forth}
    assert [key for key in played.better() if key[0] == metric and key[4] in players] == []
