"""What every connector's `check` says of the clocks."""

from __future__ import annotations

from datetime import timedelta

import pytest

from base.text import say
from connectors.checking import compare_clocks

MOST = timedelta(seconds=30)


@pytest.mark.parametrize(
    ("seconds", "verdict", "told"),
    [
        (None, "warning", "1С не сообщает времени"),
        (30.0, "ok", "совпадают (+30 с)"),
        (-30.6, "warning", "расходятся с часами 1С на -31 с"),
        (3600.0, "warning", "расходятся с часами 1С на +3600 с"),
    ],
)
def test_clocks_apart_are_told_with_their_sign_and_a_remedy(seconds: float | None, verdict: str, told: str) -> None:
    """A difference cut to whole seconds before it is compared, or one whose sign is lost: which clock is fast?"""
    skew = None if seconds is None else timedelta(seconds=seconds)
    line = compare_clocks(say("1С", "1C"), skew, MOST)
    assert (line.verdict, line.detail.render("ru")) == (verdict, told)
    assert (line.remedy is not None) == (seconds is not None and verdict == "warning")
