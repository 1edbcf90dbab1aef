"""A request budget of one account, shared by all its streams, threads and processes.

Requests are paced by the times they start, evenly; a start that comes late does not delay those after it, as long as
no second holds more starts than the rate. That alone does not keep a vendor's limit, which counts arrivals, and these
jitter. Where the budget goes up to the limit (`ceiling`), a request also waits until so many earlier ones have
*surely* left the vendor's window: an answer that took longer than the quickest of its kind may have been asked as
much later.

The state is one small file under a file lock, so a second process on this machine takes its turn in the same queue, or
a row in a lake's PostgreSQL, so a second machine does (`connectors/states.py`); it survives kill -9 because it holds
nothing but times.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from math import ceil
from typing import NamedTuple

import msgspec

from base.clock import Clock
from base.errors import BlockedError
from base.text import say
from connectors.states import States

# No honest queue is longer: a later slot means that the machine's clock was set back since it was written.
LONGEST_QUEUE_SECONDS = 600.0
# No vendor's block is known to last longer; what ends later was written by a clock that has been set back since.
LONGEST_BLOCK_SECONDS = 86_400.0
# At hundreds of requests a second a trip to the file costs as much as a request: the slots of this time are taken at
# once. At the rates vendors allow that is one slot.
RESERVED_SECONDS = 0.1
# How far the schedule may run behind the clock before it begins anew from now.
LATEST_SECONDS = 0.5
# The vendor's second, and what its clock and our notion of the quickest answer may be off by.
WINDOW_SECONDS = 1.01
# Below this a late arrival lies within the window's margin: not worth writing down.
LEAST_DELAY = 0.002
# Answers of a kind before its quickest one is believed; until then the quickest of any kind counts, and before so many
# of those a request may have arrived as late as its answer.
LEAST_MET = 3


class _Start(msgspec.Struct, array_like=True):
    """A request's turn, and by how much it may have arrived later than the quickest of its kind."""

    at: float
    delay: float = 0.0

    @property
    def latest(self) -> float:
        return self.at + self.delay


class _State(msgspec.Struct):
    next_slot: float = 0.0  # Unix seconds of the next free slot
    blocked_until: float = 0.0  # circuit breaker: no request before this
    blocked_why: str = ""
    paused_until: float = 0.0  # the vendor asked to slow down
    starts: list[_Start] = []  # the last ones, oldest first


class Load(NamedTuple):
    """How busy an account's budget is, by all processes that share it."""

    used: int  # requests started within the last second
    wait_seconds: float  # what a request asked for now would wait


class Limiter:
    """Paces requests of one account at `rate` a second; `rate=None` leaves them unpaced (tests, benchmarks).

    `name` identifies the account and the budget among the `states`; it becomes a file name, so it must hold no secret.
    `ceiling` is the vendor's own limit of arrivals within any second, where it counts so.
    """

    def __init__(
        self,
        name: str,
        *,
        rate: float | None,
        clock: Clock,
        states: States,
        ceiling: int | None = None,
    ) -> None:
        self.name = name
        self.rate = rate
        self._ceiling = ceiling
        self._clock = clock
        self._kept = states.open(name)
        self._threads = threading.RLock()
        self._turn = threading.local()
        # Requests under way: when their turn was. By kind, the quickest answer met so far.
        self._asked: dict[int, float] = {}
        self._quickest: dict[str, float] = {}
        self._met: Counter[str] = Counter()
        # Slots this process has taken and not used: [from, until) in Unix seconds.
        self._reserved_from = 0.0
        self._reserved_until = 0.0

    def wait_turn(self) -> None:
        """Take the next slot and sleep until it comes.

        Raises:
            BlockedError: the circuit breaker is open; nothing may be asked of this account now.
        """
        while True:
            slot, now = self._next_slot()
            if slot > now:
                self._clock.sleep(slot - now)
                if self._is_held_back():
                    # A refusal came while this turn was waited for: it is void.
                    continue
            self._turn.slot = max(slot, now)
            if self._ceiling is not None:
                with self._threads:
                    self._asked[threading.get_ident()] = self._turn.slot
            return

    def answered(self, kind: str) -> None:
        """The request this thread last waited for is over. `kind`: whose answers take about equally long."""
        if self._ceiling is None:
            return
        with self._threads:
            slot = self._asked.pop(threading.get_ident(), None)
            if slot is None:
                return
            took = self._now() - slot
            self._quickest[kind] = min(took, self._quickest.get(kind, took))
            self._met[kind] += 1
            quickest = self._quickest_known(kind)
        if took - quickest >= LEAST_DELAY:
            with self._locked() as state:
                state.starts = [
                    _Start(start.at, took - quickest) if start.at == slot else start for start in state.starts
                ]

    def _quickest_known(self, kind: str) -> float:
        """What an answer of this kind surely takes. The first ones tell little: they may all have been late."""
        if self._met[kind] >= LEAST_MET:
            return self._quickest[kind]
        return min(self._quickest.values()) if self._met.total() >= LEAST_MET else 0.0

    def pause(self, seconds: float) -> None:
        """The vendor asked to slow down: nobody gets a slot for `seconds`, not even who was given one already."""
        with self._locked() as state:
            self._reserved_until = 0.0
            state.paused_until = max(state.paused_until, self._now() + min(seconds, LONGEST_QUEUE_SECONDS))
            state.next_slot = max(state.next_slot, state.paused_until)

    def block(self, seconds: float, why: str) -> None:
        """Open the circuit breaker: every request of this account is refused for `seconds`."""
        with self._locked() as state:
            self._reserved_until = 0.0
            state.blocked_until = self._now() + seconds
            state.blocked_why = why

    def load(self) -> Load:
        """For `voronka check`; takes no turn."""
        state, now = self._read(), self._now()
        wait = max(state.next_slot, state.paused_until) - now
        return Load(
            used=sum(now - 1.0 < start.at <= now for start in state.starts),
            wait_seconds=wait if 0.0 < wait <= LONGEST_QUEUE_SECONDS else 0.0,
        )

    # ── slots ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _next_slot(self) -> tuple[float, float]:
        """The slot taken, and the time it was taken at."""
        with self._threads:
            now = self._now()
            if self.rate is None or self.rate * RESERVED_SECONDS < 2:
                return self._take(now), now
            slot = max(self._reserved_from, now)
            if slot >= self._reserved_until or slot > now + LONGEST_QUEUE_SECONDS:
                slot = self._reserve(now, self.rate)
            self._reserved_from = slot + 1.0 / self.rate
            return slot, now

    def _take(self, now: float) -> float:
        with self._locked() as state:
            self._refuse_while_blocked(state, now)
            if self.rate is None:
                return now
            if state.next_slot > now + LONGEST_QUEUE_SECONDS:
                state.next_slot, state.starts, state.paused_until = 0.0, [], 0.0
            due = max(state.next_slot, now - LATEST_SECONDS)
            slot = max(due, now, self._opens_at(state.starts, now))
            state.next_slot = due + 1.0 / self.rate
            kept = 2 * max(ceil(self.rate), self._ceiling or 0)
            state.starts = [*state.starts[-kept:], _Start(slot)]
        return slot

    def _opens_at(self, starts: list[_Start], now: float) -> float:
        """When the budget's and the vendor's windows have room for one more."""
        opens = 0.0
        assert self.rate is not None
        # At least a second: within it never more starts than the rate, rounded up.
        count = ceil(self.rate)
        if len(starts) >= count:
            opens = starts[-count].at + count / self.rate
        if self._ceiling is not None and len(starts) >= self._ceiling:
            quickest = min(self._quickest.values(), default=0.0)
            waiting = set(self._asked.values())
            # One that is still under way may arrive only now.
            latest = sorted(max(s.latest, now - quickest) if s.at in waiting else s.latest for s in starts)
            opens = max(opens, latest[-self._ceiling] + WINDOW_SECONDS)
        return opens

    def _reserve(self, now: float, rate: float) -> float:
        """Take the next free slots; gives the time of the first."""
        with self._locked() as state:
            self._refuse_while_blocked(state, now)
            slot = state.next_slot if now < state.next_slot <= now + LONGEST_QUEUE_SECONDS else now
            state.next_slot = slot + int(RESERVED_SECONDS * rate) / rate
            self._reserved_until = state.next_slot
        return slot

    def _is_held_back(self) -> bool:
        # Without the lock: a reading is never torn.
        state, now = self._read(), self._now()
        self._refuse_while_blocked(state, now)
        return now < state.paused_until <= now + LONGEST_QUEUE_SECONDS

    def _refuse_while_blocked(self, state: _State, now: float) -> None:
        if now >= state.blocked_until or state.blocked_until > now + LONGEST_BLOCK_SECONDS:
            return
        until = datetime.fromtimestamp(state.blocked_until, UTC)
        raise BlockedError(
            say(
                "Запросы остановлены до {until:%H:%M} UTC: {why}",
                "Requests are stopped until {until:%H:%M} UTC: {why}",
                until=until,
                why=state.blocked_why,
            ),
            say("Подождите и повторите; не запускайте чаще.", "Wait and repeat; don't run it more often."),
        )

    def _now(self) -> float:
        return self._kept.now()

    # ── what is kept ──────────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _locked(self) -> Iterator[_State]:
        with self._threads, self._kept.changing() as change:
            state = _decode(change.content)
            before = msgspec.json.encode(state)
            yield state
            after = msgspec.json.encode(state)
            if after != before:
                change.content = after

    def _read(self) -> _State:
        return _decode(self._kept.read())


def _decode(content: bytes) -> _State:
    try:
        return msgspec.json.decode(content, type=_State)
    except msgspec.DecodeError:
        # Nothing yet; what is torn or foreign holds nothing worth keeping either: the pace starts anew.
        return _State()
