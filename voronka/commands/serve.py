"""`voronka serve`: one machine's scheduler."""

from __future__ import annotations

import click

from base.text import say
from voronka.app import App
from voronka.command import command, option


@command(
    "serve",
    details=say(
        "Сервер Prefect, один исполнитель и расписания из prefect.yaml: ночь по расписанию и пересчёт по запросу. "
        "Печатает адрес страницы; останавливается по Ctrl-C. Кому сервер не нужен — cron или systemd (README).",
        "A Prefect server, one worker and the deployments of prefect.yaml: the scheduled night and a recompute on "
        "demand. Prints the page's address; Ctrl-C stops it. Who wants no server has cron or systemd (README).",
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
def serve_command(app: App, port: int) -> int:
    from voronka.scheduler import Place, run_scheduler

    # Read whole: a night that would fail for the configuration fails now, before a server is started.
    project = app.project()
    place = Place(
        home=project.root / "var" / "prefect",
        config_path=project.config_path,
        timezone=project.company.zone.key,
        port=port,
    )
    run_scheduler(place, tell=app.note)
    return 0
