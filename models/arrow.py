"""Arrow types and keys of a relation, derived from its declaration."""

from __future__ import annotations

from functools import cache
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from models import WAREHOUSE


@cache
def find_relation(name: str) -> sa.Table:
    """The declared relation `schema.table`; KeyError when there is none."""
    return WAREHOUSE.tables[name]


def key_columns(table: sa.Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.primary_key.columns)


def arrow_type(column: sa.Column[Any]) -> pa.DataType:
    """The Arrow type rows of this column travel in; instants as microseconds, UTC."""
    kind = column.type
    if isinstance(kind, sa.ARRAY):
        return pa.list_(pa.string())
    if isinstance(kind, sa.Boolean):
        return pa.bool_()
    if isinstance(kind, sa.BigInteger | sa.Integer):
        return pa.int64()
    if isinstance(kind, sa.Double):
        return pa.float64()
    if isinstance(kind, sa.Numeric):
        return pa.decimal128(kind.precision or 18, kind.scale or 2)
    if isinstance(kind, sa.TIMESTAMP):
        return pa.timestamp("us", tz="UTC")
    if isinstance(kind, sa.Date):
        return pa.date32()
    if isinstance(kind, sa.LargeBinary):
        return pa.binary()
    return pa.string()
