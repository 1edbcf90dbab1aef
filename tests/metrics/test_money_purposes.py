"""The twenty-five purposes of accounting's practice, from the text to the deal, with decoys beside every number."""

from __future__ import annotations

from typing import Any

import pytest

from tests.metrics.fixture_core import moscow
from tests.metrics.money_world import MoneyWorld

INVOICES = (
    "123", "ТП00-000124", "45/2", "77", "15", "16", "17", "123/2", "123/3", "88", "СД-5", "А-1042", "INV-2026/017",
    "5", "2026-02-15/3", "140", "150",
    # What the texts also hold, and what is no invoice: a счет-фактура, a delivery note, an account, a deed, a letter.
    "998", "311", "40702810600000000101", "012345678", "4", "501",
)  # fmt: skip
CASES: list[tuple[str, list[str]]] = [
    ("Оплата по счету № 123 от 01.02.2026. В т.ч. НДС (22%) 22000-00", ["123"]),
    ("Оплата по счету №ТП00-000124 от 02.02.2026г. за товар, в т.ч. НДС 22% - 11 000,00 руб.", ["ТП00-000124"]),
    ("По сч.45/2 от 3.2.26 НДС не облагается", ["45/2"]),
    (
        "За услуги связи по сч/ф 998 от 31.01.2026, сч. 77 от 28.01.2026 Сумма 1200-00 В т.ч. НДС(20%) 200-00",
        ["77"],
    ),
    ("Оплата счетов №№ 15, 16, 17 от 05.02.2026. Без НДС", ["15", "16", "17"]),
    ("Оплата по счету N 123/2 и N 123/3 от 04 февраля 2026 г. НДС не облагается", ["123/2", "123/3"]),
    (
        "Предоплата 30% по договору № 12-26/У от 20.01.2026, счет на оплату 88 от 21.01.2026, НДС 5% 1500.00",
        ["88"],
    ),
    (
        "Оплата по договору №12-26/У от 20.01.2026 за январь 2026. Сумма 45000-00, в том числе НДС(22%) - 8114-75",
        ["contract"],
    ),
    ("Аванс по счету-договору № СД-5 от 11.02.2026. НДС 22%: 5409.84", ["СД-5"]),
    ("Оплата по счет-оферте №А-1042 от 12/02/2026 без налога (НДС)", ["А-1042"]),
    (
        "Возврат излишне перечисленных средств по п/п 501 от 02.02.2026 по счету № 123 от 01.02.2026."
        " В т.ч. НДС (22%) 3967-21",
        ["123"],
    ),
    ("Возврат ошибочно перечисленных денежных средств по письму б/н от 05.02.2026. Без НДС", []),
    ("Оплата по счету 123 от 01.02.2026 (доплата). НДС не предусмотрен", ["123"]),
    (
        'Оплата за ООО "Ромашка" ИНН 0055667788 по счету 123 от 01.02.2026 по письму 4 от 03.02.2026.'
        " В т.ч. НДС 22% 1803,28",
        ["123"],
    ),
    ("{VO99090}Оплата по инвойсу INV-2026/017 от 10.02.2026. НДС 0%", ["INV-2026/017"]),
    (
        "Зачисление средств по операциям с картами за 03.02.2026, договор 7/ЭКВ. Сумма операций 15000.00,"
        " комиссия 249.50. НДС не облагается",
        [],
    ),
    ("Оплата заказа 1001 на сайте example.test. Без НДС", ["order"]),
    ("СЧЕТ 0000-000321 ОТ 29.12.2025 ЗА ОБОРУДОВАНИЕ В Т.Ч. НДС 20% 166666.67", ["last-year"]),
    ("Оплата по счету № 5 от 9 янв. 2026. В т.ч. НДС по ставке 10% 909.09", ["5"]),
    ("Опл. по сч. № 2026-02-15/3 за аренду (р/с 40702810600000000101). НДС не обл.", ["2026-02-15/3"]),
    ("Перевод собственных средств. НДС не облагается", []),
    ("Перечисление по исполнительному листу ФС 012345678 от 01.12.2025", []),
    ("Оплата по счету №б/н от 10.02.2026. Без НДС", []),
    (
        "Частичная оплата счета №140 от 13.02.2026г.(остаток 50000,00). Сумма 70000,00 В т.ч.НДС(22%) 12622,95",
        ["140"],
    ),
    (
        "Оплата по УПД 311 от 14.02.2026, счет 150 от 01.02.2026; в т.ч. НДС 20%-1000.00, НДС 22%-2200.00",
        ["150"],
    ),
]


@pytest.fixture(scope="module")
def booked() -> dict[str, list[str]]:
    """The deals each case's payment is on; a payment covers whatever it names."""
    world = MoneyWorld()
    for place, number in enumerate(INVOICES):
        world.deal(number, 1000 + place, invoice_number=number, created="2026-01-05 10:00")
    world.deal("contract", 5000, contract_number="12-26/У", created="2026-01-05 10:00")
    world.deal("order", 6000, created="2026-01-05 10:00")
    world.order("o-1001", "1001", 6000, "2026-02-01", deal="order")
    old: dict[str, Any] = {"created": "2025-12-20 10:00", "closed_at": moscow("2026-02-20 10:00")}
    world.deal("last-year", 7000, invoice_number="0000-000321", **old)
    for number, (purpose, _) in enumerate(CASES, 1):
        kind = {11: "refund", 12: "refund", 21: "own_transfer"}.get(number, "customer")
        amount = -100 - number if kind == "refund" else 4000 + number
        document = {"document_number": "501" if number == 1 else f"9{number:03d}", "payer_account": "40702810A"}
        day = "2026-02-02" if number == 1 else "2026-02-25"
        payer = document if number in (1, 11) else {"document_number": document["document_number"]}
        world.pay(f"case-{number}", day, amount, purpose, kind=kind, **payer)
    world.resolve()
    return {payment: [deal for deal, *_ in parts] for payment, parts in world.parts().items()}


@pytest.mark.parametrize(
    ("number", "deals"), [pytest.param(n, deals, id=str(n)) for n, (_, deals) in enumerate(CASES, 1)]
)
def test_a_purpose_leads_to_its_deals_and_to_no_other(
    booked: dict[str, list[str]], number: int, deals: list[str]
) -> None:
    assert sorted(booked.get(f"case-{number}", [])) == sorted(deals)
