"""How much memory there is, and that what was freed is given back to the system."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

# What a container may have (cgroup v2): bytes, or `max`.
_CONTAINER = Path("/sys/fs/cgroup/memory.max")


def whole_memory(container: Path = _CONTAINER) -> int:
    """Bytes of memory of this machine, or of the container that this runs in."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = container.read_text("ascii").strip()
    except OSError:
        return machine
    return min(machine, int(limit)) if limit.isdigit() else machine


def give_back() -> None:
    """Let the system have what Python and libraries freed, where the C library can (glibc).

    It keeps a pool for every thread that ever took some, and loads pass megabytes from thread to thread: without this
    a large load stood at 420 MB, with it at 320. Takes milliseconds, so once a batch is often enough.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


def use_system_memory() -> None:
    """Arrow takes its memory where Python does: in a pool of its own it keeps what it has freed."""
    pa.set_memory_pool(pa.system_memory_pool())


@lru_cache(maxsize=1)
def _trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library
        return None
    return trim
