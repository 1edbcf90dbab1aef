"""`voronka funnel`: stage-to-stage conversion."""

from __future__ import annotations

import click

from base.errors import UsageError
from base.text import say
from voronka.app import App
from voronka.command import argument, command, json_option, option


@command(
    "funnel",
    details=say(
        "Две формы, которые не смешиваются: когорта — что стало со сделками, вошедшими в этап в этом периоде; "
        "период — сколько прохождений случилось в нём. Когорта, завершённая меньше чем на 80 %, помечена незрелой. "
        "Обычно сделка прошла этап, если вошла в него или в любой следующий (passed). Когорту можно посчитать и "
        "строже: touched — сделка сама стояла на этапе, strict — прошла все этапы подряд, ни одного не пропустив. "
        "По разнице видно, где этапы перескакивают.",
        "Two forms that are never mixed. Cohort: what became of the deals that entered a stage in the period; "
        "period: how many passes happened in it. A cohort finished by less than 80 % is marked immature. "
        "As a rule a deal has passed a stage when it entered that stage or a later one (passed). A cohort can be "
        "counted more strictly: touched means that the deal itself stood in the stage, strict that it went through all "
        "stages in order and skipped none. The difference shows where stages are skipped.",
    ),
    example="voronka funnel 2026-11\nvoronka funnel 2026-11 --form cohort --pipeline 4455\n"
    "voronka funnel 2026-11 --convention touched",
)
@argument("period", about=say("период, например 2026-11", "period, such as 2026-11"))
@option("--form", type=click.Choice(["cohort", "period"]), about=say("только одна форма", "one form only"))
@option("--pipeline", metavar="P", about=say("одна воронка: номер или название", "one pipeline: its id or name"))
@option(
    "--convention",
    type=click.Choice(["passed", "touched", "strict"]),
    default="passed",
    about=say("что значит «дошла до этапа»; обычно passed", "what counts as having got to a stage; passed by default"),
)
@json_option
def funnel_command(
    app: App, period: str, form: str | None, pipeline: str | None, convention: str, as_json: bool
) -> int:
    from metrics.funnel import read_funnel
    from metrics.periods import parse_period
    from voronka.published import find_pipeline, open_published, read_pipelines
    from voronka.reports.funnel import FORMS, by_convention, funnel_document, show_funnel

    periods = parse_period(period)
    if convention != "passed":
        form = _only_cohort(form, convention)
    documents = []
    with open_published(app) as (_, connection):
        names = read_pipelines(connection)
        chosen = find_pipeline(connection, pipeline) if pipeline is not None else None
        page = app.page()
        for each in periods:
            rows = {
                name: by_convention(read_funnel(connection, each.name, name, chosen), convention)  # type: ignore[arg-type]
                for name in FORMS
                if form in (None, name)
            }
            if as_json:
                documents.append(funnel_document(each, [row for found in rows.values() for row in found], convention))
                continue
            for name, found in rows.items():
                show_funnel(page, each, name, found, names, convention)
    if as_json:
        app.emit(documents[0] if len(documents) == 1 else documents)
    return 0


def _only_cohort(form: str | None, convention: str) -> str:
    """Only a cohort follows its deals from stage to stage."""
    if form == "period":
        raise UsageError(
            say(
                "Форма «период» считает прохождения, а не сделки: --convention {convention} у неё нет.",
                "The period form counts passes, not deals: it has no --convention {convention}.",
                convention=convention,
            ),
            remedy=say("Уберите --form или возьмите --form cohort.", "Leave --form out, or take --form cohort."),
        )
    return "cohort"
