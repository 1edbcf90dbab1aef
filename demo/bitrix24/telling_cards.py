"""Leads, smart invoices and payment marks of a story: what a portal has beside its deals."""

from __future__ import annotations

from datetime import datetime, timedelta

from demo.bitrix24.telling_portal import INVOICE_CATEGORY, invoice_stage
from demo.bitrix24.world import Bitrix24World, Record
from demo.story import Deal, Story

# Every third deal came of a lead, and every fifth customer's first request came to nothing.
FROM_LEAD, CAME_TO_NOTHING = 3, 5
LEAD_BEFORE = timedelta(minutes=40)
INVOICE_TYPE, DEAL_TYPE = 31, 2
DAYS_TO_PAY = timedelta(days=7)


def tell_leads(world: Bitrix24World, deals: list[Deal]) -> None:
    """Leads have ids of their own: the same numbers as deals mean nothing."""
    lead_id = 0
    for deal in sorted(deals, key=lambda deal: (deal.created_at, deal.deal_id)):
        asked_at = deal.created_at - LEAD_BEFORE
        if deal.deal_id % FROM_LEAD == 0:
            lead_id += 1
            _lead(world, deal, lead_id, asked_at, "CONVERTED", "S", deal.created_at)
            world.edit("deals", deal.deal_id, None, LEAD_ID=str(lead_id))
        elif deal.deal_id % CAME_TO_NOTHING == 0:
            lead_id += 1
            _lead(world, deal, lead_id, asked_at - timedelta(days=1), "JUNK", "F", asked_at)


def _lead(
    world: Bitrix24World, deal: Deal, lead_id: int, asked_at: datetime, status: str, semantics: str, closed_at: datetime
) -> None:
    lead: Record = {
        "ID": str(lead_id),
        "TITLE": f"Заявка: {deal.title}",
        "STATUS_ID": status,
        "STATUS_SEMANTIC_ID": semantics,
        "DATE_CLOSED": world.stamp(closed_at),
        "OPPORTUNITY": "0.00",
        "CURRENCY_ID": "RUB",
        "NAME": deal.customer,
        "LAST_NAME": None,
        "COMPANY_TITLE": None,
        "COMPANY_ID": None,
        "CONTACT_ID": str(deal.contact_id) if semantics == "S" else None,
        "SOURCE_ID": "WEB",
        "ASSIGNED_BY_ID": str(deal.owner),
        "DATE_CREATE": world.stamp(asked_at),
        "DATE_MODIFY": world.stamp(closed_at),
    }
    if deal.phone:
        lead["PHONE"] = [{"ID": str(9000 + lead_id), "VALUE_TYPE": "WORK", "VALUE": deal.phone, "TYPE_ID": "PHONE"}]
    world.add("leads", lead)
    world.enter_record("leads", lead_id, "NEW", "P", asked_at, is_new=True)
    world.enter_record("leads", lead_id, status, semantics, closed_at)


def tell_invoices(world: Bitrix24World, story: Story, deals: list[Deal], now: datetime) -> None:
    """A deal's invoice is issued when its number appears; its stage says paid once the deal is won."""
    kinds = {stage.stage_id: stage.kind for stage in story.stages}
    issued: list[tuple[datetime, Deal, datetime | None]] = []
    for deal in deals:
        moves = [move for move in deal.moves if move.moved_at <= now]
        billed = [move.moved_at for move in moves if kinds.get(move.stage_id) in ("invoice", "won")]
        won = [move.moved_at for move in moves if kinds.get(move.stage_id) == "won"]
        if deal.invoice_number and billed:
            issued.append((min(billed), deal, won[-1] if won else None))
    for number, (issued_at, deal, paid_at) in enumerate(sorted(issued, key=lambda item: (item[0], item[1].deal_id)), 1):
        world.add("invoices", _invoice(world, deal, number, issued_at, paid_at))
        world.enter_record("invoices", number, invoice_stage("N"), "P", issued_at, is_new=True)
        if paid_at is not None:
            world.enter_record("invoices", number, invoice_stage("P"), "S", paid_at)


def _invoice(world: Bitrix24World, deal: Deal, number: int, issued_at: datetime, paid_at: datetime | None) -> Record:
    moved_at = world.stamp(paid_at or issued_at)
    return {
        "id": number,
        "accountNumber": deal.invoice_number,
        "title": f"Счёт {deal.invoice_number}",
        "stageId": invoice_stage("N" if paid_at is None else "P"),
        "categoryId": INVOICE_CATEGORY,
        "opportunity": float(deal.amount),
        "taxValue": 0,
        "currencyId": "RUB",
        "parentId2": deal.deal_id,
        "parentId7": None,
        "companyId": deal.company_id or 0,
        "contactId": deal.contact_id,
        "mycompanyId": None,
        "assignedById": deal.owner,
        "begindate": world.stamp_day(issued_at.date()),
        "closedate": world.stamp_day((issued_at + DAYS_TO_PAY).date()),
        "movedTime": moved_at,
        "createdTime": world.stamp(issued_at),
        "updatedTime": moved_at,
    }


def tell_payments(world: Bitrix24World, story: Story, deals: list[Deal], now: datetime) -> None:
    """Each payment that names a deal was also marked in the CRM, by hand."""
    living = {deal.deal_id for deal in deals}
    marked = [payment for payment in story.payments if payment.deal_id in living and payment.paid_on <= now.date()]
    for number, payment in enumerate(marked, 1):
        at = world.stamp_day(payment.paid_on)
        world.add(
            "payments",
            {
                "id": number,
                "orderId": 500 + number,
                "accountNumber": f"{500 + number}/1",
                "paid": "Y",
                "datePaid": at,
                "dateBill": at,
                "sum": float(abs(payment.amount)),
                "currency": "RUB",
                "isReturn": "Y" if payment.amount < 0 else "N",
                "paySystemId": 6,
                "paySystemName": "Безналичный расчёт",
                "paySystemIsCash": "N",
                "empPaidId": None,
                "priceCod": "0.000000",
            },
        )
        link = {"orderId": 500 + number, "ownerId": payment.deal_id, "ownerTypeId": DEAL_TYPE}
        world.add("order_links", link)
