"""Processes by their parents."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from base.processes import _parents, descendants

PARENT = """
import subprocess, sys
print(subprocess.Popen(["sleep", "60"], start_new_session=True).pid, flush=True)
sys.stdin.read()
"""


def test_children_of_children_are_found_and_others_are_not() -> None:
    """A run would not be stopped with its worker, or a stranger would be."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            assert {parent.pid, child} <= descendants({os.getpid()})
            assert descendants({parent.pid}) == {child}
            assert descendants({child}) == set()
        finally:
            os.kill(child, 9)
            parent.kill()


@pytest.mark.skipif(not shutil.which("ps"), reason="there is no ps here")
def test_where_there_is_no_proc_ps_tells_them(tmp_path: Path) -> None:
    assert dict(_parents(tmp_path))[os.getpid()] == os.getppid()
