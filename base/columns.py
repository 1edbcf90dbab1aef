"""Columns that stand in Arrow arrays and are read like lists: of most records nobody looks at a single value.

Not for helper processes, which do without Arrow (wire.py, connectors/onec/kept.py).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Any, Self, TypeVar, overload

import pyarrow as pa
import pyarrow.compute as pc

from base.wire import Sent

T = TypeVar("T")


class Column(Sequence[T]):
    """An array as a sequence. Of an array of texts `as_bytes` gives their UTF-8: a payload that is known to be text."""

    def __init__(self, array: pa.Array | pa.ChunkedArray, *, as_bytes: bool = False) -> None:
        self._held = array
        self.as_bytes = as_bytes

    @property
    def array(self) -> pa.Array:
        """In one piece; to be only looked through it need not be made one."""
        if isinstance(self._held, pa.ChunkedArray):
            self._held = self._held.combine_chunks()
        return self._held

    def __len__(self) -> int:
        return len(self._held)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Column[T]: ...
    def __getitem__(self, place: int | slice) -> T | Column[T]:
        if not isinstance(place, slice):
            return next(iter(self[place : place + 1 or None]))
        start, stop, step = place.indices(len(self))
        if step != 1:
            raise ValueError("a part of a column is whole")
        return Column(self._held.slice(start, max(stop - start, 0)), as_bytes=self.as_bytes)

    def __iter__(self) -> Iterator[T]:
        array = self._held.cast(pa.binary()) if self.as_bytes else self._held
        return iter(array.to_pylist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def take(self, places: Sequence[int]) -> Column[T]:
        return Column(self.array.take(pa.array(places, pa.int64())), as_bytes=self.as_bytes)

    def bounds(self) -> tuple[T, T] | None:
        """The least and the greatest value; None if there is none."""
        found = pc.min_max(self.array).as_py()
        return None if found["min"] is None else (found["min"], found["max"])

    def each(self, make: Callable[[T], Any], kind: pa.DataType) -> Column[Any]:
        """What `make` gives for each value; it is called once for equal ones."""
        found = self.array.dictionary_encode()
        made = pa.array([make(value) for value in found.dictionary.to_pylist()], kind)
        return Column(made.take(found.indices))

    def behind(self, prefix: str) -> Column[str]:
        """Texts or whole numbers behind a text."""
        return Column(pc.binary_join_element_wise(prefix, self.array.cast(pa.string()), ""))


class Growing(Sequence[T]):
    """Lists and columns one behind the other."""

    def __init__(self, values: Iterable[T] = ()) -> None:
        self._parts: list[Sequence[T]] = []
        self._count = 0
        self.__iadd__(values)

    def __len__(self) -> int:
        return self._count

    def __iadd__(self, values: Iterable[T]) -> Self:
        if isinstance(values, Growing):
            # Its own last list may be the one that grows here.
            for part in [part[:] for part in values._parts]:
                self.__iadd__(part)
        elif isinstance(values, Column):
            if len(values):
                self._parts.append(values)
                self._count += len(values)
        else:
            self._extend(values)
        return self

    def _extend(self, values: Iterable[T]) -> None:
        if not (self._parts and isinstance(self._parts[-1], list)):
            self._parts.append([])
        last = self._parts[-1]
        assert isinstance(last, list)
        before = len(last)
        last += values
        self._count += len(last) - before

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Growing[T]: ...
    def __getitem__(self, place: int | slice) -> T | Growing[T]:
        starts = [0, *accumulate(map(len, self._parts))]
        if not isinstance(place, slice):
            place = range(self._count)[place]
            number = bisect_right(starts, place) - 1
            return self._parts[number][place - starts[number]]
        start, stop, step = place.indices(self._count)
        if step != 1:
            raise ValueError("a part of a column is whole")
        found: Growing[T] = Growing()
        for first, part in zip(starts, self._parts, strict=False):
            if first < stop and first + len(part) > start:
                found += part[max(start - first, 0) : stop - first]
        return found

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self._parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def kind(self) -> pa.DataType | None:
        """The Arrow type of what stands in columns; None if nothing does."""
        return next((part.array.type for part in self._parts if isinstance(part, Column)), None)

    def arrow(self, kind: pa.DataType, *, through: pa.DataType | None = None) -> pa.ChunkedArray:
        """All of it as Arrow. `through`: what values of lists are before they are made `kind`."""
        arrays = [part.array if isinstance(part, Column) else pa.array(part, through or kind) for part in self._parts]
        return pa.chunked_array([array if array.type == kind else array.cast(kind) for array in arrays], kind)


def array_on(sent: Sent, kind: pa.DataType) -> pa.Array | None:
    """A column of the wire as an array that stands on its bytes; None where somebody has to look at the values.

    Raises:
        ArrowInvalid: an amount that `kind` does not hold.
    """
    if sent.kind == "same" and sent.data is None:
        return pa.nulls(sent.length, kind)
    if pa.types.is_string(kind):
        if sent.kind == "same" and isinstance(sent.data, str):
            return pa.repeat(pa.scalar(sent.data, kind), sent.length)
        return _texts_on(sent) if sent.kind == "text" else None
    if sent.kind == "decimal" and pa.types.is_decimal(kind):
        return _texts_on(sent).cast(kind)
    if (sent.kind == "day" and pa.types.is_date32(kind)) or (sent.kind == "number" and pa.types.is_int64(kind)):
        return pa.Array.from_buffers(kind, sent.length, [_validity(sent), pa.py_buffer(sent.data)])
    return None


def _texts_on(sent: Sent) -> pa.Array:
    buffers = [_validity(sent), pa.py_buffer(sent.ends), pa.py_buffer(sent.data)]
    return pa.Array.from_buffers(pa.string(), sent.length, buffers)


def _validity(sent: Sent) -> pa.Buffer | None:
    if sent.is_there is None:
        return None
    flags = pa.Array.from_buffers(pa.uint8(), sent.length, [None, pa.py_buffer(sent.is_there)])
    return flags.cast(pa.bool_()).buffers()[1]


def size_of(payloads: Iterable[bytes]) -> int:
    """Bytes of them all."""
    if isinstance(payloads, Growing):
        return sum(map(size_of, payloads._parts))
    if isinstance(payloads, Column):
        return pc.sum(pc.binary_length(payloads.array)).as_py() or 0
    return sum(map(len, payloads))
