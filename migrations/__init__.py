"""One Alembic history for each file (versions/warehouse, versions/raw), the same for every engine."""
