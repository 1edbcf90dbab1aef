"""Writes the generated pages: docs/metrics.md, docs/metrics.ru.md and docs/data.md.

python scripts/docs.py          # writes them
python scripts/docs.py check    # exit status 1: a page differs from what the program would write
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

import sqlalchemy as sa

from base.text import Language, Text, say
from metrics.catalogue import Metric, load_catalogue
from metrics.flags.catalogue import Flag, load_flags
from models import WAREHOUSE
from models.arrow import key_columns
from voronka.reports.kpi import CLASSES
from voronka.reports.words import ADDITIVITY, CREDITS, ENTITIES, EVENTS, FACETS, GROUPS, UNITS, word
from warehouse.ddl import column_type

DOCS = Path(__file__).parent.parent / "docs"

# What analysts query; `calc`, which the facts are made from, changes with any release.
SCHEMAS = {
    "core": "Records, as the sources last told them. Every relation has `source`, `version` and `loaded_at`.",
    "facts": "Numbers, computed from the records alone.",
    "meta": "How loading stands.",
}
# The relations of the diagram, and the columns by which one names another under a name of its own.
DRAWN = [
    *("core.deals", "core.deal_events", "core.deal_contacts", "core.deal_owners", "core.deal_stage_visits"),
    *("core.contacts", "core.companies", "core.contact_phones", "core.activities", "core.users", "core.people"),
    *("core.calls", "core.call_legs", "core.payments", "core.payment_allocations", "core.orders"),
    *("facts.deal_payments", "facts.kpi", "facts.kpi_evidence"),
]
REFERENCES = {
    ("source", "deal_id"): "core.deals",
    ("deal_source", "deal_id"): "core.deals",
    ("source", "contact_id"): "core.contacts",
    ("source", "company_id"): "core.companies",
    ("source", "call_id"): "core.calls",
    ("source", "payment_id"): "core.payments",
    ("person_id",): "core.people",
    ("period", "metric", "variant", "entity_type", "entity_id", "pipeline"): "facts.kpi",
}


def main(arguments: list[str]) -> int:
    stale = []
    for name, text in pages().items():
        path = DOCS / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if arguments != ["check"]:
            path.write_text(text, encoding="utf-8")
    if arguments == ["check"] and stale:
        sys.stdout.write(f"stale: {', '.join(stale)}; run: make docs\n")
        return 1
    return 0


def pages() -> dict[str, str]:
    """The generated pages by file name."""
    return {
        "metrics.md": "\n".join(metric_page("en")),
        "metrics.ru.md": "\n".join(metric_page("ru")),
        "data.md": "\n".join(data_page()),
    }


# ── metrics ─────────────────────────────────────────────────────────────────────────────────────────────────────


def metric_page(language: Language) -> Iterator[str]:
    """The catalogue by groups, then the flags."""
    metrics = list(load_catalogue())
    yield say("# Показатели", "# Metrics").render(language)
    yield ""
    yield say(
        "Страница сделана из заголовков файлов `metrics/sql/*.sql` (`make docs`). То же показывает `voronka metrics`.",
        "Made from the headers of `metrics/sql/*.sql` (`make docs`). `voronka metrics` shows the same.",
    ).render(language)
    groups = {name: list(found) for name, found in groupby(sorted(metrics, key=_group), key=_group)}
    for name in dict.fromkeys(metric.group for metric in metrics):
        yield from ("", f"## {word(GROUPS, name).render(language)}")
        for metric in sorted(groups[name], key=lambda each: (each.number is None, each.number or 0, each.key)):
            yield from _metric(metric, language)
    yield from ("", say("## Флаги", "## Flags").render(language))
    yield from ("", say("Флаг никогда не меняет число.", "A flag never changes a number.").render(language), "")
    for flag in load_flags():
        yield _flag(flag, language)
    yield ""


def _group(metric: Metric) -> str:
    return metric.group


def _metric(metric: Metric, language: Language) -> Iterator[str]:
    number = f"{metric.number}. " if metric.number is not None else ""
    yield from ("", f"### {number}`{metric.key}` · {metric.label.render(language)}", "")
    yield from (metric.description.render(language), "")
    facts = {
        say("основание", "evidence"): _names(CLASSES, [metric.evidence_class], language),
        say("событие", "event"): _names(EVENTS, [metric.event_time], language),
        say("за кем", "credit"): _names(CREDITS, [metric.credit], language),
        say("единица", "unit"): _names(UNITS, [metric.unit], language),
        say("как складывается", "additivity"): _names(ADDITIVITY, [metric.additivity], language),
        say("для кого", "entities"): _names(ENTITIES, metric.entities, language),
        say("данные", "data"): _names(FACETS, metric.facets, language),
        say("если есть", "if present"): _names(FACETS, metric.optional_facets, language),
        say("нужно", "requires"): ", ".join(f"`{name}`" for name in metric.requires),
        say("правила", "rules"): ", ".join(f"`{rule}`" for rule in metric.rules),
    }
    yield " · ".join(f"{label.render(language)}: {value}" for label, value in facts.items() if value)


def _flag(flag: Flag, language: Language) -> str:
    return f"- **{flag.key}** {flag.label.render(language)}. {flag.rule.render(language)}"


def _names(words: Mapping[str, Text], keys: Iterable[str], language: Language) -> str:
    return ", ".join(word(words, key).render(language) for key in keys)


# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────────


def data_page() -> Iterator[str]:
    """A diagram of the relations an analyst joins most, then every relation with its columns."""
    yield from (
        "# Data dictionary",
        "",
        "Made from `models/` (`make docs`); `DESCRIBE core.deals` and `duckdb_columns()` show the same in the published"
        " file. Times are UTC, `local_date` is the day in the company's zone, money is `DECIMAL(18, 2)` beside"
        " its currency, ids are text as the source writes them. Keys are bold.",
        "",
        "```mermaid",
        "erDiagram",
        *_edges(),
        "```",
    )
    tables = sorted(WAREHOUSE.tables.values(), key=lambda table: table.name)
    for schema, comment in SCHEMAS.items():
        yield from ("", f"## `{schema}`", "", comment)
        for table in tables:
            if table.schema == schema:
                yield from _relation(table)
    yield ""


def _edges() -> Iterator[str]:
    tables = {name: WAREHOUSE.tables[name] for name in DRAWN if name in WAREHOUSE.tables}
    for name, table in tables.items():
        for columns, parent in REFERENCES.items():
            has_own_name = columns[0] == "source" and "deal_source" in table.columns and "deal_id" in columns
            if parent in tables and parent != name and set(columns) <= set(table.columns.keys()) and not has_own_name:
                yield f'    {_short(parent)} ||--o{{ {_short(name)} : "{" ".join(columns)}"'


def _short(name: str) -> str:
    return name.replace(".", "_")


def _relation(table: sa.Table) -> Iterator[str]:
    keys = key_columns(table)
    yield from ("", f"### `{table.fullname}`", "", table.comment or "", "", "| column | type | |", "|---|---|---|")
    for column in table.columns:
        name = f"**{column.name}**" if column.name in keys else column.name
        comment = (column.comment or "").replace("|", "\\|")
        yield f"| {name} | {column_type(column.type)} | {comment} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
