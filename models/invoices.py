"""Invoices and payment marks of a CRM: what somebody declared there, never money.

They are apart from `core.orders` and `core.payments` on purpose. Those are what accounting states: they decide what is
due and what was paid. A CRM's invoice and its "paid" mark are edited by the manager who is paid by them, so they only
help to tell which deal a number on a payment belongs to.
"""

from __future__ import annotations

from models.columns import core, day, flag, money, text, tombstone, utc

INVOICES = core(
    "core.invoices",
    "An invoice or bill in a CRM, as last seen. Declared: it helps to match a number to a deal, nothing is due by it.",
    text("invoice_id", "Invoice's id at the source, with its kind in front where the source has several.", key=True),
    text("number", "Printed number."),
    text("title", "Title.", personal="text"),
    day("issued_on", "Date of the invoice, as the CRM states it."),
    day("due_on", "Day it is to be paid by, as the CRM states it."),
    money("amount", "Amount in currency, tax included; declared."),
    money("tax_amount", "Tax within the amount, in currency."),
    text("currency", "ISO 4217 code."),
    text("pipeline_id", "Pipeline or catalogue the invoice is in."),
    text("stage_id", "Stage or status code at the source."),
    text("status", "Status as people see it, by name; the code where the source has no name for it."),
    flag("is_paid", "Marked paid in the CRM: declared, no payment."),
    utc("paid_at", "When it was marked paid, UTC; NULL = not marked, or the source does not tell."),
    text("deal_source", "Source of the deal it hangs on."),
    text("deal_id", "Deal it hangs on."),
    text("contact_id", "Contact it is issued to."),
    text("company_id", "Company it is issued to."),
    text("owner_id", "Responsible user's id at the source."),
    text("payer_name", "Whom it is issued to, as the invoice itself names them.", personal="name"),
    text("customer_tax_id", "Customer's taxpayer id, as the invoice itself states it.", personal="number"),
    utc("created_at", "Creation, UTC."),
    utc("updated_at", "Last change at the source, UTC."),
    text("url", "Link to the invoice's card."),
    *tombstone(),
)

CRM_PAYMENTS = core(
    "core.crm_payments",
    "A payment mark in a CRM, as last seen. Declared: accounting's postings are in core.payments.",
    text("payment_id", "Mark's id at the source.", key=True),
    text("number", "Number as the CRM shows it."),
    money("amount", "Amount in currency; a return is negative."),
    text("currency", "ISO 4217 code."),
    flag("is_paid", "Marked paid."),
    flag("is_return", "Marked as returned to the customer."),
    utc("paid_at", "When it was marked paid, UTC."),
    utc("billed_at", "When the mark was made, UTC."),
    text("method", "Way of payment by name."),
    text("order_id", "The CRM's own order the mark belongs to."),
    text("deal_source", "Source of the deal it hangs on."),
    text("deal_id", "Deal it hangs on."),
    text("invoice_id", "Invoice of core.invoices it hangs on."),
    text("user_id", "User who marked it paid."),
    *tombstone(),
)

DEAL_INVOICES = core(
    "core.deal_invoices",
    "An invoice of core.invoices linked to a deal, where the CRM keeps the link on the deal's side (amoCRM).",
    text("deal_id", "Deal.", key=True),
    text("invoice_id", "Invoice.", key=True),
)
