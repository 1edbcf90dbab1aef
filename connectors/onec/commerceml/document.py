"""A stored document as questions about it: elements that repeat, реквизиты by name, texts that mean a flag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from base.money import parse_money
from base.tax_ids import clean_tax_id
from base.text import say
from connectors.onec.commerceml.operations import Operation
from connectors.onec.currencies import currency_code
from connectors.onec.movements import clean_account
from connectors.stream import BadRecord, MapContext

_TRUE = frozenset({"true", "1", "да", "истина"})
_FALSE = frozenset({"false", "0", "нет", "ложь"})


@dataclass(frozen=True)
class Party:
    name: str | None = None
    tax_id: str | None = None
    account: str | None = None


class ExchangeDocument:
    """One document; nothing is guessed from what it doesn't hold."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values
        self._properties = {
            name: _as_text(pair.get("Значение"))
            for pair in _each(values, "ЗначенияРеквизитов", "ЗначениеРеквизита")
            if (name := _as_text(pair.get("Наименование")))
        }

    def text(self, name: str) -> str:
        return _as_text(self._values.get(name))

    def stated(self, *names: str) -> bool | None:
        """A flag as an element or a реквизит, the first that is filled; `"false"` is text like any other."""
        for name in names:
            text = (self.text(name) or self._properties.get(name, "")).casefold()
            if text in _TRUE:
                return True
            if text in _FALSE:
                return False
        return None

    def stands(self, operation: Operation) -> bool:
        """Neither marked for deletion nor cancelled, nor known to be unposted; a payment also not known as unpaid."""
        if self.stated("ПометкаУдаления") or self.stated("Отменен", "Отменён"):
            return False
        if operation.needs_posting and self.stated("Проведен", "Проведён") is False:
            return False
        return operation.purpose != "payment" or self.stated("Оплачен") is not False

    def number(self) -> str | None:
        """The number people see: 1C's, which stands in invoices, before the site's."""
        return self.text("Номер1С") or self._properties.get("Номер по 1С") or self.text("Номер") or None

    def basis(self) -> str | None:
        """The order it belongs to: stated, or by its place in a container."""
        return self.text("Основание") or self.text("_Заказ") or None

    def day(self) -> date:
        """Raises BadRecord: no day."""
        text = self.text("Дата")
        try:
            return date.fromisoformat(text[:10])
        except ValueError:
            raise BadRecord(
                "bad_date",
                say("Непонятная Дата «{text}»", "Unreadable Дата {text!r}", text=text[:40]),
                path="$.Дата",
                expected="yyyy-mm-dd",
                got=text[:40],
            ) from None

    def amount(self) -> Decimal:
        """The document's own `Сумма`, never negative; some configurations format it for people (`9 800,50`).

        Raises BadRecord: no amount.
        """
        text = self.text("Сумма")
        try:
            amount = parse_money(text)
        except ValueError:
            amount = Decimal(-1)
        if amount < 0:
            raise BadRecord(
                "bad_amount",
                say("Непонятная Сумма «{text}»", "Unreadable Сумма {text!r}", text=text[:40]),
                path="$.Сумма",
                expected="1000.50",
                got=text[:40],
            )
        return amount

    def currency(self, context: MapContext) -> str:
        """Raises BadRecord: a currency nobody knows."""
        text = self.text("Валюта")
        code = currency_code(text) if text else context.currency
        if code is None:
            raise BadRecord(
                "unknown_currency",
                say("Неизвестная валюта «{text}»", "Unknown currency {text!r}", text=text[:40]),
                path="$.Валюта",
                got=text[:40],
            )
        return code

    def customer(self) -> Party:
        """The party whose role is the buyer's, else the first one."""
        parties = list(_each(self._values, "Контрагенты", "Контрагент"))
        chosen = next((each for each in parties if _role(each) == "покупатель"), parties[0] if parties else {})
        names = (_as_text(chosen.get(key)) for key in ("ПолноеНаименование", "ОфициальноеНаименование", "Наименование"))
        return Party(next(filter(None, names), None), clean_tax_id(_as_text(chosen.get("ИНН"))), _account_of(chosen))

    def own_account(self) -> str | None:
        """The seller's account, where the exchange names one."""
        parties = _each(self._values, "Контрагенты", "Контрагент")
        return next((_account_of(each) for each in parties if _role(each) == "продавец"), None)


def _role(party: dict[str, Any]) -> str:
    return _as_text(party.get("Роль")).casefold()


def _account_of(party: dict[str, Any]) -> str | None:
    numbers = (_as_text(each.get("НомерСчета")) for each in _each(party, "РасчетныеСчета", "РасчетныйСчет"))
    return next((clean_account(number) for number in numbers if number), None)


def _each(values: dict[str, Any], group: str, name: str) -> Iterator[dict[str, Any]]:
    """The elements of a group, whether it holds none, one or many."""
    inner = values.get(group)
    found = inner.get(name) if isinstance(inner, dict) else None
    for each in found if isinstance(found, list) else [found]:
        if isinstance(each, dict):
            yield each


def _as_text(value: Any) -> str:
    """A leaf's text; of repeated ones the first, which for a реквизит is the main value."""
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, dict):
        value = value.get("#", "")
    return value if isinstance(value, str) else ""
