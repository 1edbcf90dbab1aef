"""What a command costs before it does anything: budgets of the design, measured on child processes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from base.clock import SystemClock
from tests.e2e.company import served
from tests.e2e.reference import reference_story

pytestmark = pytest.mark.e2e

CONSOLE_SCRIPT = Path(sys.executable).parent / "voronka"
HELP_BUDGET_SECONDS = 0.3
RUNS = 5

# The real command line, and behind it what it has imported.
DUMPING = """
import json, sys
from voronka.cli import main
sys.argv = ["voronka", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    status = end.code
print("\\n" + json.dumps([status, sorted(sys.modules)]))
"""


def _cpu_seconds(command: Sequence[str | Path], folder: Path) -> float:
    """User and system time of a child; the least of several, for a busy machine only ever adds."""
    taken = []
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken)


def test_help_costs_little_more_than_the_interpreter(tmp_path: Path) -> None:
    """One import at the top of a command's module that drags the engine in."""
    bare = _cpu_seconds([sys.executable, "-c", "pass"], tmp_path)
    for arguments in (["--help"], ["sync", "--help"]):
        assert _cpu_seconds([CONSOLE_SCRIPT, *arguments], tmp_path) - bare <= HELP_BUDGET_SECONDS, arguments


def test_sync_imports_neither_the_scheduler_nor_the_migrations(tmp_path: Path) -> None:
    """Prefect alone costs seconds at every start. Fresh files are made without Alembic, and present ones are known."""
    with served(reference_story(), tmp_path, SystemClock()):
        for files in ("fresh", "present"):
            done = subprocess.run(
                [sys.executable, "-c", DUMPING, "--config", tmp_path / "voronka.toml", "sync", "amo", "accounting"],
                env={**os.environ, "PYTHONPATH": ""},
                capture_output=True,
                text=True,
                check=True,
            )
            status, modules = json.loads(done.stdout.splitlines()[-1])
            assert status == 0, done.stderr
            assert "connectors.amocrm.client" in modules
            assert [name for name in modules if name.partition(".")[0] in ("prefect", "alembic")] == [], files
