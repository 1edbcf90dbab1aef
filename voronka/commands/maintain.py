"""`voronka maintain`: the files of a lake, or of this machine, brought into order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from base.text import say
from voronka.app import App
from voronka.command import command, json_option, wait_option

if TYPE_CHECKING:
    from flows.steps.maintain import MaintainReport


@command(
    "maintain",
    details=say(
        "В озере: переписывает файлы, где много удалённых строк, сливает мелкие, забывает снимки старше "
        "warehouse.snapshot_days (7) и удаляет файлы, которые больше не нужны; файл живёт ещё сутки после этого. "
        "Загрузки в это время идут. Запускайте раз в день, после nightly.\n\n"
        "Для файлов нужна редко: переносит журналы в базы и, если в базе исходных записей свободно больше 30 %, "
        "переписывает её.",
        "On a lake: files with many deleted rows are written anew, small ones merged, pictures older than "
        "warehouse.snapshot_days (7) let go, and files removed that nothing needs; a file lives one more day after "
        "that. Loads go on meanwhile. Run it once a day, after nightly.\n\n"
        "Files rarely need it: the logs are moved into the databases, and when more than 30 % of the raw records' file "
        "is free it is written anew.",
    ),
    example="voronka maintain",
)
@wait_option
@json_option
def maintain_command(app: App, wait_seconds: float, as_json: bool) -> int:
    from flows.steps.maintain import maintain
    from voronka.reports.progress import showing

    project = app.project(read_sources=False)
    with showing(app) as progress:
        report = maintain(project, clock=app.clock, wait_seconds=wait_seconds, progress=progress)
    if as_json:
        app.emit({"lakes": report.lakes, "files": report.files})
    elif report.lakes:
        _show_lakes(app, report)
    else:
        _show_files(app, report)
    return 0


def _show_lakes(app: App, report: MaintainReport) -> None:
    from voronka.reports.page import Field

    page = app.page()
    titles = (
        say("Озеро", "Lake"),
        say("Файлов", "Files"),
        say("Размер", "Size"),
        say("Переписано", "Rewritten"),
        say("Слито", "Merged"),
        say("Снимков забыто", "Pictures let go"),
        say("Файлов удалено", "Files removed"),
    )
    names = {"raw": say("исходные записи", "raw records"), "warehouse": say("рабочая база", "warehouse")}
    count, size = page.numbers.count, page.numbers.size
    page.table(
        [Field(page.render(title), "left" if place == 0 else "right") for place, title in enumerate(titles)],
        [
            (
                page.render(names[one.lake]),
                f"{count(one.before.files)} → {count(one.after.files)}",
                f"{size(one.before.bytes)} → {size(one.after.bytes)}",
                count(one.rewritten),
                count(one.merged),
                count(one.snapshots),
                count(one.removed),
            )
            for one in report.lakes
        ],
    )


def _show_files(app: App, report: MaintainReport) -> None:
    page = app.page()
    for one in report.files:
        sizes = {"path": one.path, "before": page.numbers.size(one.before), "after": page.numbers.size(one.after)}
        if one.is_compacted:
            page.say(say("{path}: переписан, {before} → {after}", "{path}: written anew, {before} → {after}", **sizes))
        elif one.before != one.after:
            page.say(
                say(
                    "{path}: журнал перенесён в файл, {before} → {after}",
                    "{path}: the log was moved into the file, {before} → {after}",
                    **sizes,
                )
            )
        else:
            page.say(say("{path}: делать нечего, {after}", "{path}: nothing to do, {after}", **sizes))
