"""Mango's budgets: ten requests a second for everything, and one in two seconds for what is dear.

All budgets of a key share its general one. The even pace keeps two hundredths in reserve, because the vendor counts
arrivals and the network moves them.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from base.clock import Clock
from base.secrets import Secret
from connectors.inner_limiter import InnerLimiter
from connectors.limiter import Limiter
from connectors.states import States

REQUESTS_PER_SECOND = 10.0
# "1/2" in the manual: a start of a statistics report, and the list of employees.
DEAR_REQUESTS_PER_SECOND = 0.5
RESERVE = 0.98


@dataclass(frozen=True)
class Budget:
    """The limiters of one key, shared by all processes of this machine, or of all machines."""

    general: Limiter
    starts: Limiter
    users: Limiter


def open_budget(
    api_key: Secret,
    requests_per_second: float | None,
    clock: Clock,
    states: States,
) -> Budget:
    """Limiters named by a digest of the key, never by the key."""
    name = f"mango-{sha256(api_key.reveal().encode()).hexdigest()[:16]}"
    rate = min(requests_per_second or REQUESTS_PER_SECOND, REQUESTS_PER_SECOND)
    general = Limiter(name, rate=rate * RESERVE, clock=clock, states=states)
    dear = min(rate, DEAR_REQUESTS_PER_SECOND) * RESERVE

    def slow(purpose: str) -> InnerLimiter:
        return InnerLimiter(f"{name}-{purpose}", general=general, rate=dear, clock=clock, states=states)

    return Budget(general, slow("starts"), slow("users"))
