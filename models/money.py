"""Money as accounting posted it, and the documents it belongs to."""

from __future__ import annotations

from models.columns import Column, core, day, flag, integer, money, text


def _taken_back() -> tuple[Column, Column]:
    """The two columns by which a document is marked taken back (unposted, marked for deletion, gone) until a later
    version of it stands again."""
    return (
        flag("is_deleted", "Accounting took it back: unposted, marked for deletion or gone."),
        integer("deletion_version", "Version at which is_deleted was last decided: microseconds since 1970, UTC."),
    )


PAYMENTS = core(
    "core.payments",
    "One posted movement of money on an own account; outgoing and refunds are negative.",
    text("payment_id", "Payment's id: accounting's, or a key made of what identifies it in a statement.", key=True),
    day("paid_on", "Day of posting to the own account."),
    money("amount", "Amount in currency; negative when it left."),
    text("currency", "ISO 4217 code of the own account."),
    money("amount_reporting", "Amount in the company's currency; NULL without a rate."),
    money("vat_amount", "VAT named in the purpose, in currency."),
    text("kind", "customer, refund, own_transfer, other."),
    text("payer_name", "The other party's name.", personal="name"),
    text("payer_tax_id", "The other party's taxpayer id.", personal="number"),
    text("payer_account", "The other party's account.", personal="number"),
    text("own_account", "Own account."),
    text("purpose", "Purpose text.", personal="text"),
    text("document_number", "Payment order's number."),
    day("document_on", "Payment order's date."),
    text("order_id", "Internal id of the order or invoice in accounting."),
    text("invoice_number", "Invoice number accounting itself put on the payment.", personal="number"),
    text("contract_number", "Contract number accounting itself put on the payment.", personal="number"),
    text("deal_source", "Deal's source, of the only allocation."),
    text("deal_id", "Deal, of the only allocation; NULL = none or several."),
    text("match_rule", "Rule of the only allocation."),
    *_taken_back(),
    text("file", "File it was read from.", personal="text"),
    text("channel", "Through what it came: statement, odata, commerceml, sheet."),
)

PAYMENT_ALLOCATIONS = core(
    "core.payment_allocations",
    "A payment's part on a deal.",
    text("payment_id", "Payment.", key=True),
    text("deal_source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    money("amount", "Part of the payment on this deal, in the payment's currency."),
    text("match_rule", "manual, order_id, invoice_number, contract_number, tax_id_amount, refund."),
    text("refund_of_payment_id", "Payment this refund returns."),
    text("refund_of_source", "Source of the payment this refund returns."),
)

PAYMENT_PARTS = core(
    "core.payment_parts",
    "A payment's part on an order or invoice, as accounting itself divided it.",
    text("payment_id", "Payment.", key=True),
    text("order_id", "Internal id of the order or invoice in accounting.", key=True),
    money("amount", "Part of the payment, in the payment's currency; negative when the money left."),
)

ORDERS = core(
    "core.orders",
    "An order or invoice in accounting.",
    text("order_id", "Document's id.", key=True),
    text("number", "Printed number."),
    day("issued_on", "Date."),
    money("amount", "Amount in currency."),
    text("currency", "ISO 4217 code."),
    text("customer_tax_id", "Customer's taxpayer id.", personal="number"),
    text("customer_name", "Customer's name.", personal="name"),
    text("based_on_order_id", "Order this invoice was made from: what is due for both is due once."),
    text("channel", "Through what it came: odata, commerceml, sheet."),
    text("deal_source", "Deal's source."),
    text("deal_id", "Deal."),
    *_taken_back(),
)

SALES_DOCUMENTS = core(
    "core.sales_documents",
    "A shipment or return.",
    text("document_id", "Document's id.", key=True),
    text("number", "Printed number."),
    day("issued_on", "Date."),
    money("amount", "Amount in currency; a return is negative."),
    text("currency", "ISO 4217 code."),
    text("order_id", "Internal id of the order or invoice it was made from."),
    text("customer_tax_id", "Customer's taxpayer id.", personal="number"),
    text("customer_name", "Customer's name.", personal="name"),
    text("channel", "Through what it came: odata, commerceml, sheet."),
    text("deal_source", "Deal's source."),
    text("deal_id", "Deal."),
    *_taken_back(),
)

COSTS = core(
    "core.costs",
    "Cost of a sale.",
    text("cost_id", "Row's id.", key=True),
    text("number", "Document's number."),
    day("issued_on", "Date."),
    money("amount", "Cost in currency."),
    text("currency", "ISO 4217 code."),
    text("deal_source", "Deal's source."),
    text("deal_id", "Deal."),
)

RECEIVABLES = core(
    "core.receivables",
    "A customer's debt at a date.",
    text("receivable_id", "Row's id.", key=True),
    text("number", "Document's number."),
    day("issued_on", "Document's date."),
    day("as_of", "Day the debt stood."),
    day("due_on", "Day it was due."),
    money("amount", "Debt in currency."),
    text("currency", "ISO 4217 code."),
    text("customer", "Customer.", personal="name"),
    text("deal_source", "Deal's source."),
    text("deal_id", "Deal."),
)
