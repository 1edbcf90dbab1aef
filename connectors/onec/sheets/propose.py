"""A mapping proposed for a table nobody knows: captions compared with those that accountants use, then tried out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from base.text import Text, say
from connectors.onec.refusal import FileRefusal
from connectors.onec.sheets.header import Header, candidates, first_rows, header_at, normalised
from connectors.onec.sheets.layout import make_plan
from connectors.onec.sheets.settings import KNOWN, NEEDED, Columns, Kind, SheetMapping
from connectors.onec.sheets.survey import TableSurvey, survey_table
from connectors.onec.sheets.table import Table, letter_of

# By field, the surest caption first.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "date": (
        "дата операции", "дата проводки", "дата платежа", "дата оплаты", "дата поступления", "дата документа",
        "дата счета", "дата реализации", "дата", "период", "date",
    ),
    "number": (
        "номер документа", "№ документа", "номер п/п", "№ п.п", "номер", "№ док", "номер счета", "№ счета", "№",
        "number",
    ),
    "payment_order": ("вх. номер", "вх номер", "входящий номер", "номер входящего документа"),
    "document": ("документ", "документ расчетов", "документ реализации", "документ продажи", "регистратор"),
    "amount_in": ("приход", "поступление", "поступило", "зачислено", "сумма прихода", "кредит", "по кредиту"),
    "amount_out": ("расход", "списание", "списано", "сумма расхода", "дебет", "по дебету"),
    "amount": (
        "сумма документа", "сумма платежа", "сумма оплаты", "сумма операции", "сумма", "себестоимость",
        "себестоимость продаж", "себестоимость товаров", "сумма долга", "долг", "долг клиента", "задолженность",
        "остаток долга", "дебиторская задолженность", "всего", "итого", "выручка", "стоимость", "amount",
    ),
    "direction": ("приход/расход", "тип операции", "направление", "вид движения", "дебет/кредит", "тип"),
    "counterparty": (
        "контрагент", "плательщик", "покупатель", "клиент", "корреспондент", "наименование контрагента",
        "наименование плательщика", "заказчик", "партнер", "customer",
    ),
    "tax_id": ("инн", "инн плательщика", "инн контрагента", "инн покупателя", "инн корреспондента", "бин", "иин"),
    "account": ("счет контрагента", "счет плательщика", "счет корреспондента", "р/с плательщика", "корр. счет"),
    "own_account": ("банковский счет", "счет организации", "расчетный счет", "наш счет"),
    "organisation": ("организация", "наша организация"),
    "purpose": ("назначение платежа", "назначение", "содержание операции", "содержание", "основание", "комментарий"),
    "operation": ("вид операции", "хозяйственная операция"),
    "currency": ("валюта", "вал", "валюта документа"),
    "invoice": ("счет на оплату", "номер счета на оплату", "по счету", "счет №"),
    "contract": ("договор", "номер договора", "договор контрагента"),
    "deal": ("id сделки", "сделка", "номер сделки", "id лида", "crm id", "deal"),
    "due_on": ("срок оплаты", "оплатить до", "дата погашения", "срок", "оплата до"),
}  # fmt: skip
_COST = re.compile(r"себестоим")
_DEBT = re.compile(r"долг|задолженн|дебитор")
_SALE = re.compile(r"реализац|отгруз|накладн|продаж|упд")
_ORDER = re.compile(r"сч[её]т[аоы]?\s+(?:на\s+оплату|покупател|клиент)|выставлен|заказ")


@dataclass(frozen=True)
class Proposal:
    """A mapping with what it would load, and what a person should look at before believing it."""

    mapping: SheetMapping
    survey: TableSurvey
    doubts: tuple[Text, ...] = ()


def propose(table: Table, file_name: str, *, names_sheet: bool = False) -> Proposal | None:
    """The best mapping that really reads the table; None if none does."""
    best: Proposal | None = None
    for mapping, doubts in _guesses(table, _pattern(file_name), table.sheet if names_sheet else None):
        try:
            found = survey_table(make_plan(table, mapping))
        except FileRefusal:
            continue
        if found.count and found.bad_count <= found.count and (best is None or _worth(found) > _worth(best.survey)):
            best = Proposal(mapping, found, doubts)
    return best


def captions_of(table: Table) -> list[str]:
    """The most likely captions of a table with their letters, for a person who writes the mapping by hand."""
    header = _likely_header(table)
    return [f"[{letter_of(place)}] {text}" for place, text in enumerate(header.shown) if text] if header else []


def as_toml(mapping: SheetMapping, source: str) -> str:
    """The mapping as the `[[sources.NAME.sheets]]` table to paste into voronka.toml."""
    found = msgspec.to_builtins(mapping)
    columns = ", ".join(f"{name} = {_quoted(value)}" for name, value in found.pop("columns", {}).items())
    kind = found.pop("kind")
    lines = [f"[[sources.{source}.sheets]]", *(f"{name} = {_quoted(value)}" for name, value in found.items())]
    lines.insert(1 + ("file" in found), f"kind = {_quoted(kind)}")
    return "\n".join([*lines, f"columns = {{ {columns} }}"]) + "\n"


def _quoted(value: object) -> str:
    """JSON's strings, numbers and lists are TOML's too."""
    return json.dumps(value, ensure_ascii=False)


# ── guessing ────────────────────────────────────────────────────────────────────────────────────────────────────


def _worth(found: TableSurvey) -> tuple[int, int]:
    return found.count - 2 * found.bad_count, len(found.plan.columns)


def _pattern(name: str) -> str:
    """The file's name with its dates and numbers as `*`, so that next month's export fits too."""
    last = name.rpartition("/")[2].replace("[", "?").replace("]", "?")
    stem, dot, suffix = last.rpartition(".")
    return re.sub(r"\d[\d._\s-]*\d|\d", "*", stem) + dot + suffix if dot else re.sub(r"\d+", "*", last)


def _likely_header(table: Table) -> Header | None:
    rows = first_rows(table)
    headers = [header_at(rows, place) for place in candidates(rows)]
    return max(headers, key=lambda header: len(_matches(header)), default=None)


def _matches(header: Header) -> dict[str, str]:
    """The fields whose captions are there: field -> address. A caption serves one field only."""
    columns = {normalised(text): text for text in reversed(header.shown) if text}
    found: dict[str, str] = {}
    for name, synonyms in SYNONYMS.items():
        for caption in synonyms:
            if caption in columns and columns[caption] not in found.values():
                found[name] = _address(header, columns[caption])
                break
    return found


def _address(header: Header, caption: str) -> str:
    """The caption, or the letter of the first of several columns that have it."""
    places = [place for place, text in enumerate(header.shown) if normalised(text) == normalised(caption)]
    return caption if len(places) == 1 else f"[{letter_of(places[0])}]"


def _guesses(table: Table, file: str, sheet: str | None) -> Iterator[tuple[SheetMapping, tuple[Text, ...]]]:
    header = _likely_header(table)
    if header is None:
        return
    fields = _matches(header)
    for kind in _kinds(header, fields, f"{file} {table.sheet}".casefold()):
        known = {name: caption for name, caption in fields.items() if name in KNOWN[kind]}
        if kind == "payments" and "amount_in" in known and "amount_out" in known:
            known.pop("amount", None)
            known.pop("direction", None)
        elif kind == "payments" and "amount" in known:
            known = {name: caption for name, caption in known.items() if name not in ("amount_in", "amount_out")}
        if not all(any(name in known for name in group) for group in NEEDED[kind]):
            continue
        yield from _variants(kind, known, file, sheet)


def _kinds(header: Header, fields: dict[str, str], names: str) -> list[Kind]:
    """What the table may be, the likeliest first."""
    amount = normalised(fields.get("amount", ""))
    title = f"{' '.join(header.above)} {names}".casefold()
    if _COST.search(amount):
        return ["costs"]
    if _DEBT.search(amount) or _DEBT.search(title):
        return ["receivables"]
    if "amount_in" in fields or "purpose" in fields or "payment_order" in fields:
        return ["payments"]
    if _SALE.search(title):
        return ["sales"]
    if _ORDER.search(title):
        return ["orders"]
    return ["payments", "orders"]


def _variants(
    kind: Kind, known: dict[str, str], file: str, sheet: str | None
) -> Iterator[tuple[SheetMapping, tuple[Text, ...]]]:
    """With and without the document column: a word such as «Документ» may hold anything."""
    choices = [known] if "document" not in known else [known, {k: v for k, v in known.items() if k != "document"}]
    for columns in choices:
        if not all(any(name in columns for name in group) for group in NEEDED[kind]):
            continue
        doubts = tuple(_doubts(kind, columns))
        mapping = SheetMapping(kind=kind, file=file, sheet=sheet, columns=Columns(**columns))
        if "direction" in columns:
            yield mapping, doubts
            without = {name: caption for name, caption in columns.items() if name != "direction"}
            mapping = msgspec.structs.replace(mapping, columns=Columns(**without))
        yield mapping, doubts


def _doubts(kind: Kind, columns: dict[str, str]) -> Iterator[Text]:
    if normalised(columns.get("amount_in", "")) in ("кредит", "по кредиту"):
        yield say(
            "Считаем «Кредит» приходом, как в выписке банка. В карточке счёта 51 из 1С наоборот: тогда поменяйте"
            " amount_in и amount_out местами.",
            "«Кредит» is taken for money that came, as in a bank's table. In 1C's card of account 51 it is the other"
            " way round: then swap amount_in and amount_out.",
        )
    if kind == "payments" and "amount" in columns and "direction" not in columns:
        yield say(
            'Сумма со знаком минус считается расходом. Если в таблице только поступления, добавьте direction = "in".',
            'A negative amount is money that went. If the table holds only money that came, add direction = "in".',
        )
    if kind == "payments" and "own_account" not in columns:
        yield say(
            'Добавьте own_account = "номер своего счёта": по нему те же деньги из выписки банка не посчитаются дважды.',
            'Add own_account = "your own account": by it the same money in a bank statement isn\'t counted twice.',
        )
    if kind in ("costs", "sales", "receivables") and "deal" not in columns:
        yield say(
            "Столбца с номером сделки CRM нет: строки загрузятся, но ни к какой сделке не отнесутся.",
            "There is no column with the CRM deal's id: the rows load but belong to no deal.",
        )
    if kind in ("costs", "sales", "orders", "receivables") and "deal" in columns:
        yield say(
            'Укажите, чьи это сделки: deal_source = "имя источника CRM".',
            'Say whose deals these are: deal_source = "the CRM source\'s name".',
        )
