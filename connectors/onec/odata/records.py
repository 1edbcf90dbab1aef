"""Documents and catalogue elements as 1C writes them, with its own names; configurations fill different ones."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from base.text import say
from connectors.stream import BadRecord

# What stands for "nothing" in a reference and in a date.
NO_KEY = "00000000-0000-0000-0000-000000000000"
NO_YEAR = "0001-"


class Part(msgspec.Struct):
    """A row of a payment's breakdown by order and contract."""

    СуммаПлатежа: Decimal | None = None
    Сумма: Decimal | None = None
    СуммаНДС: Decimal | None = None
    СчетНаОплату_Key: str = ""
    СчетНаОплату: str = ""
    СчетНаОплату_Type: str = ""
    Заказ_Key: str = ""
    Заказ: str = ""
    Заказ_Type: str = ""
    ОснованиеПлатежа_Key: str = ""
    ОснованиеПлатежа: str = ""
    ОснованиеПлатежа_Type: str = ""
    ДоговорКонтрагента_Key: str = ""
    Договор_Key: str = ""


class Document(msgspec.Struct):
    """What money, order and sale documents have in common."""

    Ref_Key: str
    entity_set: str = msgspec.field(name="_set", default="")
    Number: str = ""
    Date: str = ""
    Posted: bool = True
    DeletionMark: bool = False
    СуммаДокумента: Decimal | None = None
    Контрагент_Key: str = ""
    Контрагент: str = ""
    Контрагент_Type: str = ""
    ВалютаДокумента_Key: str = ""
    Валюта_Key: str = ""
    ВидОперации: str = ""
    Комментарий: str = ""
    СчетНаОплату_Key: str = ""
    СчетНаОплату: str = ""
    СчетНаОплату_Type: str = ""
    СчетНаОплатуПокупателю_Key: str = ""
    ЗаказКлиента_Key: str = ""
    ЗаказКлиента: str = ""
    ЗаказКлиента_Type: str = ""
    ЗаказПокупателя_Key: str = ""
    Заказ_Key: str = ""
    Заказ: str = ""
    Заказ_Type: str = ""
    Сделка: str = ""
    Сделка_Type: str = ""
    ДокументОснование_Key: str = ""
    ДокументОснование: str = ""
    ДокументОснование_Type: str = ""


class Payment(Document):
    ХозяйственнаяОперация: str = ""
    ПроведеноБанком: bool | None = None
    ДатаПроведенияБанком: str = ""
    НазначениеПлатежа: str = ""
    НомерВходящегоДокумента: str = ""
    ДатаВходящегоДокумента: str = ""
    Основание: str = ""
    ПринятоОт: str = ""
    Выдать: str = ""
    ДоговорКонтрагента_Key: str = ""
    Договор_Key: str = ""
    СчетОрганизации_Key: str = ""
    БанковскийСчет_Key: str = ""
    БанковскийСчетОрганизации_Key: str = ""
    СчетКонтрагента_Key: str = ""
    БанковскийСчетКонтрагента_Key: str = ""
    РасшифровкаПлатежа: list[Part] = []


class Element(msgspec.Struct):
    """An element of any catalogue that documents name."""

    Description: str = ""
    Code: str = ""
    НаименованиеПолное: str = ""
    ИНН: str = ""
    НомерСчета: str = ""
    ВалютаДенежныхСредств_Key: str = ""
    Номер: str = ""


def key_of(*values: str) -> str | None:
    """The first reference that is one: neither empty nor the zero key."""
    return next((value for value in values if value and value != NO_KEY), None)


def reference(record: Any, name: str, kinds: tuple[str, ...] = ()) -> str | None:
    """An attribute's reference, whether the release has it as a key or composite. `kinds`: what the type of a composite
    one must begin with; a reference to something else is none."""
    if key := key_of(getattr(record, f"{name}_Key", "")):
        return key
    value = key_of(getattr(record, name, ""))
    kind = getattr(record, f"{name}_Type", "").removeprefix("StandardODATA.")
    if value is None or kind.startswith("Edm."):
        return None
    return value if not kinds or kind.startswith(kinds) else None


def read_date(record: Any, name: str) -> date | None:
    """A date without its time, which is technical; 1C's empty date is none.

    Raises:
        BadRecord: no date.
    """
    text: str = getattr(record, name)
    if not text or text.startswith(NO_YEAR):
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise BadRecord(
            "bad_date",
            say("{name}: непонятная дата {text}", "{name}: unreadable date {text}", name=name, text=text[:40]),
            path=f"$.{name}",
            expected="yyyy-mm-ddThh:mm:ss",
            got=text[:40],
        ) from None
