"""From stored documents of 1C to core rows. Pure: the payload, the catalogues and the context are all it knows.

Every document writes its whole row and, beside it, whether it stands: an unposted document or one marked for deletion
is no fact, and a later posting brings it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from base.money import to_money
from base.purposes import parse_purpose
from base.tax_ids import clean_tax_id
from base.text import say
from connectors.onec.currencies import currency_code
from connectors.onec.money_kinds import BANK_TRANSIT, Facts, Kind, currency_of, kind_of
from connectors.onec.movements import clean_account
from connectors.onec.odata.operations import kind_of_operation
from connectors.onec.odata.records import Document, Element, Part, Payment, key_of, read_date, reference
from connectors.onec.odata.sets import ORDERS, PAYMENTS, SALES, DocumentSet
from connectors.stream import BadRecord, MapContext, RawRecord, Rows, target

CHANNEL = "odata"
INTO_PAYMENTS = target(
    "core.payments",
    "payment_id paid_on amount currency amount_reporting vat_amount kind payer_name payer_tax_id payer_account"
    " own_account purpose document_number document_on order_id contract_number channel",
)
INTO_PARTS = target("core.payment_parts", "payment_id order_id amount", owned_by="payment_id")
INTO_ORDERS = target(
    "core.orders",
    "order_id number issued_on amount currency customer_tax_id customer_name based_on_order_id channel",
)
INTO_SALES = target(
    "core.sales_documents",
    "document_id number issued_on amount currency order_id customer_tax_id customer_name channel",
)
PAYMENT_STANDS = target("core.payments", "payment_id is_deleted")
ORDER_STANDS = target("core.orders", "order_id is_deleted")
SALE_STANDS = target("core.sales_documents", "document_id is_deleted")

# Documents that a payment or a sale may be made from and that say what is due.
_ORDER_TYPES = tuple(each.name for each in ORDERS.sets)
_PAYMENT_BASES = ("СчетНаОплату", "Заказ", "ОснованиеПлатежа")
_BASES = (
    *("СчетНаОплату", "СчетНаОплатуПокупателю", "ЗаказКлиента", "ЗаказПокупателя", "Заказ", "Сделка"),
    "ДокументОснование",
)
_PAYMENT = msgspec.json.Decoder(Payment)
_DOCUMENT = msgspec.json.Decoder(Document)
_ELEMENT = msgspec.json.Decoder(Element)
_NOTHING = Element()


def map_payment(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """One payment: positive came in, negative went out; the split over orders is accounting's own.

    `paid_on` is the day the bank carried it out where 1C keeps it apart, else the document's. The document number is
    the bank's, 1C's own means nothing to a bank.
    """
    read = _PAYMENT.decode(record.payload)
    kept = _set_of(read, PAYMENTS.by_name)
    names = _Names(context)
    amount = _amount(read)
    is_executed = not kept.is_bank or read.ПроведеноБанком is not False
    paid_on = read_date(read, "ДатаПроведенияБанком") if kept.is_bank else None
    paid_on = paid_on or _dated(read)
    payer = names.counterparty(read)
    own = names.account(read, "СчетОрганизации", "БанковскийСчет", "БанковскийСчетОрганизации")
    other = names.account(read, "СчетКонтрагента", "БанковскийСчетКонтрагента")
    other_number = clean_account(other.НомерСчета)
    currency = names.currency(read, own)
    purpose = " ".join((read.НазначениеПлатежа or read.Основание or read.Комментарий).split())
    signed = kept.sign * amount
    parts = _parts(read, kept.sign)
    is_transit = other_number.startswith(BANK_TRANSIT)
    rows.add(
        INTO_PAYMENTS,
        (
            record.record_id,
            paid_on,
            signed,
            currency,
            signed if currency == context.currency else None,
            _vat(read, purpose, kept.sign, amount),
            _kind(read, kept.sign, payer, other_number, purpose, context),
            payer.НаименованиеПолное or payer.Description or read.ПринятоОт or read.Выдать or None,
            None if is_transit else clean_tax_id(payer.ИНН),
            other_number or None,
            clean_account(own.НомерСчета) or None,
            purpose or None,
            read.НомерВходящегоДокумента.strip() or None,
            read_date(read, "ДатаВходящегоДокумента"),
            _only_order(read, parts),
            names.contract_number(read),
            CHANNEL,
        ),
    )
    rows.add_children(
        INTO_PARTS, (record.record_id,), [(record.record_id, order, part) for order, part in sorted(parts.items())]
    )
    rows.add(PAYMENT_STANDS, (record.record_id, not (_stands(read, kept) and is_executed)))


def map_order(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """An order or an invoice; an invoice made from an order says so, for what is due for both is due once."""
    read = _DOCUMENT.decode(record.payload)
    names = _Names(context)
    customer = names.counterparty(read)
    rows.add(
        INTO_ORDERS,
        (
            record.record_id,
            read.Number.strip() or None,
            _dated(read),
            _amount(read),
            names.currency(read, _NOTHING),
            clean_tax_id(customer.ИНН),
            customer.НаименованиеПолное or customer.Description or None,
            _order_of(read, _BASES),
            CHANNEL,
        ),
    )
    rows.add(ORDER_STANDS, (record.record_id, not _stands(read, _set_of(read, ORDERS.by_name))))


def map_sale(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """A shipment or an act; a return is negative."""
    read = _DOCUMENT.decode(record.payload)
    kept = _set_of(read, SALES.by_name)
    names = _Names(context)
    customer = names.counterparty(read)
    rows.add(
        INTO_SALES,
        (
            record.record_id,
            read.Number.strip() or None,
            _dated(read),
            kept.sign * _amount(read),
            names.currency(read, _NOTHING),
            _order_of(read, _BASES),
            clean_tax_id(customer.ИНН),
            customer.НаименованиеПолное or customer.Description or None,
            CHANNEL,
        ),
    )
    rows.add(SALE_STANDS, (record.record_id, not _stands(read, kept)))


# ── what a document says ────────────────────────────────────────────────────────────────────────────────────────


def _set_of(read: Document, sets: Mapping[str, DocumentSet]) -> DocumentSet:
    if read.entity_set not in sets:
        raise BadRecord(
            "unknown_set",
            say("Неизвестный вид документа {name}", "Unknown kind of document {name}", name=read.entity_set),
            path="$._set",
            got=read.entity_set,
        )
    return sets[read.entity_set]


def _stands(read: Document, kept: DocumentSet) -> bool:
    return not read.DeletionMark and (read.Posted or not kept.needs_posting)


def _dated(read: Document) -> date:
    day = read_date(read, "Date")
    if day is None:
        raise BadRecord("no_date", say("В документе нет даты.", "The document has no date."), path="$.Date")
    return day


def _amount(read: Document) -> Decimal:
    """The document's sum, which is never negative: the sign is its set's."""
    amount = _money(read.СуммаДокумента, "$.СуммаДокумента")
    if amount is None and isinstance(read, Payment) and read.РасшифровкаПлатежа:
        amount = sum((_part_amount(part) for part in read.РасшифровкаПлатежа), Decimal("0.00"))
    if amount is None and (read.DeletionMark or not read.Posted):
        return Decimal("0.00")  # a draft nobody has filled yet
    if amount is None or amount < 0:
        raise BadRecord(
            "bad_amount",
            say("Нет суммы документа.", "The document has no amount."),
            path="$.СуммаДокумента",
            expected="1000.50",
            got=str(amount),
        )
    return amount


def _money(value: Decimal | None, path: str) -> Decimal | None:
    if value is None:
        return None
    try:
        return to_money(value)
    except ValueError as error:
        raise BadRecord(
            "bad_amount", say("Непонятная сумма: {error}", "Unreadable amount: {error}", error=str(error)), path=path
        ) from None


def _part_amount(part: Part) -> Decimal:
    value = part.СуммаПлатежа if part.СуммаПлатежа is not None else part.Сумма
    return _money(value, "$.РасшифровкаПлатежа") or Decimal("0.00")


def _parts(read: Payment, sign: int) -> dict[str, Decimal]:
    """What of the payment accounting put on which order; the rest is on none."""
    parts: dict[str, Decimal] = {}
    for part in read.РасшифровкаПлатежа:
        order = _order_of(part, _PAYMENT_BASES)
        if order is not None:
            parts[order] = parts.get(order, Decimal("0.00")) + sign * _part_amount(part)
    return parts


def _only_order(read: Payment, parts: Mapping[str, Decimal]) -> str | None:
    """The order of the whole payment: of all its rows, or the document it was made from."""
    if not parts:
        return _order_of(read, _BASES)
    whole = {_order_of(part, _PAYMENT_BASES) for part in read.РасшифровкаПлатежа}
    return next(iter(parts)) if len(whole) == 1 else None


def _order_of(record: Any, names: tuple[str, ...]) -> str | None:
    """The order or invoice a record names; a composite reference may as well name a contract or a shipment."""
    return key_of(*(reference(record, name, _ORDER_TYPES) or "" for name in names))


def _vat(read: Payment, purpose: str, sign: int, amount: Decimal) -> Decimal | None:
    """VAT by the breakdown, else by the text; a text can't hold more VAT than money."""
    rows = [part.СуммаНДС for part in read.РасшифровкаПлатежа if part.СуммаНДС is not None]
    vat = _money(sum(rows, Decimal(0)), "$.РасшифровкаПлатежа") if rows else parse_purpose(purpose).vat_amount
    return sign * vat if vat is not None and vat < amount else None


def _kind(read: Payment, sign: int, payer: Element, other_account: str, purpose: str, context: MapContext) -> Kind:
    """By 1C's kind of operation; where it says nothing, as a bank's document would be judged."""
    if clean_tax_id(payer.ИНН) in context.own_tax_ids:
        return "own_transfer"
    kind = kind_of_operation(read.ВидОперации or read.ХозяйственнаяОперация, sign)
    if kind is not None:
        return kind
    text = " ".join(purpose.casefold().replace("ё", "е").split())
    return kind_of(
        Facts(direction="in" if sign > 0 else "out", other_account=other_account, purpose=text, is_budget=False)
    )


# ── what the catalogues say ─────────────────────────────────────────────────────────────────────────────────────


class _Names:
    """Elements of the catalogues by key; what a catalogue doesn't hold is an element without values."""

    def __init__(self, context: MapContext) -> None:
        self._context = context

    def counterparty(self, read: Document) -> Element:
        return self._element("counterparties", reference(read, "Контрагент", ("Catalog_",)))

    def account(self, read: Document, *names: str) -> Element:
        return self._element("bank_accounts", key_of(*(reference(read, name) or "" for name in names)))

    def contract_number(self, read: Payment) -> str | None:
        parts = {key_of(part.ДоговорКонтрагента_Key, part.Договор_Key) for part in read.РасшифровкаПлатежа} - {None}
        of_parts = next(iter(parts)) if len(parts) == 1 else None
        key = key_of(read.ДоговорКонтрагента_Key, read.Договор_Key, of_parts or "")
        return self._element("contracts", key).Номер.strip() or None

    def currency(self, read: Document, own: Element) -> str:
        """The document's own, else its account's, else the company's."""
        keys = (read.ВалютаДокумента_Key, read.Валюта_Key, own.ВалютаДенежныхСредств_Key)
        element = self._element("currencies", key_of(*keys))
        stated = element.Code or element.Description
        if not stated:
            return _currency_of_account(clean_account(own.НомерСчета)) or self._context.currency
        code = currency_code(element.Code) or currency_code(element.Description)
        if code is None:
            raise BadRecord(
                "unknown_currency",
                say("Неизвестная валюта {code}.", "Unknown currency {code}.", code=stated),
                path="$.ВалютаДокумента_Key",
                got=stated,
            )
        return code

    def _element(self, dictionary: str, key: str | None) -> Element:
        if key is None:
            return _NOTHING
        known: dict[str, Element] = self._context.cache.setdefault(dictionary, {})
        element = known.get(key)
        if element is None:
            payload = self._context.dictionaries.get(dictionary, {}).get(key)
            element = known[key] = _ELEMENT.decode(payload) if payload is not None else _NOTHING
        return element


def _currency_of_account(account: str) -> str | None:
    try:
        return currency_of(account)
    except KeyError:
        return None
