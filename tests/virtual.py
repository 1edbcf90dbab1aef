"""A clock for several lanes of work at once: each runs until it sleeps, and time jumps to whoever wakes next.

`base.clock.FakeClock` moves for everybody when one thread sleeps: right for one request at a time, wrong where two
are under way. Here exactly one lane runs at any moment, so a run is the same every time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class _Lane:
    def __init__(self, place: int, work: Callable[[], None]) -> None:
        self.place = place
        self.work = work
        self.wakes_at = 0.0
        self.go = threading.Event()
        self.is_over = False
        self.failure: BaseException | None = None


class VirtualClock:
    """A `base.clock.Clock`. Lanes must not wait for each other otherwise than by sleeping."""

    def __init__(self, now: datetime) -> None:
        self._start = now.astimezone(UTC)
        self._elapsed = 0.0
        self._yielded = threading.Event()
        self._lanes: dict[int, _Lane] = {}

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        lane = self._lanes.get(threading.get_ident())
        if lane is None:
            self._elapsed += max(seconds, 0.0)
            return
        lane.wakes_at = self._elapsed + max(seconds, 0.0)
        self._yielded.set()
        lane.go.wait()
        lane.go.clear()

    def run(self, *works: Callable[[], None]) -> None:
        """Run to the end of all; the first failure is raised."""
        lanes = [_Lane(place, work) for place, work in enumerate(works)]
        for lane in lanes:
            lane.wakes_at = self._elapsed
            threading.Thread(target=self._live, args=(lane,), daemon=True).start()
        while waiting := [lane for lane in lanes if not lane.is_over]:
            lane = min(waiting, key=lambda lane: (lane.wakes_at, lane.place))
            self._elapsed = max(self._elapsed, lane.wakes_at)
            self._yielded.clear()
            lane.go.set()
            self._yielded.wait()
            if lane.failure is not None:
                raise lane.failure

    def _live(self, lane: _Lane) -> None:
        self._lanes[threading.get_ident()] = lane
        lane.go.wait()
        lane.go.clear()
        try:
            lane.work()
        except BaseException as failure:  # carried to `run` and raised there
            lane.failure = failure
        lane.is_over = True
        del self._lanes[threading.get_ident()]
        self._yielded.set()
