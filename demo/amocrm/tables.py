"""Records of one list, as the simulated server keeps them: by id, in order, and rendered once."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Record = dict[str, Any]
# Dresses a stored record for an answer: (record, `with` names, its own link).
Shape = Callable[[Record, frozenset[str], str], Record]
# Stands in a rendered record where the list's query goes.
_MARK = "\u0000"


class Table:
    """Vendor-shaped records of one kind. Not locked: the world's lock guards it."""

    def __init__(self, path: str, records: Iterable[Record] = ()) -> None:
        self.path = path  # "leads", "contacts/notes"
        self._records: dict[Any, Record] = {record["id"]: record for record in records}
        self._sorted: dict[str, tuple[list[Any], list[Record]]] = {}
        self._rendered: dict[Any, dict[frozenset[str], tuple[bytes, bytes]]] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def get(self, record_id: Any) -> Record | None:
        return self._records.get(record_id)

    def put(self, record: Record) -> None:
        """Add a record, or take a changed one over."""
        self._records[record["id"]] = record
        self._forget(record["id"])

    def pop(self, record_id: Any) -> Record:
        self._forget(record_id)
        return self._records.pop(record_id)

    def select(
        self, order: str, *, bounds: dict[str, tuple[int | None, int | None]], wanted: Callable[[Record], bool] | None
    ) -> list[Record]:
        """Records in ascending order of a field (then id), within inclusive bounds of fields."""
        keys, records = self._in_order(order)
        low, high = bounds.get(order, (None, None))
        first = 0 if low is None else bisect_left(keys, (low,))
        last = len(keys) if high is None else bisect_right(keys, (high, _LAST))
        chosen = records[first:last]
        for name, (low, high) in bounds.items():
            if name != order:
                chosen = [record for record in chosen if _is_between(record.get(name), low, high)]
        return [record for record in chosen if wanted(record)] if wanted else chosen

    def render(self, record: Record, parts: frozenset[str], link: str, query: str, shape: Shape) -> bytes:
        """A record's JSON. `parts` are the `with` names it depends on; the link repeats the list's query."""
        variants = self._rendered.setdefault(record["id"], {})
        halves = variants.get(parts)
        if halves is None:
            shaped = shape(record, parts, link + _MARK)
            text = json.dumps(shaped, ensure_ascii=False, separators=(",", ":")).encode()
            before, _, after = text.partition(json.dumps(_MARK)[1:-1].encode())
            halves = variants[parts] = (before, after)
        return halves[0] + query.encode() + halves[1]

    def _forget(self, record_id: Any) -> None:
        self._sorted.clear()
        self._rendered.pop(record_id, None)

    def _in_order(self, field: str) -> tuple[list[Any], list[Record]]:
        if field not in self._sorted:
            ordered = sorted(self._records.values(), key=lambda record: (record.get(field) or 0, record["id"]))
            self._sorted[field] = ([(record.get(field) or 0, record["id"]) for record in ordered], ordered)
        return self._sorted[field]


class _Last:
    """Greater than any id."""

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return True


_LAST = _Last()


def _is_between(value: Any, low: int | None, high: int | None) -> bool:
    return value is not None and (low is None or value >= low) and (high is None or value <= high)
