"""The portal's two limits: a leaking bucket of requests, and seconds of server time a method within ten minutes."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass

from base.clock import Clock

WINDOW, BUCKET = 600.0, 60.0
# What is lighter is not recorded at all.
LIGHT_SECONDS = 0.1
BAN_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """`leak=None` switches the request limit off, `operating=None` the time limit, as on most boxes."""

    leak: float | None = 2.0
    capacity: int = 50
    operating: float | None = 420.0
    # Server time of one page.
    page_seconds: float = 0.02
    # What counting adds for each row that matches, wherever `total` is told; the vendor's example is 2.4 million rows
    # in 49.9 s against 0.1 s with `start=-1`.
    count_seconds: float = 0.0

    def cost(self, total: int | None) -> float:
        """Server seconds of a page; `total` is what was counted for it."""
        return self.page_seconds + self.count_seconds * (total or 0)


class Meter:
    """Counts what a portal's clients use. Times are the clock's."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._level, self._leaked_at = 0.0, clock.now().timestamp()
        self._spent: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
        self._banned: dict[str, float] = {}
        self.highest_level = 0.0

    def takes_request(self) -> bool:
        """False: the bucket overflows."""
        if self.limits.leak is None:
            return True
        with self._lock:
            now = self._clock.now().timestamp()
            self._level = max(0.0, self._level - (now - self._leaked_at) * self.limits.leak)
            self._leaked_at = now
            if self._level + 1 > self.limits.capacity:
                return False
            self._level += 1
            self.highest_level = max(self.highest_level, self._level)
            return True

    def is_banned(self, method: str) -> bool:
        with self._lock:
            return self._clock.now().timestamp() < self._banned.get(method, 0.0)

    def spend(self, method: str, seconds: float) -> None:
        """Record server time; above the limit the next call of the method is refused."""
        if self.limits.operating is None or seconds <= LIGHT_SECONDS:
            return
        with self._lock:
            now = self._clock.now().timestamp()
            buckets = self._spent[method]
            buckets[now // BUCKET * BUCKET] += seconds
            if self._sum(buckets, now) > self.limits.operating:
                self._banned[method] = now + BAN_SECONDS
                buckets.clear()

    def state(self, method: str) -> dict[str, float | int]:
        """`operating` and `operating_reset_at` of an answer."""
        if self.limits.operating is None:
            return {}
        with self._lock:
            now = self._clock.now().timestamp()
            buckets = self._spent[method]
            total = self._sum(buckets, now)
            ban = self._banned.get(method, 0.0)
            reset = ban if ban > now else min(buckets, default=now) + WINDOW
            return {"operating_reset_at": int(reset), "operating": round(total, 3)}

    @staticmethod
    def _sum(buckets: dict[float, float], now: float) -> float:
        for start in [start for start in buckets if start <= now - WINDOW]:
            del buckets[start]
        return sum(buckets.values())
