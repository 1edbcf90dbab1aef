"""`voronka status`: how loading stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from base.text import Text, say
from voronka.app import App
from voronka.command import command, json_option, option
from voronka.types import AGE

if TYPE_CHECKING:
    from flows.project import Project
    from voronka.reports.status import FileSize


@command(
    "status",
    details=say(
        "Последняя загрузка каждого источника, до какого момента данные полны, сколько записей не прочитано, "
        "размеры файлов и как открыть файл для аналитиков. С --max-age пригодна для мониторинга: "
        "статус 1, если удачная загрузка потока или файл для аналитиков старше.",
        "The last load of each source, until when its data is complete, how many records are unreadable, the files' "
        "sizes and how to open the analysts' file. With --max-age it serves monitoring: status 1 when a stream's last "
        "successful load, or the analysts' file, is older.",
    ),
    example="voronka status\nvoronka status --max-age 26h --textfile /var/lib/node_exporter/voronka.prom",
)
@option(
    "--max-age",
    type=AGE,
    metavar="26h",
    about=say("предельный возраст загрузки: 90m, 26h, 2d", "oldest load allowed: 90m, 26h, 2d"),
)
@option(
    "--textfile",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    about=say(
        "записать то же для Prometheus (node_exporter, textfile)",
        "write the same for Prometheus (node_exporter's textfile collector)",
    ),
)
@json_option
def status_command(app: App, max_age: timedelta | None, textfile: Path | None, as_json: bool) -> int:
    from voronka.bookkeeping import bookkeeping, read_reconciliations, read_streams
    from voronka.reports.raw_sizes import read_raw_sizes
    from voronka.reports.status import Status, show_status, stale_file, stale_streams, status_document

    project = app.project(read_sources=False)
    now = app.clock.now()
    with bookkeeping(app) as (connection, origin):
        streams = read_streams(connection)
        reconciliations = read_reconciliations(connection)
        raw_sizes = read_raw_sizes(connection)
    # A source that is no longer configured can't be fresh.
    streams = [stream for stream in streams if stream.source in project.company.source_types]
    files = _files(project)
    status = Status(
        streams=streams,
        reconciliations=[one for one in reconciliations if one.source in project.company.source_types],
        raw_sizes=raw_sizes,
        files=files,
        origin=origin,
        now=now,
        stale=stale_streams(streams, now, max_age) if max_age else (),
        stale_file=stale_file(files, now, max_age) if max_age else None,
        max_age=max_age,
        attach_statement=project.lake.attach_statement if project.lake else None,
    )
    if textfile is not None:
        from voronka.reports.exposition import write_exposition

        write_exposition(status, textfile)
    if as_json:
        app.emit(status_document(status))
    else:
        show_status(app.page(), status)
    return 0 if status.is_fresh else 1


def _files(project: Project) -> list[FileSize]:
    from voronka.reports.status import PUBLISHED

    published = _file(PUBLISHED, say("Для аналитиков", "For analysts"), project.publish_path)
    if project.lake is not None:
        return [published]
    return [
        _file("warehouse", say("Рабочая база", "Warehouse"), project.warehouse_path),
        _file("raw", say("Загруженное как есть", "Raw records"), project.raw_path),
        published,
    ]


def _file(name: str, label: Text, path: Path) -> FileSize:
    from voronka.reports.status import FileSize

    try:
        found = path.stat()
    except OSError:
        return FileSize(name=name, label=label, path=path, size=None, changed_at=None)
    changed_at = datetime.fromtimestamp(found.st_mtime, UTC)
    return FileSize(name=name, label=label, path=path, size=found.st_size, changed_at=changed_at)
