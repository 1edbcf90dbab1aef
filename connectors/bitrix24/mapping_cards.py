"""Records to rows: leads, smart invoices, payment marks. All of it is declared: nothing here is money or a sale."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from connectors.bitrix24.answers import NULL
from connectors.bitrix24.listings import DEAL, INVOICE
from connectors.bitrix24.mapping import Multifields, full_name, lead_source, read_emails, read_phones, read_portal
from connectors.bitrix24.values import (
    Scalar,
    as_currency,
    as_day,
    as_flag,
    as_id,
    as_int,
    as_link,
    as_micros,
    as_money,
    as_text,
)
from connectors.decode import decode_record
from connectors.stream import MapContext, RawRecord, Rows, target

LEADS = target(
    "core.leads",
    "lead_id title status_id status outcome owner_id contact_id company_id name company_name phones emails amount"
    " currency lead_source created_at updated_at closed_at url",
)
INVOICES = target(
    "core.invoices",
    "invoice_id number title issued_on due_on amount tax_amount currency pipeline_id stage_id status is_paid paid_at"
    " deal_source deal_id contact_id company_id owner_id created_at updated_at url",
)
PAYMENTS = target(
    "core.crm_payments",
    "payment_id number amount currency is_paid is_return paid_at billed_at method order_id deal_source deal_id"
    " invoice_id user_id",
)
LEAD_OUTCOMES = {"S": "converted", "F": "junk"}


# ── leads ───────────────────────────────────────────────────────────────────────────────────────────────────────


class _Lead(msgspec.Struct):
    ID: Scalar
    TITLE: Scalar = None
    STATUS_ID: Scalar = None
    STATUS_SEMANTIC_ID: Scalar = None
    DATE_CLOSED: Scalar = None
    OPPORTUNITY: msgspec.Raw = NULL
    CURRENCY_ID: Scalar = None
    NAME: Scalar = None
    SECOND_NAME: Scalar = None
    LAST_NAME: Scalar = None
    COMPANY_TITLE: Scalar = None
    COMPANY_ID: Scalar = None
    CONTACT_ID: Scalar = None
    SOURCE_ID: Scalar = None
    UTM_SOURCE: Scalar = None
    ASSIGNED_BY_ID: Scalar = None
    DATE_CREATE: Scalar = None
    DATE_MODIFY: Scalar = None
    PHONE: Multifields = None
    EMAIL: Multifields = None


_LEAD = msgspec.json.Decoder(_Lead)


def map_lead(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """A lead. Unlike a deal's CLOSEDATE its DATE_CLOSED is the real time of closing, empty while it is open."""
    lead = decode_record(_LEAD, record.payload)
    portal = read_portal(context)
    lead_id = str(as_int(lead.ID))
    status_id = as_text(lead.STATUS_ID)
    meaning = as_text(lead.STATUS_SEMANTIC_ID) or portal.semantics.get(("STATUS", status_id or ""))
    rows.add(
        LEADS,
        (
            lead_id,
            as_text(lead.TITLE),
            status_id,
            portal.names.get(("STATUS", status_id or "")) or status_id,
            LEAD_OUTCOMES.get(meaning or "", "open"),
            as_link(lead.ASSIGNED_BY_ID),
            as_link(lead.CONTACT_ID),
            as_link(lead.COMPANY_ID),
            full_name(lead.NAME, lead.SECOND_NAME, lead.LAST_NAME),
            as_text(lead.COMPANY_TITLE),
            read_phones(lead.PHONE, context.country),
            read_emails(lead.EMAIL),
            as_money(lead.OPPORTUNITY, "$.OPPORTUNITY"),
            as_currency(lead.CURRENCY_ID) or context.currency,
            lead_source(lead.SOURCE_ID, lead.UTM_SOURCE, portal),
            as_micros(lead.DATE_CREATE, "$.DATE_CREATE"),
            as_micros(lead.DATE_MODIFY, "$.DATE_MODIFY"),
            as_micros(lead.DATE_CLOSED, "$.DATE_CLOSED"),
            f"{portal.base_url}/crm/lead/details/{lead_id}/",
        ),
    )


# ── smart invoices ──────────────────────────────────────────────────────────────────────────────────────────────


class _Invoice(msgspec.Struct, rename="camel"):
    id: Scalar
    account_number: Scalar = None
    title: Scalar = None
    stage_id: Scalar = None
    category_id: Scalar = None
    opportunity: msgspec.Raw = NULL
    tax_value: msgspec.Raw = NULL
    currency_id: Scalar = None
    parent_id2: Scalar = None
    company_id: Scalar = None
    contact_id: Scalar = None
    assigned_by_id: Scalar = None
    begindate: Scalar = None
    closedate: Scalar = None
    moved_time: Scalar = None
    created_time: Scalar = None
    updated_time: Scalar = None


_INVOICE = msgspec.json.Decoder(_Invoice)


def map_invoice(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """A smart invoice. It has no "paid" flag: paid is what the portal's dictionary calls a success, never a stage
    code we know by heart. Here CLOSEDATE is the day to pay by."""
    invoice = decode_record(_INVOICE, record.payload)
    portal = read_portal(context)
    invoice_id = str(as_int(invoice.id))
    category_id, stage_id = as_id(invoice.category_id), as_text(invoice.stage_id)
    stage = (f"SMART_INVOICE_STAGE_{category_id}", stage_id or "")
    is_paid = portal.semantics.get(stage) == "S"
    deal_id = as_link(invoice.parent_id2)
    rows.add(
        INVOICES,
        (
            invoice_id,
            as_text(invoice.account_number),
            as_text(invoice.title),
            as_day(invoice.begindate, "$.begindate"),
            as_day(invoice.closedate, "$.closedate"),
            as_money(invoice.opportunity, "$.opportunity"),
            as_money(invoice.tax_value, "$.taxValue"),
            as_currency(invoice.currency_id) or context.currency,
            category_id,
            stage_id,
            portal.names.get(stage) or stage_id,
            is_paid,
            as_micros(invoice.moved_time, "$.movedTime") if is_paid else None,
            context.source if deal_id else None,
            deal_id,
            as_link(invoice.contact_id),
            as_link(invoice.company_id),
            as_link(invoice.assigned_by_id),
            as_micros(invoice.created_time, "$.createdTime"),
            as_micros(invoice.updated_time, "$.updatedTime"),
            f"{portal.base_url}/crm/type/{INVOICE}/details/{invoice_id}/",
        ),
    )


# ── payment marks ───────────────────────────────────────────────────────────────────────────────────────────────


class _Payment(msgspec.Struct, rename="camel"):
    id: Scalar
    order_id: Scalar = None
    account_number: Scalar = None
    paid: Scalar = None
    is_return: Scalar = None
    date_paid: Scalar = None
    date_bill: Scalar = None
    sum: msgspec.Raw = NULL
    currency: Scalar = None
    pay_system_name: Scalar = None
    emp_paid_id: Scalar = None


class _Owner(msgspec.Struct, rename="camel"):
    owner_id: Scalar = None
    owner_type_id: Scalar = None


class _Mark(msgspec.Struct):
    """What `fetch_payments` puts together."""

    payment: _Payment
    owners: list[_Owner]


_MARK = msgspec.json.Decoder(_Mark)


def map_payment(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """A mark "paid" in the shop, with the deal or invoice of its order. A return is negative."""
    mark = decode_record(_MARK, record.payload)
    payment = mark.payment
    is_return = as_flag(payment.is_return) is True
    amount = as_money(payment.sum, "$.payment.sum")
    owners = {as_int(owner.owner_type_id): as_link(owner.owner_id) for owner in mark.owners}
    deal_id = owners.get(DEAL)
    rows.add(
        PAYMENTS,
        (
            str(as_int(payment.id)),
            as_text(payment.account_number),
            -abs(amount) if is_return and isinstance(amount, Decimal) else amount,
            as_currency(payment.currency) or context.currency,
            as_flag(payment.paid) is True,
            is_return,
            as_micros(payment.date_paid, "$.payment.datePaid"),
            as_micros(payment.date_bill, "$.payment.dateBill"),
            as_text(payment.pay_system_name),
            as_link(payment.order_id),
            context.source if deal_id else None,
            deal_id,
            owners.get(INVOICE),
            as_link(payment.emp_paid_id),
        ),
    )
