"""Nights in processes of their own: started, killed at a point or after some CPU time, and what became of them."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from base.points import KILL_AT

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 600.0
POLL_SECONDS = 0.01
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Ended:
    """How a night's process ended: its status (negative: the signal), its words, the CPU seconds it took."""

    status: int
    words: str
    cpu_seconds: float

    @property
    def was_killed(self) -> bool:
        return self.status == -signal.SIGKILL

    @property
    def has_crashed(self) -> bool:
        """An error nobody foresaw; a source that failed for its weather is none."""
        return "Traceback" in self.words


def start(config: Path, now: datetime, **env: str) -> subprocess.Popen[bytes]:
    """A night that begins at `now` by its own clock."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.night", str(config), now.isoformat()],
        cwd=ROOT,
        env={**os.environ, **env},
        stderr=subprocess.PIPE,
    )


def run(config: Path, now: datetime, **env: str) -> Ended:
    """A whole night."""
    before = _children_cpu()
    return finish(start(config, now, **env), before)


def run_until(
    config: Path, now: datetime, *, cpu_seconds: float = 0.0, point: str = "", env: Mapping[str, str] | None = None
) -> Ended:
    """A night killed when it has spent so many CPU seconds (it may end before), or when it reaches a named point.

    By CPU and not by the clock: on a busy machine every moment of the work is as likely as on a quiet one.
    """
    before = _children_cpu()
    if point:
        return finish(start(config, now, **{**(env or {}), KILL_AT: point}), before)
    process = start(config, now, **(env or {}))
    while process.poll() is None and spent(process.pid) < cpu_seconds:
        time.sleep(POLL_SECONDS)
    process.kill()
    return finish(process, before)


def finish(process: subprocess.Popen[bytes], before: float) -> Ended:
    try:
        _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        _, errors = process.communicate()
        return Ended(1, f"Traceback: hung for {TIMEOUT_SECONDS} s\n{errors.decode()}", _children_cpu() - before)
    return Ended(process.returncode, errors.decode(errors="replace"), _children_cpu() - before)


def spent(pid: int) -> float:
    """CPU seconds of a process so far; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
