"""`voronka metrics`: the catalogue as a table, or one metric in full with its SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from base.text import Text, say
from metrics.catalogue import Metric
from voronka.reports.kpi import CLASSES
from voronka.reports.page import Field, Page
from voronka.reports.words import ADDITIVITY, CREDITS, ENTITIES, EVENTS, FACETS, SPLITS, UNITS, word


def show_catalogue(page: Page, metrics: Iterable[Metric]) -> None:
    titles = (
        say("Ключ", "Key"),
        say("Показатель", "Metric"),
        say("Основание", "Evidence"),
        say("За кем", "Credit"),
        say("Нужно", "Requires"),
    )
    fields = [Field(page.render(title), is_wide=index in (1, 3, 4)) for index, title in enumerate(titles)]
    rows = [
        (
            metric.key,
            page.render(metric.label),
            _word(page, CLASSES, metric.evidence_class),
            _word(page, CREDITS, metric.credit),
            ", ".join((*metric.facets, *metric.requires)),
        )
        for metric in metrics
    ]
    page.table(fields, rows)
    page.say(say("Подробно: voronka metrics КЛЮЧ", "In full: voronka metrics KEY"))


def show_metric(page: Page, metric: Metric) -> None:
    number = f" · № {metric.number}" if metric.number is not None else ""
    page.heading(f"{page.render(metric.label)} · {metric.key}{number}")
    page.say(metric.description)
    for label, value in (
        (say("Основание", "Evidence"), _word(page, CLASSES, metric.evidence_class)),
        (say("Событие", "Event"), _word(page, EVENTS, metric.event_time)),
        (say("За кем", "Credit"), _word(page, CREDITS, metric.credit)),
        (say("Единица", "Unit"), _word(page, UNITS, metric.unit)),
        (say("Как складывается", "Additivity"), _word(page, ADDITIVITY, metric.additivity)),
        (say("Для кого", "Entities"), _list(page, ENTITIES, metric.entities)),
        (say("И отдельно", "Also by"), _list(page, SPLITS, metric.by)),
        (say("Данные", "Data"), _list(page, FACETS, metric.facets)),
        (say("Если есть", "If present"), _list(page, FACETS, metric.optional_facets)),
        (say("Справочники", "Inputs"), ", ".join(metric.requires)),
        (say("Правила", "Rules"), ", ".join(metric.rules)),
    ):
        if value:
            page.say(f"  {page.render(label)}: {value}")
    page.heading(f"SQL: {metric.path}")
    # Each line as it stands: a query is copied, not read aloud.
    for line in metric.sql.splitlines():
        page.verbatim(line)


def _word(page: Page, words: Mapping[str, Text], key: str) -> str:
    return page.render(word(words, key))


def _list(page: Page, words: Mapping[str, Text], keys: Iterable[str]) -> str:
    return ", ".join(_word(page, words, key) for key in keys)


def metric_document(metric: Metric) -> dict[str, Any]:
    return {
        "key": metric.key,
        "number": metric.number,
        "label": metric.label,
        "description": metric.description,
        "unit": metric.unit,
        "group": metric.group,
        "evidence_class": metric.evidence_class,
        "event_time": metric.event_time,
        "credit": metric.credit,
        "additivity": metric.additivity,
        "entities": metric.entities,
        "by": metric.by,
        "of": metric.of,
        "facets": metric.facets,
        "optional_facets": metric.optional_facets,
        "requires": metric.requires,
        "rules": metric.rules,
        "counts_until": metric.counts_until,
        "direction": metric.direction,
        "formula": metric.formula,
        "path": metric.path,
        "sql": metric.sql,
    }
