"""Mango's budgets: ten requests a second for everything, and one in two seconds for what is dear.

All budgets of a key share its general one. The even pace keeps two hundredths in reserve, because the vendor counts
arrivals and the network moves them.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from base.clock import Clock
from base.secrets import Secret
from connectors.limiter import Limiter

REQUESTS_PER_SECOND = 10.0
# "1/2" in the manual: a start of a statistics report, and the list of employees.
DEAR_REQUESTS_PER_SECOND = 0.5
RESERVE = 0.98


class DearLimiter(Limiter):
    """A slow budget inside the general one: a turn takes both, a pause or a block holds for the whole key."""

    def __init__(self, name: str, *, general: Limiter, rate: float, clock: Clock, state_dir: Path) -> None:
        super().__init__(name, rate=rate, clock=clock, state_dir=state_dir)
        self._general = general

    def wait_turn(self) -> None:
        self._general.wait_turn()
        super().wait_turn()
        if self._general.rate is not None:
            # We may have waited here: what follows keeps its distance from this request, not from its queue number.
            self._general.pause(1.0 / self._general.rate)

    def pause(self, seconds: float) -> None:
        self._general.pause(seconds)

    def block(self, seconds: float, why: str) -> None:
        self._general.block(seconds, why)


@dataclass(frozen=True)
class Budget:
    """The limiters of one key, shared by all processes on this machine."""

    general: Limiter
    starts: Limiter
    users: Limiter


def open_budget(api_key: Secret, requests_per_second: float | None, clock: Clock, state_dir: Path) -> Budget:
    """Limiters named by a digest of the key, never by the key."""
    name = f"mango-{sha256(api_key.reveal().encode()).hexdigest()[:16]}"
    rate = min(requests_per_second or REQUESTS_PER_SECOND, REQUESTS_PER_SECOND)
    general = Limiter(name, rate=rate * RESERVE, clock=clock, state_dir=state_dir)
    dear = min(rate, DEAR_REQUESTS_PER_SECOND) * RESERVE

    def slow(purpose: str) -> DearLimiter:
        return DearLimiter(f"{name}-{purpose}", general=general, rate=dear, clock=clock, state_dir=state_dir)

    return Budget(general, slow("starts"), slow("users"))
