"""The schema of a file: made at once, made by migrations, brought up to date, or refused."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from base.clock import FakeClock
from base.errors import BusyError, NewerWarehouseError, WarehouseError
from models import RAW, WAREHOUSE
from models.columns import integer, relation, text
from warehouse.ddl import create_all
from warehouse.migrate import (
    HISTORIES,
    History,
    alembic_config,
    ensure_history,
    ensure_schema,
    migration_engine,
    open_file,
)

CLOCK = FakeClock(datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC))
BOTH = pytest.mark.parametrize("which", ["warehouse", "raw"])


def upgrade(path: Path, history: History, to: str = "head") -> None:
    engine = migration_engine(path)
    with engine.connect() as connection:
        (command.downgrade if to == "base" else command.upgrade)(alembic_config(history, connection), to)
    engine.dispose()


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with open_file(path) as connection:
        return connection.execute(sql).fetchall()


def schema_of(path: Path) -> list[tuple[Any, ...]]:
    """Everything that makes two schemas differ: tables, columns, types, NOT NULL, defaults, comments.

    Not the order of columns: a migration can only append one, wherever the model has it, so all SQL names its columns.
    """
    return query(
        path,
        "SELECT c.schema_name, c.table_name, c.column_name, t.comment, c.data_type, c.is_nullable, "
        "c.column_default, c.comment FROM duckdb_columns() c JOIN duckdb_tables() t USING (schema_name, table_name) "
        "WHERE NOT c.internal ORDER BY ALL",
    )


@BOTH
def test_constants_are_the_heads(which: Any) -> None:
    """A revision added without its constant: every command would start Alembic, or refuse a good file."""
    history = HISTORIES[which]
    assert ScriptDirectory.from_config(alembic_config(history)).get_heads() == [history.head]


@BOTH
def test_create_all_and_migrations_give_one_schema_which_the_models_agree_with(which: Any, tmp_path: Path) -> None:
    """A model changed without a migration, a comment lost on either way, or another type."""
    history = HISTORIES[which]
    # Named like schemas: opened by path, DuckDB would find `raw.records` in `raw.duckdb` ambiguous.
    at_once, stepwise = tmp_path / "raw.duckdb", tmp_path / "core.duckdb"
    ensure_schema(at_once, which, CLOCK)
    upgrade(stepwise, history)
    assert schema_of(at_once) == schema_of(stepwise)
    assert len({row[:2] for row in schema_of(at_once)}) == len(history.metadata.tables)
    engine = migration_engine(at_once)
    with engine.connect() as connection:
        command.check(alembic_config(history, connection))
    engine.dispose()


@BOTH
def test_every_relation_and_column_has_a_comment_and_nothing_but_not_null_is_constrained(
    which: Any, tmp_path: Path
) -> None:
    """A key or index created physically: loads get slower, and a lake refuses the migration."""
    path = tmp_path / "file.duckdb"
    upgrade(path, HISTORIES[which])
    assert all(row[3] and row[7] for row in schema_of(path))
    assert query(path, "SELECT DISTINCT constraint_type FROM duckdb_constraints()") == [("NOT NULL",)]
    assert query(path, "SELECT count(*) FROM duckdb_indexes()") == [(0,)]


@BOTH
def test_downgrade_takes_everything_away_and_upgrade_brings_it_back(which: Any, tmp_path: Path) -> None:
    """A downgrade that forgets a table or schema: the next upgrade would fail on it."""
    history = HISTORIES[which]
    path = tmp_path / "file.duckdb"
    upgrade(path, history)
    first = schema_of(path)
    upgrade(path, history, "base")
    assert query(path, "SELECT table_name FROM duckdb_tables()") == [("schema_revision",)]
    upgrade(path, history)
    assert schema_of(path) == first


def test_create_all_in_an_attached_catalog_leaves_the_current_one_alone(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{tmp_path / 'raw.duckdb'}' AS landing")
        create_all(connection, RAW, "landing")
        create_all(connection, WAREHOUSE, comments=False)
        places = connection.execute("SELECT DISTINCT database_name FROM duckdb_tables() WHERE schema_name = 'raw'")
        assert places.fetchall() == [("landing",)]
        assert connection.execute("SELECT count(*) FROM landing.raw.records").fetchone() == (0,)


def test_create_all_creates_everything_or_nothing() -> None:
    """A half-made schema without a stamp is refused for ever after."""
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA facts; CREATE TABLE facts.kpi (x INTEGER)")
        with pytest.raises(duckdb.CatalogException):
            create_all(connection, WAREHOUSE)
        assert connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall() == [
            ("facts", "kpi")
        ]


def test_the_everyday_check_imports_no_alembic(tmp_path: Path) -> None:
    """Alembic and its templates cost half a second in every command."""
    path = tmp_path / "warehouse.duckdb"
    ensure_schema(path, "warehouse", CLOCK)
    program = (
        "import sys; from pathlib import Path; from base.clock import SystemClock; "
        "from warehouse.migrate import ensure_schema; ensure_schema(Path(sys.argv[1]), 'warehouse', SystemClock()); "
        "sys.exit(any(name in sys.modules for name in ('alembic', 'mako', 'duckdb_sqlalchemy', 'prefect')))"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == 0
    assert [file.name for file in tmp_path.iterdir()] == ["warehouse.duckdb"]


def test_a_creation_that_was_killed_is_done_anew(tmp_path: Path) -> None:
    (tmp_path / "raw.duckdb.new").write_bytes(b"half a file")
    (tmp_path / "raw.duckdb.new.wal").write_bytes(b"half a log")
    ensure_schema(tmp_path / "raw.duckdb", "raw", CLOCK)
    assert query(tmp_path / "raw.duckdb", "SELECT * FROM raw.schema_revision") == [(HISTORIES["raw"].head,)]
    assert [file.name for file in tmp_path.iterdir()] == ["raw.duckdb"]


def test_an_empty_database_is_taken_over(tmp_path: Path) -> None:
    duckdb.connect(tmp_path / "raw.duckdb").close()
    ensure_schema(tmp_path / "raw.duckdb", "raw", CLOCK)
    assert query(tmp_path / "raw.duckdb", "SELECT * FROM raw.schema_revision") == [(HISTORIES["raw"].head,)]


def test_a_database_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """Our tables among theirs, and theirs published with ours."""
    with duckdb.connect(tmp_path / "x.duckdb") as connection:
        connection.execute("CREATE TABLE theirs (x INTEGER)")
    with pytest.raises(WarehouseError, match="voronka didn't make it"):
        ensure_schema(tmp_path / "x.duckdb", "warehouse", CLOCK)
    assert query(tmp_path / "x.duckdb", "SELECT table_name FROM duckdb_tables()") == [("theirs",)]


def test_a_file_that_is_no_database_is_answered_not_traced(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    path.write_bytes(b"\x89PNG\r\n" + b"\0" * 20_000)
    with pytest.raises(WarehouseError, match="can't be opened as a DuckDB database"):
        ensure_schema(path, "warehouse", CLOCK)


def test_a_file_held_by_another_program_is_busy_not_broken(tmp_path: Path) -> None:
    """DuckDB's words for its lock changed: the operator would be told to restore a sound file."""
    path = tmp_path / "x.duckdb"
    ensure_schema(path, "raw", CLOCK)
    program = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program, str(path)], text=True, **pipes) as holder:  # type: ignore[call-overload]
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError):
            ensure_schema(path, "raw", CLOCK)
        holder.stdin.close()


# ── a history of two steps, for what a single initial migration can't show ─────────────────────────────────────

FIRST = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "one", None, None, None
def upgrade():
    op.execute("CREATE SCHEMA core")
    op.create_table("deals", sa.Column("deal_id", sa.Text(), nullable=False, comment="Deal."),
        sa.Column("amount", sa.Integer(), comment="Old words."), sa.PrimaryKeyConstraint("deal_id"),
        schema="core", comment="Deals.")
"""
SECOND = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "two", "one", None, None
def upgrade():
    op.add_column("deals", sa.Column("title", sa.Text(), comment="Title."), schema="core")
    op.alter_column("deals", "amount", type_=sa.BigInteger(), schema="core")
    op.alter_column("deals", "amount", comment="New words.", existing_type=sa.BigInteger(), schema="core")
    op.execute("UPDATE core.deals SET title = 'deal ' || deal_id")
"""
BROKEN = """
from alembic import op
revision, down_revision, branch_labels, depends_on = "three", "two", None, None
def upgrade():
    op.execute("ALTER TABLE core.deals DROP COLUMN title")
    op.execute("SELECT * FROM core.missing")
"""


def make_history(folder: Path, *steps: str) -> History:
    folder.mkdir(exist_ok=True)
    for number, step in enumerate(steps):
        (folder / f"{number}.py").write_text(step)
    metadata = sa.MetaData()
    relation(
        "core.deals",
        "Deals.",
        text("deal_id", "Deal.", key=True),
        integer("amount", "New words."),
        text("title", "Title."),
        metadata=metadata,
    )
    return History("warehouse", metadata, ("one", "two", "three")[len(steps) - 1], folder)


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    """A file at the first step, with a row."""
    path = tmp_path / "old %20 file.duckdb"
    upgrade(path, make_history(tmp_path / "versions", FIRST))
    with duckdb.connect(path) as connection:
        connection.execute("INSERT INTO core.deals VALUES ('7', 100)")
    return path


def test_an_older_file_is_copied_and_migrated_rows_and_comments_kept(tmp_path: Path, old_file: Path) -> None:
    """DuckDB's ALTER drops a comment, a backup made after the change, or rows left in a write-ahead log."""
    ensure_history(old_file, make_history(tmp_path / "versions", FIRST, SECOND), CLOCK)
    assert query(old_file, "SELECT * FROM core.deals") == [("7", 100, "deal 7")]
    columns = "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = 'deals'"
    assert query(old_file, columns) == [
        ("deal_id", "VARCHAR", "Deal."),
        ("amount", "BIGINT", "New words."),
        ("title", "VARCHAR", "Title."),
    ]
    assert query(old_file, "SELECT comment FROM duckdb_tables() WHERE table_name = 'deals'") == [("Deals.",)]
    assert query(old_file, "SELECT version_num FROM meta.schema_revision") == [("two",)]
    backup = tmp_path / "old %20 file.one.20261122T010203Z.backup.duckdb"
    assert query(backup, "SELECT * FROM core.deals") == [("7", 100)]
    assert sorted(tmp_path.glob("*duckdb*")) == sorted([old_file, backup])


def test_a_migration_that_fails_keeps_the_steps_before_it_and_names_the_backup(tmp_path: Path, old_file: Path) -> None:
    """A failing step that is half done, or stamped as done."""
    with pytest.raises(WarehouseError) as failure:
        ensure_history(old_file, make_history(tmp_path / "versions", FIRST, SECOND, BROKEN), CLOCK)
    assert "20261122T010203Z.backup.duckdb" in failure.value.render("ru")
    assert query(old_file, "SELECT version_num FROM meta.schema_revision") == [("two",)]
    assert query(old_file, "SELECT * FROM core.deals") == [("7", 100, "deal 7")]


def test_a_file_of_a_newer_voronka_is_refused_untouched(tmp_path: Path) -> None:
    """An old program that migrates a new file destroys what it does not know."""
    path = tmp_path / "warehouse.duckdb"
    ensure_schema(path, "warehouse", CLOCK)
    with duckdb.connect(path) as connection:
        connection.execute("UPDATE meta.schema_revision SET version_num = 'from_the_future'")
    before = path.read_bytes()
    with pytest.raises(NewerWarehouseError) as refusal:
        ensure_schema(path, "warehouse", CLOCK)
    assert refusal.value.exit_status == 2
    assert "более новой" in refusal.value.render("ru")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["warehouse.duckdb"]
