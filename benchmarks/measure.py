"""Runs a command and says what it cost: wall time, CPU time with its children's, peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    wall_seconds: float
    # User and system time of the process and of the children it waited for.
    cpu_seconds: float
    # The largest process's peak resident set, in bytes.
    peak_rss: int


def reference_seconds() -> float:
    """CPU seconds of a fixed loop of additions: how fast this machine is at this moment, its other work included."""
    started = time.process_time()
    total = 0
    for number in range(10_000_000):
        total += number
    return time.process_time() - started


class RunFailedError(Exception):
    """A measured command ended badly; its output is the message."""


def run(command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], log: Path) -> Cost:
    """Run to the end; output goes to `log`.

    Raises:
        RunFailedError: the command's status is not 0.
    """
    with log.open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT
        )
        # Not process.wait(): only wait4 gives the usage of this one child.
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = log.read_text(errors="replace")[-4000:]
        raise RunFailedError(f"{' '.join(command)}: status {process.returncode}\n{said}")
    # Linux counts kilobytes, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)
