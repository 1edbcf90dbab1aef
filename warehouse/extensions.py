"""DuckDB's extensions, loaded from the wheels that carry them (`voronka[lake]`): nothing is ever downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import duckdb

from base.errors import WarehouseError
from base.text import say
from warehouse.quoting import quote_literal

# In this order: ducklake finds PostgreSQL only if its extension is there already.
LAKE_EXTENSIONS = ("postgres_scanner", "ducklake")
# For a lake whose data is in an object store.
STORE_EXTENSIONS = ("httpfs",)


def load_extensions(connection: duckdb.DuckDBPyConnection, names: Sequence[str] = LAKE_EXTENSIONS) -> None:
    """Load the named extensions.

    Raises:
        WarehouseError: a wheel is missing, or made for another DuckDB than the installed one.
    """
    for name in names:
        connection.execute(f"LOAD {quote_literal(str(extension_path(name)))}")


def extension_path(name: str) -> Path:
    """Where the wheel of an extension keeps it for this DuckDB.

    Raises:
        WarehouseError: it doesn't.
    """
    package = f"duckdb_extension_{name}"
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    version = f"v{duckdb.__version__}"
    for folder in folders or ():
        path = Path(folder) / "extensions" / version / f"{name}.duckdb_extension"
        if path.is_file():
            return path
    raise WarehouseError(
        say(
            "Нет расширения DuckDB {name} для версии {version}: без него озеро не открыть.",
            "DuckDB's extension {name} for version {version} is missing: a lake can't be opened without it.",
            name=name,
            version=version,
        ),
        say(
            "Установите пакеты для озера: python3 scripts/setup.py run lake.",
            "Install what a lake needs: python3 scripts/setup.py run lake.",
        ),
    )
