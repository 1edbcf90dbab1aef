"""Names, types and keys of the warehouse's relations for loading, which does without SQLAlchemy: its import took longer
than a small load's other start.

They are written down from the models (`python -m scripts.schema`, part of `make docs`); a test holds both equal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import msgspec
import pyarrow as pa

WRITTEN = Path(__file__).parent / "written"
SHAPES = WRITTEN / "shapes.json"

CUSTOM_FIELD_VALUES = "core.custom_field_values"
# Where the records of each kind that has custom fields stand: relation and key.
RECORDS = {
    "deal": ("core.deals", "deal_id"),
    "contact": ("core.contacts", "contact_id"),
    "company": ("core.companies", "company_id"),
    "invoice": ("core.invoices", "invoice_id"),
    "lead": ("core.leads", "lead_id"),
}

_DECIMAL = re.compile(r"DECIMAL\((\d+), (\d+)\)")
# As rows travel; instants as microseconds, UTC.
_ARROW = {
    "VARCHAR": pa.string(),
    "VARCHAR[]": pa.list_(pa.string()),
    "BOOLEAN": pa.bool_(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", tz="UTC"),
    "DATE": pa.date32(),
    "BLOB": pa.binary(),
}


class Shape(msgspec.Struct, frozen=True):
    """A relation: `schema.table`, DuckDB's types by column, the columns of its key."""

    fullname: str
    columns: dict[str, str]
    key: list[str]

    @property
    def schema(self) -> str:
        return self.fullname.partition(".")[0]

    @property
    def own_key(self) -> list[str]:
        """The key within a source."""
        return [name for name in self.key if name != "source"]

    def arrow_type(self, column: str) -> pa.DataType:
        """The Arrow type rows of this column travel in."""
        kind = self.columns[column]
        decimal = _DECIMAL.fullmatch(kind)
        return pa.decimal128(int(decimal[1]), int(decimal[2])) if decimal else _ARROW[kind]


@cache
def shapes() -> Mapping[str, Shape]:
    """Every relation of the warehouse by its name, in the order of the models."""
    listed = msgspec.json.decode(SHAPES.read_bytes(), type=list[Shape])
    return MappingProxyType({shape.fullname: shape for shape in listed})


def find_shape(name: str) -> Shape:
    """The relation `schema.table`; KeyError when there is none."""
    return shapes()[name]
