"""What a payment's purpose text says: invoices, contract, order, returned payment, VAT, and who paid for whom.

Texts come upper-cased, without spaces (`поСчету№12от01.02.26`), cut at 210 characters, with Latin letters in
Cyrillic numbers. Nothing here decides which deal a payment belongs to: it only reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache

from base.money import parse_money

# The banking rules' longest purpose: a number or date that touches this end may have lost its tail.
LONGEST = 210
# An account or card number is not a document's number.
LONGEST_NUMBER_DIGITS = 16


@dataclass(frozen=True)
class DocumentNumber:
    """A printed number and its date; in a list with one date (`15, 16 от 05.02`) all carry it."""

    number: str
    issued_on: date | None = None


@dataclass(frozen=True)
class VatPart:
    rate: Decimal | None  # per cent
    amount: Decimal | None


# Rate and amount.
_Vat = tuple[Decimal | None, Decimal | None]
_NOTHING = Decimal("0.00")


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """What was found; None and empty mean that the text doesn't say."""

    invoices: tuple[DocumentNumber, ...] = ()
    contract: str | None = None
    order: str | None = None
    payment_order: DocumentNumber | None = None  # the payment that is returned
    vat: tuple[VatPart, ...] | None = None  # None = not said; () = said to be without VAT
    is_refund: bool = False
    percent_prepaid: Decimal | None = None
    customer_tax_id: str | None = None  # paid for another company: that company's id
    gross: Decimal | None = None  # card acquiring: turnover before the fee
    fee: Decimal | None = None

    @property
    def vat_amount(self) -> Decimal | None:
        """VAT in total; 0 when the text says there is none, None when it doesn't give every amount."""
        return None if self.vat is None else _total((part.rate, part.amount) for part in self.vat)


def parse_purpose(text: str) -> Purpose:
    """Read a purpose text; never fails, what isn't recognised is left out."""
    cleaned = clean_purpose(text)
    invoices, taken = _find_invoices(cleaned)
    is_acquiring = _ACQUIRING.search(cleaned) is not None
    prepaid = _PREPAID.search(cleaned)
    customer = _CUSTOMER.search(cleaned)
    return Purpose(
        invoices=invoices,
        contract=_find_contract(cleaned, taken),
        order=_first_number(_ORDER, cleaned),
        payment_order=_find_payment_order(cleaned),
        vat=_find_vat(cleaned),
        is_refund=_REFUND.match(cleaned) is not None,
        percent_prepaid=Decimal(prepaid["before"] or prepaid["after"]) if prepaid else None,
        customer_tax_id=customer["tax_id"] if customer else None,
        gross=_find_amount(_GROSS, cleaned) if is_acquiring else None,
        fee=_find_amount(_FEE, cleaned) if is_acquiring else None,
    )


def read_vat_amount(cleaned: str) -> Decimal | None:
    """The `vat_amount` of a purpose's `clean_purpose`, in a tenth of the time that all of it takes."""
    folded = cleaned.lower()
    place = folded.find("ндс")
    if place >= 0 and len(folded) == len(cleaned):
        # As nearly all texts have it: once, with a rate and an amount with a point.
        match = _COMMON_VAT.match(folded, place)
        if match is not None and folded.find("ндс", match.end()) < 0 and not _may_be_cut(match.end(), cleaned):
            return Decimal(match[1])
    parts = _vat_parts(cleaned)
    if parts:
        return _total(parts)
    return _NOTHING if _says_no_vat(cleaned) else None


# ── numbers compared ────────────────────────────────────────────────────────────────────────────────────────────

LOOK_ALIKES = str.maketrans("ABCEHKMOPTXY", "АВСЕНКМОРТХУ")
# `ТП00-`, `0000-`, `INV-`: letters and filling zeros before the number proper, and the zeros in front of that.
_PREFIX = re.compile(r"^(?:0*[^\W\d_][^\W1-9_]*|0+)?[-/_]?0*(?=\d)")


def number_keys(number: str) -> tuple[str, str]:
    """A number as compared: `(whole, short)`, e.g. `("ТП00-000124", "124")`.

    The short key has lost prefix and leading zeros. It restarts every year, so alone it proves nothing.
    """
    whole = "".join(number.split()).upper().replace("Ё", "Е").translate(LOOK_ALIKES)
    return whole, _PREFIX.sub("", whole)


# ── patterns ────────────────────────────────────────────────────────────────────────────────────────────────────
# All are matched case-insensitively on cleaned text: single spaces, ё as е. Spaces are optional everywhere, because
# banks lose them.

_MONTHS = ("янв", "фев", "мар", "апр", "ма[йя]", "июн", "июл", "авг", "сен", "окт", "ноя", "дек")
_DATE = (
    r"(?:(?P<day>\d{1,2})\s?[./-]\s?(?P<month>\d{1,2})\s?[./-]\s?(?P<year>\d{4}|\d{2})(?!\d)"
    r"|(?P<iso>\d{4}-\d{2}-\d{2})(?!\d)"
    rf"|[«\"]?(?P<day_w>\d{{1,2}})[»\"]?\s?(?P<word>{'|'.join(_MONTHS)})[а-я]*\.?\s?(?P<year_w>\d{{4}}|\d{{2}})(?!\d))"
)
# `N` is a sign only before a space or digit, or names that begin with N would lose a letter.
_SIGN = r"(?:(?:№|#|nn?(?=[\s\d])|n[oо]\.?(?=[\s\d])|номер(?![а-я]))\s?){0,2}"
# Words that lost the space before them end a number.
_GLUED = r"(?<=\d)(?:от|за|без|ндс|сумма|согл|втч|в\sт|г\.)"
# Letters, digits, inner `-/_`, at least one digit; stops before a glued word. Possessive: never cut back to fit.
_NUMBER = rf"(?=[\w/-]*\d)(?>(?:(?!{_GLUED})[\w])(?:(?!{_GLUED})[\w/-])*)(?<![/-])(?!\.\d)"
_NO_NUMBER = r"б\s?[/.]?\s?н\.?(?!\w)"
_AMOUNT = r"(?:\d{1,3}(?:[ ']\d{3})+(?!\d)|\d+)(?:[.,=-]\d{2}(?!\d)|[.,]\d(?!\d))?"


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_INVOICE = _compile(
    # Prepositions may be glued in front. `расчет`, `учет` and `р/счет` are other words.
    r"(?<![\w/])(?:оплата|оплаты|оплатить|опл|предоплата|доплата|аванс|согласно|по|за)*"
    r"(?:(?P<word>счет(?:а|у|е|ом|ам|ов|ы|ах|ами)?)(?:\([а-я]{1,3}\))?(?![а-я])|инвойс[а-я]*|invoice|сч(?:\.|(?![а-я])))"
    r"(?:\s?-?\s?(?:договор(?:у|а|ом|е)?|оферт(?:е|а|ы|у|ой)))?"
    r"(?!\s?[-/]?\s?ф(?:акт|(?![а-я])))"
    r"(?:\s?на\s?(?:пред)?оплату)?(?:\s?(?:покупателю|клиента|клиенту))?\s?:?\s?"
)
# `лицевой счет`, `расч. счет`, `р/ счет`: an account, not an invoice.
_ACCOUNT_BEFORE = _compile(
    r"(?:[ркл]/|лиц[а-я]*\.?|расч[а-я]*\.?|корр?[а-я]*\.?|карт[а-я]*\.?|банк[а-я]*\.?|ссуд[а-я]*\.?)\s?$"
)
_ELEMENT = _compile(
    rf"(?P<sign>{_SIGN})(?:(?P<none>{_NO_NUMBER})|(?P<number>{_NUMBER}))(?:[\s,(]{{0,2}}(?:от\.?\s?)?{_DATE})?"
)
_SEPARATOR = _compile(r"\s?(?:г(?:ода|\.)?(?![а-я]))?\s?(?:[,;&]|и(?![а-я]))\s?(?:(?:сч\.|счет[а-я]*)\s?)?")
_PLURALS = frozenset({"счетам", "счетов", "счеты", "счетах", "счетами"})

_CONTRACT = _compile(
    r"(?<![\w-])(?:по|за|согласно)?(?:договор(?:у|а|ом|е|ам|ов|ы)?(?![а-я])|дог\.?(?![а-я])|д-р(?:у|а)?(?![а-я])"
    r"|контракт(?:у|а|ом|е)?(?![а-я])|соглашени(?:ю|я|е|ем)(?![а-я]))"
    rf"(?:(?:\s?[а-я.-]+){{1,4}}?\s?(?=№|n\s?\d))?\s?{_SIGN}(?P<number>{_NUMBER})"
)
_ORDER = _compile(
    rf"(?<![\w-])(?:по|за)?заказ(?:а|у|ом|е)?(?![а-я])(?:\s(?:клиента|покупателя))?\s?{_SIGN}(?P<number>{_NUMBER})"
)
_PAYMENT_ORDER = _compile(
    r"(?<![\w/])(?:по)?(?:п/п|п\.\s?п\.|пп(?![а-я])|плат[а-я]*\.?\s?пор[а-я]*\.?)"
    rf"\s?{_SIGN}(?P<number>{_NUMBER})(?:\s?(?:от\.?\s?)?{_DATE})?"
)
_REFUND = _compile(r"\W*(?:частичн[а-я]+\s?)?возвр(?:ат(?!н)|\.)")
_PREPAID = _compile(
    r"(?:предоплат|аванс)[а-я]*\s?(?:в размере\s?)?(?P<before>\d{1,3})\s?%|(?P<after>\d{1,3})\s?%\s?(?:предоплат|аванс)"
)
_CUSTOMER = _compile(r"(?<![а-я])за\s.{2,120}?\bинн\s?:?\s?(?P<tax_id>\d{12}|\d{10})(?!\d)")
_ACQUIRING = _compile(
    r"эквайринг|операци[а-я]+\s(?:с|по)\s.{0,40}?карт|терминал|возмещени[а-я]+\s.{0,30}?карт|(?<![а-я])сбп(?![а-я])"
)
_GROSS = _compile(
    rf"(?:сумма\s(?:операци[а-я]+|покупок|оборота)|оборот[а-я]*|общая\sсумма)\s?[:=-]?\s?(?P<amount>{_AMOUNT})"
)
_FEE = _compile(rf"комисси[а-я]*(?:\sбанка)?\s?[:=-]?\s?(?P<amount>{_AMOUNT})")
_VAT = _compile(
    r"ндс(?:\s?по\s?ставке)?\s?(?:"
    rf"[(\[]?\s?(?P<rate>\d{{1,2}})(?:/1\d\d)?\s?%\s?[)\]]?\s?[-–—:=,.]*\s?(?:сумма\s)?(?P<amount>{_AMOUNT}(?!\s?%))?"
    # Without a rate in front an amount has kopecks or three digits, else it is a rate that lost its sign.
    rf"|[-–—:=,.]*\s?(?P<bare>(?=[\d ']{{3}}|\d+[.,=-]\d){_AMOUNT})(?!\s?%)"
    r"(?:\s?р(?:уб)?\.?)?(?:\s?\(?(?P<rate_after>\d{1,2})\s?%)?)"
)
# What `_VAT` finds too, said in one way only. A rate of 0 and amounts too long to be any are for it to read.
_COMMON_VAT = re.compile(r"ндс ?\(?[1-9]\d?%\)? ?(\d{1,15}\.\d\d)(?!\d|\s?%)", re.ASCII)
_NO_VAT = _compile(
    r"без\s?(?:учета\s?)?(?:налога\s?)?\(?\s?ндс|ндс\s?(?:не\s?(?:обл|предусм|начисл|взим)|нет)|не\s?обл[а-я]*\.?\s?(?:ндс|налогом)"
)


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────


def clean_purpose(text: str) -> str:
    """Single spaces, ё as е, and without the currency-control prefix `{VO99090}`."""
    plain = re.sub(r"^\s*\{[^}]*\}", "", text) if "{" in text else text
    plain = plain.replace("ё", "е").replace("Ё", "Е")
    # Of all white space only the common space is printable: most texts are clean already.
    if plain.isprintable() and "  " not in plain and plain[:1] != " " and plain[-1:] != " ":
        return plain
    return " ".join(plain.split())


def _find_invoices(text: str) -> tuple[tuple[DocumentNumber, ...], list[tuple[int, int]]]:
    """The invoices in the order named, and the places of the text they took."""
    found: list[DocumentNumber] = []
    taken: list[tuple[int, int]] = []
    place = 0
    while match := _INVOICE.search(text, place):
        place = match.end()
        if _ACCOUNT_BEFORE.search(text[max(0, match.start() - 15) : match.start()]):
            continue
        elements = _read_elements(text, place)
        if not elements:
            continue
        kept = _keep_justified(elements, is_plural=(match["word"] or "").casefold() in _PLURALS)
        place = kept[-1].end() if kept else place
        taken.append((match.start(), place))
        found += _to_numbers(kept, text)
    return tuple(dict.fromkeys(found)), taken


def _read_elements(text: str, place: int) -> list[re.Match[str]]:
    elements: list[re.Match[str]] = []
    while match := _ELEMENT.match(text, place):
        elements.append(match)
        separator = _SEPARATOR.match(text, match.end())
        if separator is None:
            break
        place = separator.end()
    return elements


def _has_date(element: re.Match[str]) -> bool:
    return bool(element["day"] or element["iso"] or element["day_w"])


def _keep_justified(elements: list[re.Match[str]], *, is_plural: bool) -> list[re.Match[str]]:
    """Drop what only looks like a further number: `счет 77, 5 шт`. A sign, a date behind, or a plural justifies it."""
    kept = list(elements)
    while len(kept) > 1 and not (is_plural or kept[-1]["sign"] or _has_date(kept[-1])):
        kept.pop()
    return kept


def _to_numbers(elements: list[re.Match[str]], text: str) -> list[DocumentNumber]:
    numbers: list[DocumentNumber] = []
    issued_on: date | None = None
    for element in reversed(elements):
        if _has_date(element):
            issued_on = _read_date(element, text)
        number = element["number"]
        if number is None or not _is_number(number, bool(element["sign"])):
            continue
        if _may_be_cut(element.end("number"), text):
            continue
        numbers.append(DocumentNumber(number, issued_on))
    return numbers[::-1]


def _is_number(number: str, has_sign: bool) -> bool:
    if sum(character.isdigit() for character in number) > LONGEST_NUMBER_DIGITS:
        return False
    # `по счету 05/02/2026` is a date that lost its number.
    return has_sign or re.fullmatch(_DATE, number, re.IGNORECASE) is None


def _may_be_cut(end: int, text: str) -> bool:
    return end == len(text) and len(text) >= LONGEST


def _read_date(match: re.Match[str], text: str) -> date | None:
    if _may_be_cut(match.end(), text):
        return None
    try:
        if match["iso"]:
            return date.fromisoformat(match["iso"])
        if match["word"]:
            word = match["word"].casefold()
            month = 1 + next(index for index, stem in enumerate(_MONTHS) if re.fullmatch(stem, word))
            return date(_full_year(match["year_w"]), month, int(match["day_w"]))
        return date(_full_year(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return None


def _full_year(year: str) -> int:
    return int(year) + (2000 if len(year) == 2 else 0)


def _find_contract(text: str, taken: list[tuple[int, int]]) -> str | None:
    """The first contract number that isn't part of an invoice (`счет-договор № 5` is an invoice)."""
    for match in _CONTRACT.finditer(text):
        if not any(start <= match.start() < end for start, end in taken) and _is_number(match["number"], True):
            return None if _may_be_cut(match.end("number"), text) else match["number"]
    return None


def _first_number(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return match["number"] if match and not _may_be_cut(match.end("number"), text) else None


def _find_payment_order(text: str) -> DocumentNumber | None:
    match = _PAYMENT_ORDER.search(text)
    if match is None or _may_be_cut(match.end("number"), text):
        return None
    return DocumentNumber(match["number"], _read_date(match, text) if _has_date(match) else None)


def _find_amount(pattern: re.Pattern[str], text: str) -> Decimal | None:
    match = pattern.search(text)
    return parse_money(match["amount"]) if match else None


def _find_vat(text: str) -> tuple[VatPart, ...] | None:
    parts = _vat_parts(text)
    if parts:
        return tuple(VatPart(rate, amount) for rate, amount in parts)
    return () if _says_no_vat(text) else None


def _says_no_vat(text: str) -> bool:
    """Every way to say it has one of these words in it; looking for them is many times quicker."""
    folded = text.lower()
    return ("ндс" in folded or "налог" in folded) and _NO_VAT.search(text) is not None


def _vat_parts(text: str) -> dict[_Vat, None]:
    """Rates and amounts in the order named, each pair once."""
    parts: dict[_Vat, None] = {}
    for match in _vat_matches(text):
        rate, with_rate, bare, rate_after = match.group("rate", "amount", "bare", "rate_after")
        rate, amount = rate or rate_after, with_rate or bare
        is_whole = amount is not None and not _may_be_cut(match.end("amount" if with_rate else "bare"), text)
        parts[_rate(rate) if rate else None, parse_money(amount) if is_whole else None] = None
    return parts


@lru_cache(maxsize=128)
def _rate(digits: str) -> Decimal:
    return Decimal(digits)


def _vat_matches(text: str) -> list[re.Match[str]]:
    """What `_VAT.finditer` gives; looking for its first letters oneself is many times quicker."""
    folded = text.lower()
    if len(folded) != len(text):
        return list(_VAT.finditer(text))
    matches = []
    place = folded.find("ндс")
    while place >= 0:
        match = _VAT.match(text, place)
        if match:
            matches.append(match)
        place = folded.find("ндс", match.end() if match else place + 1)
    return matches


def _total(parts: Iterable[_Vat]) -> Decimal | None:
    total = _NOTHING
    for rate, amount in parts:
        if rate != 0:
            if amount is None:
                return None
            total += amount
    return total
