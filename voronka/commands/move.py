"""`voronka move`: everything a company has, from its files into a lake, or from a lake back into files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from base.text import say
from voronka.app import App
from voronka.command import command, json_option, option, wait_option

if TYPE_CHECKING:
    from flows.steps.move import MoveReport
    from voronka.config_target import Target


@command(
    "move",
    details=say(
        "Копирует всё: исходные записи, ошибки, позиции, журнал, записи, показатели, периоды; сверяет каждую таблицу. "
        "Прежнее место только читается; туда, где уже есть данные, не пишет. Если перенос прервался, прежние данные "
        "целы, новое место не откроется, а та же команда начнёт заново. После переноса скажет, что вписать в "
        "voronka.toml; до этого всё работает по-старому.\n\n"
        "--to: адрес озера, как warehouse.path (${ИМЯ} — из окружения или .env), или путь к файлу.",
        "Copies everything: raw records, rejects, positions, the run log, records, facts, periods; and compares every "
        "relation. The place it was in is only read; a place with data in it is refused. Broken off, what you had is "
        "whole, the new place can't be opened, and the same command begins anew. At the end it says what to write into "
        "voronka.toml; until then everything works as before.\n\n"
        "--to: a lake's address as in warehouse.path (${NAME} comes from the environment or .env), or a file's path.",
    ),
    example="voronka move --to 'ducklake:postgres:dbname=voronka host=db.local password=${LAKE_PASSWORD}' "
    "--data-path /srv/voronka\nvoronka move --to var/warehouse.duckdb",
)
@option("--to", required=True, metavar="URL", about=say("куда: адрес озера или путь", "a lake's address or a path"))
@option("--data-path", metavar="DIR", about=say("где лежат данные озера", "where the lake's data will lie"))
@option(
    "--raw-path",
    metavar="FILE",
    about=say("файл исходных записей (raw.duckdb рядом)", "the raw records' file (raw.duckdb beside the other)"),
)
@option(
    "--set",
    "more",
    multiple=True,
    metavar="KEY=VALUE",
    about=say(
        "для s3://: s3_endpoint, s3_region, s3_key_id, s3_secret",
        "for s3://: s3_endpoint, s3_region, s3_key_id, s3_secret",
    ),
)
@wait_option
@json_option
def move_command(
    app: App,
    to: str,
    data_path: str | None,
    raw_path: str | None,
    more: tuple[str, ...],
    wait_seconds: float,
    as_json: bool,
) -> int:
    from flows.steps.move import move
    from voronka.config_target import read_target
    from voronka.reports.progress import showing

    project = app.project(read_sources=False)
    keys = {key: value for key, _, value in (pair.partition("=") for pair in more)}
    target = read_target(project.root, to, data_path, raw_path, keys)
    app.keep_secret(target.secrets)
    with showing(app) as progress:
        report = move(project, target.files, clock=app.clock, wait_seconds=wait_seconds, progress=progress)
    if as_json:
        app.emit(_document(report, target))
    else:
        _show(app, report, target)
    return 0


def _document(report: MoveReport, target: Target) -> dict[str, Any]:
    return {
        "relations": [
            {"place": one.place, "relation": one.relation, "rows": one.digest.rows, "digest": str(one.digest)}
            for one in report.moved
        ],
        "left": report.left,
        "config": ["[warehouse]", *target.lines],
    }


def _show(app: App, report: MoveReport, target: Target) -> None:
    page = app.page()
    page.say(
        say(
            "Перенесено и сверено: таблиц {relations}, строк {rows}. Прежние данные не изменены.",
            "Moved and compared: {relations} relations, {rows} rows. What you had is unchanged.",
            relations=page.numbers.count(len(report.moved)),
            rows=page.numbers.count(sum(one.digest.rows for one in report.moved)),
        )
    )
    for relation in report.left:
        page.say(say("Не наша таблица, осталась: {name}", "Not ours, left: {name}", name=relation), "yellow")
    page.heading(say("Теперь замените в voronka.toml раздел [warehouse]", "Now replace [warehouse] in voronka.toml"))
    for line in ("[warehouse]", *target.lines):
        page.verbatim(line)
    page.say(
        say(
            "Проверьте: voronka status. Загрузки до этой замены в новое место не попадут: тогда перенесите ещё раз, "
            "в другое пустое. Прежние данные уберите, когда убедитесь, что всё на месте.",
            "Then look: voronka status. Loads made before this change are not in the new place: move once more then, "
            "into another empty one. Put the former data away when you are sure that all is there.",
        )
    )
