"""`voronka tenants`: one command for every company of a folder."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from base.text import say
from voronka.app import App
from voronka.command import argument, command, json_option, option

# They ask a person, or don't end.
ALONE = ("tenants", "serve", "demo", "init")


@command(
    "tenants",
    details=say(
        "Выполняет команду для каждой компании: у каждой своя папка с voronka.toml и .env в FOLDER, свои данные и "
        "свой процесс. Ошибка одной не мешает остальным (статус 1). Если две компании пишут в одно место, ничего не "
        "запускается (статус 2).",
        "Runs a command for every company: each has a folder with voronka.toml and .env in FOLDER, data of its own and "
        "a process of its own. One's error stops no other (status 1). If two companies write to one place, nothing is "
        "run (status 2).",
    ),
    example="voronka tenants /srv/companies nightly\nvoronka tenants /srv/companies --jobs 4 -- nightly --wait 3600",
)
@argument(
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    about=say("папка с папками компаний", "the folder with the companies' folders"),
)
@argument(
    "arguments",
    nargs=-1,
    required=True,
    type=click.UNPROCESSED,
    metavar="COMMAND…",
    about=say("команда; её параметры — после --", "the command; its options come after --"),
)
@option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=1,
    metavar="N",
    about=say("сколько компаний сразу (1)", "how many companies at once (1)"),
)
@json_option
def tenants_command(app: App, folder: Path, arguments: tuple[str, ...], jobs: int, as_json: bool) -> int:
    from base.errors import UsageError
    from voronka.commands import COMMANDS
    from voronka.tenants import find_tenants, require_apart, run_all, summary

    if arguments[0] not in COMMANDS or arguments[0] in ALONE:
        raise UsageError(
            say("Для всех компаний не выполнить: {name}.", "Can't be run for all companies: {name}.", name=arguments[0])
        )
    tenants = find_tenants(folder.absolute())
    require_apart(tenants)
    options = [*(["--lang", app.chosen_language] if app.chosen_language else [])]
    options += ["--log", "json"] if app.is_logging else []
    ended = []
    for one in run_all(tenants, [*options, *arguments, *(["--json"] if as_json else [])], jobs=jobs):
        ended.append(one)
        if not app.is_logging:
            app.note(f"── {one.name}")
        # A process of ours has cleaned what it wrote.
        sys.stderr.write(one.remarks)
        sys.stderr.flush()
        sys.stdout.write("" if as_json else one.output)
        sys.stdout.flush()
    if as_json:
        app.emit({"companies": [{"name": one.name, "status": one.status, "said": one.document} for one in ended]})
    app.note(summary(ended))
    return 1 if any(one.status for one in ended) else 0
