"""Alembic's entry. The caller (warehouse/migrate.py) passes an open connection and the models of one file."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from alembic import context
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

import migrations.impl  # noqa: F401 - registers how operations run on DuckDB
from models.revision import revision_table

_connection: sa.Connection = context.config.attributes["connection"]
_metadata: sa.MetaData = context.config.attributes["metadata"]
_schemas = {table.schema for table in _metadata.tables.values()}


def _ours(name: str | None, kind: str, parents: object) -> bool:
    """Autogenerate looks at the schemas of the models only."""
    return kind != "schema" or name in _schemas


def _write_schemas(
    migration: MigrationContext, revision: str | Iterable[str | None], directives: list[ops.MigrationScript]
) -> None:
    """Autogenerate knows tables only: create a new table's schema before it, and drop it behind its last one."""
    if not directives or directives[0].upgrade_ops is None or directives[0].downgrade_ops is None:
        return
    existing = set(sa.inspect(_connection).get_schema_names())
    created = {op.schema for op in directives[0].upgrade_ops.ops if isinstance(op, ops.CreateTableOp) and op.schema}
    for name in sorted(created - existing, reverse=True):
        directives[0].upgrade_ops.ops.insert(0, ops.ExecuteSQLOp(f'CREATE SCHEMA IF NOT EXISTS "{name}"'))
        directives[0].downgrade_ops.ops.append(ops.ExecuteSQLOp(f'DROP SCHEMA "{name}"'))


def _create_revision_table() -> None:
    """Before Alembic does: with comments, as every relation has them."""
    table = revision_table(_metadata)
    _connection.execute(sa.schema.CreateSchema(str(table.schema), if_not_exists=True))
    table.create(_connection, checkfirst=True)
    # Alembic begins and commits a transaction for each step only when it finds none open.
    _connection.commit()


def _run() -> None:
    table = revision_table(_metadata)
    _create_revision_table()
    context.configure(
        connection=_connection,
        target_metadata=_metadata,
        include_schemas=True,
        include_name=_ours,
        compare_server_default=True,
        version_table=table.name,
        version_table_schema=table.schema,
        version_table_pk=False,
        process_revision_directives=_write_schemas,
        # A file that fails half-way stands at a known revision, and DuckDB refuses to update a table that the same
        # transaction has altered: steps have transactions of their own.
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


_run()
