"""The findings of `voronka check`, one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from base.text import say
from connectors.stream import CheckLine
from flows.project import Source
from voronka.reports.page import Page

MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}


def show_lines(page: Page, source: Source, lines: Sequence[CheckLine], redact: Callable[[str], str]) -> None:
    """A source's heading and its findings; a remedy stands below its finding."""
    page.heading(f"{source.name} ({source.type})")
    for line in lines:
        mark, style = MARKS[line.verdict]
        text = say(
            "{mark} {subject}: {detail}",
            "{mark} {subject}: {detail}",
            mark=mark,
            subject=line.subject,
            detail=line.detail,
        )
        page.say(redact(page.render(text)), style)
        if line.remedy is not None:
            page.say(redact(f"    → {page.render(line.remedy)}"))


def lines_document(found: Mapping[str, Sequence[CheckLine]]) -> list[dict[str, Any]]:
    return [
        {
            "source": source,
            "subject": line.subject,
            "verdict": line.verdict,
            "detail": line.detail,
            "remedy": line.remedy,
        }
        for source, lines in found.items()
        for line in lines
    ]
