"""The extended report: one JSON object a call, pages of 5000 by offset, a new report a page."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec

from base.errors import ProtocolError
from base.text import say
from connectors.mango.client import MangoClient, ReportAnswer, ReportKind
from connectors.mango.windows import Window, wall_time

# The largest of the values the vendor takes (1, 5, 10, 20, 50, 100, 500, 1000, 2000, 5000); others are a wrong
# request.
PAGE_CALLS = 5000

_WAITING = frozenset({"request", "work"})
_LOST = frozenset({"not-found", "cancel", "error"})


class _Day(msgspec.Struct):
    """One day's block of an answer."""

    calls: list[msgspec.Raw] = msgspec.field(name="list", default_factory=list)


class _Report(msgspec.Struct):
    status: str = ""
    # One client met an object in place of the list of days.
    data: list[_Day] | _Day | None = None


def read_extended(response: httpx.Response) -> ReportAnswer[list[bytes]]:
    """One look at an extended report; its calls as the vendor's own JSON."""
    if response.status_code == 404:
        return ReportAnswer("lost")
    if response.status_code != 200 or not response.content:
        return ReportAnswer("waiting")
    report = msgspec.json.decode(response.content, type=_Report)
    if report.status in _WAITING:
        # Its `data` may already hold a part of the calls: never to be taken for the whole.
        return ReportAnswer("waiting")
    if report.status in _LOST:
        return ReportAnswer("lost")
    if report.status != "complete":
        raise ProtocolError(
            say(
                "Mango назвал неизвестное состояние отчёта: «{status}»",
                "Mango named an unknown state of a report: {status!r}",
                status=report.status,
            ),
            say("Сообщите разработчикам voronka.", "Tell voronka's developers."),
        )
    days = report.data if isinstance(report.data, list) else [report.data] if report.data else []
    return ReportAnswer("ready", [bytes(call) for day in days for call in day.calls])


EXTENDED = ReportKind("stats/calls/request", "stats/calls/result", read_extended)


def extended_parameters(window: Window, offset: int, limit: int = PAGE_CALLS) -> dict[str, Any]:
    """Parameters of one page. Numbers go as text, as in the vendor's examples."""
    return {
        "start_date": wall_time(window.start),
        "end_date": wall_time(window.end),
        "limit": str(limit),
        "offset": str(offset),
    }


def fetch_extended_page(client: MangoClient, window: Window, offset: int) -> list[bytes]:
    """Up to `PAGE_CALLS` calls of a window from `offset` on; fewer mean that it was the last page."""
    return client.run_report(EXTENDED, extended_parameters(window, offset))
