"""Taxpayer ids as people and banks write them."""

from __future__ import annotations

# INN of a firm (10) or person (12), BIN/IIN of Kazakhstan (12), UNP of Belarus and STIR of Uzbekistan (9), PINFL (14).
LENGTHS = frozenset({9, 10, 12, 14})


def clean_tax_id(text: str | None) -> str | None:
    """The digits of a taxpayer id, or None for what stands in its place: empty, `0`, `000000000000`, words.

    Ids are text: leading zeros matter (regions 01 to 09). Check digits are not verified, a bank has done that.
    """
    digits = text or ""
    if not digits.isdigit():
        digits = "".join(digits.split())
    if not digits.isascii() or not digits.isdigit() or len(digits) not in LENGTHS or not digits.strip("0"):
        return None
    return digits
