"""Stage: rows of a mapping travel in columns into temporary tables, one a target, checked against the models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from connectors.stream import Rows, Target
from models.arrow import arrow_type, find_relation

# Which record of the run a row came from: of two rows with one version the later record wins.
ORDINAL = "_ordinal"


@dataclass(frozen=True)
class Staged:
    """A target's temporary tables: `rows`, and for child lists `owners`."""

    into: Target
    table: sa.Table
    rows: str
    owners: str | None


class Staging:
    """The temporary tables of one conform. Created when first needed, dropped at the end."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._staged: dict[Target, Staged] = {}

    @property
    def targets(self) -> list[Staged]:
        """Parents before the child lists they own."""
        return sorted(self._staged.values(), key=lambda staged: bool(staged.into.owned_by))

    def append(self, rows: Rows, versions: Sequence[int], first_ordinal: int) -> None:
        """Add a chunk's rows. `versions[i]` belongs to the chunk's i-th record."""
        for into, values in rows.rows.items():
            staged = self._open(into)
            columns = into.columns
            self._insert(staged.rows, staged.table, columns, values, rows.ordinals[into], versions, first_ordinal)
        for into, owners in rows.owners.items():
            staged = self._open(into)
            assert staged.owners is not None, f"{into.relation} has no owner"
            self._insert(
                staged.owners,
                staged.table,
                into.owned_by,
                owners,
                rows.owner_ordinals[into],
                versions,
                first_ordinal,
            )

    def drop(self) -> None:
        for staged in self._staged.values():
            self._connection.execute(f"DROP TABLE {staged.rows}")
            if staged.owners:
                self._connection.execute(f"DROP TABLE {staged.owners}")
        self._staged.clear()

    def _open(self, into: Target) -> Staged:
        found = self._staged.get(into)
        if found:
            return found
        table = find_relation(into.relation)
        unknown = [name for name in into.columns if name not in table.columns]
        if unknown:
            raise KeyError(f"{into.relation} has no column {', '.join(unknown)}")
        place = len(self._staged)
        owners = f"temp._owners_{place}" if into.owned_by else None
        staged = Staged(into, table, f"temp._rows_{place}", owners)
        self._create(staged.rows, into.relation, into.columns)
        if owners:
            self._create(owners, into.relation, into.owned_by)
        self._staged[into] = staged
        return staged

    def _create(self, name: str, relation: str, columns: Sequence[str]) -> None:
        chosen = ", ".join(f'"{column}"' for column in columns)
        self._connection.execute(
            f"CREATE TEMP TABLE {name.removeprefix('temp.')} AS SELECT {chosen}, 0::BIGINT AS version,"
            f" 0::BIGINT AS {ORDINAL} FROM {relation} LIMIT 0"
        )

    def _insert(
        self,
        name: str,
        table: sa.Table,
        columns: Sequence[str],
        rows: Sequence[tuple[Any, ...]],
        ordinals: Sequence[int],
        versions: Sequence[int],
        first_ordinal: int,
    ) -> None:
        arrays = {
            column: build_array(values, arrow_type(table.columns[column]))
            for column, values in zip(columns, zip(*rows, strict=True), strict=True)
        }
        arrays["version"] = pa.array([versions[ordinal] for ordinal in ordinals], pa.int64())
        arrays[ORDINAL] = pa.array([first_ordinal + ordinal for ordinal in ordinals], pa.int64())
        self._connection.register("_chunk", pa.table(arrays))
        self._connection.execute(f"INSERT INTO {name} SELECT * FROM _chunk")
        self._connection.unregister("_chunk")


def build_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """A column of Python values as Arrow; instants come as microseconds."""
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).cast(kind)
    return pa.array(values, kind)
