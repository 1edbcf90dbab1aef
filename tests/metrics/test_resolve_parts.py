"""A resolve part by part ends in the rows of one of everything at once: over worlds in which everything is tied."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from metrics.resolve import ResolveReport, parts, resolve
from metrics.resolve import run as resolving
from metrics.resolve.incremental import require_full
from metrics.resolve.parts import PART_CALLS, PART_DEALS, count_parts
from metrics.resolve.scope import MADE, WHOLE
from tests.metrics.fixture_core import insert
from tests.metrics.tangled import BEGINNING
from tests.metrics.test_resolve_incremental import TOLD, Twins, add_lone_deals, pay_before_the_first_lead

WORLDS, PART = 6, 15  # of seven deals each


@pytest.fixture(autouse=True)
def few_deals_are_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as every part sees would be all that there are here."""
    monkeypatch.setattr(parts, "_EARLIEST", 1)


def resolve_in_parts(twins: Twins) -> ResolveReport:
    twins.clock.advance(3600)
    require_full(twins.connection)
    report = resolve(twins.connection, TOLD, twins.clock, part_deals=PART)
    assert report.ran
    return report


def resolve_from_nothing(twins: Twins) -> None:
    for relation in (*MADE, *WHOLE):
        twins.connection.execute(f"DELETE FROM {relation}")
    resolve_in_parts(twins)


@pytest.mark.parametrize(
    ("deals", "calls", "count"),
    [
        (0, 0, 1),
        (PART_DEALS, PART_CALLS, 1),
        (PART_DEALS + 1, 0, 2),
        (1, PART_CALLS + 1, 2),
        (10_000_000, 100_000_000, 20),
    ],
)
def test_parts_grow_with_deals_and_with_calls(deals: int, calls: int, count: int) -> None:
    """A contact centre of few deals whose hundred million calls were one part."""
    assert count_parts(deals, calls) == count


@pytest.mark.parametrize("seed", [0])
def test_parts_give_what_everything_gives(seed: int) -> None:
    """A step that looks beyond its part, or a part that goes by what is still left of an earlier resolve."""
    twins = Twins(seed, WORLDS)
    for share in (0.3, 1.0):
        twins.change(share)
        report = resolve_in_parts(twins)
        assert not report.scoped
        assert report.rows > 0
        full, differing = twins.compare()
        assert differing == {}
        assert report.money is not None
        assert full.money is not None
        assert report.money.by_rule == full.money.by_rule


def test_from_nothing_and_once_more() -> None:
    """What no earlier resolve made is missing to every part but the last; and what is right is written again."""
    twins = Twins(11, WORLDS)
    resolve_from_nothing(twins)
    assert twins.compare()[1] == {}
    assert resolve_in_parts(twins).rows == 0


def test_the_first_lead_that_one_part_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts made before it took the company's beginning for a later day, and whoever bought before that for old."""
    monkeypatch.setattr(parts, "_EARLIEST", 0)
    twins = Twins(14, WORLDS)
    pay_before_the_first_lead(twins.connection)
    last = twins.connection.execute("""
        SELECT 'ancient-' || number FROM range(100) AS numbers (number)
        WHERE (hash('deal:another:ancient-' || number) >> 1) % 3 = 2
    """).fetchone()
    assert last is not None
    add_lone_deals(twins.connection, last, "2026-01-01", twins.clock.now())
    resolve_from_nothing(twins)
    assert twins.compare()[1] == {}


def test_a_payment_of_what_the_documents_of_another_part_add_up_to() -> None:
    """The sum of a deal's documents is known when its part is made: payments of parts before it did not list the
    deal."""
    twins = Twins(15, WORLDS)
    deals = [f"lone-{number}" for number in range(12)]
    add_lone_deals(twins.connection, deals, "2026-09-15", twins.clock.now())
    orders, payments = [], []
    for number, deal_id in enumerate(deals):
        amounts = [Decimal(70_001 + 10 * number), Decimal(500_000)]
        for place, amount in enumerate(amounts):
            document = {"source": "bank", "order_id": f"sum-{number}-{place}", "channel": "odata", "currency": "RUB"}
            orders.append({**document, "amount": amount, "deal_source": "another", "deal_id": deal_id})
        paid = {"source": "bank", "payment_id": f"sum-{number}", "amount": sum(amounts), "currency": "RUB"}
        payments.append({**paid, "kind": "customer", "paid_on": BEGINNING.date() + timedelta(days=60)})
    insert(twins.connection, "core.orders", orders)
    insert(twins.connection, "core.payments", payments)
    resolve_from_nothing(twins)
    assert twins.compare()[1] == {}
    listed = "SELECT count(*) FROM calc.match_candidates WHERE starts_with(payment_id, 'sum-')"
    assert twins.connection.execute(listed).fetchone() != (0,), "no payment meets a sum"


def test_what_was_made_of_records_that_are_gone_goes_too() -> None:
    """A forgotten person's deals belong to no part, and stayed."""
    twins = Twins(12, WORLDS)
    for relation in ("core.deals", "core.deal_events", "core.deal_contacts"):
        twins.connection.execute(f"DELETE FROM {relation} WHERE hash(deal_id) % 3 = 0")
    for relation, name in (("core.calls", "call_id"), ("core.payments", "payment_id"), ("core.orders", "order_id")):
        twins.connection.execute(f"DELETE FROM {relation} WHERE hash({name}) % 3 = 0")
    resolve_in_parts(twins)
    assert twins.compare()[1] == {}


def test_ended_between_two_parts_the_next_resolve_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the parts are new, the rest old: taken for a resolve, whatever comes next would stand on it."""
    twins = Twins(13, WORLDS)
    twins.change(1.0)
    whole, written = resolving._make, []

    def make_two(*arguments: object) -> object:
        written.append(1)
        if len(written) > 2:
            raise KeyboardInterrupt
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(resolving, "_make", make_two)
    with pytest.raises(KeyboardInterrupt):
        resolve_in_parts(twins)
    monkeypatch.undo()
    attached = "SELECT count(*) FROM duckdb_databases() WHERE database_name IN ('scope', 'parts')"
    assert twins.connection.execute(attached).fetchone() == (0,)
    assert not twins.resolve().scoped
    assert twins.compare()[1] == {}
