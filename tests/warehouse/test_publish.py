"""What analysts do to the published file must not change the next one."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from flows.steps.publish import publish
from tests.engine import files_only, look
from tests.toy import Toy, deal, page


def titles(path: Path) -> list[str]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return [row[0] for row in connection.execute("SELECT title FROM core.deals ORDER BY 1").fetchall()]


def test_the_published_file_is_a_read_only_copy_under_any_name(toy: Toy) -> None:
    toy.run({"deals": [page(deal(1, 100))]})
    report = publish(toy.project(), clock=toy.clock)

    assert titles(report.path) == ["Deal 1"]
    assert stat.S_IMODE(report.path.stat().st_mode) == 0o444
    assert [path.name for path in report.path.parent.glob(".analytics*")] == []


def test_a_reader_keeps_the_old_picture_and_a_new_one_sees_the_new(toy: Toy) -> None:
    toy.run({"deals": [page(deal(1, 100))]})
    path = publish(toy.project(), clock=toy.clock).path
    reader = duckdb.connect(str(path), read_only=True)

    toy.run({"deals": [page(deal(2, 200))]})
    publish(toy.project(), clock=toy.clock)

    assert reader.execute("SELECT count(*) FROM core.deals").fetchall() == [(1,)]
    reader.close()
    assert titles(path) == ["Deal 1", "Deal 2"]


def test_a_log_left_by_an_analyst_who_wrote_changes_nothing_in_the_next_file(toy: Toy) -> None:
    toy.run({"deals": [page(deal(1, 100))]})
    path = publish(toy.project(), clock=toy.clock).path
    # Root and a stubborn owner can still write; the process dies with its log beside the file.
    path.chmod(0o644)
    script = (
        "import duckdb, os, sys\n"
        "c = duckdb.connect(sys.argv[1])\n"
        "c.execute(\"UPDATE core.deals SET title = 'Моя правка'\")\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=60)
    wal = path.with_name(f"{path.name}.wal")
    assert wal.exists()

    publish(toy.project(), clock=toy.clock)

    assert not wal.exists()
    assert titles(path) == ["Deal 1"]


@files_only
def test_a_failed_copy_leaves_the_old_file_in_place(toy: Toy, tmp_path: Path) -> None:
    toy.run({"deals": [page(deal(1, 100))]})
    path = publish(toy.project(), clock=toy.clock).path
    project = toy.project()
    with look(project.warehouse_path, writes=True) as connection:
        connection.execute("CHECKPOINT")
    os.rename(project.warehouse_path, tmp_path / "away")
    project.warehouse_path.write_bytes(b"this is no database" * 1000)

    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is, the old file must stand
        publish(project, clock=toy.clock)

    assert titles(path) == ["Deal 1"]
