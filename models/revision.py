"""Where a file keeps which schema it has."""

from __future__ import annotations

import sqlalchemy as sa

from models.columns import RAW, relation, text
from models.heads import REVISION_COLUMN, REVISION_TABLES

_COMMENT = "Which schema this file has: one row."

WAREHOUSE_SCHEMA_REVISION = relation(
    REVISION_TABLES["warehouse"],
    _COMMENT,
    text(REVISION_COLUMN, "Revision's id in migrations/.", required=True),
)

RAW_SCHEMA_REVISION = relation(
    REVISION_TABLES["raw"],
    _COMMENT,
    text(REVISION_COLUMN, "Revision's id in migrations/.", required=True),
    metadata=RAW,
)


def revision_table(metadata: sa.MetaData) -> sa.Table:
    """The table in which a file with this schema keeps its revision."""
    return RAW_SCHEMA_REVISION if metadata is RAW else WAREHOUSE_SCHEMA_REVISION
