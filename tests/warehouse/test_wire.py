"""Columns on their way to helpers and back: each value must come as it went, be it as Python's or as Arrow's."""

from __future__ import annotations

import pickle
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from base.columns import Column
from base.wire import receive, send
from warehouse.misfits import UNFIT, build_array
from warehouse.received import array_of, send_column

KINDS = (pa.string(), pa.int64(), pa.date32(), pa.decimal128(18, 2), pa.timestamp("us", tz="UTC"), pa.bool_())
VALUES = st.one_of(
    st.lists(st.none() | st.sampled_from(["", "а", "b", "\x00\x1e", "\ud800", "100"])),
    st.lists(st.none() | st.sampled_from(["ООО", "ООО"])),
    st.lists(
        st.none() | st.sampled_from([*map(Decimal, ("0.10", "-1E+3", "12", "-0.01", "1.234", "1E+30", "NaN", "0E-9"))])
    ),
    st.lists(st.none() | st.dates()),
    st.lists(st.none() | st.integers(-(2**64), 2**64) | st.integers(-9, 9)),
    st.lists(st.none() | st.booleans()),
    st.lists(st.none() | st.binary(max_size=3)),
    st.lists(st.sampled_from(["1", 1, Decimal(1), None, date(2026, 2, 3), True])),
)


def told(values: Any) -> list[tuple[type, str]]:
    return [(type(value), repr(value)) for value in values]


@given(VALUES)
def test_values_come_back_as_they_went(values: list[Any]) -> None:
    """`True` as 1, an empty text as nothing, an amount that lost its places."""
    assert told(receive(pickle.loads(pickle.dumps(send(values))))) == told(values)


def built(make: Any) -> list[Any] | str:
    try:
        array = make()
    except UNFIT:
        return "unfit"
    except ValueError as error:  # a NaN as a day
        return str(error)
    array.validate(full=True)
    # Of instants their numbers: reading these as Python's looks for pandas, which `connect` hides.
    plain = array.cast(pa.int64()) if pa.types.is_timestamp(array.type) else array
    return [array.type, plain.to_pylist()]


@given(VALUES, st.sampled_from(KINDS))
@example([Decimal("9" * 17)], pa.decimal128(18, 2))
@example([2**63 - 1, None], pa.timestamp("us", tz="UTC"))
def test_an_array_on_the_bytes_sent_is_what_is_built_of_the_values(values: list[Any], kind: pa.DataType) -> None:
    """What does not fit must be found in either way, or a record would be rejected by whoever mapped it."""
    assert built(lambda: array_of(send(values), kind)) == built(lambda: build_array(values, kind))


@given(
    st.sampled_from([pa.string(), pa.int64()]),
    st.lists(st.none() | st.integers(0, 10**6)),
    st.integers(0, 5),
    st.integers(0, 30),
    st.booleans(),
)
def test_a_part_of_an_array_is_sent_as_its_values_are(
    kind: pa.DataType, numbers: list[int | None], start: int, length: int, as_bytes: bool
) -> None:
    """Buffers that begin before the part, and its empty places."""
    values = [value if value is None or kind == pa.int64() else f"ж{value}" for value in numbers]
    as_bytes = as_bytes and kind == pa.string()
    column: Column[Any] = Column(pa.array(values, kind), as_bytes=as_bytes)[start : start + length]
    expected = [value.encode() if as_bytes and value is not None else value for value in values[start : start + length]]
    assert told(receive(send_column(column))) == told(expected)
