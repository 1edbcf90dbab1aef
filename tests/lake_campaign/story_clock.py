"""A clock on which two months go by in minutes, the same for the vendors' servers and for every process that asks them.

Sleeping and waiting take their real time: only what a calendar shows runs faster.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

VARIABLE = "VORONKA_CAMPAIGN_CLOCK"


@dataclass(frozen=True)
class StoryClock:
    """From `first` at the real second `origin` on, `speed` seconds a second, and standing still from `last` on."""

    origin: float
    first: datetime
    speed: float
    last: datetime

    def now(self) -> datetime:
        return self.at(0.0)

    def at(self, seconds: float) -> datetime:
        """What the clock will show in so many real seconds."""
        passed = timedelta(seconds=(time.time() + seconds - self.origin) * self.speed)
        return min(self.last, self.first + passed).astimezone(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))

    def env(self) -> dict[str, str]:
        """What a process is started with to have this clock."""
        return {VARIABLE: f"{self.origin} {self.first.isoformat()} {self.speed} {self.last.isoformat()}"}

    def full_env(self) -> dict[str, str]:
        return {**os.environ, **self.env()}


def clock_of(env: Mapping[str, str] = os.environ) -> StoryClock:
    origin, first, speed, last = env[VARIABLE].split(" ")
    return StoryClock(float(origin), datetime.fromisoformat(first), float(speed), datetime.fromisoformat(last))
