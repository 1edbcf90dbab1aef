"""Waiting for what another command holds: told once, and given up in time."""

from __future__ import annotations

from collections.abc import Callable

from base.clock import Clock
from base.errors import BusyError
from base.text import Text, say


def wait_for(
    take: Callable[[], bool],
    *,
    clock: Clock,
    wait_seconds: float,
    poll_seconds: float,
    on_wait: Callable[[Text], None],
    waiting: Callable[[], Text],
    busy: Callable[[], Text],
) -> None:
    """Try until `take` has it. `waiting` is what is told, `busy` what the error says; both are asked for when needed.

    Raises:
        BusyError: somebody else held it for all of `wait_seconds`.
    """
    deadline = clock.monotonic() + wait_seconds
    told = False
    while not take():
        if clock.monotonic() >= deadline:
            raise BusyError(
                busy(),
                say(
                    "Дождитесь окончания или дайте больше времени: --wait СЕКУНДЫ.",
                    "Wait for it to end, or give it longer: --wait SECONDS.",
                ),
            )
        if not told:
            on_wait(waiting())
            told = True
        clock.sleep(poll_seconds)
