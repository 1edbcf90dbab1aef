"""`voronka kpi`: the facts of a period."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import click

from base.errors import UsageError
from base.text import say
from voronka.app import App
from voronka.command import argument, command, json_option, option
from voronka.types import DAY

if TYPE_CHECKING:
    import duckdb

    from metrics.catalogue import Catalogue
    from metrics.periods import Period
    from metrics.settings import Company
    from voronka.reports.kpi import Kpi


@command(
    "kpi",
    details=say(
        "Факты с планом, выполнением и прогнозом; сверху — по какой день полны данные источников. "
        "Читает файл для аналитиков.\n\n"
        "PERIOD: 2026-11 (месяц), 2026-Q4 (квартал), 2026-W47 (неделя), 2026-11-16 (день), "
        "2026-01..2026-06 (шесть месяцев).",
        "Facts with plan, attainment and forecast; above them, to which day the sources' data is complete. "
        "Reads the analysts' file.\n\n"
        "PERIOD: 2026-11 (month), 2026-Q4 (quarter), 2026-W47 (week), 2026-11-16 (day), "
        "2026-01..2026-06 (six months).",
    ),
    example="voronka kpi 2026-11\nvoronka kpi 2026-11 --metric revenue_cash --as-of 2026-11-16",
)
@argument("period", about=say("период, например 2026-11", "period, such as 2026-11"))
@option(
    "--metric", metavar="M", about=say("один показатель (ключи: voronka metrics)", "one metric (keys: voronka metrics)")
)
@option(
    "--by",
    type=click.Choice(["manager", "team", "company"]),
    about=say("только по менеджерам, командам или компании", "managers, teams or the company only"),
)
@option(
    "--as-of",
    type=DAY,
    metavar="DATE",
    about=say("учесть события по этот день включительно", "count what happened to this day, inclusive"),
)
@option("--pipeline", metavar="P", about=say("одна воронка: номер или название", "one pipeline: its id or name"))
@json_option
def kpi_command(
    app: App,
    period: str,
    metric: str | None,
    by: str | None,
    as_of: date | None,
    pipeline: str | None,
    as_json: bool,
) -> int:
    from metrics.catalogue import load_catalogue
    from metrics.periods import parse_period
    from voronka.published import find_pipeline, open_published
    from voronka.reports.kpi import kpi_document, of_pipeline, show_kpi

    periods = parse_period(period)
    with open_published(app) as (project, connection):
        catalogue = load_catalogue(project.company.metrics_dir)
        if metric is not None:
            catalogue.get(metric)
        for each in periods:
            _check_as_of(each, as_of)
        # What is made of plans has one form a metric, and no plain one.
        forms = as_json or pipeline is not None or (metric is not None and catalogue.get(metric).of != "")
        found = [
            _read(connection, project.company, catalogue, each, as_of, metric, by, variants=forms) for each in periods
        ]
        if pipeline is not None:
            chosen = find_pipeline(connection, pipeline)
            found = [of_pipeline(each, chosen) for each in found]
    if as_json:
        documents = [kpi_document(kpi) for kpi in found]
        app.emit(documents[0] if len(documents) == 1 else documents)
    else:
        page = app.page()
        for kpi in found:
            show_kpi(page, kpi)
    return 0


def _check_as_of(period: Period, as_of: date | None) -> None:
    if as_of is not None and as_of < period.starts_on:
        raise UsageError(
            say(
                "--as-of {day} раньше начала периода {period}.",
                "--as-of {day} is before the period {period} begins.",
                day=as_of,
                period=period.name,
            )
        )


def _read(
    connection: duckdb.DuckDBPyConnection,
    company: Company,
    catalogue: Catalogue,
    period: Period,
    as_of: date | None,
    metric: str | None,
    by: str | None,
    *,
    variants: bool,
) -> Kpi:
    from metrics.reading import compute_kpi, read_absent, read_completeness, read_kpi
    from voronka.published import read_teams
    from voronka.reports.kpi import Kpi

    if as_of is None:
        rows = read_kpi(connection, period.name, metric, by, variants=variants, catalogue=catalogue)
        absent = dict(read_absent(connection, period.name))
    else:
        rows, reasons = compute_kpi(connection, company, catalogue, period, as_of, metric, by, variants=variants)
        absent = {key: reason.render(company.language) for key, reason in reasons.items()}
    return Kpi(
        period=period,
        catalogue=catalogue,
        rows=rows,
        absent={key: reason for key, reason in absent.items() if metric in (None, key)},
        completeness=read_completeness(connection),
        teams=read_teams(connection, period),
        by=by,
        metric=metric,
    )
