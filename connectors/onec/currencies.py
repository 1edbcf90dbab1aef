"""Currencies as 1C and its exchanges name them."""

from __future__ import annotations

from connectors.onec.money_kinds import CURRENCIES

_CODES = frozenset(CURRENCIES.values())
# The rouble has many names; RUR and 810 are its code before 1998, still in old configurations.
_NAMES = {
    "RUR": "RUB",
    "РУБ": "RUB",
    "РУБЛЬ": "RUB",
    "₽": "RUB",
    "ТЕНГЕ": "KZT",
    "ТГ": "KZT",
    "ДОЛЛАР": "USD",
    "ЕВРО": "EUR",
}


def currency_code(text: str) -> str | None:
    """ISO 4217 letters of `RUB`, `руб.`, `643`, `RUR`; None for what is no currency we know."""
    name = text.strip().rstrip(".").upper()
    if name in _CODES:
        return name
    return _NAMES.get(name) or CURRENCIES.get(name)
