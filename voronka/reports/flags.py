"""`voronka flags`: a heading for each flag with its rule, and its records below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from base.text import say
from metrics.flags.catalogue import Flag
from metrics.flags.reading import FlagRow
from metrics.periods import Period
from voronka.reports.numbers import DASH
from voronka.reports.page import Field, Page
from voronka.reports.periods import period_name
from voronka.reports.words import RECORD_TYPES, word

# What a person reads of one flag; `--json` gives every record.
SHOWN_RECORDS = 100


@dataclass(frozen=True, kw_only=True)
class Found:
    """The flags asked for in a period: their rows, and those that could not be looked for, with the reason."""

    period: Period
    flags: Sequence[Flag]
    rows: Sequence[FlagRow]
    unchecked: Mapping[str, str]


def show_flags(page: Page, found: Found) -> None:
    page.heading(say("Флаги: {period}", "Flags: {period}", period=period_name(found.period, page.language)))
    page.say(
        say(
            "Это не обвинение, а список того, на что взглянуть. На показатели флаги не влияют.",
            "No verdict but a list of what to look at. Flags change no metric.",
        )
    )
    if not found.rows:
        page.say(say("Ничего не найдено.", "Nothing was found."))
    for flag in found.flags:
        rows = [row for row in found.rows if row.flag == flag.key]
        if rows:
            _show_flag(page, flag, rows)
    unchecked = [flag for flag in found.flags if flag.key in found.unchecked]
    if unchecked:
        page.heading(say("Не проверено", "Not looked for"))
        for flag in unchecked:
            page.say(f"  {flag.key} {page.render(flag.label)}: {found.unchecked[flag.key]}")


def _show_flag(page: Page, flag: Flag, rows: Sequence[FlagRow]) -> None:
    count = page.numbers.count(len(rows))
    page.heading(f"{flag.key} · {page.render(flag.label)}: {count}")
    page.say(flag.rule)
    titles = (
        say("Когда", "When"),
        say("Кто", "Who"),
        say("Запись", "Record"),
        say("Что найдено", "What was found"),
        say("Карточка", "Card"),
    )
    fields = [Field(page.render(title), is_wide=index in (1, 3)) for index, title in enumerate(titles)]
    page.table(fields, [_row(page, row) for row in rows[:SHOWN_RECORDS]])
    if len(rows) > SHOWN_RECORDS:
        rest = page.numbers.count(len(rows) - SHOWN_RECORDS)
        page.say(say("… и ещё {rest}: --json покажет все.", "… and {rest} more: --json shows all.", rest=rest))


def _row(page: Page, row: FlagRow) -> list[str]:
    kind = page.render(word(RECORD_TYPES, row.record_type))
    return [
        page.numbers.moment(row.occurred_at),
        row.person_name or row.person_id or DASH,
        f"{kind} {row.source} {row.record_id}",
        row.detail,
        row.url or DASH,
    ]


def flags_document(found: Found) -> dict[str, Any]:
    """The rows of `facts.flags` with the person's name and the deal's card."""
    labels = {flag.key: flag.label for flag in found.flags}
    return {
        "period": found.period.name,
        "flags": [
            {
                **{name: getattr(row, name) for name in row.__dataclass_fields__},
                "label": labels.get(row.flag, row.flag),
            }
            for row in found.rows
        ],
        "rules": [
            {"flag": flag.key, "label": flag.label, "rule": flag.rule, "absent": found.unchecked.get(flag.key)}
            for flag in found.flags
        ],
    }
