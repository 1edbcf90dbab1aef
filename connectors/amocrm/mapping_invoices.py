"""Records to rows: invoices, which amoCRM keeps as elements of a catalogue with fields told by their codes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Generic

import msgspec

from base.money import parse_money
from base.text import say
from base.times import from_unix, local_day
from connectors.amocrm.account import Account, read_account
from connectors.amocrm.fields import ABSENT, Field, FieldsT, Odd, RecordDecoder, Usual, read_fields
from connectors.amocrm.mapping import as_micros
from connectors.amocrm.values import add_values
from connectors.stream import BadRecord, MapContext, RawRecord, Rows, target

INVOICES = target(
    "core.invoices",
    "invoice_id number title issued_on amount currency pipeline_id stage_id status is_paid paid_at contact_id"
    " company_id payer_name customer_tax_id created_at updated_at url",
)
DELETED_INVOICES = target("core.invoices", "invoice_id is_deleted")
# The status's label is the account's own and may be renamed: the code decides.
PAID = "paid"
# "Счет № 238" is number 238.
_NUMBER = re.compile(r"(?:сч[её]т|invoice|bill)?\s*(?:№|#|no\.?\s)?\s*(?P<number>\S*\d.*)", re.IGNORECASE)


class _Element(msgspec.Struct, Generic[FieldsT], gc=False):
    id: int
    catalog_id: int | None = None
    name: str | None = None
    created_at: int | None = None
    updated_at: int | None = None
    is_deleted: bool | None = None
    invoice_link: str | None = None
    custom_fields_values: FieldsT = ABSENT


_ELEMENT: RecordDecoder[_Element[Any]] = RecordDecoder(_Element[Usual], _Element[Odd])


def map_invoice(record: RawRecord, context: MapContext, rows: Rows) -> None:
    invoice = _ELEMENT.decode(record.payload)
    # The stored id carries the catalogue.
    invoice_id = record.record_id
    if invoice.is_deleted:
        rows.add(DELETED_INVOICES, (invoice_id, True))
        return
    account = read_account(context)
    fields = read_fields(invoice.custom_fields_values, context.cache)
    status = _first(fields, "BILL_STATUS")
    code = status.get("enum_code")
    payer = _payer(fields)
    entity_id = payer.get("entity_id")
    entity = payer.get("entity_type")
    rows.add(
        INVOICES,
        (
            invoice_id,
            _number(invoice.name),
            invoice.name,
            _issued_on(invoice, account),
            _amount(fields),
            account.currency,
            invoice_id.partition("-")[0],
            code,
            status.get("value") or code,
            None if code is None else code == PAID,
            _paid_at(fields),
            str(entity_id) if entity_id and entity == "contacts" else None,
            str(entity_id) if entity_id and entity == "companies" else None,
            payer.get("name") or None,
            str(payer["vat_id"]).strip() if payer.get("vat_id") else None,
            as_micros(invoice.created_at),
            as_micros(invoice.updated_at),
            invoice.invoice_link or None,
        ),
    )
    if account.settings.custom_fields == "all":
        add_values(rows, "invoice", invoice_id, fields, account.zone)


def _first(fields: Sequence[Field], code: str) -> dict[str, Any]:
    """The first value of the field with a code, as it came; empty when it is not filled."""
    for field in fields:
        if field.code == code:
            for item in field.items:
                if isinstance(item, dict):
                    return item
    return {}


def _payer(fields: Sequence[Field]) -> dict[str, Any]:
    value = _first(fields, "PAYER").get("value")
    return value if isinstance(value, dict) else {}


def _number(name: str | None) -> str | None:
    if not name:
        return None
    found = _NUMBER.fullmatch(name.strip())
    return found["number"] if found else name.strip()


def _issued_on(invoice: _Element[Any], account: Account) -> date | None:
    """amoCRM's invoices state no date of their own: the day they were made, in the account's zone."""
    if invoice.created_at is None:
        return None
    try:
        return local_day(from_unix(invoice.created_at), account.zone)
    except OverflowError:
        message = say("$.created_at: не время", "$.created_at: no time")
        raise BadRecord("bad_time", message, path="$.created_at", got=str(invoice.created_at)[:40]) from None


def _amount(fields: Sequence[Field]) -> Decimal | None:
    stated = _first(fields, "BILL_PRICE").get("value")
    if stated is None or stated == "":
        return None
    try:
        return parse_money(str(stated))
    except ValueError:
        path = "$.custom_fields_values[BILL_PRICE]"
        message = say("{path}: не сумма", "{path}: no amount", path=path)
        raise BadRecord("no_amount", message, path=path, expected="DECIMAL(18,2)", got=str(stated)[:40]) from None


def _paid_at(fields: Sequence[Field]) -> int | None:
    stated = str(_first(fields, "BILL_PAYMENT_DATE").get("value") or "").strip()
    return as_micros(int(stated)) if stated.removeprefix("-").isdecimal() else None
