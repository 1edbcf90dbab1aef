"""Rows that came along with their records (`Page.rows`), kept until these are conformed.

Nothing but time depends on them: they say what the mapping would make of the log. Whatever is not sure to be in the log
just as it came is mapped from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from base.columns import Column
from connectors.stream import Brought, Stream, Target
from models.shapes import find_shape
from warehouse.batch import Batch
from warehouse.mapping import Columns
from warehouse.misfits import UNFIT

# Two slices. More than this wait for something else than their turn: they are mapped from the log then.
MOST_RECORDS = 2 * 30_720
_ID, _VERSION, _IS_THERE = "_id", "_version", "_is_there"


@dataclass(frozen=True)
class BroughtRows:
    """Of consecutive records of the log, one row each: the records' ids and versions, and the rows."""

    into: Target
    head: Columns  # record ids, operations and versions
    rows: pa.Table


@dataclass(frozen=True)
class _Block:
    first: int  # `seq` of the first record
    table: pa.Table

    @property
    def last(self) -> int:
        return self.first + len(self.table) - 1


class BroughtAlong:
    """What waits, by source and stream, in the order of the log."""

    def __init__(self, *, most_records: int = MOST_RECORDS) -> None:
        self._most_records = most_records
        self._blocks: dict[tuple[str, str], list[_Block]] = {}

    def add(self, source: str, stream: Stream[Any], batch: Batch, written: int, last: int) -> None:
        """A batch's rows, once it has landed: `written` records of it, the last one with this `seq`."""
        brings, count = stream.brings, len(batch.ids)
        # Where a record was known already, or came twice, it isn't told which ones were written.
        if brings is None or len(batch.rows) != count or written != count or batch.deleted:
            return
        if self.waiting(source, stream.name) + count > self._most_records:
            return
        table = _typed(brings, batch)
        if table is not None:
            self._blocks.setdefault((source, stream.name), []).append(_Block(last - count + 1, table))

    def waiting(self, source: str, stream: str) -> int:
        """Records whose rows are here."""
        return sum(len(block.table) for block in self._blocks.get((source, stream), ()))

    def find(self, source: str, stream: Stream[Any], first: int, last: int) -> BroughtRows | None:
        """The rows of the records behind `first` up to `last`; None unless there is one of each."""
        if stream.brings is None:
            return None
        found = [
            block.table.slice(max(first + 1 - block.first, 0), min(block.last, last) - max(block.first, first + 1) + 1)
            for block in self._blocks.get((source, stream.name), ())
            if block.first <= last and block.last > first
        ]
        if sum(map(len, found)) != last - first:
            return None
        table = pa.concat_tables(found)
        if not pc.all(table[_IS_THERE]).as_py():
            return None
        ids, versions = (Column[Any](table[name].combine_chunks()) for name in (_ID, _VERSION))
        columns = list(stream.brings.into.columns)
        return BroughtRows(stream.brings.into, [ids, ["put"] * len(ids), versions], table.select(columns))

    def forget(self, source: str, stream: str, last: int) -> None:
        """Records up to this one have been conformed."""
        key = (source, stream)
        if key in self._blocks:
            self._blocks[key] = [block for block in self._blocks[key] if block.last > last]


def _typed(brings: Brought, batch: Batch) -> pa.Table | None:
    """Ids, versions and rows in the types of the core; None where the log alone can tell."""
    kind, versions = batch.rows.kind, batch.versions.arrow(pa.int64())
    # Of records without a version landing gives them one.
    if kind is None or not pc.all(pc.not_equal(versions, 0)).as_py():
        return None
    ids = batch.ids.arrow(pa.string())
    rows = batch.rows.arrow(kind)
    columns = {_ID: ids, _VERSION: versions, _IS_THERE: rows.is_valid()}
    made = {name: pc.struct_field(rows, name) for name in kind.names}
    made |= {brings.record_id: ids, brings.origin: batch.origins.arrow(pa.string())}
    shape = find_shape(brings.into.relation)
    try:
        return pa.table(columns | {name: made[name].cast(shape.arrow_type(name)) for name in brings.into.columns})
    except UNFIT:
        return None  # a value that no column holds: its record is told when it is mapped
