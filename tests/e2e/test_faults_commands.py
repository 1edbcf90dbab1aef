"""Two commands at once: the second waits and says for whom, or gives up with status 3; nothing is torn."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaign.checks import broken_rules
from tests.e2e.state import read_log, read_state
from tests.engine import one_process
from tests.toy import Toy, deal, page

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
CONSOLE_SCRIPT = Path(sys.executable).parent / "voronka"
CONFIG = """
[company]
timezone = "Europe/Moscow"

[sources.bank]
type = "onec"
path = "exports"
"""
AT_ONCE = 20
# Processes that begin when they are told to: interpreters do not start within the same second.
CROWD = """
import os, sys
from pathlib import Path
from base.clock import SystemClock
from tests.e2e.test_faults_commands import SCRIPT
from tests.toy import Toy

toy = Toy(Path(sys.argv[1]))
ready = os.pipe()
children = []
for _ in range(int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        os.close(ready[1])
        os.read(ready[0], 1)
        toy.clock = SystemClock()
        os._exit(0 if toy.run(SCRIPT, wait_seconds=300).is_ok else 1)
    children.append(child)
os.close(ready[1])
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""
SCRIPT = {
    "users": [page({"id": 1, "title": "Анна"})],
    "deals": [page(*(deal(n, 100 + n, contacts=["7"]) for n in range(50)), position={"since": 100})],
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "exports").mkdir()
    path = tmp_path / "voronka.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


@pytest.fixture
def holder(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real `voronka sync`, stopped while it holds the warehouse."""
    process = voronka(config, "sync")
    note = config.parent / "var" / "warehouse.duckdb.holder.json"
    while not (note.exists() and note.read_bytes()):
        assert process.poll() is None
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGSTOP)
    yield process
    os.kill(process.pid, signal.SIGCONT)
    process.kill()
    process.communicate(timeout=60)


def voronka(config: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [str(CONSOLE_SCRIPT), "--lang", "en", "--config", str(config), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_second_command_fails_with_three_or_waits_until_the_first_is_killed(
    config: Path, holder: subprocess.Popen[bytes]
) -> None:
    """A wrong status, a holder nobody can find, a lock that outlives its process."""
    refused = voronka(config, "publish", "--wait", "0")
    waiting = voronka(config, "sync", "--wait", "120")
    _, words = refused.communicate(timeout=120)
    assert refused.returncode == 3
    assert f"voronka sync, process {holder.pid}" in words.decode()
    assert "--wait" in words.decode()

    assert waiting.stderr is not None
    line = waiting.stderr.readline().decode()
    assert re.search(rf"voronka sync, process {holder.pid}, since \d\d:\d\d:\d\d UTC", line)
    holder.kill()
    waiting.communicate(timeout=120)
    assert waiting.returncode == 0


@one_process
def test_twenty_commands_started_at_the_same_instant_load_everything_once(tmp_path: Path) -> None:
    """Each makes the files if it finds none: two at once would put one's half-made file in the other's place."""
    command = [sys.executable, "-c", CROWD, str(tmp_path / "crowd"), str(AT_ONCE)]
    assert subprocess.run(command, cwd=ROOT, timeout=300, check=False).returncode == 0

    alone = Toy(tmp_path / "alone")
    alone.run(SCRIPT)
    for read, name in ((read_log, "raw.duckdb"), (read_state, "warehouse.duckdb")):
        assert read(tmp_path / "crowd" / "var" / name) == read(alone.folder / "var" / name)  # type: ignore[operator]
    assert broken_rules(tmp_path / "crowd" / "var") == []
