"""`voronka plan`: the plan from the end, step by step, and what does not fit in the plans, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from base.text import Text, say
from metrics.catalogue import Catalogue
from metrics.periods import Period
from metrics.plan_reading import EntityPlans
from metrics.planning import Apart, Finding, Implausible, NotPositive, Step
from voronka.reports.numbers import DASH
from voronka.reports.page import Field, Page
from voronka.reports.periods import period_name

STEPS: dict[str, Text] = {
    "revenue_cash": say("План выручки", "Revenue plan"),
    "revenue_accrual": say("План выручки (отгрузка)", "Revenue plan (accrual)"),
    "avg_check": say("/ средний чек", "/ average check"),
    "deals_paid": say("= оплаченных сделок", "= paid deals"),
    "meeting_to_paid": say("/ доля встреч, дошедших до оплаты", "/ share of meetings that get paid"),
    "meetings_held": say("= встреч", "= meetings"),
    "call_to_meeting_rate": say("/ звонок → встреча", "/ call to meeting"),
    "calls_successful": say("= успешных звонков", "= successful calls"),
    "working_days": say("/ рабочих дней", "/ working days"),
    "calls_a_day": say("= звонков в день", "= calls a day"),
}
ORIGINS: dict[str, Text] = {
    "given": say("задано", "given"),
    "plan": say("план", "plan"),
    "history": say("факт за 6 месяцев", "actual, 6 months"),
    "computed": say("", ""),
}
MONEY = {"revenue_cash", "revenue_accrual", "avg_check"}
SHARES = {"meeting_to_paid", "call_to_meeting_rate"}
WHOLE_COMPANY = say("компания", "the company")


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    period: Period
    entity: EntityPlans
    steps: Sequence[Step]
    currency: str


@dataclass(frozen=True, kw_only=True)
class PlanCheck:
    period: Period
    catalogue: Catalogue
    entities: Sequence[tuple[EntityPlans, Sequence[Finding]]]
    currency: str

    @property
    def is_ok(self) -> bool:
        return not any(findings for _, findings in self.entities)


def show_decomposition(page: Page, found: Decomposition) -> None:
    page.heading(
        say(
            "План от конца: {who}, {period}",
            "The plan from the end: {who}, {period}",
            who=_name(page, found.entity),
            period=period_name(found.period, page.language),
        )
    )
    titles = (say("Шаг", "Step"), say("Нужно", "Needed"), say("Откуда", "From"), say("В плане", "Planned"))
    fields = [Field(page.render(title), "right" if index in (1, 3) else "left") for index, title in enumerate(titles)]
    page.table(fields, [_step_row(page, step, found.currency) for step in found.steps])
    missing = [step for step in found.steps if step.value is None and step.origin != "computed"]
    for step in missing:
        label = page.render(STEPS[step.name]).removeprefix("/ ")
        page.say(
            say(
                "Неизвестно: {label}. Ни плана, ни факта за шесть месяцев; задайте в команде.",
                "Unknown: {label}. Neither a plan nor six months of facts; give it on the command line.",
                label=label,
            ),
            "yellow",
        )


def _step_row(page: Page, step: Step, currency: str) -> list[str]:
    return [
        page.render(STEPS[step.name]),
        _value(page, step.name, step.value, currency),
        page.render(ORIGINS[step.origin]),
        _value(page, step.name, step.planned, currency) if step.planned is not None else "",
    ]


def _value(page: Page, name: str, value: float | None, currency: str) -> str:
    if value is None:
        return DASH
    if name in MONEY:
        return page.numbers.money(value, currency)
    return page.numbers.percent(value) if name in SHARES else page.numbers.count(round(value, 6))


def decomposition_document(found: Decomposition) -> dict[str, Any]:
    return {
        "entity_type": found.entity.entity_type,
        "entity_id": found.entity.entity_id,
        "entity_name": found.entity.entity_name,
        "steps": [
            {"name": step.name, "value": step.value, "origin": step.origin, "planned": step.planned}
            for step in found.steps
        ],
    }


# ── coherence ───────────────────────────────────────────────────────────────────────────────────────────────────


def show_check(page: Page, found: PlanCheck) -> None:
    page.heading(say("Планы: {period}", "Plans: {period}", period=period_name(found.period, page.language)))
    if not found.entities:
        page.say(say("Планов на этот период нет: inputs/plans.csv.", "No plans of this period: inputs/plans.csv."))
        return
    if found.is_ok:
        page.say(say("Планы сходятся.", "The plans fit."))
    for entity, findings in found.entities:
        if findings:
            page.heading(_name(page, entity))
            for finding in findings:
                page.say(say("  · {what}", "  · {what}", what=describe(page, found, finding)))


def describe(page: Page, found: PlanCheck, finding: Finding) -> Text:
    """A finding as a sentence for a head of sales."""
    label, value = _labels(page, found)
    if isinstance(finding, NotPositive):
        return say(
            "{label}: план {value}. План должен быть больше нуля: с таким выполнение не посчитать.",
            "{label}: the plan is {value}. A plan must be above zero: nothing can be compared with it.",
            label=label(finding.metric),
            value=value(finding.metric, finding.value),
        )
    if isinstance(finding, Apart):
        return say(
            "{whole}: в плане {planned}, а «{base}» × «{rate}» дают {implied}. Расхождение больше 5 %.",
            "{whole}: {planned} planned, but {base} × {rate} give {implied}. They differ by more than 5 %.",
            whole=label(finding.whole),
            planned=value(finding.whole, finding.planned),
            base=label(finding.base),
            rate=label(finding.rate),
            implied=value(finding.whole, finding.implied),
        )
    if isinstance(finding, Implausible):
        return _describe_implausible(page, found, finding)
    return say(
        "{label}: план {planned}, а планы уровнем ниже в сумме дают {summed}.",
        "{label}: {planned} planned, but the plans one level below sum to {summed}.",
        label=label(finding.metric),
        planned=value(finding.metric, finding.planned),
        summed=value(finding.metric, finding.summed),
    )


def _describe_implausible(page: Page, found: PlanCheck, finding: Implausible) -> Text:
    label, value = _labels(page, found)
    if finding.actual is None:
        reason = say("Так не бывает: доля 100 % и больше.", "That does not happen: all of them, or more.")
    else:
        reason = say(
            "Неправдоподобно: за шесть месяцев было {actual}.",
            "Implausible: the last six months had {actual}.",
            actual=page.numbers.percent(finding.actual),
        )
    return say(
        "Планы требуют: {after} — {a}, {before} — {b}, то есть доля {implied}. {reason}",
        "The plans need {after}: {a} out of {before}: {b}, a share of {implied}. {reason}",
        after=label(finding.after),
        a=value(finding.after, finding.after_value),
        before=label(finding.before),
        b=value(finding.before, finding.before_value),
        implied=page.numbers.percent(finding.implied),
        reason=reason,
    )


def _labels(page: Page, found: PlanCheck) -> tuple[Any, Any]:
    """How a metric is called, and how its values are written."""

    def label(key: str) -> str:
        return page.render(found.catalogue.get(key).label) if key in found.catalogue else key

    def value(key: str, number: float) -> str:
        unit = found.catalogue.get(key).unit if key in found.catalogue else ""
        return page.numbers.value(round(number, 6), unit, found.currency if unit == "money" else None)

    return label, value


def _name(page: Page, entity: EntityPlans) -> str:
    return page.render(WHOLE_COMPANY) if entity.entity_type == "company" else entity.entity_name


def check_document(found: PlanCheck) -> dict[str, Any]:
    return {
        "period": found.period.name,
        "findings": [
            {
                "entity_type": entity.entity_type,
                "entity_id": entity.entity_id,
                "kind": KINDS[type(finding).__name__],
                **{name: getattr(finding, name) for name in finding.__dataclass_fields__},
            }
            for entity, findings in found.entities
            for finding in findings
        ],
        "status": "done" if found.is_ok else "failed",
    }


KINDS = {"Apart": "apart", "Implausible": "implausible", "NotPositive": "not_positive", "NoSum": "no_sum"}
