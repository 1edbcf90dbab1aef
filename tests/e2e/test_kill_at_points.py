"""Kill -9 at named points: a rerun ends in the state of an undisturbed run, with nothing lost, doubled or torn."""

from __future__ import annotations

import signal

import pytest

from base.points import KILL_AT
from tests.e2e.kills import NIGHT_SECONDS, Served, assert_no_torn_batch, assert_whole, served

__all__ = ["served"]
pytestmark = pytest.mark.e2e

POINTS = (
    "land.before_write:2",
    "land.before_commit:1",
    "land.before_commit:6",
    "land.after_commit:4",
    "land.before_finish:5",
    "sync.landed:1",
    "conform.before_commit:4",
    "conform.after_commit:7",
    "resolve.before:1",
    "resolve.after:1",
    "recompute.done:1",
    "publish.before_replace:1",
)


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_a_named_point_leaves_no_trace(served: Served, point: str) -> None:
    config = served.project(served.folder / point.replace(":", "-"))
    process = served.night(config, **{KILL_AT: point})
    process.communicate(timeout=NIGHT_SECONDS)
    assert process.returncode == -signal.SIGKILL, f"{point} was never reached"

    assert_no_torn_batch(served, config)
    assert_whole(served, config)
