"""Columns in Arrow arrays must read like the lists they stand for."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.columns import Column, Growing, size_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)


@given(st.lists(st.tuples(st.booleans(), st.lists(TEXTS, max_size=4)), max_size=5), st.data())
def test_what_grew_of_lists_and_columns_is_one_list(parts: list[tuple[bool, list[str]]], data: st.DataObject) -> None:
    """A part at an edge, an empty one, or a slice over several parts that loses or doubles a value."""
    grown: Growing[str] = Growing()
    for is_column, values in parts:
        grown += Column(pa.array(values, pa.string())) if is_column else values
    plain = [value for _, values in parts for value in values]
    start, end = sorted(data.draw(st.tuples(st.integers(0, 20), st.integers(0, 20))))
    assert (len(grown), list(grown), grown == plain) == (len(plain), plain, True)
    assert grown[start:end] == plain[start:end]
    assert [grown[place] for place in range(-len(plain), len(plain))] == plain + plain
    assert grown.arrow(pa.string()).to_pylist() == plain
    grown += grown
    assert grown == plain + plain


@pytest.mark.parametrize("part", [slice(None), slice(1, 3), slice(-2, None), slice(3, 1), slice(2, 9)])
def test_a_part_of_a_column_is_that_of_a_list(part: slice) -> None:
    payloads = ["а", "", "bc", "г"]
    column: Column[bytes] = Column(pa.array(payloads, pa.string()), as_bytes=True)
    encoded = [payload.encode() for payload in payloads]
    assert list(column[part]) == encoded[part]
    assert size_of(column[part]) == sum(map(len, encoded[part]))
    assert (column[-1], column[1]) == (encoded[-1], encoded[1])


def test_what_is_made_of_each_value_is_made_once_for_equal_ones() -> None:
    asked: list[int] = []
    column: Column[int] = Column(pa.array([3, 1, 3, 1, 2], pa.int32()))
    assert list(column.each(lambda n: asked.append(n) or n * 10, pa.int64())) == [30, 10, 30, 10, 20]
    assert asked == [3, 1, 2]
    assert list(column[1:3].behind("файл:")) == ["файл:1", "файл:3"]
