"""`voronka plan`: the plan from the end, and whether plans fit together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from base.errors import UsageError
from base.text import say
from voronka.app import App
from voronka.command import argument, command, group, json_option, option
from voronka.types import SHARE

if TYPE_CHECKING:
    import duckdb

    from metrics.periods import Period
    from metrics.plan_reading import EntityPlans

plan_command = group(
    "plan",
    details=say(
        "Планы лежат в inputs/plans.csv. Здесь — сколько сделок, встреч и звонков в день нужно для плана выручки "
        "и сходятся ли планы между собой и с тем, что получалось раньше.",
        "Plans are in inputs/plans.csv. Here: how many deals, meetings and calls a day the revenue plan takes, "
        "and whether the plans fit each other and what was reached before.",
    ),
    example="voronka plan decompose 2026-12\nvoronka plan check 2026-12",
)


@command(
    "decompose",
    summary=say("план выручки до звонков в день", "the revenue plan down to a day's calls"),
    details=say(
        "Выручка / средний чек = оплаченные сделки; / доля встреч, дошедших до оплаты = встречи; / звонок → встреча = "
        "успешные звонки; / рабочие дни = норма на день. Чек и доли берутся из планов, а без них — из шести прошлых "
        "месяцев; их можно задать и здесь.",
        "Revenue / average check = paid deals; / share of meetings that get paid = meetings; / call to meeting = "
        "successful calls; / working days = the day norm. Check and shares come from the plans, else from the six "
        "months before; they can be given here too.",
    ),
    example="voronka plan decompose 2026-12\nvoronka plan decompose 2026-12 --avg-check 150000 --meeting-to-paid 25%",
)
@argument("period", about=say("период, например 2026-12", "period, such as 2026-12"))
@option(
    "--who",
    metavar="ENTITY",
    about=say("сотрудник или команда — код или имя", "a person or team, by id or name"),
)
@option(
    "--revenue",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SUM",
    about=say("план выручки вместо того, что в plans.csv", "a revenue plan in place of the one in plans.csv"),
)
@option(
    "--avg-check",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SUM",
    about=say("средний чек", "average check"),
)
@option(
    "--meeting-to-paid",
    type=SHARE,
    metavar="SHARE",
    about=say("доля встреч, дошедших до оплаты: 25% или 0.25", "share of meetings that get paid: 25% or 0.25"),
)
@option(
    "--call-to-meeting",
    type=SHARE,
    metavar="SHARE",
    about=say("доля звонков, давших встречу: 2% или 0.02", "share of calls that give a meeting: 2% or 0.02"),
)
@json_option
def decompose_command(
    app: App,
    period: str,
    who: str | None,
    revenue: float | None,
    avg_check: float | None,
    meeting_to_paid: float | None,
    call_to_meeting: float | None,
    as_json: bool,
) -> int:
    from metrics.plan_reading import read_working_days
    from metrics.planning import decompose
    from voronka.published import open_published
    from voronka.reports.plan import Decomposition, decomposition_document, show_decomposition

    chosen = _one(period)
    factors = {"avg_check": avg_check, "meeting_to_paid": meeting_to_paid, "call_to_meeting_rate": call_to_meeting}
    given = {name: value for name, value in factors.items() if value is not None}
    with open_published(app) as (project, connection):
        days = read_working_days(connection, chosen)
        found = [
            Decomposition(
                period=chosen,
                entity=entity,
                steps=decompose(entity.plans, entity.history, days, given),
                currency=project.company.currency,
            )
            for entity in _whose(connection, chosen, who, revenue)
        ]
    if as_json:
        app.emit({"period": chosen.name, "decompositions": [decomposition_document(each) for each in found]})
    else:
        page = app.page()
        for each in found:
            show_decomposition(page, each)
    return 0


@command(
    "check",
    summary=say("сходятся ли планы", "whether the plans fit"),
    details=say(
        "Связанные планы должны сходиться в пределах 5 %, и ни одна подразумеваемая доля не должна быть больше двух "
        "прошлых за шесть месяцев. Статус 1, если что-то не сходится.",
        "Plans that hang together must agree within 5 %, and no implied conversion may exceed twice that of the last "
        "six months. Status 1 when something does not fit.",
    ),
    example="voronka plan check 2026-12",
)
@argument("period", about=say("период, например 2026-12", "period, such as 2026-12"))
@json_option
def check_command(app: App, period: str, as_json: bool) -> int:
    from metrics.catalogue import load_catalogue
    from metrics.plan_reading import check_period_plans
    from voronka.published import open_published
    from voronka.reports.plan import PlanCheck, check_document, show_check

    chosen = _one(period)
    with open_published(app) as (project, connection):
        found = PlanCheck(
            period=chosen,
            catalogue=load_catalogue(project.company.metrics_dir),
            entities=check_period_plans(connection, chosen),
            currency=project.company.currency,
        )
    if as_json:
        app.emit(check_document(found))
    else:
        show_check(app.page(), found)
    return 0 if found.is_ok else 1


plan_command.add_command(decompose_command)
plan_command.add_command(check_command)


def _one(period: str) -> Period:
    from metrics.periods import parse_period

    periods = parse_period(period)
    if len(periods) > 1:
        raise UsageError(say("Нужен один период, а не несколько.", "One period is needed, not several."))
    return periods[0]


def _whose(
    connection: duckdb.DuckDBPyConnection, period: Period, who: str | None, revenue: float | None
) -> list[EntityPlans]:
    """Whose plans are asked for: one entity's, or everybody's who has a revenue plan.

    Raises:
        UsageError: nobody has one, or nobody is called so.
    """
    from metrics.plan_reading import EntityPlans, read_plans

    found = read_plans(connection, period)
    if who is not None:
        found = [each for each in found if who.casefold() in (each.entity_id.casefold(), each.entity_name.casefold())]
    elif revenue is not None:
        found = [each for each in found if each.entity_type == "company"] or [
            EntityPlans.of_company(connection, period)
        ]
    if revenue is not None:
        found = [replace(each, plans=each.plans | {"revenue_cash": revenue}) for each in found]
    found = [each for each in found if {"revenue_cash", "revenue_accrual"} & set(each.plans)]
    if not found:
        raise UsageError(
            say("Плана выручки на {period} нет.", "There is no revenue plan of {period}.", period=period.name),
            remedy=say(
                "Впишите revenue_cash в inputs/plans.csv и выполните recompute и publish, или задайте --revenue.",
                "Write revenue_cash into inputs/plans.csv and run recompute and publish, or give --revenue.",
            ),
        )
    return found
