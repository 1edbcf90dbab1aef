"""Until when each source's data is complete, and which metrics are absent and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from base.text import Text, say
from metrics.reading import Completeness
from voronka.reports.page import Page

FACETS: dict[str, Text] = {
    "crm": say("CRM", "CRM"),
    "calls": say("звонки", "calls"),
    "money": say("деньги", "money"),
}


def by_source(completeness: Sequence[Completeness]) -> dict[tuple[str, str], datetime | None]:
    """The weakest stream decides for its source and facet; None: something was never completely loaded."""
    found: dict[tuple[str, str], datetime | None] = {}
    for item in completeness:
        key = (item.source, item.facet)
        before = found.get(key, item.complete_until)
        known = before is not None and item.complete_until is not None
        found[key] = min(before, item.complete_until) if known and before and item.complete_until else None
    return found


def show_completeness(page: Page, completeness: Sequence[Completeness]) -> None:
    """One line: `Данные полны: amo (CRM) до 30.11.2026 23:58; …`."""
    parts = []
    for (source, facet), until in by_source(completeness).items():
        name = FACETS.get(facet)
        where = f"{source} ({page.render(name)})" if name else source
        moment = page.numbers.moment(until)
        known = say("{where} — до {moment}", "{where} until {moment}", where=where, moment=moment)
        unknown = say("{where} — не загружено целиком", "{where} not completely loaded", where=where)
        parts.append(page.render(known if until else unknown))
    if parts:
        page.say(say("Данные полны: {parts}.", "Data is complete: {parts}.", parts="; ".join(parts)))


def show_absent(page: Page, absent: Mapping[str, Text | str]) -> None:
    """Metrics that could not be computed, told together where the reason is the same."""
    reasons: dict[str, list[str]] = {}
    for label, reason in absent.items():
        reasons.setdefault(page.render(reason) if isinstance(reason, Text) else reason, []).append(label)
    if not reasons:
        return
    page.heading(say("Не посчитано", "Not computed"))
    for reason, labels in reasons.items():
        page.say(f"{', '.join(labels)}: {reason}")


def completeness_document(completeness: Sequence[Completeness]) -> list[dict[str, Any]]:
    return [
        {"source": source, "facet": facet, "complete_until": until}
        for (source, facet), until in by_source(completeness).items()
    ]
