"""`voronka recompute`, `publish`, `nightly`, `replay`: from loaded records to the analysts' file."""

from __future__ import annotations

import click

from base.text import say
from voronka.app import App
from voronka.command import argument, command, json_option, option, wait_option


@command(
    "recompute",
    details=say(
        "Перечитывает изменённые справочники, связывает записи с людьми, сделками и этапами и считает показатели. "
        "Закрытый период не пересчитывается.\n\n"
        "PERIOD: 2026-11, 2026-Q4, 2026-W47, 2026-11-16; 2026-01..2026-06 — шесть месяцев.",
        "Reads changed inputs, ties records to people, deals and stages, and computes the facts. "
        "A closed period is refused.\n\n"
        "PERIOD: 2026-11, 2026-Q4, 2026-W47, 2026-11-16; 2026-01..2026-06 is six months.",
    ),
    example="voronka recompute 2026-11\nvoronka recompute 2026-01..2026-06\n"
    "voronka recompute 2026-01..2026-12 --jobs 2",
)
@argument(
    "periods",
    nargs=-1,
    required=True,
    metavar="PERIOD…",
    about=say("один или несколько периодов", "one period or several"),
)
@option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=1,
    metavar="N",
    about=say(
        "сколько периодов считать одновременно, до 1 ГБ памяти на каждый (1)",
        "how many periods are computed at a time, each with up to 1 GB of memory (1)",
    ),
)
@wait_option
@json_option
def recompute_command(app: App, periods: tuple[str, ...], jobs: int, wait_seconds: float, as_json: bool) -> int:
    from flows.steps.recompute import recompute
    from metrics.periods import parse_period
    from voronka.reports.computing import periods_document, show_periods
    from voronka.reports.progress import showing

    chosen = list(dict.fromkeys(period for text in periods for period in parse_period(text)))
    project = app.project(read_sources=False)
    with showing(app) as progress:
        report = recompute(project, chosen, clock=app.clock, wait_seconds=wait_seconds, progress=progress, jobs=jobs)
    if as_json:
        app.emit({"periods": periods_document(report.periods)})
    else:
        page = app.page()
        show_periods(page, report.periods, project.company)
        page.say(say("Чтобы это увидели аналитики: voronka publish", "For analysts to see it: voronka publish"))
    return 0


@command(
    "publish",
    details=say(
        "Заменяет файл для аналитиков одним движением. У кого открыт прежний — видит прежнее до следующего открытия.",
        "Replaces the analysts' file in one step. Who has the old one open keeps its picture until it is opened anew.",
    ),
    example="voronka publish",
)
@wait_option
@json_option
def publish_command(app: App, wait_seconds: float, as_json: bool) -> int:
    from flows.steps.publish import publish
    from voronka.reports.progress import showing

    project = app.project(read_sources=False)
    with showing(app) as progress:
        report = publish(project, clock=app.clock, wait_seconds=wait_seconds, progress=progress)
    if as_json:
        app.emit({"path": report.path, "size": report.size})
        return 0
    page = app.page()
    size = page.numbers.size(report.size)
    page.say(say("Опубликовано: {path} ({size}).", "Published: {path} ({size}).", path=report.path, size=size))
    return 0


@command(
    "nightly",
    details=say(
        "Загрузка, пересчёт затронутых открытых периодов, проверки, публикация. Для cron и systemd; "
        "ошибка одного источника не мешает остальному (статус 1).",
        "Load, recompute the open periods that are touched, check, publish. For cron and systemd; "
        "one source's failure stops nothing else (status 1).",
    ),
    example="voronka --config /srv/sales/voronka.toml nightly --wait 3600",
)
@wait_option
@json_option
def nightly_command(app: App, wait_seconds: float, as_json: bool) -> int:
    from flows.steps.nightly import nightly
    from voronka.commands.sync import show, sync_document
    from voronka.reports.computing import periods_document, show_periods
    from voronka.reports.progress import showing

    project = app.project()
    with showing(app) as progress:
        report = nightly(project, clock=app.clock, wait_seconds=wait_seconds, progress=progress)
    if as_json:
        app.emit(
            {
                "sync": sync_document(report.synced),
                "recompute": {"periods": periods_document(report.recomputed.periods)},
                "publish": {"path": report.published.path, "size": report.published.size},
                "status": "done" if report.is_ok else "failed",
            }
        )
    show(app, report.synced, is_table=not as_json)
    if not as_json:
        page = app.page()
        show_periods(page, report.recomputed.periods, project.company)
        size = page.numbers.size(report.published.size)
        page.say(
            say("Опубликовано: {path} ({size}).", "Published: {path} ({size}).", path=report.published.path, size=size)
        )
    return 0 if report.is_ok else 1


@command(
    "replay",
    details=say(
        "Раскладывает по таблицам всё сохранённое заново, без сети: после исправления разбора или настроек полей.",
        "Sorts everything stored into the tables again, without network: after a mapping or the fields were mended.",
    ),
    example="voronka replay amo",
)
@argument(
    "sources", nargs=-1, metavar="[SOURCE…]", about=say("имена источников; без них — все", "sources; all if none")
)
@wait_option
@json_option
def replay_command(app: App, sources: tuple[str, ...], wait_seconds: float, as_json: bool) -> int:
    from flows.steps.replay import replay
    from voronka.commands.sync import show, sync_document
    from voronka.reports.progress import showing

    with showing(app) as progress:
        report = replay(app.project(), sources=sources, clock=app.clock, wait_seconds=wait_seconds, progress=progress)
    if as_json:
        app.emit(sync_document(report))
    for stream in report.streams:
        if stream.let_go:
            app.note(
                say(
                    "{source}/{stream}: исходный вид {n} записей уже не хранится (raw_days, forget): то, что из них "
                    "было разобрано раньше, осталось без изменений.",
                    "{source}/{stream}: {n} records are no longer kept as they came (raw_days, forget): what had been "
                    "made of them before was left as it is.",
                    source=stream.source,
                    stream=stream.stream,
                    n=stream.let_go,
                )
            )
    return show(app, report, is_table=not as_json)
