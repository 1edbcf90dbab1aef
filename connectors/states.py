"""Small named states that many processes change one after the other: an account's budget is one.

On one machine each is a file behind a file lock. Where machines share an account they share its states too: those of a
lake are rows in its PostgreSQL (`warehouse/shared_states.py`), with the same promises.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from base.clock import Clock


class Change(Protocol):
    """What a state holds while nobody else may change it."""

    content: bytes  # what was found; what is put here is kept when the block ends well


class State(Protocol):
    def now(self) -> float:
        """Unix seconds by the clock that everybody who shares the state goes by."""

    def read(self) -> bytes:
        """The last content that was kept whole, without waiting for whoever changes it; empty if there is none."""

    def changing(self) -> AbstractContextManager[Change]:
        """Hold the state; the lock of a killed process is free at once."""


class States(Protocol):
    def open(self, name: str) -> State:
        """The state of this name, which holds no secret."""


class FileStates:
    """Of this machine's processes: a file each in a folder."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self.clock = clock

    def open(self, name: str) -> FileState:
        return FileState(self._folder / f"{name.replace('/', '-')}.json", self.clock)


class FileState:
    """A file, replaced as a whole, so that a reading is never torn."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._processes = FileLock(str(path) + ".lock")

    def now(self) -> float:
        return self._clock.now().timestamp()

    def read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""

    @contextmanager
    def changing(self) -> Iterator[Change]:
        with self._processes:
            change = _Change(self.read())
            before = change.content
            yield change
            if change.content != before:
                temporary = self._path.with_suffix(".tmp")
                temporary.write_bytes(change.content)
                os.replace(temporary, self._path)


class _Change:
    def __init__(self, content: bytes) -> None:
        self.content = content
