"""Files that are not of one moment: a log or a warehouse restored from an older copy, a write-ahead log without its
end. The engine notices, and a sync brings the truth."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.steps.progress import Silent
from tests.campaign.checks import broken_rules
from tests.e2e.state import read_log, read_state
from tests.engine import only_files
from tests.toy import Toy, deal, page

pytestmark = only_files("copies of one of the two files, and torn write-ahead logs")
ROOT = Path(__file__).parents[2]
FIRST = {
    "users": [page({"id": 1, "title": "Анна"})],
    "deals": [page(*(deal(n, 100 + n, contacts=["7"]) for n in range(40)), position={"since": 100})],
}
# What the older copy lacks: changed, new and moved records, numbered in the log right behind it.
SECOND = {
    "users": [page({"id": 1, "title": "Мария"})],
    "deals": [page(*(deal(n, 200 + n, title="later") for n in range(30, 60)), position={"since": 200})],
    "events": [page({"id": 1, "deal": "1", "deleted": True, "updated": 300}, position={"since": 300})],
}


class Told(Silent):
    def __init__(self) -> None:
        self.words: list[str] = []

    def say(self, message: Any) -> None:
        self.words.append(str(message))


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    toy = Toy(tmp_path_factory.mktemp("truth"))
    toy.run(FIRST)
    toy.run(SECOND)
    return toy


def files(toy: Toy, name: str) -> list[Path]:
    return [path for path in (toy.folder / "var").glob(f"{name}.duckdb*") if path.suffix in (".duckdb", ".wal")]


@pytest.mark.parametrize("older", ["raw", "warehouse"])
def test_a_file_restored_from_an_older_copy_is_noticed_and_nothing_is_lost(
    tmp_path: Path, truth: Toy, older: str
) -> None:
    """What is landed into an older log gets numbers that the core already has conformed: it would be passed over."""
    toy = Toy(tmp_path)
    toy.run(FIRST)
    (tmp_path / "kept").mkdir()
    for path in files(toy, older):
        shutil.copy(path, tmp_path / "kept")
    toy.run(SECOND)
    for path in files(toy, older):
        path.unlink()
    for path in (tmp_path / "kept").iterdir():
        shutil.copy(path, tmp_path / "var")

    told = Told()
    # The restored log's positions are older too, so the source is asked for the rest again.
    assert toy.run(SECOND, progress=told).is_ok
    assert any("older than the warehouse" in words for words in told.words) == (older == "raw")
    assert read_state(tmp_path / "var" / "warehouse.duckdb") == read_state(truth.folder / "var" / "warehouse.duckdb")
    assert read_log(tmp_path / "var" / "raw.duckdb") == read_log(truth.folder / "var" / "raw.duckdb")
    assert broken_rules(tmp_path / "var") == []


def test_a_lost_log_is_loaded_again_and_the_warehouse_stays(tmp_path: Path, truth: Toy) -> None:
    toy = Toy(tmp_path)
    toy.run(FIRST)
    for path in files(toy, "raw"):
        path.unlink()
    toy.run({"users": FIRST["users"], "deals": [*FIRST["deals"]]})
    toy.run(SECOND)

    assert read_state(tmp_path / "var" / "warehouse.duckdb") == read_state(truth.folder / "var" / "warehouse.duckdb")
    assert broken_rules(tmp_path / "var") == []


WRITE = """
import os, signal, sys
from pathlib import Path
from tests.e2e.test_faults_copies import FIRST, SECOND
from tests.toy import Toy

toy = Toy(Path(sys.argv[1]))
toy.run(FIRST)
toy.run(SECOND)
"""


@pytest.mark.parametrize("share", [0.0, 0.37, 0.81, 0.999])
def test_write_ahead_logs_without_their_end_lose_only_what_is_read_again(
    tmp_path: Path, truth: Toy, share: float
) -> None:
    """A power cut on a disk that had not written what it said: the end of both logs is missing."""
    killed = subprocess.run(
        [sys.executable, "-c", WRITE, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "VORONKA_KILL_AT": "sync.landed:2"},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    logs = [path for name in ("raw", "warehouse") for path in files(Toy(tmp_path), name) if path.suffix == ".wal"]
    assert logs, "nothing was left to tear"
    for log in logs:
        os.truncate(log, int(log.stat().st_size * share))

    assert broken_rules(tmp_path / "var", same_moment=False) == []
    toy = Toy(tmp_path)
    # Whatever was lost, the positions went with it: the source is asked from there.
    toy.run(FIRST)
    toy.run(SECOND)
    assert read_state(tmp_path / "var" / "warehouse.duckdb") == read_state(truth.folder / "var" / "warehouse.duckdb")
    assert broken_rules(tmp_path / "var") == []
