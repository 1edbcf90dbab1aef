"""Kill -9 at random moments: a rerun ends in the state of an undisturbed run, with nothing lost, doubled or torn."""

from __future__ import annotations

import random
import time

import pytest

from tests.e2e.kills import Served, assert_no_torn_batch, assert_whole, served

__all__ = ["served"]
pytestmark = pytest.mark.e2e

RANDOM_KILLS = 10


@pytest.mark.parametrize("seed", range(RANDOM_KILLS))
def test_a_kill_at_a_random_moment_leaves_no_trace(served: Served, seed: int) -> None:
    config = served.project(served.folder / f"random-{seed}")
    process = served.night(config)
    # Over the whole night, start-up of the interpreter included.
    time.sleep(served.seconds * random.Random(seed).uniform(0.1, 1.0))
    process.kill()
    process.communicate(timeout=120)

    assert_no_torn_batch(served, config)
    assert_whole(served, config)
