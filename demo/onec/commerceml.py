"""The story's orders, payments and shipments as 1C's exchange with a site writes them: CommerceML 2.08.

An update of an order may be partial, an unpaid order carries the date `T`, and flags are text: what readers must bear.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr
from zoneinfo import ZoneInfo

from demo.onec.world import WON, key_for
from demo.story import Deal, Payment, Story

NAMESPACE = "urn:1C.ru:commerceml_2"
Xml = str


def write_exchange(
    story: Story, folder: Path, *, has_payments: bool = True, encoding: str = "utf-8", name: str = "orders.xml"
) -> Path:
    """Write one exchange file of the whole story; deterministic. The folder is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    zone = ZoneInfo(story.timezone)
    documents = [*_orders(story, zone), *(_payments(story) if has_payments else ()), *_shipments(story, zone)]
    path = folder / name
    path.write_bytes(exchange(documents, formed_at=story.told_at.astimezone(zone), encoding=encoding))
    return path


def exchange(documents: Iterable[Xml], *, formed_at: datetime, encoding: str = "utf-8", version: str = "2.08") -> bytes:
    """A file of these documents."""
    root = f"КоммерческаяИнформация xmlns={quoteattr(NAMESPACE)} ВерсияСхемы={quoteattr(version)}"
    head = f'<?xml version="1.0" encoding="{encoding}"?>\n'
    body = "\n".join(documents)
    text = f'{head}<{root} ДатаФормирования="{formed_at:%Y-%m-%dT%H:%M:%S}">\n{body}\n</КоммерческаяИнформация>\n'
    return text.encode(encoding, errors="xmlcharrefreplace")


def document(own_id: str, operation: str, *, properties: dict[str, str] | None = None, **values: Any) -> Xml:
    """One `Документ` by the names of its elements; `properties` become реквизиты, values that are XML go unescaped."""
    elements = {"Ид": own_id, "ХозОперация": operation, **values}
    pairs = "".join(
        f"<ЗначениеРеквизита>{_element('Наименование', name)}{_element('Значение', value)}</ЗначениеРеквизита>"
        for name, value in (properties or {}).items()
    )
    inner = "".join(_element(name, value) for name, value in elements.items())
    return f"<Документ>{inner}<ЗначенияРеквизитов>{pairs}</ЗначенияРеквизитов></Документ>"


def customer(name: str, tax_id: str) -> dict[str, Any]:
    """The `Контрагенты` of a document."""
    party = {"Ид": key_for("party", tax_id or name), "Наименование": name, "Роль": "Покупатель", "ИНН": tax_id}
    return {"Контрагенты": {"Контрагент": party}}


def _element(name: str, value: Any) -> Xml:
    if isinstance(value, dict):
        return f"<{name}>{''.join(_element(inner, each) for inner, each in value.items())}</{name}>"
    return f"<{name}>{escape(str(value))}</{name}>"


def _orders(story: Story, zone: ZoneInfo) -> Iterator[Xml]:
    paid = {payment.deal_id: payment for payment in story.payments if payment.amount > 0}
    for deal in story.deals:
        created = deal.created_at.astimezone(zone)
        payment = paid.get(deal.deal_id)
        properties = {
            "Номер по 1С": _number(deal),
            "ПометкаУдаления": "false",
            "Проведен": "true",
            "Номер оплаты по 1С": payment.number if payment else "",
            "Дата оплаты по 1С": f"{payment.paid_on}T00:00:00" if payment else "T",
        }
        yield document(
            str(deal.deal_id),
            "Заказ товара",
            properties=properties,
            Номер=deal.deal_id,
            Номер1С=_number(deal),
            Дата=created.date(),
            Время=f"{created:%H:%M:%S}",
            **_money(_amount(deal)),
            **customer(deal.customer, deal.tax_id or ""),
        )


def _payments(story: Story) -> Iterator[Xml]:
    for place, payment in enumerate(story.payments):
        if payment.deal_id is not None:
            is_refund = payment.amount < 0
            yield document(
                key_for("exchange payment", place),
                "Возврат безналичных денег" if is_refund else "Выплата безналичных денег",
                properties={"Оплачен": "true"},
                Номер=f"ТП00-{place:06d}",
                Дата=payment.paid_on,
                Время="00:00:00",
                Основание=payment.deal_id,
                **_money(abs(payment.amount)),
                **_payer(payment),
            )


def _shipments(story: Story, zone: ZoneInfo) -> Iterator[Xml]:
    for deal in story.deals:
        won = next((move for move in deal.moves if move.stage_id == WON), None)
        if won is not None:
            shipped: date = won.moved_at.astimezone(zone).date()
            yield document(
                key_for("exchange shipment", deal.deal_id),
                "Отпуск товара",
                properties={"Отгружен": "true"},
                Номер=f"ТП00-{deal.deal_id % 1_000_000:06d}",
                Дата=shipped,
                Основание=deal.deal_id,
                **_money(_amount(deal)),
                **customer(deal.customer, deal.tax_id or ""),
            )


def _money(amount: Decimal) -> dict[str, Any]:
    return {"Роль": "Продавец", "Валюта": "RUB", "Курс": "1.0000", "Сумма": f"{amount:.2f}"}


def _payer(payment: Payment) -> dict[str, Any]:
    return customer(payment.payer, payment.payer_tax_id)


def _amount(deal: Deal) -> Decimal:
    return deal.amount_changes[-1].amount if deal.amount_changes else deal.amount


def _number(deal: Deal) -> str:
    return deal.invoice_number or f"ТП00-{deal.deal_id % 1_000_000:06d}"
