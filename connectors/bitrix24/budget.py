"""Bitrix24's two budgets, which have different remedies and are kept apart.

Requests: a bucket of the portal and this address; each request adds one, it leaks so many a second, and overflowing
it is 503 `QUERY_LIMIT_EXCEEDED`. Operating time: server seconds of one method within ten minutes; more of them is
429 `OPERATION_TIME_LIMIT` for that method alone, while others go on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from base.clock import Clock
from connectors.bitrix24.answers import Timing
from connectors.limiter import LONGEST_QUEUE_SECONDS, Limiter
from connectors.states import States

# Of the vendor's bucket: other applications of the portal at this address drink from it too.
SHARE_OF_BUCKET = 0.8
# From this part of the operating budget on, requests are spread over what is left of it.
SOFT_SHARE = 0.7
# A request at the very end of the budget may cost more than the last one did.
USABLE_SHARE = 0.95
UNKNOWN_BAN_SECONDS = 300.0
PROBE_SECONDS = 60.0
LONGEST_PARKING = 15 * 60.0
# Unix seconds as a float are no finer than this: what is nearer is now.
CLOCK_TICK = 0.001


class BucketLimiter(Limiter):
    """A stock of requests that may be spent at once, refilled at `rate` a second.

    The state's `next_slot` is when the bucket would be empty again: a request may go as soon as that lies no further
    ahead than the stock allows.
    """

    def __init__(self, name: str, *, rate: float, stock: int, clock: Clock, states: States) -> None:
        super().__init__(name, rate=rate, clock=clock, states=states)
        self._step = 1.0 / rate
        self._tolerance = max(stock - 1, 0) * self._step

    def wait_turn(self) -> None:
        with self._locked() as state:
            now = self._now()
            self._refuse_while_blocked(state, now)
            is_honest = state.next_slot <= now + self._tolerance + LONGEST_QUEUE_SECONDS
            empty_at = max(state.next_slot, now) if is_honest else now
            wait = empty_at - self._tolerance - now
            state.next_slot = empty_at + self._step
        self._clock.sleep(wait)

    def used_share(self) -> float:
        """Part of the stock that requests of ours, of any process, have taken and that has not leaked away yet."""
        with self._locked() as state:
            ahead = state.next_slot - self._now()
        return min(max(ahead, 0.0) / (self._tolerance + self._step), 1.0)

    def pause(self, seconds: float) -> None:
        """After a refusal the bucket counts as full: nothing for `seconds`, then at the rate."""
        with self._locked() as state:
            until = self._now() + min(seconds, LONGEST_QUEUE_SECONDS) + self._tolerance
            state.next_slot = max(state.next_slot, until)


@dataclass
class _Spent:
    operating: float = 0.0
    resets_at: float | None = None
    last_seconds: float = 0.0
    next_slot: float = 0.0
    parked_until: float = 0.0
    parked_since: float | None = None


class OperatingBudget:
    """Server seconds by method, as the answers tell them; shared by all threads of a client."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._limit = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._spent: dict[str, _Spent] = {}

    def wait(self, methods: Iterable[str]) -> None:
        """Sleep until every one of these methods may be asked."""
        names = list(methods)
        while True:
            with self._lock:
                now = self._clock.now().timestamp()
                free_at = max((self._free_at(self._spent.setdefault(name, _Spent()), now) for name in names), default=0)
                if free_at <= now + CLOCK_TICK:
                    for name in names:
                        self._reserve(self._spent[name], now)
                    return
            self._clock.sleep(free_at - now)

    def note(self, method: str, timing: Timing) -> None:
        """What an answer says of a method. The number is the window's sum already: the last one stands."""
        with self._lock:
            spent = self._spent.setdefault(method, _Spent())
            spent.parked_since = None
            if timing.operating is not None:
                spent.operating = timing.operating
                spent.resets_at = timing.resets_at
            if timing.duration is not None:
                spent.last_seconds = timing.duration

    def park(self, method: str) -> bool:
        """The method's time is spent. False: it has been refused for so long that waiting makes no sense."""
        with self._lock:
            spent = self._spent.setdefault(method, _Spent())
            now = self._clock.now().timestamp()
            if spent.parked_since is None:
                spent.parked_since = now
                stated = spent.resets_at if spent.resets_at is not None and spent.resets_at > now else None
                spent.parked_until = now + UNKNOWN_BAN_SECONDS if stated is None else stated + 1.0
            elif spent.parked_until <= now:
                spent.parked_until = now + PROBE_SECONDS
            return spent.parked_until - spent.parked_since <= LONGEST_PARKING

    def load(self) -> dict[str, float]:
        """Part of the budget each method has used by its last answer."""
        with self._lock:
            return {name: spent.operating / self._limit for name, spent in self._spent.items() if spent.operating}

    def _free_at(self, spent: _Spent, now: float) -> float:
        if spent.resets_at is not None and spent.resets_at <= now:
            # Released since: the next answer tells what is left.
            spent.operating, spent.resets_at, spent.next_slot = 0.0, None, 0.0
        return max(spent.parked_until, spent.next_slot)

    def _reserve(self, spent: _Spent, now: float) -> None:
        if spent.operating < SOFT_SHARE * self._limit:
            return
        release = spent.resets_at if spent.resets_at is not None else now + UNKNOWN_BAN_SECONDS
        left = max(USABLE_SHARE * self._limit - spent.operating, 0.0)
        share = min(SOFT_SHARE, left / max(release - now, 1.0))
        spacing = spent.last_seconds / share if share > 0 else release - now + 1.0
        spent.next_slot = now + min(spacing, release - now + 1.0)
