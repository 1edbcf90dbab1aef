"""Stage: rows of a mapping become columns, checked against the models, and stand as views for MERGE to read.

They stay Arrow tables in memory: rows copied into temporary tables first would be kept by the transaction until its
end, and a first load's memory would grow with the number of records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from base.columns import Column
from base.memory import give_back
from base.wire import Sent
from connectors.stream import BadRecord, Rows, Target
from models.shapes import Shape, find_shape
from warehouse.mapping import Mapped, SentRows
from warehouse.misfits import UNFIT, build_array, find_misfits, without
from warehouse.received import array_of

# Which record of the run a row came from: of two rows with one version the later record wins.
ORDINAL = "_ordinal"


@dataclass(frozen=True)
class Staged:
    """A target's views: `rows`, and for child lists `owners`."""

    into: Target
    table: Shape
    rows: str
    owners: str | None


class _Pile:
    """Tables of one shape that DuckDB reads as one, whenever its view is read.

    The view names the pile and not a table: a transaction keeps every view it has seen until its end, and with it
    all the rows the view ever had.
    """

    def __init__(self, columns: Sequence[str], table: Shape) -> None:
        self._empty = _build(columns, table, [], [], pa.array([], pa.int64()), 0)
        self.tables: list[pa.Table] = []

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return pa.concat_tables(self.tables or [self._empty]).__arrow_c_stream__(requested_schema)


class Staging:
    """Rows on their way to one MERGE a target; forgotten at the end of the context, or by `drop`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._piles: dict[str, _Pile] = {}
        self._staged: dict[Target, Staged] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        # In a failed transaction DuckDB takes no more words, and the failure must not be hidden behind that.
        if kind is None:
            self.drop()

    def append(self, made: Rows | list[SentRows], versions: Sequence[int], first_ordinal: int) -> dict[int, BadRecord]:
        """Add a chunk's rows, as they were made here or sent. `versions[i]` belongs to the chunk's i-th record.

        Gives the records left out, by their place in the chunk: a value of theirs fits into no column.

        Raises:
            KeyError: a mapping names a relation or column the models don't have.
        """
        misfits: dict[int, BadRecord] = {}
        try:
            built = self._build_all(made, versions, first_ordinal)
        except UNFIT:
            rows = Mapped(made).rows
            misfits = find_misfits(rows)
            built = self._build_all(without(rows, misfits), versions, first_ordinal)
        for view, table in built:
            self._piles[view].tables.append(table)
        return misfits

    def append_table(self, into: Target, rows: pa.Table, versions: Sequence[int], first_ordinal: int) -> None:
        """Add rows that stand in columns of the right types already, one of each record."""
        known = versions.array if isinstance(versions, Column) else pa.array(versions, pa.int64())
        places = pa.array(range(first_ordinal, first_ordinal + len(rows)), pa.int64())
        table = rows.append_column("version", known).append_column(ORDINAL, places)
        self._piles[self._open(into).rows].tables.append(table)

    def _build_all(
        self, made: Rows | list[SentRows], versions: Sequence[int], first_ordinal: int
    ) -> list[tuple[str, pa.Table]]:
        """Every target's table and the view it is for; nothing is added yet."""
        built = []
        known = versions.array if isinstance(versions, Column) else pa.array(versions, pa.int64())
        for into, rows, ordinals, is_owners in _parts_of(made):
            staged = self._open(into)
            view, columns = (staged.owners, into.owned_by) if is_owners else (staged.rows, into.columns)
            assert view is not None, f"{into.relation} has no owner"
            built.append((view, _build(columns, staged.table, rows, ordinals, known, first_ordinal)))
        return built

    @property
    def targets(self) -> list[Staged]:
        """Parents before the child lists they own."""
        return sorted(self._staged.values(), key=lambda staged: bool(staged.into.owned_by))

    def drop(self) -> None:
        """Forget what was staged."""
        for view, pile in self._piles.items():
            pile.tables.clear()
            self._connection.unregister(view)
        self._piles.clear()
        self._staged.clear()
        give_back()

    def _open(self, into: Target) -> Staged:
        found = self._staged.get(into)
        if found:
            return found
        table = find_shape(into.relation)
        unknown = [name for name in into.columns if name not in table.columns]
        if unknown:
            raise KeyError(f"{into.relation} has no column {', '.join(unknown)}")
        place = len(self._staged)
        rows = self._show(f"_rows_{place}", into.columns, table)
        owners = self._show(f"_owners_{place}", into.owned_by, table) if into.owned_by else None
        self._staged[into] = Staged(into, table, rows, owners)
        return self._staged[into]

    def _show(self, view: str, columns: Sequence[str], table: Shape) -> str:
        self._piles[view] = _Pile(columns, table)
        self._connection.register(view, self._piles[view])
        return view


# Rows as tuples, or in columns as a helper sent them.
_Values = Sequence[tuple[Any, ...]] | list[Sent]


def _parts_of(made: Rows | list[SentRows]) -> Iterator[tuple[Target, _Values, Sequence[int] | Sent, bool]]:
    """Rows and owners by target, with the places of their records; whether they are owners."""
    if isinstance(made, Rows):
        for into, values in made.rows.items():
            yield into, values, made.ordinals[into], False
        for into, values in made.owners.items():
            yield into, values, made.owner_ordinals[into], True
        return
    for part in made:
        if part.rows is not None and part.ordinals is not None:
            yield part.into, part.rows, part.ordinals, False
        if part.owners is not None and part.owner_ordinals is not None:
            yield part.into, part.owners, part.owner_ordinals, True


def _build(
    columns: Sequence[str],
    table: Shape,
    rows: _Values,
    ordinals: Sequence[int] | Sent,
    versions: pa.Int64Array,
    first_ordinal: int,
) -> pa.Table:
    by_column: Sequence[Any] = [()] * len(columns)
    if rows:
        by_column = rows if isinstance(rows[0], Sent) else list(zip(*rows, strict=True))
    arrays = {
        column: _build_column(values, table.arrow_type(column))
        for column, values in zip(columns, by_column, strict=True)
    }
    places = array_of(ordinals, pa.int64()) if isinstance(ordinals, Sent) else pa.array(ordinals, pa.int64())
    arrays["version"] = versions.take(places)
    arrays[ORDINAL] = pc.add(places, first_ordinal)
    return pa.table(arrays)


def _build_column(values: Sequence[Any] | Sent, kind: pa.DataType) -> pa.Array:
    """A column as `build_array` makes it; one that holds nothing, or one text, needs no look at each value."""
    if isinstance(values, Sent):
        return array_of(values, kind)
    first = values[0] if values else None
    if first is None and values.count(None) == len(values):
        return pa.nulls(len(values), kind)
    if first.__class__ is str and first == values[-1] and values.count(first) == len(values):
        return pa.repeat(build_array(values[:1], kind)[0], len(values))
    return build_array(values, kind)
