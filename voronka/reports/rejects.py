"""`voronka rejects`: what could not be read, why, and where its raw form is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from base.text import say
from voronka.bookkeeping import RejectRow
from voronka.reports.page import Field, Page

# A source of which nothing can be read would fill the screen with one sentence.
SHOWN = 50


def show_rejects(page: Page, rejects: Sequence[RejectRow], raw_path: Path) -> None:
    """How many for each reason, then the records themselves, newest first."""
    if not rejects:
        page.say(say("Всё прочитано.", "Everything could be read."))
        return
    _show_reasons(page, rejects)
    page.heading(say("Записи", "Records"))
    for reject in rejects[:SHOWN]:
        _show_record(page, reject)
    if len(rejects) > SHOWN:
        more = len(rejects) - SHOWN
        page.say(say("… и ещё {more}: --json покажет все.", "… and {more} more: --json shows all.", more=more))
    page.heading(say("Исходный вид записей хранится", "Their raw form is kept"))
    page.say(
        say(
            "{path}: raw.rejects (payload) — то, что не разобрать; raw.records (payload) — остальное.",
            "{path}: raw.rejects (payload): what no reader understands; raw.records (payload): the rest.",
            path=raw_path,
        )
    )
    page.say(say("После исправления: voronka replay", "Once mended: voronka replay"))


def _show_reasons(page: Page, rejects: Sequence[RejectRow]) -> None:
    counted = Counter((reject.source, reject.stream, reject.reason) for reject in rejects)
    titles = (say("Источник", "Source"), say("Поток", "Stream"), say("Причина", "Reason"), say("Сколько", "Count"))
    fields = [Field(page.render(title), "right" if i == 3 else "left") for i, title in enumerate(titles)]
    page.table(fields, [(*key, page.numbers.count(number)) for key, number in sorted(counted.items())])


def _show_record(page: Page, reject: RejectRow) -> None:
    where = f" · {reject.path}" if reject.path else ""
    page.say(f"{reject.source}/{reject.stream} {reject.record_id}{where} · {page.numbers.moment(reject.seen_at)}")
    page.say(f"    {reject.message or reject.reason}")
    if reject.expected or reject.got:
        expected = say(
            "    ожидалось: {expected}; стоит: {got}",
            "    expected: {expected}; got: {got}",
            expected=reject.expected or "—",
            got=reject.got or "—",
        )
        page.say(expected)


def rejects_document(rejects: Sequence[RejectRow]) -> list[dict[str, Any]]:
    return [{name: getattr(reject, name) for name in reject.__dataclass_fields__} for reject in rejects]
