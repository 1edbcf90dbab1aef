"""What doesn't fit the memory of a connection, where several work beside one lake."""

from __future__ import annotations

import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.engine import make_lake
from warehouse.database import Files, connect
from warehouse.spilling import spill_folder

ROWS = 300_000
# Sorted: all of it is kept, and put away in parts.
SORTED = f"""
SELECT count(*), sum(i)::BIGINT FROM (
    SELECT i, row_number() OVER (ORDER BY text) AS place
    FROM (SELECT i, md5((i * $seed)::VARCHAR) || repeat('x', 60) AS text FROM range({ROWS}) AS r(i))
) WHERE place > 0
"""


def test_two_commands_on_one_machine_do_not_take_each_other_s_rows(tmp_path: Path) -> None:
    """Two workers of one machine ended in a segmentation fault, or with a file that was gone: they had one folder."""
    place = tmp_path / "var" / "lake"
    place.parent.mkdir()
    files = Files(warehouse=place, raw=place, lake=make_lake(tmp_path), memory_limit="32MB", threads=1)

    def work(seed: int) -> Any:
        with closing(connect(files)) as connection:
            return [connection.execute(SORTED, {"seed": seed}).fetchone() for _ in range(2)]

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(work, (3, 7)))
    assert found == [[(ROWS, ROWS * (ROWS - 1) // 2)] * 2] * 2
    assert list(place.parent.iterdir()) == []


def test_what_a_killed_process_left_goes_and_what_others_use_stays(tmp_path: Path) -> None:
    """Gigabytes that nobody knows; or the rows of a command that is at work."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    host = socket.gethostname()
    dead, alive, elsewhere = (
        tmp_path / f"lake.{name}-1.tmp" for name in (f"{host}-{ended.pid}", f"{host}-{os.getppid()}", "other-1")
    )
    for folder in (dead, alive, elsewhere):
        folder.mkdir()
    mine = [spill_folder(tmp_path / "lake", is_shared=True) for _ in range(2)]
    assert [folder.exists() for folder in (dead, alive, elsewhere)] == [False, True, True]
    assert len({*mine, alive}) == 3
    assert spill_folder(tmp_path / "warehouse.duckdb", is_shared=False) == tmp_path / "warehouse.duckdb.tmp"
