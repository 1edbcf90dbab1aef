"""Columns that stand in Arrow arrays and are read like lists: of most records nobody looks at a single value.

Not for helper processes, which do without Arrow (warehouse/wire.py, connectors/onec/kept.py).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Any, Self, TypeVar, overload

import pyarrow as pa
import pyarrow.compute as pc

T = TypeVar("T")


class Column(Sequence[T]):
    """An array as a sequence. Of an array of texts `as_bytes` gives their UTF-8: a payload that is known to be text."""

    def __init__(self, array: pa.Array, *, as_bytes: bool = False) -> None:
        self.array = array
        self.as_bytes = as_bytes

    def __len__(self) -> int:
        return len(self.array)

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
        return Column(self.array.slice(start, max(stop - start, 0)), as_bytes=self.as_bytes)

    def __iter__(self) -> Iterator[T]:
        array = self.array.cast(pa.binary()) if self.as_bytes else self.array
        return iter(array.to_pylist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def take(self, places: Sequence[int]) -> Column[T]:
        return Column(self.array.take(pa.array(places, pa.int64())), as_bytes=self.as_bytes)

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

    def arrow(self, kind: pa.DataType, *, through: pa.DataType | None = None) -> pa.ChunkedArray:
        """All of it as Arrow. `through`: what values of lists are before they are made `kind`."""
        arrays = [part.array if isinstance(part, Column) else pa.array(part, through or kind) for part in self._parts]
        return pa.chunked_array([array if array.type == kind else array.cast(kind) for array in arrays], kind)


def size_of(payloads: Iterable[bytes]) -> int:
    """Bytes of them all."""
    if isinstance(payloads, Growing):
        return sum(map(size_of, payloads._parts))
    if isinstance(payloads, Column):
        return pc.sum(pc.binary_length(payloads.array)).as_py() or 0
    return sum(map(len, payloads))
