"""Runs a command and says what it cost: wall time, CPU time with its children's, peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# What `python -c` runs as the command voronka, from a checkout that is not installed.
CLI = "import sys; from voronka.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class Cost:
    wall_seconds: float
    # User and system time of the process and of the children it waited for.
    cpu_seconds: float
    # The process's peak resident set, in bytes.
    peak_rss: int
    # The peak of the sum over the process and its descendants, looked at ten times a second; what they share counts
    # for each of them. Where there is no /proc, the process's own.
    peak_tree_rss: int


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
        with _watched(process.pid) as peaks:
            # Not process.wait(): only wait4 gives the usage of this one child.
            _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = log.read_text(errors="replace")[-4000:]
        raise RunFailedError(f"{' '.join(command)}: status {process.returncode}\n{said}")
    # Linux counts kilobytes, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    # The system's own figure begins with what this process had when it started the other: the sampled one comes first.
    own = peaks.own or usage.ru_maxrss * unit
    return Cost(wall, usage.ru_utime + usage.ru_stime, own, max(own, peaks.tree))


@dataclass
class _Peaks:
    """Bytes, as far as they were seen; 0 where there is no /proc."""

    own: int = 0
    tree: int = 0


@contextmanager
def _watched(process: int) -> Iterator[_Peaks]:
    """The peaks of a process, and of the sum over its tree, so far."""
    peaks, is_over = _Peaks(), threading.Event()

    def watch() -> None:
        while not is_over.wait(0.1):
            peaks.own = max(peaks.own, _own_peak(process))
            peaks.tree = max(peaks.tree, _tree_rss(process))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peaks
    finally:
        is_over.set()
        watcher.join()


def _own_peak(process: int) -> int:
    """The kernel's high-water mark of the resident set since the program was started; 0 as below."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _tree_rss(process: int) -> int:
    """Resident bytes of a process and its descendants; 0 for those that are gone, or without /proc."""
    folder = Path(f"/proc/{process}")
    try:
        pages = int((folder / "statm").read_text().split()[1])
        told = [(task / "children").read_text() for task in (folder / "task").iterdir()]
    except (OSError, IndexError):
        return 0
    children = [int(child) for child in " ".join(told).split()]
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(map(_tree_rss, children))
