"""`voronka serve`: one machine's scheduler."""

from __future__ import annotations

import click

from base.text import say
from voronka.app import App
from voronka.command import command, option

PART_WORKERS = 2


@command(
    "serve",
    details=say(
        "Сервер Prefect, один исполнитель и расписания из prefect.yaml: ночь по расписанию и пересчёт по запросу. "
        "Печатает адрес страницы; останавливается по Ctrl-C. Кому сервер не нужен — cron или systemd (README). "
        "На озере ещё исполнители, которые перечитывают прошлые месяцы (backfill); на других машинах — "
        "docs/many_machines.md.",
        "A Prefect server, one worker and the deployments of prefect.yaml: the scheduled night and a recompute on "
        "demand. Prints the page's address; Ctrl-C stops it. Who wants no server has cron or systemd (README). "
        "On a lake also workers that read past months again (backfill); for other machines see "
        "docs/many_machines.md.",
    ),
    example="voronka --config /srv/sales/voronka.toml serve",
)
@option(
    "--port",
    type=click.IntRange(1, 65535),
    default=4200,
    metavar="N",
    about=say("порт страницы на этой машине (4200)", "the page's port on this machine (4200)"),
)
@option(
    "--workers",
    type=click.IntRange(1, 64),
    metavar="N",
    about=say("сколько частей backfill читать сразу, только озеро (2)", "parts of a backfill at once, a lake only (2)"),
)
def serve_command(app: App, port: int, workers: int | None) -> int:
    from base.errors import UsageError
    from voronka.scheduler import Place, run_scheduler

    # Read whole: a night that would fail for the configuration fails now, before a server is started.
    project = app.project()
    if workers is not None and project.lake is None:
        raise UsageError(
            say("--workers — только для озера: файлы пишет один.", "--workers is for a lake: files have one writer."),
            say(
                "Уберите --workers или перейдите на озеро: docs/lake.md.",
                "Leave it out, or move to a lake: docs/lake.md.",
            ),
        )
    place = Place(
        home=project.root / "var" / "prefect",
        config_path=project.config_path,
        timezone=project.company.zone.key,
        port=port,
        part_workers=(workers or PART_WORKERS) if project.lake is not None else 0,
    )
    run_scheduler(place, tell=app.note)
    return 0
