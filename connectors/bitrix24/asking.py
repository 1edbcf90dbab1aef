"""Several commands of any method in one request, each asked until it has an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

import msgspec

from base.errors import SourceError
from connectors.bitrix24.answers import Failure, Timing
from connectors.bitrix24.client import MOST_COMMANDS, Bitrix24Client, Command
from connectors.bitrix24.refusals import OperatingLimitError

MOST_ROUNDS = 5
# Before a command that failed inside a good answer is asked again.
PAUSE_SECONDS = 2.0


def ask_each(
    client: Bitrix24Client, commands: Sequence[Command], *, heard: Callable[[Timing], None] = lambda timing: None
) -> dict[str, msgspec.Raw]:
    """Results by the commands' keys; `heard` is told the timing of each answer.

    Raises:
        SourceError: one of them can't be answered; `MissingMethodError` and `MissingScopeError` as in `call`.
    """
    results: dict[str, msgspec.Raw] = {}
    for first in range(0, len(commands), MOST_COMMANDS):
        results |= _ask_batch(client, commands[first : first + MOST_COMMANDS], heard)
    return results


def _ask_batch(
    client: Bitrix24Client, commands: Sequence[Command], heard: Callable[[Timing], None]
) -> dict[str, msgspec.Raw]:
    results: dict[str, msgspec.Raw] = {}
    for attempt in count(1):
        waiting = [command for command in commands if command.key not in results]
        answer = client.batch(waiting, halt=False)
        heard(answer.timing)
        results |= {command.key: answer.results[command.key] for command in waiting if command.key in answer.results}
        failed = [command for command in waiting if command.key not in results]
        if not failed:
            return results
        # An empty answer is not an empty list: silence must not pass for "nothing there".
        failure = answer.failures.get(failed[0].key) or next(iter(answer.loose_failures), Failure("EMPTY_RESULT"))
        pause_before_repeating(client, client.refusals.of(failure, failed[0].method), failed[0].method, attempt)
    raise AssertionError("unreachable")


def pause_before_repeating(client: Bitrix24Client, error: SourceError, method: str, attempt: int) -> None:
    """Wait as the error asks; raises it when another attempt would not heal it."""
    if isinstance(error, OperatingLimitError):
        client.park(method, error)
    elif error.retryable and attempt < MOST_ROUNDS:
        client.clock.sleep(PAUSE_SECONDS * attempt)
    else:
        raise error
