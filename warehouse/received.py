"""Columns of the wire (wire.py) as Arrow arrays and back, without a Python object a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from base.columns import Column, array_on
from base.wire import Sent, receive, send
from warehouse.misfits import build_array

_NO_DATA = pa.py_buffer(b"")


def send_column(values: Sequence[Any]) -> Sent:
    """A column for a helper, be it of the log or a list."""
    if not isinstance(values, Column):
        return send(values)
    array = values.array
    is_there = None
    if array.null_count:
        is_there = array.is_valid().cast(pa.uint8()).buffers()[1].to_pybytes()[: len(array)]
    if pa.types.is_string(array.type):
        ends, data = _texts_of(array)
        return Sent("bytes" if values.as_bytes else "text", len(array), data, ends, is_there)
    if pa.types.is_int64(array.type):
        numbers = array.buffers()[1][8 * array.offset : 8 * (array.offset + len(array))]
        return Sent("number", len(array), numbers.to_pybytes(), is_there=is_there)
    return send(array.to_pylist())


def _texts_of(array: pa.StringArray) -> tuple[bytes, bytes]:
    """Where each text begins and the last one ends, and all of them."""
    _, ends, data = array.buffers()
    places = pa.Array.from_buffers(pa.int32(), len(array) + 1, [None, ends], offset=array.offset)
    first, last = places[0].as_py(), places[-1].as_py()
    moved = pc.subtract(places, places[0])
    return moved.buffers()[1].to_pybytes()[: 4 * (len(array) + 1)], (data or _NO_DATA)[first:last].to_pybytes()


def array_of(sent: Sent, kind: pa.DataType) -> pa.Array:
    """What `build_array` makes of the values.

    Raises:
        ArrowInvalid, ArrowTypeError, OverflowError, UnicodeEncodeError: a value does not fit (`misfits.UNFIT`).
    """
    standing = array_on(sent, kind)
    if standing is not None:
        return standing
    if sent.kind == "same":
        return pa.repeat(build_array([sent.data], kind)[0], sent.length)
    return build_array(receive(sent), kind)
