"""Money is Decimal with two places; float never touches it."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

CENT = Decimal("0.01")
# DECIMAL(18,2): sixteen digits before the point.
LARGEST = Decimal("9999999999999999.99")
_LONGEST = len(str(LARGEST))


def to_money(value: Decimal | int | str) -> Decimal:
    """An amount with two places, rounded half-up.

    Raises:
        ValueError: not a finite number, or larger than DECIMAL(18,2) holds.
    """
    try:
        amount = Decimal(value)
        if not amount.is_finite():
            raise ValueError(f"not a number: {value!r}")
        amount = amount.quantize(CENT, rounding=ROUND_HALF_UP)
    except InvalidOperation:
        raise ValueError(f"not an amount: {value!r}") from None
    if abs(amount) > LARGEST:
        raise ValueError(f"too large an amount: {value!r}")
    return amount


def parse_money(text: str) -> Decimal:
    """Read an amount as accountants' programs write it: `1000`, `1 000,50`, `1000-50`, `100=00`.

    Raises:
        ValueError: the text is no amount.
    """
    if text.isascii() and text.replace(".", "", 1).isdigit():
        # As programs write it nearly always, two digits behind the point.
        return Decimal(text) if text[-3:-2] == "." and len(text) < _LONGEST else to_money(text)
    cleaned = text.strip()
    for space in (" ", "\u00a0", "\u202f", "'", "\u2019"):
        cleaned = cleaned.replace(space, "")
    cleaned = cleaned.replace(",", ".")
    head, mark, tail = cleaned.rpartition("-") if "-" in cleaned[1:] else cleaned.rpartition("=")
    if mark and tail.isdigit() and len(tail) == 2:
        cleaned = f"{head}.{tail}"
    if not cleaned:
        raise ValueError("an empty amount")
    return to_money(cleaned)
