"""`voronka rejects`: what could not be read."""

from __future__ import annotations

from base.errors import UsageError
from base.text import say
from voronka.app import App
from voronka.command import argument, command, json_option


@command(
    "rejects",
    details=say(
        "Записи и файлы, которые не удалось прочитать: где, что ожидалось и что стояло. "
        "Остальное загружено; исходный вид сохранён.",
        "Records and files that could not be read: where, what was expected, what stood there. "
        "The rest is loaded; their raw form is kept.",
    ),
    example="voronka rejects\nvoronka rejects accounting",
)
@argument(
    "sources", nargs=-1, metavar="[SOURCE…]", about=say("имена источников; без них — все", "sources; all if none")
)
@json_option
def rejects_command(app: App, sources: tuple[str, ...], as_json: bool) -> int:
    from voronka.bookkeeping import bookkeeping, read_rejects
    from voronka.reports.rejects import rejects_document, show_rejects

    project = app.project(read_sources=False)
    known = project.company.source_types
    unknown = [name for name in sources if name not in known]
    if unknown:
        raise UsageError(
            say("Нет источника: {names}.", "No such source: {names}.", names=", ".join(unknown)),
            remedy=say("Есть: {known}.", "There are: {known}.", known=", ".join(known)),
        )
    with bookkeeping(app) as (connection, _):
        rejects = read_rejects(connection, sources)
    if as_json:
        app.emit({"rejects": rejects_document(rejects), "raw_path": project.raw_path})
    else:
        show_rejects(app.page(), rejects, project.raw_path)
    return 0
