"""Publish: a consistent copy of the warehouse replaces the analysts' file in one step.

Analysts never open the working file: a writer locks it against every reader, and an open reader blocks the writer.
Who holds the old file open keeps a consistent old picture; who opens it next sees the new one.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import duckdb

from base.points import reached

READ_ONLY = 0o444


def publish_copy(warehouse: Path, published: Path) -> int:
    """Copy the closed, checkpointed warehouse; gives the size in bytes. The caller holds the writer's lock."""
    _checkpoint(warehouse)
    published.parent.mkdir(parents=True, exist_ok=True)
    temporary = published.with_name(f".{published.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        shutil.copyfile(warehouse, temporary)
        _flush(temporary)
        temporary.chmod(READ_ONLY)
        reached("publish.before_replace")
        _remove_stale_wal(published)
        os.replace(temporary, published)
        _flush_folder(published.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return published.stat().st_size


def _checkpoint(warehouse: Path) -> None:
    """Move the write-ahead log into the file, so that the file alone is the whole."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("CHECKPOINT")


def _remove_stale_wal(published: Path) -> None:
    """Somebody who managed to open an older copy read-write left a log that the new file would replay."""
    published.with_name(f"{published.name}.wal").unlink(missing_ok=True)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
