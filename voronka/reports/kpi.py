"""`voronka kpi`: the company with its plan, then the teams, then each team's managers side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from base.text import Text, say
from metrics.catalogue import Catalogue
from metrics.periods import Period
from metrics.reading import Completeness, KpiRow
from voronka.reports.completeness import completeness_document, show_absent, show_completeness
from voronka.reports.matrix import show_matrix
from voronka.reports.numbers import DASH
from voronka.reports.page import Cell, Field, Page
from voronka.reports.periods import period_name

UNASSIGNED = "unassigned"

CLASSES: dict[str, Text] = {
    "hard": say("независимое", "independent"),
    "logged": say("журнал CRM", "CRM log"),
    "declared": say("заявлено", "declared"),
    "input": say("справочник", "input"),
    "as_fact": say("как у факта", "as its fact"),
}


@dataclass(frozen=True, kw_only=True)
class Kpi:
    """All that is told about a period. `teams` gives a manager's team at the period's end."""

    period: Period
    catalogue: Catalogue
    rows: Sequence[KpiRow]  # plain ones, in the catalogue's order
    absent: Mapping[str, Text | str]
    completeness: Sequence[Completeness]
    teams: Mapping[str, str]
    by: str | None = None
    metric: str | None = None

    def of(self, entity_type: str) -> list[KpiRow]:
        return [row for row in self.rows if row.entity_type == entity_type]

    def label(self, key: str, page: Page) -> str:
        return page.render(self.catalogue.get(key).label) if key in self.catalogue else key


def of_pipeline(kpi: Kpi, pipeline: str) -> Kpi:
    """The rows of one pipeline in place of the plain ones; metrics that have none are left out."""
    forms = (f"pipeline={pipeline}", f";pipeline={pipeline}")
    rows = [
        row
        for row in kpi.rows
        if row.pipeline == pipeline and (row.variant == forms[0] or row.variant.endswith(forms[1]))
    ]
    return replace(kpi, rows=rows, absent={})


def show_kpi(page: Page, kpi: Kpi) -> None:
    """The heading with what is complete until when, the tables, and what is absent and why."""
    title = say("Показатели: {period}", "Facts: {period}", period=period_name(kpi.period, page.language))
    page.heading(title)
    _show_counted_until(page, kpi)
    show_completeness(page, kpi.completeness)
    if kpi.metric is not None:
        _show_metric(page, kpi)
    else:
        if kpi.by in (None, "company"):
            _show_company(page, kpi)
        if kpi.by in (None, "team"):
            _show_entities(page, kpi, say("Команды", "Teams"), kpi.of("team"))
        if kpi.by in (None, "manager"):
            _show_managers(page, kpi)
    _show_remarks(page, kpi)
    show_absent(page, {kpi.label(key, page): reason for key, reason in kpi.absent.items()})


# ── the tables ──────────────────────────────────────────────────────────────────────────────────────────────────


def _show_company(page: Page, kpi: Kpi) -> None:
    rows = kpi.of("company")
    if not rows:
        return
    page.heading(say("Компания", "Company"))
    has_plan = any(row.plan is not None for row in rows)
    titles = [say("Показатель", "Metric"), say("Факт", "Fact"), say("Из чего", "Of"), say("Основание", "Evidence")]
    if has_plan:
        titles[2:2] = [say("План", "Plan"), say("Выполнение", "Attainment"), say("Прогноз", "Forecast")]
    last = len(titles) - 1
    fields = [
        Field(page.render(title), "left" if index in (0, last) else "right", is_wide=index == 0)
        for index, title in enumerate(titles)
    ]
    table: list[list[Cell | str]] = []
    for row in rows:
        line: list[Cell | str] = [kpi.label(row.metric, page), _value(page, row), _parts(page, row)]
        line.append(page.render(CLASSES[row.evidence_class]) if row.evidence_class in CLASSES else row.evidence_class)
        if has_plan:
            line[2:2] = _plan_cells(page, row)
        table.append(line)
    page.table(fields, table)


def _show_managers(page: Page, kpi: Kpi) -> None:
    rows = kpi.of("manager")
    teams = sorted({kpi.teams.get(row.entity_id, "") for row in rows if row.entity_id != UNASSIGNED})
    for team in teams:
        members = [row for row in rows if row.entity_id != UNASSIGNED and kpi.teams.get(row.entity_id, "") == team]
        named = say("Менеджеры: {team}", "Managers: {team}", team=team)
        _show_entities(page, kpi, named if team else say("Менеджеры без команды", "Managers without a team"), members)
    _show_entities(page, kpi, say("Ни за кем", "Nobody's"), [row for row in rows if row.entity_id == UNASSIGNED])


def _show_entities(page: Page, kpi: Kpi, title: Text, rows: Sequence[KpiRow]) -> None:
    """Metrics down, entities across; attainment stands behind the value where there is a plan."""
    if not rows:
        return
    page.heading(title)
    names = {row.entity_id: row.entity_name for row in rows}
    order = sorted(names, key=lambda entity: (entity == UNASSIGNED, names[entity], entity))
    found = {(row.metric, row.entity_id): row for row in rows}
    metrics = list(dict.fromkeys(row.metric for row in rows))
    lines = [
        (kpi.label(metric, page), [_short(page, found.get((metric, entity))) for entity in order]) for metric in metrics
    ]
    show_matrix(page, page.render(say("Показатель", "Metric")), [names[entity] for entity in order], lines)


def _show_metric(page: Page, kpi: Kpi) -> None:
    """One metric: entities down, with plan, attainment and forecast."""
    if not kpi.rows:
        return
    page.heading(kpi.label(kpi.metric or "", page))
    has_plan = any(row.plan is not None for row in kpi.rows)
    # Attainment and forecast have a form a metric: it stands beside whom it is about.
    of_metrics = any(row.variant.startswith("metric=") for row in kpi.rows)
    titles = [say("Кто", "Who"), say("Показатель", "Metric") if of_metrics else say("Команда", "Team")]
    titles += [say("Факт", "Fact"), say("Из чего", "Of")]
    if has_plan:
        titles += [say("План", "Plan"), say("Выполнение", "Attainment"), say("Прогноз", "Forecast")]
    fields = [
        Field(page.render(title), "right" if index > 1 else "left", is_wide=index < 2)
        for index, title in enumerate(titles)
    ]
    table = [
        [
            row.entity_name,
            kpi.label(row.variant.removeprefix("metric="), page) if of_metrics else _team(kpi, row),
            _value(page, row),
            _parts(page, row),
            *(_plan_cells(page, row) if has_plan else ()),
        ]
        for row in kpi.rows
    ]
    page.table(fields, table)


def _team(kpi: Kpi, row: KpiRow) -> str:
    return kpi.teams.get(row.entity_id, "") if row.entity_type == "manager" else ""


# ── cells ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _value(page: Page, row: KpiRow) -> str:
    # The exact sum where there is one: a double may have lost its last kopecks.
    if row.metric == "plan_attainment":
        return page.numbers.attainment(row.value)
    value = row.num if row.additivity in ("additive", "snapshot", "distinct") and row.num is not None else row.value
    return page.numbers.value(value, row.unit, row.currency)


def _short(page: Page, row: KpiRow | None) -> str:
    if row is None:
        return DASH
    if row.attainment is None:
        return _value(page, row)
    return f"{_value(page, row)} · {page.numbers.attainment(row.attainment)}"


def _parts(page: Page, row: KpiRow) -> str:
    """`3 из 8`: what a ratio was made of; nothing for sums."""
    if row.den is None or row.additivity in ("additive", "derived"):
        return ""
    numbers = page.numbers
    if row.additivity == "distribution":
        return page.render(say("{count} записей", "{count} records", count=numbers.count(row.den)))
    if row.currency:
        return f"{numbers.money(row.num, None)} / {numbers.count(row.den)}"
    part = numbers.count(row.num)
    return page.render(say("{part} из {whole}", "{part} of {whole}", part=part, whole=numbers.count(row.den)))


def _plan_cells(page: Page, row: KpiRow) -> list[Cell | str]:
    numbers = page.numbers
    if row.plan is None:
        return [DASH, DASH, DASH]
    return [
        numbers.value(row.plan, row.unit, row.currency),
        numbers.attainment(row.attainment),
        numbers.value(row.forecast, row.unit, row.currency),
    ]


# ── around the tables ───────────────────────────────────────────────────────────────────────────────────────────


def _show_counted_until(page: Page, kpi: Kpi) -> None:
    """To which day records count; metrics that differ from most of the others are named."""
    untils: dict[datetime, list[str]] = {}
    for row in kpi.rows:
        keys = untils.setdefault(row.as_of, [])
        if row.metric not in keys:
            keys.append(row.metric)
    if not untils:
        return
    usual = max(untils, key=lambda as_of: len(untils[as_of]))
    day = page.numbers.day(_last_day(page, usual))
    parts = [page.render(say("Посчитано по {day} включительно", "Counted to {day}, inclusive", day=day))]
    for as_of, keys in sorted(untils.items()):
        if as_of != usual:
            labels = ", ".join(kpi.label(key, page) for key in keys)
            day = page.numbers.day(_last_day(page, as_of))
            parts.append(page.render(say("по {day} — {labels}", "to {day}: {labels}", day=day, labels=labels)))
    page.say("; ".join(parts) + ".")


def _last_day(page: Page, as_of: datetime) -> date:
    """The last local day before an exclusive bound."""
    local = as_of.astimezone(page.numbers.zone) if page.numbers.zone else as_of
    return (local - timedelta(microseconds=1)).date()


def _show_remarks(page: Page, kpi: Kpi) -> None:
    uncertain = {row.metric for row in kpi.rows if row.credit_precision not in (None, "", "log")}
    if uncertain:
        labels = ", ".join(
            kpi.label(row, page) for row in dict.fromkeys(r.metric for r in kpi.rows) if row in uncertain
        )
        page.say(
            say(
                "Ответственный известен не по журналу (для выплат не годится): {labels}.",
                "Credit is not known from a log (not fit for pay): {labels}.",
                labels=labels,
            ),
            "yellow",
        )


def kpi_document(kpi: Kpi) -> dict[str, Any]:
    """Facts with their plans; the names are those of `facts.kpi` and `facts.plan_fact`."""
    return {
        "period": kpi.period.name,
        "starts_on": kpi.period.starts_on,
        "ends_on": kpi.period.ends_on,
        "facts": [{name: getattr(row, name) for name in row.__dataclass_fields__} for row in kpi.rows],
        "absent": [{"metric": key, "reason": reason} for key, reason in kpi.absent.items()],
        "complete_until": completeness_document(kpi.completeness),
    }
