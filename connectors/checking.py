"""What the connectors' `voronka check` share: a finding in one line, and the clocks."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from base.errors import VoronkaError
from base.text import Text, say
from connectors.stream import CheckLine

Verdict = Literal["ok", "warning", "failed"]


def finding(subject: Text, verdict: Verdict, detail: Text, remedy: Text | None = None) -> CheckLine:
    return CheckLine(subject=subject, verdict=verdict, detail=detail, remedy=remedy)


def failure(subject: Text, error: VoronkaError) -> CheckLine:
    """A refusal in its own words, with its own remedy."""
    return finding(subject, "failed", error.what, error.remedy)


def compare_clocks(vendor: Text | str, skew: timedelta | None, most: timedelta) -> CheckLine:
    """This machine's clock against the vendor's; `most` is the difference that changes nothing yet."""
    subject = say("часы", "clock")
    if skew is None:
        return finding(
            subject, "warning", say("{vendor} не сообщает времени", "{vendor} states no time", vendor=vendor)
        )
    seconds = round(skew.total_seconds())
    if abs(skew) <= most:
        return finding(subject, "ok", say("совпадают ({seconds:+} с)", "agree ({seconds:+} s)", seconds=seconds))
    return finding(
        subject,
        "warning",
        say(
            "расходятся с часами {vendor} на {seconds:+} с",
            "{seconds:+} s apart from {vendor}'s",
            vendor=vendor,
            seconds=seconds,
        ),
        say("Включите синхронизацию времени на этой машине.", "Switch on this machine's time synchronisation."),
    )
