"""Values that no column of the warehouse can hold: a number past 64 bits, an amount past DECIMAL(18,2), the year 30000.

A vendor's JSON has no such bounds, and one such value fails the column of a whole chunk. Only then is it looked for:
its record becomes a reject, and the rest goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from base.text import say
from connectors.stream import BadRecord, Rows, Target
from models.shapes import find_shape

# What Arrow says of a value that a type can't hold: too large, or a JSON object where a mapping passes on a text.
UNFIT = (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError)
# The years 1 to 9999, which Python and every reader of the file have; DuckDB alone has more.
FIRST_INSTANT = -62_135_596_800_000_000
LAST_INSTANT = 253_402_300_799_999_999
# A number of a thousand digits helps nobody in a message.
SHOWN = 40


def build_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """A column of Python values as Arrow; instants come as microseconds.

    Raises:
        ArrowInvalid, ArrowTypeError, OverflowError, UnicodeEncodeError: a value does not fit (`UNFIT`).
    """
    if not pa.types.is_timestamp(kind):
        return pa.array(values, kind)
    instants = pa.array(values, pa.int64())
    bounds = pc.min_max(instants)
    if bounds["min"].is_valid and (bounds["min"].as_py() < FIRST_INSTANT or bounds["max"].as_py() > LAST_INSTANT):
        raise OverflowError("an instant outside the years 1 to 9999")
    return instants.cast(kind)


def find_misfits(rows: Rows) -> dict[int, BadRecord]:
    """The records whose rows hold a value that does not fit, by their place in the chunk, with the first reason."""
    found: dict[int, BadRecord] = {}
    for into, values in rows.rows.items():
        _look(into, into.columns, values, rows.ordinals[into], found)
    for into, owners in rows.owners.items():
        _look(into, into.owned_by, owners, rows.owner_ordinals[into], found)
    return found


def _look(
    into: Target,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    ordinals: Sequence[int],
    found: dict[int, BadRecord],
) -> None:
    table = find_shape(into.relation)
    for place, column in enumerate(columns):
        kind = table.arrow_type(column)
        values = [row[place] for row in rows]
        if _fits(values, kind):
            continue
        for ordinal, value in zip(ordinals, values, strict=True):
            if ordinal not in found and not _fits([value], kind):
                found[ordinal] = _verdict(into, column, value, kind)


def _fits(values: Sequence[Any], kind: pa.DataType) -> bool:
    try:
        build_array(values, kind)
    except UNFIT:
        return False
    return True


def _verdict(into: Target, column: str, value: Any, kind: pa.DataType) -> BadRecord:
    place = f"{into.relation}.{column}"
    try:
        shown = str(value)
    except ValueError:
        # Python prints no number of more than 4300 digits.
        shown = type(value).__name__
    message = say(
        "{place}: значение не помещается в {kind}",
        "{place}: the value does not fit into {kind}",
        place=place,
        kind=str(kind),
    )
    shown = shown.encode("utf-8", "replace").decode()
    return BadRecord("does_not_fit", message, path=place, expected=str(kind), got=shown[:SHOWN])


def without(rows: Rows, records: Collection[int]) -> Rows:
    """The rows of all other records."""
    left = Rows()
    for every, ordinals, kept, kept_ordinals in (
        (rows.rows, rows.ordinals, left.rows, left.ordinals),
        (rows.owners, rows.owner_ordinals, left.owners, left.owner_ordinals),
    ):
        for into, values in every.items():
            pairs = [pair for pair in zip(values, ordinals[into], strict=True) if pair[1] not in records]
            if pairs:
                kept[into], kept_ordinals[into] = [row for row, _ in pairs], [ordinal for _, ordinal in pairs]
    return left
