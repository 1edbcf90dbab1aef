"""A slow budget inside an account's general one: what is dear has its own pace and counts in both."""

from __future__ import annotations

from base.clock import Clock
from connectors.limiter import Limiter
from connectors.states import States


class InnerLimiter(Limiter):
    """A turn takes both budgets; a pause or a block holds for the whole account."""

    def __init__(
        self,
        name: str,
        *,
        general: Limiter,
        rate: float,
        clock: Clock,
        states: States,
    ) -> None:
        super().__init__(name, rate=rate, clock=clock, states=states)
        self._general = general

    def wait_turn(self) -> None:
        self._general.wait_turn()
        super().wait_turn()
        if self._general.rate is not None:
            # We may have waited here: what follows keeps its distance from this request, not from its queue number.
            self._general.pause(1.0 / self._general.rate)

    def answered(self, kind: str) -> None:
        self._general.answered(kind)

    def pause(self, seconds: float) -> None:
        self._general.pause(seconds)

    def block(self, seconds: float, why: str) -> None:
        self._general.block(seconds, why)
