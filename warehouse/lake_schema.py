"""Brings a lake to the schema this code needs, as `warehouse/migrate.py` does with files.

There is no copy to make before a migration: a lake keeps its earlier pictures, and the error names the last one.
"""

from __future__ import annotations

import logging

import duckdb

from base.errors import WarehouseError
from base.text import say
from warehouse.engine import locked
from warehouse.lake import LAKES
from warehouse.migrate import HISTORIES, History, engine_over, is_known, newer, read_revision, run_migrations

logger = logging.getLogger(__name__)

# A relation that says: what is copied into this lake is not all there yet (warehouse/move.py). The log has no stamp
# meanwhile, so a lake in everyday use is never asked for it.
MARK = "landing.main.unfinished_move"


def ensure_lake(connection: duckdb.DuckDBPyConnection) -> bool:
    """Bring both lakes, attached by `attach_lake`, to this code's schema; of several commands one does it. True if it
    made one.

    Raises:
        NewerWarehouseError: a newer voronka made it. It was not touched.
        WarehouseError: not a lake of ours, or the migration failed.
    """
    is_made = False
    for catalog, name in LAKES.items():
        history = HISTORIES[name]
        connection.execute(f"USE {catalog}")
        stored = read_revision(connection, history)
        if stored is None:
            stored, is_made = _make(connection, catalog, history), True
        if stored != history.head:
            # The lock is held by another connection: every migration has transactions of its own.
            with connection.cursor() as guard, locked(guard):
                _upgrade(connection, catalog, history)
    connection.execute("USE warehouse")
    return is_made


def _make(connection: duckdb.DuckDBPyConnection, catalog: str, history: History) -> str:
    """Make what is missing; gives the revision, another's if another command was quicker."""
    if is_unfinished(connection):
        raise WarehouseError(
            say("В это озеро перенесено ещё не всё.", "Not everything has been moved into this lake yet."),
            say(
                "Прежние данные целы: верните прежние настройки и повторите voronka move.",
                "What you had is whole: put the earlier configuration back and run voronka move again.",
            ),
        )
    try:
        from warehouse.ddl import create_all

        create_all(connection, history.metadata, revision=history.head)
    except duckdb.CatalogException as error:
        stored = read_revision(connection, history)
        if stored is None:
            raise WarehouseError(
                say(
                    "В озере {catalog} есть таблицы, но создано оно не voronka.",
                    "The lake {catalog} has tables, but voronka didn't make it.",
                    catalog=catalog,
                ),
                say("Укажите в настройках другую базу PostgreSQL.", "Name another PostgreSQL database."),
            ) from error
        return stored
    return history.head


def is_unfinished(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a copy into this lake was begun and did not end. Asked of a log without a stamp, or it means nothing."""
    catalog, schema, name = MARK.split(".")
    found = connection.execute(
        "SELECT 1 FROM duckdb_columns() WHERE (database_name, schema_name, table_name) = ($1, $2, $3) LIMIT 1",
        [catalog, schema, name],
    )
    return found.fetchone() is not None


def _upgrade(connection: duckdb.DuckDBPyConnection, catalog: str, history: History) -> None:
    stored = read_revision(connection, history)
    if stored is None or stored == history.head:
        return
    if not is_known(history, stored):
        raise newer(catalog, stored, history.head)
    before = connection.execute(f"FROM ducklake_current_snapshot('{catalog}')").fetchone()
    snapshot = before[0] if before else 0
    run_migrations(
        engine_over(lambda: _opened(connection, catalog)), history, lambda error: _failed(catalog, snapshot, error)
    )
    logger.info("migrated lake=%s from=%s to=%s snapshot_before=%s", catalog, stored, history.head, snapshot)


def _opened(connection: duckdb.DuckDBPyConnection, catalog: str) -> duckdb.DuckDBPyConnection:
    cursor = connection.cursor()
    cursor.execute(f"USE {catalog}")
    return cursor


def _failed(catalog: str, snapshot: int, error: Exception) -> WarehouseError:
    return WarehouseError(
        say(
            "Обновление озера {name} не удалось: {cause}", "Migrating {name} failed: {cause}", name=catalog, cause=error
        ),
        say(
            "Данные не потеряны: озеро до обновления — снимок {snapshot}. Сообщите об ошибке разработчикам.",
            "Nothing is lost: the lake as it was before is snapshot {snapshot}. Please report this.",
            snapshot=snapshot,
        ),
    )
