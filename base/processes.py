"""Processes of this machine by their parents."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path


def descendants(of: Collection[int]) -> set[int]:
    """Children of these processes, their children, and so on; of an ended process there are none left."""
    parents = dict(_parents())
    found: set[int] = set()
    frontier = set(of)
    while frontier:
        frontier = {process for process, parent in parents.items() if parent in frontier} - found
        found |= frontier
    return found


def _parents(proc: Path = Path("/proc")) -> Iterator[tuple[int, int]]:
    """Each process with its parent."""
    if not (proc / "self" / "stat").exists():
        listed = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        yield from ((int(process), int(parent)) for process, parent in map(str.split, listed.splitlines()))
        return
    for path in proc.glob("[0-9]*/stat"):
        try:
            # Behind the name, in which anything may stand: state, parent.
            _, parent = path.read_text("utf-8", errors="replace").rpartition(")")[2].split()[:2]
        except (OSError, ValueError):  # it has just ended
            continue
        yield int(path.parent.name), int(parent)
