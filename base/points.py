"""Named points at which the crash tests kill the process; outside those tests `reached` does nothing.

`VORONKA_KILL_AT=land.before_commit:3` kills -9 at the third time the point is reached.
"""

from __future__ import annotations

import os
import signal

KILL_AT = "VORONKA_KILL_AT"

_point, _, _times = os.environ.get(KILL_AT, "").partition(":")
_left = int(_times or 1) if _point else 0


def reached(point: str) -> None:
    """Say that execution stands at a named point."""
    global _left
    if point == _point:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
