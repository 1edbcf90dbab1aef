"""Too little memory, in words. (A full disk: tests/e2e/test_faults_disk.py.)"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from base.errors import DiskFullError, MemoryShortError
from warehouse.shortage import shortage_told

MANY = "SELECT list(i ORDER BY hash(i)) FROM range(10_000_000) AS t(i)"


def test_a_limit_too_low_is_no_defect_of_ours(tmp_path: Path) -> None:
    """The reader of "an error in voronka itself" reports it, and does not look for memory."""
    with (
        duckdb.connect(config={"memory_limit": "20MB", "threads": 1, "temp_directory": ""}) as connection,
        pytest.raises(MemoryShortError) as short,
        shortage_told(tmp_path / "w.duckdb"),
    ):
        connection.execute(MANY)
    assert "19.0 MiB" in short.value.render()
    assert short.value.__cause__ is not None


def test_no_room_for_what_memory_does_not_hold_is_a_full_disk(tmp_path: Path) -> None:
    """DuckDB calls both the same; more memory would not help."""
    error = duckdb.OutOfMemoryException("failed to offload data block (max_temp_directory_size) (1.0 GiB/1.0 GiB used)")
    with pytest.raises(DiskFullError, match=r"w\.duckdb\.tmp"), shortage_told(tmp_path / "w.duckdb"):
        raise error
