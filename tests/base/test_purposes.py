"""Purpose texts: the 25 cases of the format page, then traps of our own. Each row is its own failure."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.purposes import (
    LONGEST,
    DocumentNumber,
    Purpose,
    VatPart,
    clean_purpose,
    number_keys,
    parse_purpose,
    read_vat_amount,
)
from base.tax_ids import clean_tax_id

NONE: tuple[VatPart, ...] = ()


def on(text: str) -> date:
    return date.fromisoformat(text)


def invoice(number: str, day: str | None = None) -> DocumentNumber:
    return DocumentNumber(number, on(day) if day else None)


def vat(*parts: tuple[str, str | None]) -> tuple[VatPart, ...]:
    return tuple(VatPart(Decimal(rate), Decimal(amount) if amount else None) for rate, amount in parts)


# (text, invoices, VAT, what else)
PAGE: list[tuple[str, list[DocumentNumber], tuple[VatPart, ...] | None, dict[str, Any]]] = [
    (
        "Оплата по счету № 123 от 01.02.2026. В т.ч. НДС (22%) 22000-00",
        [invoice("123", "2026-02-01")],
        vat(("22", "22000.00")),
        {},
    ),
    (
        "Оплата по счету №ТП00-000124 от 02.02.2026г. за товар, в т.ч. НДС 22% - 11 000,00 руб.",
        [invoice("ТП00-000124", "2026-02-02")],
        vat(("22", "11000.00")),
        {},
    ),
    ("По сч.45/2 от 3.2.26 НДС не облагается", [invoice("45/2", "2026-02-03")], NONE, {}),
    (
        "За услуги связи по сч/ф 998 от 31.01.2026, сч. 77 от 28.01.2026 Сумма 1200-00 В т.ч. НДС(20%) 200-00",
        [invoice("77", "2026-01-28")],
        vat(("20", "200.00")),
        {},
    ),
    (
        "Оплата счетов №№ 15, 16, 17 от 05.02.2026. Без НДС",
        [invoice("15", "2026-02-05"), invoice("16", "2026-02-05"), invoice("17", "2026-02-05")],
        NONE,
        {},
    ),
    (
        "Оплата по счету N 123/2 и N 123/3 от 04 февраля 2026 г. НДС не облагается",
        [invoice("123/2", "2026-02-04"), invoice("123/3", "2026-02-04")],
        NONE,
        {},
    ),
    (
        "Предоплата 30% по договору № 12-26/У от 20.01.2026, счет на оплату 88 от 21.01.2026, НДС 5% 1500.00",
        [invoice("88", "2026-01-21")],
        vat(("5", "1500.00")),
        {"contract": "12-26/У", "percent_prepaid": Decimal(30)},
    ),
    (
        "Оплата по договору №12-26/У от 20.01.2026 за январь 2026. Сумма 45000-00, в том числе НДС(22%) - 8114-75",
        [],
        vat(("22", "8114.75")),
        {"contract": "12-26/У"},
    ),
    (
        "Аванс по счету-договору № СД-5 от 11.02.2026. НДС 22%: 5409.84",
        [invoice("СД-5", "2026-02-11")],
        vat(("22", "5409.84")),
        {},
    ),
    (
        "Оплата по счет-оферте №А-1042 от 12/02/2026 без налога (НДС)",
        [invoice("А-1042", "2026-02-12")],
        NONE,
        {},
    ),
    (
        "Возврат излишне перечисленных средств по п/п 501 от 02.02.2026 по счету № 123 от 01.02.2026."
        " В т.ч. НДС (22%) 3967-21",
        [invoice("123", "2026-02-01")],
        vat(("22", "3967.21")),
        {"is_refund": True, "payment_order": invoice("501", "2026-02-02")},
    ),
    (
        "Возврат ошибочно перечисленных денежных средств по письму б/н от 05.02.2026. Без НДС",
        [],
        NONE,
        {"is_refund": True},
    ),
    (
        "Оплата по счету 123 от 01.02.2026 (доплата). НДС не предусмотрен",
        [invoice("123", "2026-02-01")],
        NONE,
        {},
    ),
    (
        'Оплата за ООО "Ромашка" ИНН 0055667788 по счету 123 от 01.02.2026 по письму 4 от 03.02.2026.'
        " В т.ч. НДС 22% 1803,28",
        [invoice("123", "2026-02-01")],
        vat(("22", "1803.28")),
        {"customer_tax_id": "0055667788"},
    ),
    (
        "{VO99090}Оплата по инвойсу INV-2026/017 от 10.02.2026. НДС 0%",
        [invoice("INV-2026/017", "2026-02-10")],
        vat(("0", None)),
        {},
    ),
    (
        "Зачисление средств по операциям с картами за 03.02.2026, договор 7/ЭКВ. Сумма операций 15000.00,"
        " комиссия 249.50. НДС не облагается",
        [],
        NONE,
        {"contract": "7/ЭКВ", "gross": Decimal("15000.00"), "fee": Decimal("249.50")},
    ),
    ("Оплата заказа 1001 на сайте example.test. Без НДС", [], NONE, {"order": "1001"}),
    (
        "СЧЕТ 0000-000321 ОТ 29.12.2025 ЗА ОБОРУДОВАНИЕ В Т.Ч. НДС 20% 166666.67",
        [invoice("0000-000321", "2025-12-29")],
        vat(("20", "166666.67")),
        {},
    ),
    (
        "Оплата по счету № 5 от 9 янв. 2026. В т.ч. НДС по ставке 10% 909.09",
        [invoice("5", "2026-01-09")],
        vat(("10", "909.09")),
        {},
    ),
    (
        "Опл. по сч. № 2026-02-15/3 за аренду (р/с 40702810600000000101). НДС не обл.",
        [invoice("2026-02-15/3")],
        NONE,
        {},
    ),
    ("Перевод собственных средств. НДС не облагается", [], NONE, {}),
    ("Перечисление по исполнительному листу ФС 012345678 от 01.12.2025", [], None, {}),
    ("Оплата по счету №б/н от 10.02.2026. Без НДС", [], NONE, {}),
    (
        "Частичная оплата счета №140 от 13.02.2026г.(остаток 50000,00). Сумма 70000,00 В т.ч.НДС(22%) 12622,95",
        [invoice("140", "2026-02-13")],
        vat(("22", "12622.95")),
        {},
    ),
    (
        "Оплата по УПД 311 от 14.02.2026, счет 150 от 01.02.2026; в т.ч. НДС 20%-1000.00, НДС 22%-2200.00",
        [invoice("150", "2026-02-01")],
        vat(("20", "1000.00"), ("22", "2200.00")),
        {},
    ),
]


@pytest.mark.parametrize(("text", "invoices", "taxes", "rest"), PAGE, ids=[str(place) for place in range(1, 26)])
def test_case_of_the_format_page(
    text: str, invoices: list[DocumentNumber], taxes: tuple[VatPart, ...] | None, rest: dict[str, Any]
) -> None:
    assert parse_purpose(text) == Purpose(invoices=tuple(invoices), vat=taxes, **rest)


@pytest.mark.parametrize(
    ("text", "invoices"),
    [
        pytest.param("ОплатапоСчету№12от01.02.26.БезНДС", [invoice("12", "2026-02-01")], id="spaces lost"),
        pytest.param("ОПЛАТА ПО СЧЁТУ N12 ОТ 01.02.2026Г", [invoice("12", "2026-02-01")], id="upper case, N, ё"),
        pytest.param("Счет12от4февраля2026г", [invoice("12", "2026-02-04")], id="month glued"),
        pytest.param("счет №5 от «04» марта 26 г.", [invoice("5", "2026-03-04")], id="quoted day, two-digit year"),
        pytest.param("Счет 8 (от 2026-02-01)", [invoice("8", "2026-02-01")], id="bracketed ISO date"),
        pytest.param("Оплата счета NORD-15 от 1-2-2026", [invoice("NORD-15", "2026-02-01")], id="N is a letter"),
        pytest.param("Оплата по счету No. 15 от 1.2.2026", [invoice("15", "2026-02-01")], id="sign No."),
        pytest.param(
            "Оплата по счетам 12, 13 и 14. Без НДС", [invoice("12"), invoice("13"), invoice("14")], id="plural"
        ),
        pytest.param("Оплата по счету 77, 5 шт", [invoice("77")], id="a quantity is no invoice"),
        pytest.param(
            "по счету 77 от 28.01.2026, 45000-00 руб", [invoice("77", "2026-01-28")], id="a sum is no invoice"
        ),
        pytest.param(
            "счет №15 от 01.02.2026 г., №16 от 02.02.2026",
            [invoice("15", "2026-02-01"), invoice("16", "2026-02-02")],
            id="a date each",
        ),
        pytest.param(
            "Оплата по счету 15 от 01.02.2026, счету 15 от 01.02.2026", [invoice("15", "2026-02-01")], id="named twice"
        ),
        pytest.param("на расчетный счет 40702810600000000101", [], id="settlement account"),
        pytest.param("Пополнение лицевого сч. 12345, лиц. счет 777", [], id="abbreviated account"),
        pytest.param("на лицевой счет 12345", [], id="personal account"),
        pytest.param("по счет-фактуре 55, счету фактуре №56, сч-ф 57", [], id="tax invoices"),
        pytest.param("Акт взаиморасчета 55, перерасчет 56", [], id="other words with the same letters"),
        pytest.param("счет 31 от 31.02.2026", [invoice("31")], id="no such day"),
        pytest.param("по счету от 05.02.2026", [], id="a date alone"),
        pytest.param("по счету 05/02/2026", [], id="a date in the number's place"),
    ],
)
def test_invoices(text: str, invoices: list[DocumentNumber]) -> None:
    assert list(parse_purpose(text).invoices) == invoices


def test_a_number_cut_off_at_the_longest_purpose_is_not_believed() -> None:
    cut_number = "Оплата " + "х" * (LONGEST - 7 - len(" по счету 12")) + " по счету 12"
    cut_date = "Оплата " + "х" * (LONGEST - 7 - len(" по счету 12 от 01.02.20")) + " по счету 12 от 01.02.20"
    assert len(cut_number) == len(cut_date) == LONGEST
    assert parse_purpose(cut_number).invoices == ()
    assert parse_purpose(cut_date).invoices == (invoice("12"),)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("НДС 22% 100=00", "100.00"),
        ("в т.ч. НДС 1 000.00 (20%)", "1000.00"),
        ("В том числе НДС 8114-75", "8114.75"),
        ("НДС 22/122% 100,5", "100.50"),
        ("НДС 20%-1000.00, НДС 22%-2200.00", "3200.00"),
        ("Без НДС", "0.00"),
        ("НДС 0%", "0.00"),
        ("НДС 22%", None),
        ("Оплата", None),
        ("НДС 22", None),
    ],
)
def test_vat_amount(text: str, amount: str | None) -> None:
    assert parse_purpose(text).vat_amount == (Decimal(amount) if amount else None)


@pytest.mark.parametrize(
    ("text", "is_refund"),
    [
        ("ВОЗВРАТ СРЕДСТВ", True),
        ("Частичный возврат по заказу 5", True),
        ("Возвр. ошибочно перечисленных", True),
        ("Возвратная тара, оплата", False),
        ("Оплата, возврат невозможен", False),
    ],
)
def test_refund_is_said_in_the_first_words(text: str, is_refund: bool) -> None:
    assert parse_purpose(text).is_refund is is_refund


@pytest.mark.parametrize(
    ("text", "contract"),
    [
        ("Оплата по договору поставки нефтепродуктов № 5/П от 01.02.2026", "5/П"),
        ("по дог. 17 от 01.02.2026", "17"),
        ("Контракт N 9-К", "9-К"),
        ("по договору от 01.02.2026 за 15 дней", None),
        ("по счет-договору № 5", None),
    ],
)
def test_contract(text: str, contract: str | None) -> None:
    assert parse_purpose(text).contract == contract


@pytest.mark.parametrize(
    ("number", "keys"),
    [
        ("ТП00-000124", ("ТП00-000124", "124")),
        ("tП00-000124", ("ТП00-000124", "124")),
        ("0000-000321", ("0000-000321", "321")),
        ("inv-2026/017", ("INV-2026/017".translate(str.maketrans("ABCEHKMOPTXY", "АВСЕНКМОРТХУ")), "2026/017")),
        ("123/2", ("123/2", "123/2")),
        ("0К-12", ("0К-12", "12")),
        ("2026-02-15/3", ("2026-02-15/3", "2026-02-15/3")),
        ("000", ("000", "0")),
    ],
)
def test_number_keys_forget_alphabet_prefix_and_zeros(number: str, keys: tuple[str, str]) -> None:
    assert number_keys(number) == keys


@settings(max_examples=60, deadline=200)
@given(st.text(alphabet="счет№N 12/-.,отНДС%()г«»п/пдоговор{}0", max_size=260))
def test_any_text_is_read_without_failing_and_without_endless_backtracking(text: str) -> None:
    parse_purpose(text)


@pytest.mark.parametrize("text", ["", None, "0", "000000000000", "12345", "ИНН 77", "77012345６7"])
def test_no_tax_id(text: str | None) -> None:
    assert clean_tax_id(text) is None


def test_tax_id_keeps_leading_zeros() -> None:
    assert clean_tax_id(" 0055667788 ") == "0055667788"


@given(st.text("aЁё {}.\xa0\t\n\u2028\x1f\ud800", max_size=12))
def test_cleaned_texts_have_single_plain_spaces_and_no_yo(text: str) -> None:
    """A quick way for texts that are clean already must know every kind of white space."""
    cleaned = clean_purpose(text)
    assert cleaned == " ".join(cleaned.split())
    assert not {"ё", "Ё"} & set(cleaned)
    assert "".join(cleaned.split()) in "".join(text.replace("ё", "е").replace("Ё", "Е").split())


VAT_WORDS = st.sampled_from(
    [
        "НДС", "ндс", "Ндс", " ", "(", ")", "20%", "22%", "0%", "10/110", "%", " %", "100.00", "1 000.00", "12.5",
        "12.345", "руб", "в т.ч.", "без", "ß", "1", "00", ".", ",", "\u0661", "сумма ", "по ставке", "№" * LONGEST,
    ]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(VAT_WORDS, max_size=9).map("".join))
def test_the_quick_way_to_vat_finds_what_the_careful_one_does(text: str) -> None:
    """A second part, a cut end, another script's digit, a per cent sign behind the amount."""
    quick, careful = read_vat_amount(clean_purpose(text)), parse_purpose(text).vat_amount
    assert (quick, str(quick)) == (careful, str(careful))


@pytest.mark.parametrize(
    "text", ["Без НДС", "без налога (НДС)", "НДС не обл.", "не облагается налогом", "Необл. налогом"]
)
def test_no_vat_is_nothing_and_not_unknown(text: str) -> None:
    """Each way to say it has a word that is looked for first."""
    assert read_vat_amount(text) == Decimal("0.00")
    assert parse_purpose(text).vat == ()
