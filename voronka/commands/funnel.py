"""`voronka funnel`: stage-to-stage conversion."""

from __future__ import annotations

import click

from base.text import say
from voronka.app import App
from voronka.command import argument, command, json_option, option


@command(
    "funnel",
    details=say(
        "Две формы, которые не смешиваются: когорта — что стало со сделками, вошедшими в этап в этом периоде; "
        "период — сколько прохождений случилось в нём. Когорта, завершённая меньше чем на 80 %, помечена незрелой.",
        "Two forms that are never mixed. Cohort: what became of the deals that entered a stage in the period; "
        "period: how many passes happened in it. A cohort finished by less than 80 % is marked immature.",
    ),
    example="voronka funnel 2026-11\nvoronka funnel 2026-11 --form cohort --pipeline 4455",
)
@argument("period", about=say("период, например 2026-11", "period, such as 2026-11"))
@option("--form", type=click.Choice(["cohort", "period"]), about=say("только одна форма", "one form only"))
@option("--pipeline", metavar="P", about=say("одна воронка: номер или название", "one pipeline: its id or name"))
@json_option
def funnel_command(app: App, period: str, form: str | None, pipeline: str | None, as_json: bool) -> int:
    from metrics.funnel import read_funnel
    from metrics.periods import parse_period
    from voronka.published import find_pipeline, open_published, read_pipelines
    from voronka.reports.funnel import FORMS, funnel_document, show_funnel

    periods = parse_period(period)
    documents = []
    with open_published(app) as (_, connection):
        names = read_pipelines(connection)
        chosen = find_pipeline(connection, pipeline) if pipeline is not None else None
        page = app.page()
        for each in periods:
            rows = {
                name: read_funnel(connection, each.name, name, chosen)  # type: ignore[arg-type]
                for name in FORMS
                if form in (None, name)
            }
            if as_json:
                documents.append(funnel_document(each, [row for found in rows.values() for row in found]))
                continue
            for name, found in rows.items():
                show_funnel(page, each, name, found, names)
    if as_json:
        app.emit(documents[0] if len(documents) == 1 else documents)
    return 0
