"""`voronka funnel`: the chain of a pipeline's stages, as a cohort and as a period, never mixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from base.text import Text, say
from metrics.funnel import FunnelRow
from metrics.periods import Period
from voronka.reports.numbers import DASH
from voronka.reports.page import Cell, Field, Page
from voronka.reports.periods import period_name

# metrics.md 2.7: below this share of finished deals a cohort is shown as immature.
MATURE = 0.8
PAID = "paid"

FORMS: dict[str, tuple[Text, Text]] = {
    "cohort": (
        say("когорта", "cohort"),
        say(
            "Сделки, впервые вошедшие в этап в этом периоде, и сколько из них прошли дальше к дате расчёта.",
            "Deals that first passed a stage in the period, and how many of them have passed a later one by now.",
        ),
    ),
    "period": (
        say("период", "period"),
        say(
            "Прохождения этапов в этом периоде, чья бы ни была когорта; бывает больше 100 %.",
            "Passes of the stages in the period, whatever the cohort; may exceed 100 %.",
        ),
    ),
}

# What counts as having got to a stage (metrics.md 4.4, 19); the base is always the deals that passed the earlier stage.
PASSED = "passed"
CONVENTIONS: dict[str, tuple[Text, Text]] = {
    PASSED: (
        say("прошли", "passed"),
        say(
            "Прошла этап — вошла в него или в любой следующий: пропуск этапа конверсию не снижает.",
            "Passed: entered the stage or any later one, so a skipped stage lowers no conversion.",
        ),
    ),
    "touched": (
        say("побывали на этапе", "touched"),
        say(
            "Побывала — сама стояла на этапе. Разница с обычной воронкой — сделки, которые этап перескочили.",
            "Touched: the deal itself stood in the stage. What it lacks to the usual funnel skipped the stage.",
        ),
    ),
    "strict": (
        say("строго по порядку", "strictly in order"),
        say(
            "Строго — стояла на каждом этапе пути, один за другим, без пропусков; оплата — когда бы ни пришла.",
            "Strict: it stood in every stage on the way, one after the other, none skipped; a payment comes any time.",
        ),
    ),
}


def by_convention(rows: Sequence[FunnelRow], convention: str) -> list[FunnelRow]:
    """The rows counted by another convention: `num` and `value` are those of `touched` or `strict` deals.

    Only a cohort has other conventions than `passed`; rows of the period form fall away, as do those that were
    computed before the file had them.
    """
    if convention == PASSED:
        return list(rows)
    counted = [(row, row.touched if convention == "touched" else row.strict) for row in rows]
    return [
        replace(row, num=num, value=float(num) / float(row.den) if row.den > 0 else None)
        for row, num in counted
        if num is not None
    ]


@dataclass(frozen=True)
class Step:
    """A stage of the chain: how many deals, out of how many in the stage before and in the first one."""

    stage: str
    name: str
    from_previous: FunnelRow | None
    from_first: FunnelRow | None
    # The row whose base is this stage: its cohort's size and maturity.
    as_base: FunnelRow | None


def chain(rows: Sequence[FunnelRow]) -> list[Step]:
    """The stages of one pipeline in their order, `paid` last; rows are every ordered pair of them."""
    names: dict[str, tuple[bool, float, str]] = {}
    for row in rows:
        names[row.from_stage] = (False, _position(row.from_position), row.from_name)
        names[row.to_stage] = (row.to_stage == PAID, _position(row.to_position), row.to_name)
    order = sorted(names, key=lambda stage: (*names[stage], stage))
    pairs = {(row.from_stage, row.to_stage): row for row in rows}
    steps = []
    for index, stage in enumerate(order):
        previous = pairs.get((order[index - 1], stage)) if index else None
        first = pairs.get((order[0], stage)) if index else None
        base = next((found for later in order[index + 1 :] if (found := pairs.get((stage, later)))), None)
        steps.append(Step(stage, names[stage][2], previous, first, base))
    return steps


def _position(position: int | None) -> float:
    return float("inf") if position is None else float(position)


def show_funnel(
    page: Page,
    period: Period,
    form: str,
    rows: Sequence[FunnelRow],
    names: Mapping[tuple[str, str], str],
    convention: str = PASSED,
) -> None:
    """A form of the funnel, a table for each pipeline; `names` are the pipelines' by source and id, `rows` those of
    `by_convention`."""
    label, meaning = FORMS[form]
    if convention != PASSED:
        label = say("{form}, {convention}", "{form}, {convention}", form=label, convention=CONVENTIONS[convention][0])
    title = say(
        "Воронка за {period} — {form}",
        "Funnel of {period}: {form}",
        period=period_name(period, page.language),
        form=label,
    )
    page.heading(title)
    page.say(meaning)
    if convention != PASSED:
        page.say(CONVENTIONS[convention][1])
    if not rows:
        page.say(say("Данных нет.", "There is no data."))
        return
    for (source, pipeline), group in groupby(rows, key=lambda row: (row.source, row.pipeline_id)):
        page.heading(f"{source} · {names.get((source, pipeline), pipeline)}")
        _show_chain(page, form, chain(list(group)))


def _show_chain(page: Page, form: str, steps: Sequence[Step]) -> None:
    numbers = page.numbers
    titles = [
        say("Этап", "Stage"),
        say("Сделок", "Deals"),
        say("От первого", "Of the first"),
        say("От предыдущего", "Of the one before"),
        say("Из них", "Counts"),
    ]
    if form == "cohort":
        titles.append(say("Завершено", "Finished"))
    fields = [
        Field(page.render(title), "right" if index else "left", is_wide=not index) for index, title in enumerate(titles)
    ]
    rows: list[list[Cell | str]] = []
    for step in steps:
        share = numbers.percent(step.from_first.value) if step.from_first else DASH
        step_share = numbers.percent(step.from_previous.value) if step.from_previous else DASH
        name = page.render(say("Оплачено", "Paid")) if step.stage == PAID else step.name
        row: list[Cell | str] = [name, numbers.count(_deals(form, step)), share, step_share, _counts(page, step)]
        if form == "cohort":
            row.append(_maturity(page, step))
        rows.append(row)
    page.table(fields, rows)


def _deals(form: str, step: Step) -> Any:
    """Of the first stage's cohort; in the period form, every pass of the stage in the period."""
    if form == "period" and step.as_base is not None:
        return step.as_base.den
    if step.from_first is not None:
        return step.from_first.num
    return step.as_base.den if step.as_base else None


def _counts(page: Page, step: Step) -> str:
    if step.from_previous is None:
        return DASH
    part, whole = page.numbers.count(step.from_previous.num), page.numbers.count(step.from_previous.den)
    return page.render(say("{part} из {whole}", "{part} of {whole}", part=part, whole=whole))


def _maturity(page: Page, step: Step) -> Cell | str:
    if step.as_base is None or step.as_base.maturity is None:
        return DASH
    maturity = step.as_base.maturity
    shown = page.numbers.attainment(maturity)
    if maturity >= MATURE:
        return shown
    text = say("{share} незрелая когорта", "{share} immature cohort", share=shown)
    return Cell(page.render(text), "yellow")


def funnel_document(period: Period, rows: Sequence[FunnelRow], convention: str = PASSED) -> dict[str, Any]:
    """The rows of `facts.funnel` of the period; `convention` says what `num` and `value` count."""
    return {
        "period": period.name,
        "convention": convention,
        "rows": [
            {
                **{name: getattr(row, name) for name in row.__dataclass_fields__},
                "is_mature": None if row.maturity is None else row.maturity >= MATURE,
            }
            for row in rows
        ],
    }
