"""Payments of the demo company find their deals: statements through the real reader, deals as a CRM would log them,
and the generator's own word on whose money each was."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from demo.company import build_company
from demo.statements import write_statements
from demo.story import Deal, Payment, Story
from metrics.resolve import resolve
from tests.demo.test_demo_statements import load, rows_of
from tests.metrics.fixture_core import COMPANY, Batch, empty_warehouse, fresh_clock, insert

Row = dict[str, Any]
# What identifies a payment on both sides: day, amount, number, taxpayer.
Mark = tuple[Any, ...]


@pytest.fixture(scope="module", params=[7, 8, 9])
def matched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Story, dict[Mark, str]]:
    """A company, and the deal that each booked payment got."""
    story = build_company(deals=250, seed=request.param)
    folder = tmp_path_factory.mktemp("statements")
    write_statements(story, folder)
    connection = empty_warehouse()
    batch = Batch()
    _add_deals(batch, story)
    insert(batch, "core.stages", _stages(story))
    insert(batch, "core.payments", _payments(story, folder))
    batch.flush(connection)
    resolve(connection, COMPANY, fresh_clock())
    return story, _booked(connection)


def _payments(story: Story, folder: Path) -> Iterator[Row]:
    rows = {row["payment_id"]: row for row in rows_of(load(story, folder))}
    return ({**row, "source": "accounting"} for row in rows.values())


def _stages(story: Story) -> Iterator[Row]:
    for stage in story.stages:
        yield {
            "source": "amo", "pipeline_id": str(story.pipeline_id), "stage_id": str(stage.stage_id),
            "name": stage.name, "position": stage.position, "kind": stage.kind, "valid_from": story.opened_at.date(),
        }  # fmt: skip


def _add_deals(batch: Batch, story: Story) -> None:
    pipeline = str(story.pipeline_id)
    for deal in story.deals:
        row = {"source": "amo", "deal_id": str(deal.deal_id), "pipeline_id": pipeline, "currency": "RUB"}
        stage = deal.moves[-1].stage_id if deal.moves else deal.first_stage_id
        row |= {"stage_id": str(stage), "owner_id": str(deal.owner), "title": deal.title, "tax_id": deal.tax_id}
        row |= {"invoice_number": deal.invoice_number, "is_deleted": deal.deleted_at is not None}
        insert(batch, "core.deals", [row | {"amount": _asked(deal), "created_at": deal.created_at}])
        insert(batch, "core.deal_events", _events(deal, pipeline))


def _events(deal: Deal, pipeline: str) -> Iterator[Row]:
    told: list[Row] = [{"event_type": "created", "occurred_at": deal.created_at}]
    before, amount = str(deal.first_stage_id), deal.amount
    for move in deal.moves:
        stage = {"from_value": before, "to_value": str(move.stage_id), "stage_id": str(move.stage_id)}
        told.append({"event_type": "stage", "occurred_at": move.moved_at, "pipeline_id": pipeline, **stage})
        before = str(move.stage_id)
    for change in deal.amount_changes:
        values = {"from_value": str(amount), "to_value": str(change.amount)}
        told.append({"event_type": "amount", "occurred_at": change.changed_at, **values})
        amount = change.amount
    if deal.deleted_at:
        told.append({"event_type": "deleted", "occurred_at": deal.deleted_at})
    for place, event in enumerate(told):
        yield {"source": "amo", "event_id": f"{deal.deal_id}-{place:03d}", "deal_id": str(deal.deal_id), **event}


def _asked(deal: Deal) -> Decimal:
    return deal.amount_changes[-1].amount if deal.amount_changes else deal.amount


def _booked(connection: duckdb.DuckDBPyConnection) -> dict[Mark, str]:
    rows = connection.execute("""
        SELECT payments.paid_on, payments.amount, payments.document_number, coalesce(payments.payer_tax_id, ''),
            parts.deal_id
        FROM core.payment_allocations AS parts JOIN core.payments AS payments USING (source, payment_id)
    """).fetchall()
    return {tuple(mark): deal for *mark, deal in rows}


def _mark(payment: Payment) -> Mark:
    # The first deal's taxpayer is all zeros, which banks write for nobody.
    return (
        payment.paid_on,
        payment.amount,
        payment.number,
        payment.payer_tax_id if payment.payer_tax_id.strip("0") else "",
    )


def test_almost_every_payment_that_can_be_recognised_is(matched: tuple[Story, dict[Mark, str]]) -> None:
    """The rest name nothing but their payer, who owes another amount: a person has to say."""
    story, booked = matched
    deals = {deal.deal_id: deal for deal in story.deals}
    recognisable = [
        payment
        for payment in story.payments
        if payment.deal_id is not None
        and (
            str(deals[payment.deal_id].invoice_number) in payment.purpose
            # The generator gives every deal a taxpayer of its own.
            or payment.amount == _asked(deals[payment.deal_id])
        )
    ]
    found = [payment for payment in recognisable if _mark(payment) in booked]
    assert len(recognisable) > 50
    assert len(found) / len(recognisable) >= 0.95


def test_no_payment_is_on_another_deal_and_no_other_money_on_any(matched: tuple[Story, dict[Mark, str]]) -> None:
    story, booked = matched
    truth = {_mark(payment): str(payment.deal_id) for payment in story.payments if payment.deal_id is not None}
    assert {mark: deal for mark, deal in booked.items() if truth.get(mark) != deal} == {}
