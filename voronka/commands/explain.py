"""`voronka explain`: the records behind a number."""

from __future__ import annotations

from base.errors import UsageError
from base.text import say
from voronka.app import App
from voronka.command import argument, command, json_option, option

# What a person reads; `--json` gives every record.
SHOWN_RECORDS = 200


@command(
    "explain",
    details=say(
        "Каждая запись, из которой сложилось число: источник, номер, время, сумма. "
        "И что не учтено — с правилом, по которому.",
        "Each record a number is made of: source, id, time, amount. And what was left out, with the rule.",
    ),
    example="voronka explain 2026-11 revenue_cash\nvoronka explain 2026-11 calls_successful --who ivanov",
)
@argument("period", about=say("период, например 2026-11", "period, such as 2026-11"))
@argument("metric", about=say("ключ показателя (voronka metrics)", "the metric's key (voronka metrics)"))
@option(
    "--who",
    default="company",
    metavar="ENTITY",
    about=say(
        "сотрудник или команда — код или имя; unassigned — ни за кем; по умолчанию вся компания",
        "a person or team, by id or name; unassigned: nobody's; the whole company by default",
    ),
)
@option(
    "--variant",
    default="",
    metavar="V",
    about=say("форма показателя (facts.kpi.variant)", "form of the metric (facts.kpi.variant)"),
)
@option("--pipeline", default="", metavar="P", about=say("номер воронки", "a pipeline's id"))
@json_option
def explain_command(app: App, period: str, metric: str, who: str, variant: str, pipeline: str, as_json: bool) -> int:
    from metrics.catalogue import load_catalogue
    from metrics.explain import explain
    from metrics.periods import parse_period
    from voronka.published import open_published
    from voronka.reports.explain import explanation_document, show_explanation

    periods = parse_period(period)
    if len(periods) > 1:
        raise UsageError(say("Нужен один период, а не несколько.", "One period is needed, not several."))
    with open_published(app) as (project, connection):
        found = explain(
            connection,
            load_catalogue(project.company.metrics_dir),
            periods[0].name,
            metric,
            who,
            variant=variant,
            pipeline=pipeline,
            limit=None if as_json else SHOWN_RECORDS,
        )
    if as_json:
        app.emit(explanation_document(found))
    else:
        show_explanation(app.page(), periods[0], found)
    return 0
