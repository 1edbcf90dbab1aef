"""What is written down from the models is what they say, and a load does without what it stands for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from models import WAREHOUSE
from models.arrow import arrow_type
from models.shapes import CUSTOM_FIELD_VALUES, RECORDS, find_shape, shapes
from scripts import schema

ROOT = Path(__file__).parent.parent.parent


def test_the_files_are_what_the_models_say() -> None:
    """A column added to a model alone: new warehouses would lack it."""
    assert schema.stale_files() == [], "models changed: make docs"


def test_rows_travel_in_the_types_of_the_models() -> None:
    for name, table in WAREHOUSE.tables.items():
        shape = find_shape(name)
        assert {c.name: shape.arrow_type(c.name) for c in table.columns} == {
            c.name: arrow_type(c) for c in table.columns
        }


def test_records_with_custom_fields_stand_where_they_are_said_to() -> None:
    """A relation renamed: values of custom fields would never be stale again."""
    assert CUSTOM_FIELD_VALUES in shapes()
    assert all(find_shape(relation).own_key == [key] for relation, key in RECORDS.values())


def test_a_load_imports_neither_sqlalchemy_nor_the_command_line_of_httpx() -> None:
    """A third of a small sync's CPU, and 24 MB of every one."""
    code = (
        "import sys, voronka.commands.sync, flows.steps.sync, connectors.amocrm.streams;"
        "print([name for name in ('sqlalchemy', 'alembic', 'pygments', 'prefect') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
