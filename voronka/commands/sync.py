"""`voronka sync`: load what changed."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from base.text import say
from voronka.app import App
from voronka.command import argument, command, json_option, option, wait_option
from voronka.types import DAY

if TYPE_CHECKING:
    from flows.steps.sync import SyncReport


@command(
    "sync",
    details=say(
        "Читает из источников изменения с прошлого раза и раскладывает их по таблицам. Источники читаются "
        "одновременно; ошибка одного не мешает остальным. Прерванную загрузку можно просто запустить снова.\n\n"
        "--from и --to перечитывают дни вручную (включительно) и не сдвигают позиций.",
        "Reads what changed at the sources since the last time and sorts it into the tables. Sources are read side by "
        "side; one's failure stops no other. An interrupted load is simply started again.\n\n"
        "--from and --to read days by hand (both inclusive) and leave the positions alone.",
    ),
    example="voronka sync\nvoronka sync amo mango --from 2026-11-01 --to 2026-11-30",
)
@argument(
    "sources", nargs=-1, metavar="[SOURCE…]", about=say("имена источников; без них — все", "sources; all if none")
)
@option(
    "--full",
    is_flag=True,
    about=say("перечитать всё и найти удалённое", "read everything again and find what was deleted"),
)
@option("--from", "start", type=DAY, metavar="DATE", about=say("с этого дня", "from this day"))
@option("--to", "end", type=DAY, metavar="DATE", about=say("по этот день", "to this day"))
@option(
    "--accept-deletions",
    is_flag=True,
    about=say(
        "поверить источнику, если из него разом исчезло много записей",
        "believe the source when many records have vanished at once",
    ),
)
@wait_option
@json_option
def sync_command(
    app: App,
    sources: tuple[str, ...],
    full: bool,
    start: date | None,
    end: date | None,
    accept_deletions: bool,
    wait_seconds: float,
    as_json: bool,
) -> int:
    from flows.steps.sync import sync
    from voronka.reports.progress import showing

    check_window(start, end)
    project = app.project()
    with showing(app) as progress:
        report = sync(
            project,
            sources=sources,
            full=full,
            start=start,
            end=end,
            accept_deletions=accept_deletions,
            clock=app.clock,
            wait_seconds=wait_seconds,
            progress=progress,
        )
    if as_json:
        app.emit(sync_document(report))
    return show(app, report, is_table=not as_json)


def check_window(start: date | None, end: date | None) -> None:
    """Raises UsageError when the window's days are the wrong way round."""
    from base.errors import UsageError

    if start and end and end < start:
        raise UsageError(say("--to раньше --from.", "--to is before --from."))


def show(app: App, report: SyncReport, *, is_table: bool) -> int:
    """Tell how a loading went: the table on stdout, what failed on stderr. Gives the exit status."""
    from voronka.reports.loading import failures, show_streams, unreadable

    if is_table:
        show_streams(app.page(), report.streams)
    page = app.page(to_stderr=True)
    for line in (*failures(report.streams, page), *unreadable(report.streams, page)):
        app.note(app.redact(line))
    return 0 if report.is_ok else 1


def sync_document(report: SyncReport) -> dict[str, Any]:
    from voronka.reports.loading import streams_document

    return {
        "run_id": report.run_id,
        "status": "done" if report.is_ok else "failed",
        "streams": streams_document(report.streams),
    }
