"""Brings a file to the schema this code needs: creates it, leaves it alone, migrates it, or refuses it.

The everyday case is one SELECT. Alembic is imported only when a file is older.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import duckdb

import models
from base.clock import Clock
from base.errors import BusyError, NewerWarehouseError, WarehouseError
from base.text import say
from models.heads import RAW_REVISION, REVISION_COLUMN, REVISION_TABLES, WAREHOUSE_REVISION
from models.shapes import WRITTEN
from warehouse.engine import transaction
from warehouse.layout import RAW_OPTIONS, WAREHOUSE_OPTIONS
from warehouse.shortage import shortage

if TYPE_CHECKING:
    import sqlalchemy as sa
    from alembic.config import Config

logger = logging.getLogger(__name__)

Which = Literal["warehouse", "raw"]
MIGRATIONS = Path(__file__).parent.parent / "migrations"


@dataclass(frozen=True)
class History:
    """One file's models, the revision this code needs, and where its migrations lie."""

    name: Which
    # None: ours, declared once they are asked for.
    declared: sa.MetaData | None
    head: str
    versions: Path
    # How the file is attached for writing.
    options: str = ""

    @property
    def metadata(self) -> sa.MetaData:
        if self.declared is not None:
            return self.declared
        return models.RAW if self.name == "raw" else models.WAREHOUSE


HISTORIES: dict[Which, History] = {
    "warehouse": History(
        "warehouse", None, WAREHOUSE_REVISION, MIGRATIONS / "versions" / "warehouse", WAREHOUSE_OPTIONS
    ),
    "raw": History("raw", None, RAW_REVISION, MIGRATIONS / "versions" / "raw", RAW_OPTIONS),
}


def ensure_schema(path: Path, which: Which, clock: Clock) -> None:
    """Bring the file to this code's schema; on return nobody here holds it open. The caller holds the writer's lock.

    A missing file is created whole or not at all. An older one is copied beside itself
    (`<stem>.<revision>.<time>.backup.duckdb`), then migrated.

    Raises:
        NewerWarehouseError: its revision is unknown here: a newer voronka made it. It was not touched.
        BusyError: another program holds the file.
        WarehouseError: not a file of ours, or the migration failed; the text names the backup.
    """
    ensure_history(path, HISTORIES[which], clock)


def ensure_history(path: Path, history: History, clock: Clock) -> None:
    """`ensure_schema` for any history (tests bring their own)."""
    if not path.exists():
        _create(path, history)
        return
    with open_file(path, history.options) as connection:
        stored = read_revision(connection, history)
        if stored is None:
            _adopt(connection, path, history)
            return
    if stored != history.head:
        _upgrade(path, history, stored, clock)


def open_file(path: Path, options: str = "") -> duckdb.DuckDBPyConnection:
    """A connection whose current database is the file, attached under a name of its own.

    Opened by path it would be called by its stem: with `raw.duckdb`, DuckDB finds `raw.records` ambiguous.

    Raises:
        BusyError, WarehouseError: held by another program; not a DuckDB file, or damaged.
        DiskFullError: no room to replay what a killed writer left.
    """
    connection = duckdb.connect()
    quoted = str(path).replace("'", "''")
    try:
        connection.execute(f"ATTACH '{quoted}' AS voronka_file {options}; USE voronka_file")
        return connection
    except duckdb.Error as error:
        connection.close()
        if (short := shortage(error, path)) is not None:
            # Opening replays a killed writer's log: nothing is wrong with the file.
            raise short from error
        # DuckDB has one exception for both; the engine's version is pinned, and a test holds the words.
        if "Could not set lock" in str(error):
            raise BusyError(
                say("Файл {path} открыт другой программой.", "Another program holds {path}.", path=path),
                say("Закройте её и повторите.", "Close it and try again."),
            ) from error
        raise WarehouseError(
            say(
                "Файл {path} не открывается как база DuckDB: {cause}",
                "{path} can't be opened as a DuckDB database: {cause}",
                path=path,
                cause=error,
            ),
            say(
                "Верните файл из резервной копии или уберите его: будет создан новый.",
                "Restore it from a backup, or move it away: a new one will be made.",
            ),
        ) from error


def read_revision(connection: duckdb.DuckDBPyConnection, history: History) -> str | None:
    """The revision a file is stamped with; None where it has no stamp."""
    try:
        row = connection.execute(f"SELECT {REVISION_COLUMN} FROM {REVISION_TABLES[history.name]}").fetchone()
    except duckdb.CatalogException:
        return None
    return str(row[0]) if row else None


def _create(path: Path, history: History) -> None:
    """Make the file under another name first: a kill leaves no half-made file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    for leftover in (fresh, path.with_name(f"{fresh.name}.wal")):
        leftover.unlink(missing_ok=True)
    with open_file(fresh, history.options) as connection:
        # A thousand small statements: other threads would only wake up at each of them.
        connection.execute("SET threads = 1")
        _fill(connection, history)
    os.replace(fresh, path)


def _fill(connection: duckdb.DuckDBPyConnection, history: History) -> None:
    """Make the schema of an empty file, in one transaction."""
    if history.declared is not None:
        from warehouse.ddl import create_all

        create_all(connection, history.declared, revision=history.head)
        return
    # As it is written down from the models, which need not be declared for it.
    script = (WRITTEN / f"{history.name}.sql").read_text(encoding="utf-8")
    with transaction(connection):
        connection.execute(script)
        connection.execute(f"INSERT INTO {REVISION_TABLES[history.name]} VALUES (?)", [history.head])


def _adopt(connection: duckdb.DuckDBPyConnection, path: Path, history: History) -> None:
    """An empty database is as good as none; anything else without a stamp is not ours."""
    if connection.execute("SELECT count(*) FROM duckdb_tables() WHERE NOT internal").fetchone() == (0,):
        _fill(connection, history)
        return
    raise WarehouseError(
        say(
            "В файле {path} есть таблицы, но он создан не voronka.",
            "{path} has tables, but voronka didn't make it.",
            path=path,
        ),
        say("Укажите в настройках другой файл.", "Name another file in the configuration."),
    )


def alembic_config(history: History, connection: sa.Connection | None = None) -> Config:
    """Alembic's configuration, built here: there is no alembic.ini."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection, "metadata": history.metadata})
    config.set_main_option("script_location", _escape(MIGRATIONS))
    config.set_main_option("version_locations", _escape(history.versions))
    # Newlines can't be part of the path; the default would split it at spaces.
    config.set_main_option("path_separator", "newline")
    config.set_main_option("file_template", "%%(slug)s")
    return config


def _escape(path: Path) -> str:
    return str(path).replace("%", "%%")


def migration_engine(path: Path, options: str = "") -> sa.Engine:
    """An engine for migrations only: one connection at a time, closed when returned."""
    return engine_over(lambda: open_file(path, options))


def engine_over(open_connection: Callable[[], duckdb.DuckDBPyConnection]) -> sa.Engine:
    """The same over connections that somebody else knows how to open."""
    import sqlalchemy as sa
    from duckdb_sqlalchemy import ConnectionWrapper

    import warehouse.dialect  # noqa: F401 - registers the dialect

    return sa.create_engine(
        "voronka_duckdb://", creator=lambda: ConnectionWrapper(open_connection()), poolclass=sa.NullPool
    )


def is_known(history: History, revision: str) -> bool:
    """Whether this program has the revision among its migrations."""
    from alembic.script import ScriptDirectory

    known = ScriptDirectory.from_config(alembic_config(history)).walk_revisions()
    return revision in {script.revision for script in known}


def run_migrations(engine: sa.Engine, history: History, failed: Callable[[Exception], WarehouseError]) -> None:
    """Bring what the engine opens to the history's head; `failed` words what went wrong.

    Raises:
        WarehouseError: a migration failed.
    """
    import sqlalchemy as sa
    from alembic import command
    from alembic.util import CommandError

    try:
        with engine.connect() as connection:
            command.upgrade(alembic_config(history, connection), "head")
    except (sa.exc.SQLAlchemyError, duckdb.Error, CommandError) as error:
        raise failed(error) from error
    finally:
        engine.dispose()


def _upgrade(path: Path, history: History, stored: str, clock: Clock) -> None:
    if not is_known(history, stored):
        raise newer(path, stored, history.head)
    backup = _back_up(path, stored, history, clock)
    run_migrations(migration_engine(path, history.options), history, lambda error: _failed(path, backup, error))
    with open_file(path, history.options) as raw:
        raw.execute("CHECKPOINT")
    logger.info("migrated file=%s from=%s to=%s backup=%s", path, stored, history.head, backup)


def _back_up(path: Path, stored: str, history: History, clock: Clock) -> Path:
    """Copy the file beside itself. It is checkpointed: nothing of it is left in a write-ahead log."""
    with open_file(path, history.options) as connection:
        connection.execute("CHECKPOINT")
    backup = path.with_name(f"{path.stem}.{stored}.{clock.now():%Y%m%dT%H%M%SZ}.backup.duckdb")
    part = backup.with_name(f"{backup.name}.part")
    try:
        shutil.copyfile(path, part)
        with part.open("rb") as copied:
            os.fsync(copied.fileno())
        os.replace(part, backup)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise WarehouseError(
            say(
                "Нельзя сделать копию {path} перед обновлением: {cause}",
                "{path} can't be copied before it is migrated: {cause}",
                path=path,
                cause=error,
            ),
            say("Освободите место на диске и повторите.", "Free some disk space and try again."),
        ) from error
    return backup


def newer(place: Path | str, stored: str, head: str) -> NewerWarehouseError:
    return NewerWarehouseError(
        say(
            "{place} создан более новой версией voronka (схема {stored}, эта версия знает {head}).",
            "{place} was made by a newer voronka (schema {stored}; this one knows {head}).",
            place=place,
            stored=stored,
            head=head,
        ),
        say("Обновите voronka: git pull, затем make.", "Update voronka: git pull, then make."),
    )


def _failed(path: Path, backup: Path, error: Exception) -> WarehouseError:
    return WarehouseError(
        say("Обновление {path} не удалось: {cause}", "Migrating {path} failed: {cause}", path=path, cause=error),
        say(
            "Данные не потеряны: копия до обновления лежит в {backup}. Сообщите об ошибке разработчикам.",
            "Nothing is lost: the copy made before is {backup}. Please report this.",
            backup=backup,
        ),
    )
