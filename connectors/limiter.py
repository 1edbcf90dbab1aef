"""A request budget of one account, shared by all its streams, threads and processes.

Requests are paced evenly instead of in bursts: vendors count in windows we can't see, and an even pace stays inside
every window while it uses the whole budget. The state is one small file under a file lock, so a second process on
this machine takes its turn in the same queue; it survives kill -9 because it holds nothing but times.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from base.clock import Clock
from base.errors import BlockedError
from base.text import say

# No honest queue is longer: a later slot means that the machine's clock was set back since it was written.
LONGEST_QUEUE_SECONDS = 600.0
# At hundreds of requests a second a trip to the file costs as much as a request: the slots of this time are taken at
# once. At the rates vendors allow that is one slot.
RESERVED_SECONDS = 0.1


@dataclass
class _State:
    next_slot: float = 0.0  # Unix seconds of the next free slot
    blocked_until: float = 0.0  # circuit breaker: no request before this
    blocked_why: str = ""


class Limiter:
    """Paces requests of one account at `rate` a second; `rate=None` leaves them unpaced (tests, benchmarks).

    `name` identifies the account and the budget; it becomes a file name, so it must hold no secret.
    """

    def __init__(self, name: str, *, rate: float | None, clock: Clock, state_dir: Path) -> None:
        self.name = name
        self.rate = rate
        self._clock = clock
        self._path = state_dir / "limits" / f"{name}.json"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._threads = threading.RLock()
        # Slots this process has taken and not used: [from, until) in Unix seconds.
        self._reserved_from = 0.0
        self._reserved_until = 0.0
        self._processes = FileLock(str(self._path) + ".lock")

    def wait_turn(self) -> None:
        """Take the next slot and sleep until it comes.

        Raises:
            BlockedError: the circuit breaker is open; nothing may be asked of this account now.
        """
        with self._threads:
            now = self._now()
            slot = max(self._reserved_from, now)
            if slot >= self._reserved_until or slot > now + LONGEST_QUEUE_SECONDS:
                slot = self._reserve(now)
            if self.rate is not None:
                self._reserved_from = slot + 1.0 / self.rate
        self._clock.sleep(slot - now)

    def _reserve(self, now: float) -> float:
        """Take the next free slots; gives the time of the first."""
        with self._locked() as state:
            self._refuse_while_blocked(state, now)
            if self.rate is None:
                return now
            slot = state.next_slot if now < state.next_slot <= now + LONGEST_QUEUE_SECONDS else now
            state.next_slot = slot + max(1, int(RESERVED_SECONDS * self.rate)) / self.rate
            self._reserved_until = state.next_slot
        return slot

    def pause(self, seconds: float) -> None:
        """The vendor asked to slow down: nobody gets a slot for `seconds`."""
        with self._locked() as state:
            self._reserved_until = 0.0
            state.next_slot = max(state.next_slot, self._now() + min(seconds, LONGEST_QUEUE_SECONDS))

    def block(self, seconds: float, why: str) -> None:
        """Open the circuit breaker: every request of this account is refused for `seconds`."""
        with self._locked() as state:
            self._reserved_until = 0.0
            state.blocked_until = self._now() + seconds
            state.blocked_why = why

    def _refuse_while_blocked(self, state: _State, now: float) -> None:
        if now >= state.blocked_until:
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
        return self._clock.now().timestamp()

    @contextmanager
    def _locked(self) -> Iterator[_State]:
        with self._threads, self._processes:
            state = self._read()
            before = asdict(state)
            yield state
            if asdict(state) != before:
                self._write(state)

    def _read(self) -> _State:
        try:
            return _State(**json.loads(self._path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            # A torn or foreign file holds nothing worth keeping: the pace starts anew.
            return _State()

    def _write(self, state: _State) -> None:
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(state)), encoding="utf-8")
        os.replace(temporary, self._path)
