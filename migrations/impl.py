"""How Alembic's operations run on DuckDB: keys, constraints and indexes stay on paper."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from duckdb_sqlalchemy.alembic_impl import DuckDBImpl


class WarehouseImpl(DuckDBImpl):  # type: ignore[misc]
    """Skips what no DuckDB target gets (design: slow loads on a file, refused by a lake).

    Alembic finds it by the dialect's name: defining the class registers it.
    """

    __dialect__ = "duckdb"

    def compare_type(self, inspector_column: Any, metadata_column: Any) -> bool:
        # TEXT is DuckDB's alias of VARCHAR and comes back as such; lengths mean nothing there.
        if _is_text(inspector_column.type) and _is_text(metadata_column.type):
            return False
        if _is_texts(inspector_column.type) and _is_texts(metadata_column.type):
            return False
        return bool(super().compare_type(inspector_column, metadata_column))

    def compare_server_default(
        self, inspector_column: Any, metadata_column: Any, rendered_metadata: str | None, rendered_inspector: str | None
    ) -> bool:
        # A lake says of a column without a default that it is NULL.
        stored = None if rendered_inspector == "NULL" else rendered_inspector
        return bool(super().compare_server_default(inspector_column, metadata_column, rendered_metadata, stored))

    def add_constraint(self, const: Any, **kw: Any) -> None:
        return None

    def drop_constraint(self, const: Any, **kw: Any) -> None:
        return None

    def create_index(self, index: Any, **kw: Any) -> None:
        return None

    def drop_index(self, index: Any, **kw: Any) -> None:
        return None


def _is_text(kind: sa.types.TypeEngine[Any]) -> bool:
    return isinstance(kind, sa.String) and not isinstance(kind, sa.Enum)


def _is_texts(kind: sa.types.TypeEngine[Any]) -> bool:
    return isinstance(kind, sa.ARRAY) and _is_text(kind.item_type)
