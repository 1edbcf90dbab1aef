"""Who bought: the customer behind deals and payments (metrics.md 2.4), and what it takes their history to know.

Customer = the payer's or the deal's taxpayer id, else the payer's account or name in accounting, else the CRM's
company or contact, those that share a phone being one. Rows that may be credited are as in `models/calc.py`.
"""

from __future__ import annotations

from models.columns import day, flag, integer, money, relation, text, utc

_CUSTOMER = "Customer: tax:…, payer:…, contact:… or company:…, by the rule that told them."
_TEAM = "That person's team at the moment; NULL = unassigned."
_PRECISION = "log, load_interval or current_owner: how surely the credit is known."

DEAL_CUSTOMERS = relation(
    "calc.deal_customers",
    "The customer of a deal.",
    text("source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    text("customer_id", _CUSTOMER, personal="customer"),
)

CUSTOMER_PAYMENTS = relation(
    "calc.customer_payments",
    "A counted incoming payment's part with the customer who paid, and when they had paid before.",
    text("source", "Payment's source.", key=True),
    text("payment_id", "Payment.", key=True),
    text("deal_source", "Deal's source; '' = unmatched.", key=True),
    text("deal_id", "Deal; '' = unmatched.", key=True),
    text("customer_id", _CUSTOMER, personal="customer"),
    day("local_date", "Day of posting."),
    utc("occurred_at", "End of that day (23:59:59 local), UTC."),
    money("amount", "Amount in the company's currency."),
    day("previous_paid_on", "Last earlier day this customer paid; NULL = none known."),
    flag("is_return", "First payment after at least dormant_days without one."),
    text("person_id", "Responsible at the payment; NULL = unassigned."),
    text("team", _TEAM),
    text("credit_precision", _PRECISION),
)

SALES = relation(
    "calc.sales",
    "A deal's paid event (calc.paid_deals) with the customer's history and the deal's beginning.",
    text("source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    integer("ordinal", "Order within the deal, from 1.", key=True),
    text("customer_id", _CUSTOMER, personal="customer"),
    day("local_date", "Day of the payment that decided it."),
    utc("occurred_at", "End of that day (23:59:59 local), UTC."),
    integer("sign", "1 = became paid, -1 = fully refunded."),
    text("due_origin", "order, deal_log, deal."),
    flag("is_first", "The deal with which the customer bought for the first time."),
    day("started_on", "Day of the deal's creation, or of the call that created it if that was earlier."),
    text("person_id", "Responsible at the payment; NULL = unassigned."),
    text("team", _TEAM),
    text("credit_precision", _PRECISION),
)

CUSTOMER_OWNERS = relation(
    "calc.customer_owners",
    "Who looked after a customer that has paid: whoever was responsible for their deal created last.",
    text("customer_id", _CUSTOMER, key=True, personal="customer"),
    utc("valid_from", "From, inclusive, UTC.", key=True),
    utc("valid_to", "Until, exclusive, UTC; NULL = still."),
    text("source", "Source of that deal."),
    text("deal_id", "That deal."),
    utc("first_paid_at", "When the customer first paid, UTC."),
    text("person_id", "Responsible; NULL = unassigned."),
    text("credit_precision", _PRECISION),
)

CUSTOMER_PHONES = relation(
    "calc.customer_phones",
    "A phone by which a customer that has paid can be reached.",
    text("customer_id", _CUSTOMER, key=True, personal="customer"),
    text("phone", "Phone in E.164.", key=True, personal="phone"),
    utc("first_seen_at", "From when it is known, UTC."),
)

SHIPMENTS = relation(
    "calc.shipments",
    "A sales document of accounting with its credit; a return is negative.",
    text("source", "Document's source.", key=True),
    text("document_id", "Document.", key=True),
    text("deal_source", "Deal's source."),
    text("deal_id", "Deal; NULL = of no deal."),
    day("local_date", "Document's date."),
    utc("occurred_at", "End of that day (23:59:59 local), UTC."),
    money("amount", "Amount in the company's currency."),
    text("person_id", "Responsible for the deal at that moment; NULL = unassigned."),
    text("team", _TEAM),
    text("credit_precision", _PRECISION),
    text("excluded_by", "deleted, no_rate; NULL = counted."),
)

MARGINS = relation(
    "calc.margins",
    "A counted part of a payment on a deal with its part of the deal's cost.",
    text("source", "Payment's source.", key=True),
    text("payment_id", "Payment.", key=True),
    text("deal_source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    day("local_date", "Day of posting."),
    utc("occurred_at", "End of that day (23:59:59 local), UTC."),
    money("amount", "Amount in the company's currency; a refund is negative."),
    money("cost", "The deal's cost by the share of what is due that this part pays; NULL = no cost in accounting."),
    text("person_id", "Responsible at the payment; NULL = unassigned."),
    text("team", _TEAM),
    text("credit_precision", _PRECISION),
)

RECEIVABLES = relation(
    "calc.receivables",
    "A debt at a date with its credit.",
    text("source", "Row's source.", key=True),
    text("receivable_id", "Row.", key=True),
    day("local_date", "Day the debt stood."),
    utc("occurred_at", "End of that day (23:59:59 local), UTC."),
    money("amount", "Debt in the company's currency."),
    money("overdue", "Part of it that was due before that day."),
    text("person_id", "Responsible for the deal at that moment; NULL = unassigned."),
    text("team", _TEAM),
    text("credit_precision", _PRECISION),
    text("excluded_by", "no_rate; NULL = counted."),
)

PART_PAID_DEALS = relation(
    "calc.part_paid_deals",
    "A won deal was paid in part, from when until when, and what was still due.",
    text("source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    utc("valid_from", "From, inclusive, UTC.", key=True),
    utc("valid_to", "Until, exclusive, UTC; infinity = still."),
    money("remaining", "What was still due, in the company's currency."),
    text("person_id", "Responsible then; NULL = unassigned."),
    text("team", _TEAM),
    text("credit_precision", _PRECISION),
)
