"""One night in a process of its own, for tests that kill it: `python -m tests.e2e.night CONFIG START`."""

from __future__ import annotations

import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path


class HurriedClock:
    """Real time that began at `start`; a sleep costs nothing but moves it on."""

    def __init__(self, start: datetime) -> None:
        self._start = start.astimezone(UTC)
        self._began = time.monotonic()
        self._slept = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        with self._lock:
            return time.monotonic() - self._began + self._slept

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._slept += max(0.0, seconds)
        time.sleep(0)


def main() -> None:
    from flows.steps.nightly import nightly
    from voronka.config import load_project

    report = nightly(load_project(Path(sys.argv[1])), clock=HurriedClock(datetime.fromisoformat(sys.argv[2])))
    sys.exit(0 if report.is_ok else 1)


if __name__ == "__main__":
    main()
