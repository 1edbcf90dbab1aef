"""From a stored document of CommerceML to core rows. Pure: the payload and the context are all it knows.

Money is what a payment document states: an order's `Оплачен` and `Дата оплаты` say that some payment exists, not how
much of it. An update may be partial: a missing element means unchanged, not zero, so a document without its sum
writes no row and can only take the known one back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from base.text import say
from connectors.onec.commerceml.document import ExchangeDocument
from connectors.onec.commerceml.operations import Operation, is_our_sale, operation_of, payment_kind
from connectors.onec.movements import clean_account
from connectors.onec.settings import OnecSettings
from connectors.stream import BadRecord, MapContext, RawRecord, Rows, Target, target

CHANNEL = "commerceml"
INTO_PAYMENTS = target(
    "core.payments",
    "payment_id paid_on amount currency amount_reporting kind payer_name payer_tax_id payer_account own_account purpose"
    " order_id channel file",
)
INTO_ORDERS = target(
    "core.orders",
    "order_id number issued_on amount currency customer_tax_id customer_name based_on_order_id channel",
)
INTO_SALES = target(
    "core.sales_documents",
    "document_id number issued_on amount currency order_id customer_tax_id customer_name channel",
)
STANDS: dict[str, Target] = {
    "payment": target("core.payments", "payment_id is_deleted"),
    "order": target("core.orders", "order_id is_deleted"),
    "sale": target("core.sales_documents", "document_id is_deleted"),
}
_DECODER = msgspec.json.Decoder(dict[str, Any])


def map_document(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """An order, a payment, a shipment or nothing, by the operation and our company's role in it."""
    document = ExchangeDocument(_DECODER.decode(record.payload))
    operation = operation_of(document.text("ХозОперация"))
    if operation is None:
        raise BadRecord(
            "unknown_operation",
            say("Неизвестная ХозОперация «{name}»", "Unknown ХозОперация {name!r}", name=document.text("ХозОперация")),
            path="$.ХозОперация",
            got=document.text("ХозОперация"),
        )
    if operation.purpose == "other":
        return
    role = document.text("Роль")
    if operation.purpose != "payment" and not is_our_sale(role):
        return  # what we order and buy is nobody's deal
    is_standing = document.stands(operation)
    key = document.text("Ид")
    if document.text("Сумма"):
        _WRITERS[operation.purpose](document, operation, record, context, rows)
    elif is_standing:
        return
    rows.add(STANDS[operation.purpose], (key, not is_standing))


def _write_order(
    document: ExchangeDocument, operation: Operation, record: RawRecord, context: MapContext, rows: Rows
) -> None:
    key, customer = document.text("Ид"), document.customer()
    basis = document.basis()
    rows.add(
        INTO_ORDERS,
        (
            key,
            document.number(),
            document.day(),
            document.amount(),
            document.currency(context),
            customer.tax_id,
            customer.name,
            basis if basis != key else None,
            CHANNEL,
        ),
    )


def _write_sale(
    document: ExchangeDocument, operation: Operation, record: RawRecord, context: MapContext, rows: Rows
) -> None:
    customer = document.customer()
    rows.add(
        INTO_SALES,
        (
            document.text("Ид"),
            document.number(),
            document.day(),
            operation.sign * document.amount(),
            document.currency(context),
            document.basis(),
            customer.tax_id,
            customer.name,
            CHANNEL,
        ),
    )


def _write_payment(
    document: ExchangeDocument, operation: Operation, record: RawRecord, context: MapContext, rows: Rows
) -> None:
    """The printed number is 1C's own and not the payment order's: it would match no bank's, so it is left out."""
    sign, kind = payment_kind(operation, document.text("Роль"))
    customer = document.customer()
    amount, currency = sign * document.amount(), document.currency(context)
    rows.add(
        INTO_PAYMENTS,
        (
            document.text("Ид"),
            document.day(),
            amount,
            currency,
            amount if currency == context.currency else None,
            "own_transfer" if customer.tax_id in context.own_tax_ids else kind,
            customer.name,
            customer.tax_id,
            customer.account,
            _own_account(document, operation, context),
            document.text("Комментарий") or None,
            document.basis(),
            CHANNEL,
            record.origin,
        ),
    )


def _own_account(document: ExchangeDocument, operation: Operation, context: MapContext) -> str | None:
    """The account the money came to: by it the copy in a bank's statement is known. Exchanges seldom name it, but a
    firm with one account has no other."""
    if not operation.is_bank:
        return None
    settings = context.settings
    accounts = settings.own_accounts if isinstance(settings, OnecSettings) else []
    only = clean_account(accounts[0]) if len(accounts) == 1 else None
    return document.own_account() or only


_WRITERS: dict[str, Callable[[ExchangeDocument, Operation, RawRecord, MapContext, Rows], None]] = {
    "order": _write_order,
    "sale": _write_sale,
    "payment": _write_payment,
}
