"""`voronka explain`: the records a number is made of, and those left out with the rule in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields as dataclass_fields
from typing import Any

from base.text import say
from metrics.explain import Explanation, Record
from metrics.periods import Period
from metrics.reasons import reason
from voronka.reports.kpi import CLASSES
from voronka.reports.page import Field, Page
from voronka.reports.periods import period_name
from voronka.reports.words import EVENTS, RECORD_TYPES, word


def show_explanation(page: Page, period: Period, found: Explanation) -> None:
    """The number, how it is counted, its records, and what was left out rule by rule."""
    fact, numbers = found.fact, page.numbers
    page.heading(
        say(
            "{label} · {who} · {period}: {value}",
            "{label} · {who} · {period}: {value}",
            label=found.metric.label,
            who=fact.entity_name,
            period=period_name(period, page.language),
            value=numbers.value(fact.value, fact.unit, fact.currency),
        )
    )
    page.say(found.metric.description)
    page.say(
        say(
            "Основание: {evidence}; событие: {event}.",
            "Evidence: {evidence}; event: {event}.",
            evidence=CLASSES.get(fact.evidence_class, fact.evidence_class),
            event=word(EVENTS, found.metric.event_time),
        )
    )
    _show_total(page, found)
    page.heading(say("Учтено: {n}", "Counted: {n}", n=numbers.count(found.counted_count)))
    _show_records(page, found, found.counted, is_left_out=False)
    _tell_rest(page, len(found.counted), found.counted_count)
    if found.left_out_count:
        page.heading(say("Не учтено: {n}", "Left out: {n}", n=numbers.count(found.left_out_count)))
        for rule, count in found.left_out_by_rule.items():
            page.say(
                say("  {count} — {reason}", "  {count}: {reason}", count=numbers.count(count), reason=reason(rule))
            )
        _show_records(page, found, found.left_out, is_left_out=True)
        _tell_rest(page, len(found.left_out), found.left_out_count)


def _show_total(page: Page, found: Explanation) -> None:
    fact, numbers = found.fact, page.numbers
    if fact.additivity != "ratio" or fact.num is None or fact.den is None:
        return
    part = numbers.money(fact.num, fact.currency, places=2) if fact.currency else numbers.count(fact.num)
    page.say(say("{part} из {whole}", "{part} of {whole}", part=part, whole=numbers.count(fact.den)))


def _show_records(page: Page, found: Explanation, records: Sequence[Record], *, is_left_out: bool) -> None:
    if not records:
        return
    is_ratio = found.fact.additivity == "ratio"
    titles = [say("Когда", "When"), say("Запись", "Record"), say("Что", "What")]
    if is_left_out:
        titles.append(say("Почему", "Why"))
    else:
        titles.append(say("Вклад", "Part"))
        if is_ratio:
            titles.append(say("Из", "Of"))
    right = set() if is_left_out else {3, 4}
    wide = {2, 3} if is_left_out else {2}
    columns = [
        Field(page.render(title), "right" if index in right else "left", is_wide=index in wide)
        for index, title in enumerate(titles)
    ]
    page.table(columns, [_row(page, found, record, is_left_out=is_left_out, is_ratio=is_ratio) for record in records])


def _row(page: Page, found: Explanation, record: Record, *, is_left_out: bool, is_ratio: bool) -> list[str]:
    numbers, currency = page.numbers, found.fact.currency
    name = page.render(word(RECORD_TYPES, record.record_type))
    row = [numbers.moment(record.occurred_at), f"{name} {record.source} {record.record_id}", record.title or ""]
    if is_left_out:
        return [*row, page.render(record.reason) if record.reason else ""]
    row.append(numbers.money(record.num, currency, places=2) if currency else numbers.count(record.num))
    if is_ratio:
        row.append(numbers.count(record.den))
    return row


def _tell_rest(page: Page, shown: int, total: int) -> None:
    if shown < total:
        page.say(say("… и ещё {rest}: --json покажет все.", "… and {rest} more: --json shows all.", rest=total - shown))


def explanation_document(found: Explanation) -> dict[str, Any]:
    fact = found.fact
    return {
        "fact": {name: getattr(fact, name) for name in fact.__dataclass_fields__},
        "label": found.metric.label,
        "description": found.metric.description,
        "counted": [_record_document(record) for record in found.counted],
        "left_out": [_record_document(record) for record in found.left_out],
        "counted_count": found.counted_count,
        "left_out_count": found.left_out_count,
        "left_out_by_rule": [
            {"rule": rule, "reason": reason(rule), "count": count} for rule, count in found.left_out_by_rule.items()
        ],
    }


def _record_document(record: Record) -> dict[str, Any]:
    return {**{item.name: getattr(record, item.name) for item in dataclass_fields(record)}, "reason": record.reason}
