"""Move: a company that outgrew its files takes everything into a lake, or from a lake back into files.

The source is only read. Which of the two is worked with is said by the configuration, so nothing changes until a
person changes it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from base.clock import Clock, SystemClock
from base.durable import flush, flush_folder
from base.errors import UsageError, WarehouseError
from base.points import reached
from base.text import say
from flows.project import Project
from flows.steps.progress import Progress, Silent
from flows.steps.sources import files_of
from metrics.catalogue import load_catalogue
from metrics.views import create_views
from warehouse.database import Files, connect, open_warehouse
from warehouse.lake_lock import command_lock
from warehouse.lake_owner import claim
from warehouse.layout import RAW_OPTIONS, WAREHOUSE_OPTIONS
from warehouse.lock import writer_lock
from warehouse.migrate import ensure_schema
from warehouse.move import Moved, begin_lake, copy_everything, finish_lake, strangers
from warehouse.quoting import quote_literal


@dataclass
class MoveReport:
    """Every relation that arrived, each compared with what was sent; relations of others that were left behind."""

    moved: list[Moved] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def move(
    project: Project,
    target: Files,
    *,
    clock: Clock | None = None,
    wait_seconds: float = 60.0,
    progress: Progress | None = None,
) -> MoveReport:
    """Copy everything into an empty target: records, rejects, positions, runs, core, facts, periods, views.

    Killed anywhere, the source is as it was and the target can't be opened; the same command begins anew.

    Raises:
        UsageError: the target is of the source's kind, or there is something in it.
        WarehouseError: nothing to move, or what arrived differs from what was sent.
        BusyError: another command holds the one or the other.
    """
    clock = clock or SystemClock()
    progress = progress or Silent()
    locking: dict[str, Any] = {"command": "move", "clock": clock, "wait_seconds": wait_seconds, "on_wait": progress.say}
    source = files_of(project)
    if (source.lake is None) == (target.lake is None):
        raise UsageError(
            say("Переносят из файлов в озеро или обратно.", "Files are moved into a lake, or a lake into files."),
            say(
                "Озеро в другое озеро: pg_dump и копия data_path. Файлы: voronka backup.",
                "A lake into another one: pg_dump and a copy of data_path. Files: voronka backup.",
            ),
        )
    if target.lake is not None:
        return _into_lake(project, source, target, clock, locking, progress)
    return _into_files(project, source, target, clock, locking, progress)


def _into_lake(
    project: Project, source: Files, target: Files, clock: Clock, locking: Mapping[str, Any], progress: Progress
) -> MoveReport:
    if not (source.warehouse.is_file() and source.raw.is_file()):
        raise WarehouseError(say("Переносить ещё нечего.", "There is nothing to move yet."))
    assert target.lake is not None
    target.warehouse.parent.mkdir(parents=True, exist_ok=True)
    catalogs = {"from_landing": "landing", "from_warehouse": "warehouse"}
    with writer_lock(source.warehouse, **locking):
        ensure_schema(source.raw, "raw", clock)
        ensure_schema(source.warehouse, "warehouse", clock)
        with closing(connect(target)) as connection, command_lock(connection, **locking):
            _attach(connection, {"from_landing": source.raw, "from_warehouse": source.warehouse}, "(READ_ONLY)")
            begin_lake(connection, str(source.warehouse))
            claim(connection, target.lake)
            report = _copy(connection, catalogs, progress)
            connection.execute("USE warehouse")
            _write_views(connection, project)
            finish_lake(connection)
    return report


def _into_files(
    project: Project, source: Files, target: Files, clock: Clock, locking: Mapping[str, Any], progress: Progress
) -> MoveReport:
    places = {path: path.with_name(f"{path.name}.moving") for path in (target.raw, target.warehouse)}
    target.warehouse.parent.mkdir(parents=True, exist_ok=True)
    with writer_lock(target.warehouse, **locking), open_warehouse(source, **locking) as warehouse:
        if standing := [path for path in places if path.exists()]:
            raise UsageError(
                say(
                    "Здесь уже есть данные: {paths}.",
                    "There is data here already: {paths}.",
                    paths=", ".join(map(str, standing)),
                ),
                say(
                    "Назовите другую папку. Рядом есть файл .moving? Это остаток прерванного переноса: удалите оба.",
                    "Name another folder. Is there a .moving file beside? A move was broken off here: remove both.",
                ),
            )
        raw, records = places.values()
        for path in (raw, records):
            for leftover in (path, path.with_name(f"{path.name}.wal")):
                leftover.unlink(missing_ok=True)
        ensure_schema(raw, "raw", clock)
        ensure_schema(records, "warehouse", clock)
        connection = warehouse.connection
        _attach(connection, {"to_landing": raw}, RAW_OPTIONS)
        _attach(connection, {"to_warehouse": records}, WAREHOUSE_OPTIONS)
        report = _copy(connection, {"landing": "to_landing", "warehouse": "to_warehouse"}, progress)
        connection.execute("DETACH to_landing")
        connection.execute("DETACH to_warehouse")
        with closing(connect(replace(target, raw=raw, warehouse=records))) as files:
            _write_views(files, project)
            for catalog in ("landing", "warehouse"):
                files.execute(f"CHECKPOINT {catalog}")
        for place, path in places.items():
            flush(path)
            reached("move.before_replace")
            os.replace(path, place)
            flush_folder(place.parent)
    return report


def _attach(connection: duckdb.DuckDBPyConnection, places: Mapping[str, Path], options: str) -> None:
    for catalog, path in places.items():
        connection.execute(f"ATTACH {quote_literal(str(path))} AS {catalog} {options}")


def _copy(connection: duckdb.DuckDBPyConnection, catalogs: Mapping[str, str], progress: Progress) -> MoveReport:
    report = MoveReport(left=strangers(connection, catalogs))

    def told(moved: Moved) -> None:
        report.moved.append(moved)
        rows = moved.digest.rows
        if rows:
            progress.say(say("{name}: строк {rows}", "{name}: {rows} rows", name=moved.relation, rows=rows))

    copy_everything(connection, catalogs, told)
    return report


def _write_views(connection: duckdb.DuckDBPyConnection, project: Project) -> None:
    """Views are made from the catalogue, as every computing does; they hold nothing to copy."""
    create_views(connection, load_catalogue(project.company.metrics_dir), project.company.zone)
