"""A full disk: one clear message, whatever it strikes; nothing is torn, and the next run with room tells the truth."""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from base.errors import DiskFullError
from flows.steps.publish import publish
from flows.steps.recompute import recompute
from tests.campaign.checks import broken_rules
from tests.e2e.state import State, read_log, read_state
from tests.engine import only_files
from tests.toy import Toy, deal, page
from warehouse.shortage import shortage_told

pytestmark = only_files("a limit of this process's files is none of PostgreSQL's")
ROOT = Path(__file__).parent.parent.parent
DICE = random.Random(7)
# Titles that do not compress: what is written is as large as what is meant.
SCRIPT = {
    "users": [page({"id": 1, "title": "Анна"})],
    "deals": [
        page(
            *(
                deal(n, 100 + n // 500, title=DICE.randbytes(200).hex(), contacts=[str(n)])
                for n in range(first, first + 1_000)
            ),
            position={"seen": first},
        )
        for first in range(0, 4_000, 1_000)
    ],
}


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Files of this process can't grow beyond `size` bytes: what a full disk looks like, without filling one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    toy = Toy(tmp_path_factory.mktemp("undisturbed"))
    assert toy.run(SCRIPT).is_ok
    return toy


def assert_equal(toy: Toy, undisturbed: Toy) -> None:
    for read, name in ((read_log, "raw.duckdb"), (read_state, "warehouse.duckdb")):
        assert read(toy.folder / "var" / name) == read(undisturbed.folder / "var" / name)  # type: ignore[operator]
    assert broken_rules(toy.folder / "var") == []


@pytest.mark.parametrize("kilobytes", [4, 300, 1_000, 2_000])
def test_a_sync_without_room_says_so_and_the_next_one_is_whole(
    tmp_path: Path, undisturbed: Toy, kilobytes: int
) -> None:
    """From the holder's note to the last slice: a torn batch, a position ahead, or a crash report."""
    toy = Toy(tmp_path)
    if kilobytes > 4:
        toy.run({})  # the files are there; now they may not grow
    with no_file_beyond(kilobytes * 1024), pytest.raises(DiskFullError) as raised:
        toy.run(SCRIPT)

    text = raised.value.render("ru")
    assert "Не хватило места на диске" in text
    assert str(tmp_path) in text
    assert "МБ" in text
    assert broken_rules(tmp_path / "var") == []
    toy.run(SCRIPT)
    assert_equal(toy, undisturbed)


def test_a_recompute_without_room_changes_nothing(tmp_path: Path) -> None:
    """The write-ahead log that could not be written: DuckDB gives up on the file, and its error is not ours."""
    toy = Toy(tmp_path)
    toy.run(SCRIPT)
    before = computed(tmp_path)
    with no_file_beyond(100 * 1024), pytest.raises(DiskFullError):
        recompute(toy.project(), None, clock=toy.clock)

    assert computed(tmp_path) == before
    assert broken_rules(tmp_path / "var") == []
    recompute(toy.project(), None, clock=toy.clock)
    assert computed(tmp_path) != before


def computed(folder: Path) -> State:
    """Inputs are loaded in a transaction of their own."""
    state = read_state(folder / "var" / "warehouse.duckdb")
    return {name: rows for name, rows in state.items() if name.startswith(("calc.", "facts."))}


def test_a_publishing_without_room_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    """Analysts would find half a file, or the disk stay full of a copy nobody reads."""
    toy = Toy(tmp_path)
    toy.run({})
    publish(toy.project(), clock=toy.clock)
    old = toy.project().publish_path.read_bytes()
    toy.run(SCRIPT)
    with no_file_beyond(100 * 1024), pytest.raises(DiskFullError):
        publish(toy.project(), clock=toy.clock)

    assert toy.project().publish_path.read_bytes() == old
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    publish(toy.project(), clock=toy.clock)
    assert read_state(toy.project().publish_path) == read_state(tmp_path / "var" / "warehouse.duckdb")


@pytest.mark.skipif(
    not shutil.which("unshare") or subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode != 0,
    reason="no small disk can be mounted here",
)
def test_a_real_disk_that_is_full_tears_nothing(tmp_path: Path) -> None:
    """A limit of file sizes spares small files; here the limiter's notes, logs and what spills find no room either."""
    command = ["unshare", "-Urm", sys.executable, "-m", "tests.e2e.small_disk", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_every_way_to_have_no_room_is_known(tmp_path: Path, code: int) -> None:
    """Python's errors and DuckDB's words for them, also when the place is not named."""
    path = tmp_path / "raw.duckdb.wal"
    words = f'Failed to commit: Could not write file "{path}": {os.strerror(code)}'
    for error in (OSError(code, os.strerror(code), str(path)), duckdb.TransactionException(words)):
        with pytest.raises(DiskFullError, match=r"raw\.duckdb\.wal"), shortage_told(tmp_path / "w.duckdb"):
            raise error
    with pytest.raises(DiskFullError, match=r"w\.duckdb"), shortage_told(tmp_path / "w.duckdb"):
        raise OSError(code, os.strerror(code))


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    for error in (OSError(errno.EACCES, "no"), duckdb.BinderException("no such column"), ValueError("x")):
        with pytest.raises(type(error)), shortage_told(tmp_path / "w.duckdb"):
            raise error
