"""Processes that work on the lake without pause, started again whenever they end, and killed at random."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
# A command that takes longer hangs.
LONGEST_SECONDS = 900.0
POLL_SECONDS = 0.02
# Told with status 1 where a statement was replaced under the hands of who read it.
REPLACED = "The file changed while it was read"


@dataclass
class Ends:
    """How a worker's processes ended; `words` of those that ended badly."""

    done: int = 0
    killed: int = 0
    # Ended with an error that was told, while PostgreSQL was away.
    gave_up: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # of those that were done


class Restarts:
    """When PostgreSQL was away: a command may then end with an error, told in words."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []
        self._lock = threading.Lock()
        self._began: float | None = None

    def begin(self) -> None:
        with self._lock:
            self._began = time.monotonic()

    def end(self) -> None:
        with self._lock:
            assert self._began is not None
            self._spans.append((self._began, time.monotonic()))
            self._began = None

    def met(self, began: float, ended: float) -> bool:
        """Whether PostgreSQL was away at any moment between the two."""
        with self._lock:
            spans = [*self._spans, *([(self._began, ended)] if self._began is not None else [])]
        return any(first <= ended and last >= began for first, last in spans)


class Worker(threading.Thread):
    """One command after another until `stop`; some of them killed, at any moment of what one of them takes."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        restarts: Restarts,
        dice: random.Random,
        *,
        kill_share: float,
        pause: float = 0.0,
        typical_seconds: float = 10.0,
        env: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.ends = Ends()
        self._command = [sys.executable, "-m", *command]
        self._folder = folder
        self._restarts = restarts
        self._dice = dice
        self._kill_share = kill_share
        self._pause = pause
        # Until some have ended.
        self._typical = typical_seconds
        self._env = {**os.environ, **(env or {})}
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """No command more; `join` waits for the one that runs."""
        self._stopping.set()

    def kill(self) -> None:
        """For what would not end by itself."""
        self.stop()
        if self._process is not None:
            self._process.kill()

    def run(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        while not self._stopping.is_set():
            self._run_once()
            self._stopping.wait(self._pause)

    def _run_once(self) -> None:
        began = time.monotonic()
        words = self._folder / "words.txt"
        with words.open("wb") as output:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._env, stdout=output, stderr=subprocess.STDOUT
            )
            is_ours = self._wait_or_kill(self._process, began)
        status, ended = self._process.wait(), time.monotonic()
        if is_ours:
            self.ends.killed += 1
            return
        if status == 0:
            self.ends.done += 1
            self.ends.seconds.append(ended - began)
            return
        told = words.read_text("utf-8", errors="replace")
        # An error that was told; a process that a signal ended has told nothing.
        if status > 0 and "Traceback" not in told and self._restarts.met(began, ended):
            self.ends.gave_up += 1
            return
        if status == 1 and is_all_replaced(self.name, told):
            self.ends.done += 1
            return
        if not self._stopping.is_set() or status > 0:
            self.ends.wrong.append(f"{self.name} ended with {status}: {told[-3000:]}")

    def _wait_or_kill(self, process: subprocess.Popen[bytes], began: float) -> bool:
        """Whether the process was killed here."""
        typical = sorted(self.ends.seconds)[len(self.ends.seconds) // 2] if self.ends.seconds else self._typical
        is_doomed = self._dice.random() < self._kill_share
        moment = began + (self._dice.uniform(0.2, 1.1 * typical) if is_doomed else LONGEST_SECONDS)
        while process.poll() is None and time.monotonic() < moment:
            time.sleep(POLL_SECONDS)
        if process.poll() is not None:
            return False
        process.kill()
        if not is_doomed:
            self.ends.wrong.append(f"{self.name} hung for {LONGEST_SECONDS} s")
        return True


def is_all_replaced(source: str, told: str) -> bool:
    """Whether nothing else was unreadable."""
    lines = [line for line in told.splitlines() if line.startswith(f"{source}: ")]
    return bool(lines) and all(REPLACED in line for line in lines)
