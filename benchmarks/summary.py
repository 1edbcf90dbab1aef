"""The closing table of `make bench`: what was done, by whom, and what it cost, peers beside voronka."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.measure import Cost, reference_seconds

MEBIBYTE = 1024 * 1024
US = "voronka"
BY_HAND = "DuckDB SQL by hand"
_HEAD = ("what", "who", "records", "CPU s", "wall s", "peak RSS, MB", "CPU a record, to voronka's")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One tool's work; None: not measured apart from the rest of its process."""

    what: str
    who: str
    count: int  # records: tools may be given different numbers of them
    cpu_seconds: float
    wall_seconds: float | None = None
    peak_rss: int | None = None  # bytes, of all its processes


def line_of(what: str, who: str, count: int, cost: Cost) -> Line:
    """The line of a process that was measured from its start to its end."""
    return Line(
        what=what,
        who=who,
        count=count,
        cpu_seconds=cost.cpu_seconds,
        wall_seconds=cost.wall_seconds,
        peak_rss=cost.peak_tree_rss,
    )


def render(lines: Sequence[Line]) -> str:
    """A table in Markdown. The ratio is to the first line of the same work that is voronka's."""
    base: dict[str, float] = {}
    for line in lines:
        if line.who.startswith(US):
            base.setdefault(line.what, line.cpu_seconds / max(line.count, 1))
    told = [_HEAD, tuple("---" for _ in _HEAD), *(_cells(line, base.get(line.what)) for line in lines)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in told)


def _cells(line: Line, base: float | None) -> tuple[str, ...]:
    return (
        line.what,
        line.who,
        f"{line.count:,}",
        f"{line.cpu_seconds:.2f}",
        _known(line.wall_seconds, "{:.1f}"),
        _known(line.peak_rss and line.peak_rss / MEBIBYTE, "{:,.0f}"),
        _known(base and line.cpu_seconds / max(line.count, 1) / base, "{:.2f}"),
    )


def _known(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def page(lines: Sequence[Line], failed: Iterable[str], *, is_quick: bool) -> str:
    """The table with what is needed to judge it: when, on which machine, how busy it was, and what is missing."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    machine = f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores, load {load}"
    reference = f"ten million additions take {reference_seconds():.2f} CPU s"
    parts = [f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine}; {reference}.", render(lines)]
    if is_quick:
        parts.insert(1, "Quick: each on a part of its data, where start-up weighs most. Not to be quoted.")
    parts += [f"Failed: {what}" for what in failed]
    return "\n\n".join(["# All benchmarks of one run", *parts]) + "\n"
