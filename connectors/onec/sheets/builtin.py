"""1C's standard reports, recognised by their titles and captions: no mapping is needed for them.

Only what can't be anything else is here. A table that merely looks like payments waits for a mapping: in a bank's
table «Кредит» is money that came, in a card of account 51 it is money that went.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from base.text import say
from connectors.onec.refusal import FileRefusal
from connectors.onec.sheets.header import Header, candidates, first_rows, header_at, normalised
from connectors.onec.sheets.layout import CARD_CAPTIONS
from connectors.onec.sheets.settings import Columns, Layout, SheetMapping
from connectors.onec.sheets.table import Table

_CARD = re.compile(r"карточка\s+сч[её]та\s+(?P<account>\d{2}(?:\.\d{1,2})?)", re.IGNORECASE)
_CARD_CAPTIONS = frozenset(map(normalised, CARD_CAPTIONS))
# Of a card only money accounts and settlements with customers are money.
_LAYOUTS: dict[str, Layout] = {"50": "card", "51": "card", "52": "card", "55": "card", "62": "settlements"}
# Reports of totals: no single payment is in them.
_TOTALS = re.compile(r"анализ\s+сч[её]та|оборотно-сальдовая\s+ведомость|обороты\s+сч[её]та", re.IGNORECASE)
_MARGIN = re.compile(r"валовая\s+прибыль|продажи.*себестоимост", re.IGNORECASE)
_COST = ("себестоимость", "себестоимость товаров", "себестоимость продаж")
_COST_GROUPS = ("документ продажи", "документ реализации", "регистратор", "документ")
# «Банковские выписки» of 1C, saved as a list: the two captions say the direction themselves.
_BANK_LIST = ("дата", "поступление", "списание", "контрагент", "назначение платежа")
_BANK_LIST_MORE = {
    "number": ("номер",),
    "payment_order": ("вх. номер", "вх номер", "входящий номер", "номер входящего документа"),
    "operation": ("вид операции", "хозяйственная операция"),
    "organisation": ("организация",),
    "own_account": ("банковский счет", "счет организации"),
    "currency": ("валюта",),
    "tax_id": ("инн", "инн контрагента"),
}


def recognise(table: Table) -> SheetMapping | None:
    """The mapping of a standard report, None for any other table.

    Raises:
        FileRefusal: a report that holds no single documents.
    """
    rows = first_rows(table)
    title = " ".join(cell for _, cells in rows[:8] for cell in cells if isinstance(cell, str))
    for place in candidates(rows):
        header = header_at(rows, place)
        captions = {normalised(text) for text in (*header.shown, *header.top)}
        if captions >= _CARD_CAPTIONS and (card := _CARD.search(title)):
            return _card(card["account"], table)
        if captions.issuperset(_BANK_LIST):
            return _bank_list(captions, header)
        cost = next((name for name in _COST if name in captions), None)
        if cost is not None and _MARGIN.search(title):
            return _margin(header, captions, cost)
    if _TOTALS.search(title):
        raise _only_totals(table)
    return None


def _card(account: str, table: Table) -> SheetMapping:
    layout = _LAYOUTS.get(account[:2])
    if layout is None:
        what = say(
            "Это карточка счёта {account}: платежей клиентов в ней нет.",
            "This is a card of account {account}: it holds no customers' payments.",
            account=account,
        )
        remedy = say("Нужна карточка счёта 51, 50, 52 или 62.", "A card of account 51, 50, 52 or 62 is needed.")
        raise FileRefusal("other_account", what, remedy, path=table.sheet or "line 1", bears=False)
    return SheetMapping(kind="payments", layout=layout)


def _bank_list(captions: set[str], header: Header) -> SheetMapping:
    more = {
        name: _shown(header, caption)
        for name, known in _BANK_LIST_MORE.items()
        for caption in known
        if caption in captions
    }
    columns = Columns(
        date=_shown(header, "дата"),
        amount_in=_shown(header, "поступление"),
        amount_out=_shown(header, "списание"),
        counterparty=_shown(header, "контрагент"),
        purpose=_shown(header, "назначение платежа"),
        **more,
    )
    return SheetMapping(kind="payments", columns=columns)


def _margin(header: Header, captions: set[str], cost: str) -> SheetMapping | None:
    """«Валовая прибыль»: every level of the report has its own sums, so only rows of documents count."""
    document = next((name for name in _COST_GROUPS if name in captions), None)
    # The groups of the report may stand one below the other in its first column.
    address = _shown(header, document) if document else _first_caption(header.shown)
    if address is None:
        return None
    return SheetMapping(kind="costs", columns=Columns(document=address, amount=_shown(header, cost)))


def _shown(header: Header, caption: str) -> str:
    """A caption as it stands, by its normalised form."""
    return next(text for text in (*header.shown, *header.top) if normalised(text) == caption)


def _first_caption(shown: Sequence[str]) -> str | None:
    return next((text for text in shown if text), None)


def _only_totals(table: Table) -> FileRefusal:
    what = say(
        "Это отчёт с итогами: отдельных платежей в нём нет.", "This report holds totals only, no single payments."
    )
    remedy = say(
        "Выгрузите «Карточку счёта 51» за тот же период.", "Export the card of account 51 for the same period."
    )
    return FileRefusal("only_totals", what, remedy, path=table.sheet or "line 1", bears=False)
