"""Writes down what loading needs of the models: the statements that make a new file, and the relations' shapes.

python -m scripts.schema          # writes models/written/
python -m scripts.schema check    # exit status 1: a file differs from what the models say
"""

from __future__ import annotations

import sys

import msgspec
import sqlalchemy as sa

from models import RAW, WAREHOUSE
from models.arrow import key_columns
from models.shapes import SHAPES, WRITTEN, Shape
from warehouse.ddl import column_type, schema_statements


def files() -> dict[str, str]:
    """Every file's content by its name in `models/written`."""
    relations = [shape_of(table) for table in WAREHOUSE.sorted_tables]
    lines = ",\n".join(msgspec.json.encode(shape).decode() for shape in relations)
    return {"raw.sql": _script(RAW), "warehouse.sql": _script(WAREHOUSE), SHAPES.name: f"[\n{lines}\n]\n"}


def shape_of(table: sa.Table) -> Shape:
    columns = {str(column.name): column_type(column.type) for column in table.columns}
    return Shape(str(table.fullname), columns, [*map(str, key_columns(table))])


def write() -> list[str]:
    """Bring the files up to date; gives the names of those that were not."""
    WRITTEN.mkdir(exist_ok=True)
    stale = stale_files()
    for name in stale:
        (WRITTEN / name).write_text(files()[name], encoding="utf-8")
    return stale


def stale_files() -> list[str]:
    return [name for name, text in files().items() if not _is_written(name, text)]


def _is_written(name: str, text: str) -> bool:
    path = WRITTEN / name
    return path.exists() and path.read_text(encoding="utf-8") == text


def _script(metadata: sa.MetaData) -> str:
    return ";\n".join(schema_statements(metadata)) + ";\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["check"]:
        sys.exit(1 if stale_files() else 0)
    write()
