"""Which schema this code needs: the newest revision of each history in migrations/, and where a file keeps its own.

The two constants are written by `scripts/migration.py`; a test holds them equal to Alembic's heads. They spare every
command the import of Alembic: a file whose stored revision equals the constant is up to date.
"""

from __future__ import annotations

import sqlalchemy as sa

from models.columns import RAW, relation, text

WAREHOUSE_REVISION = "e81a5c1b4b8d"
RAW_REVISION = "1998fab4d1a5"

_COMMENT = "Which schema this file has: one row."
# Alembic writes this table and fixes its column's name.
_COLUMN = "version_num"

WAREHOUSE_SCHEMA_REVISION = relation(
    "meta.schema_revision",
    _COMMENT,
    text(_COLUMN, "Revision's id in migrations/.", required=True),
)

RAW_SCHEMA_REVISION = relation(
    "raw.schema_revision",
    _COMMENT,
    text(_COLUMN, "Revision's id in migrations/.", required=True),
    metadata=RAW,
)


def revision_table(metadata: sa.MetaData) -> sa.Table:
    """The table in which a file with this schema keeps its revision."""
    return RAW_SCHEMA_REVISION if metadata is RAW else WAREHOUSE_SCHEMA_REVISION
