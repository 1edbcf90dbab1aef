"""`voronka backup` and `restore`: everything but the secrets as one file, and back."""

from __future__ import annotations

from pathlib import Path

import click

from base.text import say
from voronka.app import App
from voronka.command import argument, command, json_option, option, wait_option


@command(
    "backup",
    details=say(
        "Делает копию и во время ночной загрузки: запись останавливается на миг, пока копируются базы. В файле обе "
        "базы, справочники и ключ компании; настроек, .env и токенов в нём нет. Копия проверена: базы в ней открыты, "
        "файл прочитан обратно. Файл содержит персональные данные и доступен только владельцу.",
        "It can be made while a night runs: writing rests for a moment while the databases are copied. The file holds "
        "both databases, the inputs and the company's key; no configuration, no .env, no tokens. The copy is proven: "
        "its databases were opened and the file was read back. It holds personal data and is for its owner only.",
    ),
    example="voronka backup /backups/voronka-2026-11-30.zip",
)
@argument("file", type=click.Path(dir_okay=False, path_type=Path), about=say("куда записать", "where to write it"))
@wait_option
@json_option
def backup_command(app: App, file: Path, wait_seconds: float, as_json: bool) -> int:
    from flows.steps.backup import backup
    from voronka.reports.progress import showing

    project = app.project(read_sources=False)
    with showing(app) as progress:
        report = backup(project, file.absolute(), clock=app.clock, wait_seconds=wait_seconds, progress=progress)
    if as_json:
        app.emit({"path": report.path, "size": report.size, "records": report.manifest.records})
        return 0
    page = app.page()
    page.say(
        say(
            "Копия: {path} ({size}), записей: {records}. Вернуть: voronka restore {path}",
            "Backup: {path} ({size}), records: {records}. To put it back: voronka restore {path}",
            path=report.path,
            size=page.numbers.size(report.size),
            records=page.numbers.count(report.manifest.records),
        )
    )
    return 0


@command(
    "restore",
    details=say(
        "Возвращает базы и недостающие справочники. Если данные уже есть, нужен --replace: прежние базы останутся "
        "рядом под другим именем. Следующая загрузка продолжит с момента копии. Кого забыли после неё "
        "(voronka forget), того надо забыть снова.",
        "Puts the databases back, and inputs that are missing. Where there is data already --replace is needed: the "
        "present databases stay beside under another name. The next load goes on from the moment of the backup. "
        "Whoever was forgotten after it (voronka forget) has to be forgotten again.",
    ),
    example="voronka restore /backups/voronka-2026-11-30.zip --replace\nvoronka nightly",
)
@argument("file", type=click.Path(dir_okay=False, path_type=Path), about=say("файл копии", "the backup's file"))
@option(
    "--replace", is_flag=True, about=say("заменить данные, которые уже есть", "replace the data that is there already")
)
@wait_option
@json_option
def restore_command(app: App, file: Path, replace: bool, wait_seconds: float, as_json: bool) -> int:
    from flows.steps.backup import restore
    from voronka.reports.progress import showing

    project = app.project(read_sources=False)
    with showing(app) as progress:
        report = restore(
            project, file.absolute(), replace=replace, clock=app.clock, wait_seconds=wait_seconds, progress=progress
        )
    if as_json:
        app.emit(
            {
                "made_at": report.manifest.made_at,
                "records": report.manifest.records,
                "inputs": report.inputs,
                "left": report.left,
                "set_aside": report.set_aside,
            }
        )
        return 0
    page = app.page()
    page.say(
        say(
            "Восстановлено на {when}: записей {records}. Дальше: voronka nightly",
            "Restored as of {when}: {records} records. Next: voronka nightly",
            when=page.numbers.moment(report.manifest.made_at),
            records=page.numbers.count(report.manifest.records),
        )
    )
    for path in report.set_aside:
        page.say(say("Прежний файл: {path}", "The former file: {path}", path=path))
    for path in report.left:
        page.say(
            say(
                "Оставлен как есть, хотя в копии другой: {path}",
                "Left as it is, though the backup has another one: {path}",
                path=path,
            )
        )
    return 0
