"""The request budget: used whole, never passed, whatever the network does to the moment of arrival."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from base.clock import Clock
from base.errors import BlockedError
from connectors.limiter import Limiter
from connectors.states import FileStates
from tests.virtual import VirtualClock

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LATENCY = 0.2
Delay = Callable[[], float]


class Vendor:
    """Counts arrivals within a sliding second, as amoCRM is understood to."""

    def __init__(self, clock: Clock, limit: int, delay: Delay, latency: Delay) -> None:
        self._clock = clock
        self._limit = limit
        self._delay = delay
        self._latency = latency
        self.arrivals: list[float] = []

    def ask(self) -> None:
        self._clock.sleep(self._delay())
        self.arrivals.append(self._clock.monotonic())
        self._clock.sleep(self._latency())

    @property
    def refused(self) -> int:
        """Arrivals beyond the limit in the second before them; the window's edge is outside."""
        times = sorted(self.arrivals)
        return sum(
            sum(1 for earlier in times[max(0, place - 20) : place + 1] if earlier > time - 1.0) > self._limit
            for place, time in enumerate(times)
        )

    @property
    def rate(self) -> float:
        return (len(self.arrivals) - 1) / (max(self.arrivals) - min(self.arrivals))


def load(
    folder: Path,
    *,
    rate: float,
    lanes: int,
    ceiling: int | None = 7,
    requests: int = 250,
    delay: Delay = lambda: 0.0,
    latency: Delay = lambda: LATENCY,
    processes: int = 1,
    kinds: int = 1,
) -> Vendor:
    """A first load by so many requests at once; each process has its own limiter over the same file."""
    clock = VirtualClock(NOW)
    vendor = Vendor(clock, 7, delay, latency)

    def read(limiter: Limiter) -> None:
        for place in range(requests // lanes):
            limiter.wait_turn()
            vendor.ask()
            limiter.answered(f"/list{place % kinds}")

    limiters = [
        Limiter("a", rate=rate, clock=clock, states=FileStates(folder, clock), ceiling=ceiling)
        for _ in range(processes)
    ]
    clock.run(*[lambda place=place: read(limiters[place % processes]) for place in range(lanes)])  # type: ignore[misc]
    return vendor


def test_one_request_at_a_time_uses_the_whole_default_budget(tmp_path: Path) -> None:
    """5 a second at 200 ms is every millisecond of the wire: any pause between two requests would show."""
    vendor = load(tmp_path, rate=5.0, lanes=1)
    assert (vendor.refused, vendor.rate) == (0, pytest.approx(5.0, rel=0.01))


def test_the_vendors_limit_itself_is_used_and_never_passed(tmp_path: Path) -> None:
    vendor = load(tmp_path, rate=7.0, lanes=2)
    assert vendor.refused == 0
    assert 0.95 * 7 <= vendor.rate <= 7


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lanes", [2, 3])
def test_late_arrivals_never_pass_the_limit(tmp_path: Path, seed: int, lanes: int) -> None:
    """Requests sent evenly arrive in bunches on a loaded machine: counted by their starts alone they are refused."""
    dice = random.Random(seed)
    vendor = load(
        tmp_path,
        rate=7.0,
        lanes=lanes,
        delay=lambda: dice.choice((0.5, 0.25)) if dice.random() < 0.03 else dice.uniform(0.0, 0.02),
    )
    assert vendor.refused == 0
    assert vendor.rate >= 0.85 * 7


@pytest.mark.parametrize("seed", range(5))
def test_a_list_asked_for_the_first_time_may_have_arrived_late_too(tmp_path: Path, seed: int) -> None:
    """A night begins with a dozen lists of a page each: nothing of their kind was met to tell a late arrival by."""
    dice = random.Random(seed)
    late = lambda: dice.choice((0.0, 0.02, 0.15, 0.3))  # noqa: E731
    vendor = load(tmp_path, rate=7.0, lanes=2, delay=late, requests=60, kinds=30)
    assert vendor.refused == 0


def test_without_a_ceiling_the_same_jitter_is_refused(tmp_path: Path) -> None:
    """What the test above would catch."""
    dice = random.Random(0)
    vendor = load(
        tmp_path,
        rate=7.0,
        lanes=3,
        ceiling=None,
        delay=lambda: dice.choice((0.5, 0.25)) if dice.random() < 0.03 else dice.uniform(0.0, 0.02),
    )
    assert vendor.refused > 0


def test_a_late_start_does_not_delay_all_that_follow(tmp_path: Path) -> None:
    """Every tenth answer takes 0.35 s where a slot has 0.2: if each late start moved the rest, 7 % would be lost."""
    dice = random.Random(3)
    vendor = load(tmp_path, rate=5.0, lanes=1, latency=lambda: 0.35 if dice.random() < 0.1 else 0.1)
    assert vendor.rate >= 0.96 * 5
    times = vendor.arrivals
    assert min(later - earlier for earlier, later in zip(times, times[5:], strict=False)) >= 1.0 - 1e-6


def test_a_long_silence_is_no_credit(tmp_path: Path) -> None:
    clock = VirtualClock(NOW)
    limiter = Limiter("a", rate=5.0, clock=clock, states=FileStates(tmp_path, clock))
    limiter.wait_turn()
    clock.sleep(60.0)
    before = clock.monotonic()
    for _ in range(11):
        limiter.wait_turn()
    assert clock.monotonic() - before >= 2.0 - 1e-6


def test_two_processes_share_one_budget(tmp_path: Path) -> None:
    vendor = load(tmp_path, rate=7.0, lanes=2, processes=2)
    assert vendor.refused == 0
    assert 0.9 * 7 <= vendor.rate <= 7


def test_a_refusal_voids_the_turns_already_given(tmp_path: Path) -> None:
    """A sibling that waits for its slot when the vendor refuses would otherwise still send: one more overrun."""
    clock = VirtualClock(NOW)
    limiter, sibling = (Limiter("a", rate=1.0, clock=clock, states=FileStates(tmp_path, clock)) for _ in range(2))
    sent: list[float] = []

    def refused() -> None:
        limiter.wait_turn()
        clock.sleep(LATENCY)
        limiter.pause(30.0)

    def waits() -> None:
        sibling.wait_turn()
        sent.append(clock.monotonic())

    clock.run(refused, waits)
    assert sent == [pytest.approx(LATENCY + 30.0)]


def test_a_block_voids_them_too(tmp_path: Path) -> None:
    clock = VirtualClock(NOW)
    limiter, sibling = (Limiter("a", rate=1.0, clock=clock, states=FileStates(tmp_path, clock)) for _ in range(2))

    def blocked() -> None:
        limiter.wait_turn()
        limiter.block(900.0, "blocked")

    with pytest.raises(BlockedError, match="blocked"):
        clock.run(blocked, sibling.wait_turn)


def test_a_torn_file_and_a_clock_set_back_start_anew(tmp_path: Path) -> None:
    """Either would stop an account for hours."""
    clock = VirtualClock(NOW)
    limiter = Limiter("a", rate=5.0, clock=clock, states=FileStates(tmp_path, clock))
    limiter.wait_turn()
    path = tmp_path / "a.json"
    path.write_text(path.read_text()[:-5])
    limiter.wait_turn()
    limiter.pause(600.0)
    earlier = VirtualClock(datetime(2026, 11, 20, 11, 0, tzinfo=UTC))
    Limiter("a", rate=5.0, clock=earlier, states=FileStates(tmp_path, earlier)).wait_turn()
    assert (clock.monotonic() < 1.0, earlier.monotonic() < 1.0) == (True, True)


def test_hundreds_a_second_cost_few_trips_to_the_file(tmp_path: Path) -> None:
    """On a server of one's own the budget's bookkeeping must not be the bottleneck."""
    clock = VirtualClock(NOW)
    limiter = Limiter("a", rate=1000.0, clock=clock, states=FileStates(tmp_path, clock))
    path = tmp_path / "a.json"
    states = set()
    for _ in range(1000):
        limiter.wait_turn()
        states.add(path.read_bytes())
    assert len(states) <= 11
    assert clock.monotonic() == pytest.approx(1.0, abs=0.02)
