"""Reading past months of many sources by many machines: what its parts are, which are done, and when one is lost.

A part is a month of a source. Sources are read side by side, the months of one source one after the other: its budget
of requests is one, however many ask. A part that is read twice changes nothing, so a killed one is simply repeated.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, Protocol

import msgspec

from base.clock import Clock
from base.errors import UsageError, VoronkaError
from base.text import say
from connectors.states import State, States
from flows.project import Project
from flows.steps.sources import choose_sources
from metrics.periods import parse_period

logger = logging.getLogger(__name__)

# Tries of a part whose process died; what failed with an error was tried by its own step.
ATTEMPTS = 3
LOOK_SECONDS = 5.0
# A part that is being read says so this often, and is lost when it has not for so long: its machine, or its network.
BEAT_SECONDS = 15.0
LOST_SECONDS = 120.0
# A part that a worker has taken and that did not begin: a process starts within a minute on a crowded machine.
TAKEN_SECONDS = 600.0
# A backfill that was broken off goes on where it was for so long; later its sources are read anew.
KEPT_SECONDS = 86_400.0


@dataclass(frozen=True)
class Part:
    source: str
    month: str  # 2026-11, or another period if that was asked for

    @property
    def name(self) -> str:
        return f"{self.source} {self.month}"

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last local day."""
        periods = parse_period(self.month)
        return periods[0].starts_on, periods[-1].ends_on - timedelta(days=1)


def plan_parts(project: Project, period: str, sources: Sequence[str] = ()) -> dict[str, list[Part]]:
    """The parts of each source, in order; of the named sources, or of all enabled ones.

    Raises:
        UsageError: the warehouse is a pair of files, which have one writer.
        ConfigError: an unknown source.
    """
    if project.lake is None:
        raise UsageError(
            say(
                "backfill раздаёт месяцы многим исполнителям, а хранилище в файлах пишет только один.",
                "backfill hands months out to many workers, and a warehouse in files has one writer.",
            ),
            say(
                "Прочитайте месяцы одной командой: voronka sync --from 2026-01-01 --to 2026-06-30, затем voronka "
                "recompute 2026-01..2026-06 и voronka publish. Для многих машин нужно озеро: docs/many_machines.md.",
                "Read the months by one command: voronka sync --from 2026-01-01 --to 2026-06-30, then voronka "
                "recompute 2026-01..2026-06 and voronka publish. Many machines need a lake: docs/many_machines.md.",
            ),
        )
    months = [one.name for one in parse_period(period)]
    return {source.name: [Part(source.name, month) for month in months] for source in choose_sources(project, sources)}


# ── what is done ────────────────────────────────────────────────────────────────────────────────────────────────


class Ledger:
    """The parts that were read by a backfill that has not ended; shared by all machines."""

    def __init__(self, states: States) -> None:
        self._state: State = states.open("backfill")

    def outstanding(self, parts: Mapping[str, Sequence[Part]]) -> dict[str, list[Part]]:
        done = self._read(self._state.read())
        oldest = self._state.now() - KEPT_SECONDS
        left = {source: [part for part in of if done.get(part.name, 0.0) < oldest] for source, of in parts.items()}
        return {source: of for source, of in left.items() if of}

    def note(self, part: Part) -> None:
        with self._state.changing() as change:
            done = {**self._read(change.content), part.name: self._state.now()}
            change.content = msgspec.json.encode(done)

    def forget(self, parts: Mapping[str, Sequence[Part]]) -> None:
        """The backfill has ended well: the next one reads everything."""
        ended = {part.name for of in parts.values() for part in of}
        with self._state.changing() as change:
            done = self._read(change.content)
            change.content = msgspec.json.encode({name: at for name, at in done.items() if name not in ended})

    @staticmethod
    def _read(content: bytes) -> dict[str, float]:
        return msgspec.json.decode(content, type=dict[str, float]) if content else {}


# ── signs of life ───────────────────────────────────────────────────────────────────────────────────────────────


def _sign(states: States, part: Part) -> State:
    return states.open(f"backfill/{part.name}")


@contextmanager
def beating(states: States, part: Part) -> Iterator[None]:
    """Say every few seconds that the part is being read, for as long as the block runs."""
    sign, over = _sign(states, part), threading.Event()

    def beat() -> None:
        while True:
            try:
                with sign.changing() as change:
                    change.content = msgspec.json.encode(sign.now())
            except VoronkaError as error:
                # The part itself meets the same PostgreSQL and says so; without a sign it is begun anew.
                logger.warning("event=no_sign_of_life error=%s", type(error).__name__)
            if over.wait(BEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def silent_seconds(states: States, part: Part) -> float | None:
    """How long ago the part last said that it is being read; None if it never did."""
    sign = _sign(states, part)
    content = sign.read()
    return max(sign.now() - msgspec.json.decode(content, type=float), 0.0) if content else None


# ── watching over parts ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Look:
    """How a run stands. `died`: its process ended without a word."""

    state: Literal["waiting", "taken", "running", "done", "failed", "died"]
    message: str = ""


class Runs(Protocol):
    """Where parts are run."""

    def start(self, part: Part) -> str:
        """Ask for a run of the part; gives its name here."""

    def look(self, run: str) -> Look: ...

    def bury(self, run: str, why: str) -> None:
        """A lost run: nobody shall wait for it."""


def read_months(parts: Sequence[Part], runs: Runs, states: States, clock: Clock) -> dict[str, str]:
    """Have the parts of one source read, one after the other, whatever another one ended with. Gives what failed, by
    the part's name."""
    failed = {}
    for part in parts:
        look = Look("died")
        for _ in range(ATTEMPTS):
            look = _await(part, runs, states, clock)
            if look.state != "died":
                break
        if look.state != "done":
            failed[part.name] = look.message
    return failed


def _await(part: Part, runs: Runs, states: States, clock: Clock) -> Look:
    """The part's run once it has ended, or was found lost."""
    run = runs.start(part)
    state, since = "waiting", clock.monotonic()
    while True:
        look = runs.look(run)
        if look.state in ("done", "failed", "died"):
            return look
        if look.state != state:
            state, since = look.state, clock.monotonic()
        if is_lost(look, clock.monotonic() - since, silent_seconds(states, part)):
            message = f"{part.name}: no sign of life"
            runs.bury(run, message)
            return Look("died", message)
        clock.sleep(LOOK_SECONDS)


def is_lost(look: Look, seconds: float, silent: float | None) -> bool:
    """Whether a run that has stood so for so many seconds is nobody's any more. `silent`: `silent_seconds`."""
    if look.state == "taken":
        return seconds > TAKEN_SECONDS
    return look.state == "running" and seconds > LOST_SECONDS and (silent is None or silent > LOST_SECONDS)
