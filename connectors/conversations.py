"""What every telephony's mapping ends in: one conversation with its user legs, and the rule who held it.

The rule (one for all telephonies): talk is the longest answered user leg, credit goes to its extension, on a tie to
the leg answered last. Menu and group legs are no user legs: they describe the same seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from base.times import MICROS
from connectors.stream import Rows, target

Direction = Literal["in", "out", "internal"]

CALLS = target(
    "core.calls",
    "call_id started_at direction external_number external_number_raw line extension user_id is_answered"
    " talk_seconds duration_seconds leg_count",
)
CALL_LEGS = target(
    "core.call_legs",
    "call_id leg started_at answered_at finished_at extension user_id talk_seconds",
    owned_by="call_id",
)


@dataclass(slots=True)
class UserLeg:
    """One employee's device in a call. Times are Unix seconds; `talk` None = the telephony did not say."""

    extension: str | None
    user_id: str | None
    started_at: int | None = None
    answered_at: int | None = None
    finished_at: int | None = None
    talk: int | None = None
    # False: colleagues speaking among themselves inside a client's call; stored, but never credited.
    with_client: bool = True

    @property
    def is_answered(self) -> bool:
        return self.with_client and (self.answered_at is not None or (self.talk or 0) > 0)

    def measured_talk(self) -> int | None:
        """Stated talk, else from pick-up to the end, else None."""
        if self.talk is not None:
            return self.talk
        if self.answered_at is None:
            return 0
        return None if self.finished_at is None else max(0, self.finished_at - self.answered_at)


@dataclass(slots=True)
class Conversation:
    """A call as one row: `started_at` in Unix seconds, phones already read."""

    call_id: str
    direction: Direction
    started_at: int
    external_number: str | None
    external_number_raw: str | None
    line: str | None
    is_answered: bool
    talk_seconds: int
    extension: str | None
    user_id: str | None
    duration_seconds: int | None
    legs: Sequence[UserLeg] = field(default_factory=list)


def choose_speaker(legs: Iterable[UserLeg]) -> UserLeg | None:
    """The answered leg with the longest talk; on a tie the one answered last; None when nobody answered."""
    best: UserLeg | None = None
    for leg in legs:
        if leg.is_answered and (best is None or _rank(leg) >= _rank(best)):
            best = leg
    return best


def _rank(leg: UserLeg) -> tuple[int, int]:
    return leg.measured_talk() or 0, leg.answered_at or 0


def add_conversation(rows: Rows, call: Conversation) -> None:
    """Rows of a call and its legs, the legs in order of ringing."""
    rows.add(
        CALLS,
        (
            call.call_id,
            call.started_at * MICROS,
            call.direction,
            call.external_number,
            call.external_number_raw,
            call.line,
            call.extension,
            call.user_id,
            call.is_answered,
            call.talk_seconds,
            call.duration_seconds,
            len(call.legs),
        ),
    )
    ordered = sorted(call.legs, key=lambda leg: (leg.started_at or call.started_at, leg.answered_at or 0))
    rows.add_children(
        CALL_LEGS,
        (call.call_id,),
        [
            (
                call.call_id,
                number,
                _micros(leg.started_at),
                _micros(leg.answered_at),
                _micros(leg.finished_at),
                leg.extension,
                leg.user_id,
                leg.measured_talk(),
            )
            for number, leg in enumerate(ordered, start=1)
        ],
    )


def _micros(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * MICROS
