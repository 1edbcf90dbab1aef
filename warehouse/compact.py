"""A database file written anew: nothing but its rows is left, no free room and no old bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb

from base.durable import flush, flush_folder
from base.points import reached
from warehouse.migrate import HISTORIES, Which
from warehouse.quoting import quote_literal


def compact(path: Path, which: Which, *, memory_limit: str = "1GB") -> int:
    """Replace a closed file by a copy of its contents; gives the bytes saved. The caller holds the writer's lock.

    A kill leaves the old file in place, and beside it a half-made one that the next compacting removes.
    """
    fresh = path.with_name(f"{path.name}.compacted")
    for leftover in (fresh, fresh.with_name(f"{fresh.name}.wal")):
        leftover.unlink(missing_ok=True)
    options = HISTORIES[which].options
    config: dict[str, Any] = {
        "memory_limit": memory_limit,
        "temp_directory": f"{fresh}.tmp",
        "autoinstall_known_extensions": False,
    }
    before = path.stat().st_size
    with duckdb.connect(config=config) as connection:
        connection.execute(f"ATTACH {quote_literal(str(path))} AS old {options}")
        connection.execute("CHECKPOINT old")
        connection.execute(f"ATTACH {quote_literal(str(fresh))} AS fresh {options}")
        connection.execute("COPY FROM DATABASE old TO fresh")
        connection.execute("CHECKPOINT fresh")
    flush(fresh)
    reached("compact.before_replace")
    os.replace(fresh, path)
    flush_folder(path.parent)
    return before - path.stat().st_size
