"""Which schema this code needs: the newest revision of each history in migrations/.

The two constants are written by `scripts/migration.py`; a test holds them equal to Alembic's heads. They spare every
command the import of Alembic: a file whose stored revision equals the constant is up to date.
"""

from __future__ import annotations

WAREHOUSE_REVISION = "e81a5c1b4b8d"
RAW_REVISION = "1998fab4d1a5"

# Where a file keeps its own, in one row; Alembic fixes the column's name.
REVISION_TABLES = {"raw": "raw.schema_revision", "warehouse": "meta.schema_revision"}
REVISION_COLUMN = "version_num"
