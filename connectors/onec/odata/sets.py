"""The sets of 1C that are read, as data: names and fields of the common configurations (БП 3.0, УТ 11/КА/ERP, УНФ).

A field that a configuration lacks is not asked for. Documents of card operations are left out on purpose: their money
arrives as the acquirer's bank document, and would be counted twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from base.text import Text, say

_HEAD = ("Ref_Key", "DataVersion", "DeletionMark")
_DOCUMENT = (*_HEAD, "Number", "Date", "Posted")
# The same attribute is a key in one release and composite (value and type) in another.
_PARTY = ("Контрагент_Key", "Контрагент", "Контрагент_Type")
_CURRENCY = ("ВалютаДокумента_Key", "Валюта_Key")
_BASIS = (
    *("СчетНаОплату_Key", "СчетНаОплату", "СчетНаОплату_Type", "СчетНаОплатуПокупателю_Key"),
    *("ЗаказКлиента_Key", "ЗаказКлиента", "ЗаказКлиента_Type", "ЗаказПокупателя_Key"),
    *("Заказ_Key", "Заказ", "Заказ_Type"),
    *("ДокументОснование_Key", "ДокументОснование", "ДокументОснование_Type"),
)

PAYMENT_FIELDS = (
    *(*_DOCUMENT, *_PARTY, *_CURRENCY, *_BASIS),
    *("СуммаДокумента", "ВидОперации", "ХозяйственнаяОперация", "ПроведеноБанком", "ДатаПроведенияБанком"),
    *("НазначениеПлатежа", "НомерВходящегоДокумента", "ДатаВходящегоДокумента", "Комментарий"),
    *("Основание", "ПринятоОт", "Выдать", "ДоговорКонтрагента_Key", "Договор_Key"),
    *("СчетОрганизации_Key", "БанковскийСчет_Key", "БанковскийСчетОрганизации_Key"),
    *("СчетКонтрагента_Key", "БанковскийСчетКонтрагента_Key", "РасшифровкаПлатежа"),
)
ORDER_FIELDS = (*_DOCUMENT, *_PARTY, *_CURRENCY, *_BASIS, "СуммаДокумента", "Комментарий")
SALE_FIELDS = (*ORDER_FIELDS, "Сделка", "Сделка_Type", "ВидОперации")


@dataclass(frozen=True, kw_only=True)
class DocumentSet:
    """A published set of documents. `sign`: how its amounts count; `is_bank`: money on a bank account, not in cash.
    `needs_posting` False: posting says nothing about it (an invoice is valid as soon as it is written)."""

    name: str
    sign: Literal[1, -1] = 1
    is_bank: bool = False
    needs_posting: bool = True


@dataclass(frozen=True, kw_only=True)
class DocumentKind:
    """Documents that become one core relation."""

    label: Text
    fields: tuple[str, ...]
    sets: tuple[DocumentSet, ...]
    # True: a database that publishes none of the sets is no source.
    is_required: bool = False

    @property
    def by_name(self) -> dict[str, DocumentSet]:
        return {each.name: each for each in self.sets}


def _bank(name: str, sign: Literal[1, -1]) -> DocumentSet:
    return DocumentSet(name=name, sign=sign, is_bank=True)


PAYMENTS = DocumentKind(
    label=say("платежи", "payments"),
    fields=PAYMENT_FIELDS,
    is_required=True,
    sets=(
        _bank("Document_ПоступлениеНаРасчетныйСчет", 1),
        _bank("Document_СписаниеСРасчетногоСчета", -1),
        _bank("Document_ПоступлениеБезналичныхДенежныхСредств", 1),
        _bank("Document_СписаниеБезналичныхДенежныхСредств", -1),
        _bank("Document_ПоступлениеНаСчет", 1),
        _bank("Document_РасходСоСчета", -1),
        DocumentSet(name="Document_ПриходныйКассовыйОрдер"),
        DocumentSet(name="Document_РасходныйКассовыйОрдер", sign=-1),
        DocumentSet(name="Document_ПоступлениеВКассу"),
        DocumentSet(name="Document_РасходИзКассы", sign=-1),
    ),
)
ORDERS = DocumentKind(
    label=say("счета и заказы покупателей", "invoices and customers' orders"),
    fields=ORDER_FIELDS,
    sets=(
        DocumentSet(name="Document_ЗаказКлиента"),
        DocumentSet(name="Document_ЗаказПокупателя"),
        DocumentSet(name="Document_СчетНаОплатуПокупателю", needs_posting=False),
        DocumentSet(name="Document_СчетНаОплатуКлиенту", needs_posting=False),
        DocumentSet(name="Document_СчетНаОплату", needs_posting=False),
    ),
)
SALES = DocumentKind(
    label=say("продажи и возвраты", "sales and returns"),
    fields=SALE_FIELDS,
    sets=(
        DocumentSet(name="Document_РеализацияТоваровУслуг"),
        DocumentSet(name="Document_РасходнаяНакладная"),
        DocumentSet(name="Document_АктВыполненныхРабот"),
        DocumentSet(name="Document_ВозвратТоваровОтПокупателя", sign=-1),
        DocumentSet(name="Document_ВозвратТоваровОтКлиента", sign=-1),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """What documents name by a key."""

    label: Text
    sets: tuple[str, ...]
    fields: tuple[str, ...]


COUNTERPARTIES = Catalogue(
    label=say("контрагенты", "counterparties"),
    sets=("Catalog_Контрагенты",),
    fields=(*_HEAD, "Code", "Description", "НаименованиеПолное", "ИНН", "КПП", "IsFolder"),
)
ACCOUNTS = Catalogue(
    label=say("банковские счета", "bank accounts"),
    sets=("Catalog_БанковскиеСчета", "Catalog_БанковскиеСчетаОрганизаций", "Catalog_БанковскиеСчетаКонтрагентов"),
    fields=(*_HEAD, "Description", "НомерСчета", "ВалютаДенежныхСредств_Key", "Owner_Key"),
)
CURRENCIES = Catalogue(
    label=say("валюты", "currencies"), sets=("Catalog_Валюты",), fields=(*_HEAD, "Code", "Description")
)
CONTRACTS = Catalogue(
    label=say("договоры", "contracts"),
    sets=("Catalog_ДоговорыКонтрагентов",),
    fields=(*_HEAD, "Description", "Номер", "Дата", "IsFolder"),
)
CATALOGUES = (COUNTERPARTIES, ACCOUNTS, CURRENCIES, CONTRACTS)
DOCUMENTS = (PAYMENTS, ORDERS, SALES)
ALL_SETS = frozenset(
    [name for catalogue in CATALOGUES for name in catalogue.sets]
    + [each.name for kind in DOCUMENTS for each in kind.sets]
)
