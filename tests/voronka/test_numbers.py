"""Numbers as a head of sales reads them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voronka.reports.numbers import NARROW_SPACE, Number, Numbers

RU = Numbers("ru", " ", ZoneInfo("Europe/Moscow"))
EN = Numbers("en", " ", ZoneInfo("Europe/Moscow"))


@pytest.mark.parametrize(
    ("value", "ru", "en"),
    [
        (Decimal("430000.000000"), "430 000 ₽", "430,000 ₽"),
        (Decimal("-30000"), "-30 000 ₽", "-30,000 ₽"),
        (102500.5, "102 501 ₽", "102,501 ₽"),  # half-up, not to even
        (Decimal("-0.4"), "0 ₽", "0 ₽"),  # never minus nothing
        (None, "—", "—"),
    ],
)
def test_money(value: Number | None, ru: str, en: str) -> None:
    assert RU.money(value, "RUB") == ru
    assert EN.money(value, "RUB") == en


def test_records_show_kopecks_and_tables_do_not() -> None:
    assert RU.money(Decimal("1234.5"), "RUB", places=2) == "1 234,50 ₽"
    assert RU.money(Decimal("1234"), "KZT") == "1 234 ₸"
    assert RU.money(Decimal("1234"), "CNY") == "1 234 CNY"


def test_thousands_are_narrow_on_a_terminal() -> None:
    assert Numbers("ru").money(Decimal("-430000"), "RUB") == f"−430{NARROW_SPACE}000{NARROW_SPACE}₽"


@pytest.mark.parametrize(("share", "shown"), [(0.375, "37,5 %"), (0.0645, "6,5 %"), (1.2, "120,0 %"), (None, "—")])
def test_percent(share: float | None, shown: str) -> None:
    assert RU.percent(share) == shown


@pytest.mark.parametrize(
    ("attainment", "shown"),
    [
        (0.7996, "79,9 %"),  # rounding would show a threshold that was not reached
        (0.8, "80,0 %"),
        (5.6 / 7, "80,0 %"),  # 0.7999999999999999 by the machine, 0.8 by the accountant
        (0.57, "57,0 %"),  # 0.56999999999999995
        (1.0001, "100,0 %"),
        (Decimal("0.99999"), "99,9 %"),
        (None, "—"),
    ],
)
def test_attainment_is_cut_and_never_rounded_up(attainment: Number | None, shown: str) -> None:
    assert RU.attainment(attainment) == shown


@given(st.integers(0, 3_000_000), st.integers(1, 1_000_000))
def test_a_shown_attainment_has_really_been_reached(fact: int, plan: int) -> None:
    """For any whole fact and plan: what is shown is at most the truth, and less than 0.1 point below it."""
    shown = Decimal(RU.attainment(fact / plan).removesuffix(" %").replace(" ", "").replace(",", "."))
    truth = Decimal(fact) * 100 / Decimal(plan)
    assert shown <= truth + Decimal("1e-9")
    assert truth - shown < Decimal("0.1") + Decimal("1e-9")


@pytest.mark.parametrize(
    ("value", "unit", "currency", "shown"),
    [
        (8.0, "leads", None, "8"),
        (21.5, "minutes", None, "21,5"),
        (1100, "calls", None, "1 100"),
        (0.75, "ratio", None, "75,0 %"),
        (102500.0, "money", "RUB", "102 500 ₽"),
    ],
)
def test_a_value_is_shown_by_its_unit(value: Number, unit: str, currency: str | None, shown: str) -> None:
    assert RU.value(value, unit, currency) == shown


def test_moments_are_on_the_company_clock() -> None:
    """Moscow's midnight is 21:00 UTC of the day before."""
    moment = datetime(2026, 11, 30, 21, 30, tzinfo=UTC)
    assert RU.moment(moment) == "01.12.2026 00:30"
    assert EN.moment(moment) == "2026-12-01 00:30"
    assert Numbers("ru").moment(moment) == "30.11.2026 21:30 UTC"
    assert RU.day(date(2026, 11, 3)) == "03.11.2026"


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 Б"),
        (999, "999 Б"),
        (1500, "1,5 КБ"),
        (1_234_567, "1,2 МБ"),
        (250_000_000, "250 МБ"),
        (2_500_000_000, "2,5 ГБ"),
    ],
)
def test_sizes(size: int, shown: str) -> None:
    assert RU.size(size) == shown
