"""The published file as the reading commands open it: read-only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from base.errors import UsageError, WarehouseError
from base.text import say
from voronka.app import App

if TYPE_CHECKING:
    import duckdb

    from flows.project import Project
    from metrics.periods import Period


@contextmanager
def open_published(
    app: App, *, on_company_clock: bool = False, of_any_version: bool = False
) -> Iterator[tuple[Project, duckdb.DuckDBPyConnection]]:
    """The configuration and a read-only connection; its clock is UTC's or the company's.

    Raises:
        WarehouseError: nothing was published, the file can't be opened, or another voronka published it.
    """
    import duckdb

    from models.heads import WAREHOUSE_REVISION
    from warehouse.migrate import HISTORIES, read_revision

    project = app.project(read_sources=False)
    if not project.publish_path.is_file():
        raise WarehouseError(
            say("Файла {path} ещё нет.", "There is no {path} yet.", path=project.publish_path),
            remedy=say(
                "Загрузите данные (voronka sync), посчитайте (voronka recompute ПЕРИОД) и выполните voronka publish.",
                "Load (voronka sync), compute (voronka recompute PERIOD), then run voronka publish.",
            ),
        )
    try:
        connection = duckdb.connect(
            str(project.publish_path), read_only=True, config={"autoinstall_known_extensions": False}
        )
    except duckdb.Error as error:
        raise WarehouseError(
            say("Не открыть {path}: {why}", "Can't open {path}: {why}", path=project.publish_path, why=error),
            remedy=say("Опубликуйте файл заново: voronka publish.", "Publish the file again: voronka publish."),
        ) from None
    with connection:
        if not of_any_version and read_revision(connection, HISTORIES["warehouse"]) != WAREHOUSE_REVISION:
            raise WarehouseError(
                say(
                    "Файл {path} опубликован другой версией voronka.",
                    "{path} was published by another version of voronka.",
                    path=project.publish_path,
                ),
                remedy=say("Опубликуйте его заново: voronka publish.", "Publish it again: voronka publish."),
            )
        zone = project.company.zone.key if on_company_clock else "UTC"
        connection.execute(f"SET TimeZone = '{zone}'")
        yield project, connection


def read_teams(connection: duckdb.DuckDBPyConnection, period: Period) -> dict[str, str]:
    """A person's team at the end of a period (the last one, for who left before)."""
    rows = connection.execute(
        """
        SELECT person_id, arg_max(team, valid_from) FROM core.people
        WHERE valid_from < ? AND team IS NOT NULL GROUP BY person_id
        """,
        [period.ends_on],
    ).fetchall()
    return {str(person): str(team) for person, team in rows}


def find_pipeline(connection: duckdb.DuckDBPyConnection, asked: str) -> str:
    """A pipeline's id, given its id or its name.

    Raises:
        UsageError: there is none; the known ones are named.
    """
    names = read_pipelines(connection)
    found = [pipeline for (_, pipeline), name in names.items() if asked in (pipeline, name)]
    if not found:
        known = ", ".join(f"{pipeline} ({name})" for (_, pipeline), name in names.items())
        raise UsageError(
            say("Нет воронки «{asked}».", "No pipeline {asked!r}.", asked=asked),
            remedy=say("Есть: {known}.", "There are: {known}.", known=known or "—"),
        )
    return found[0]


def read_pipelines(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    """Names of the pipelines by source and id."""
    rows = connection.execute(
        """
        SELECT source, pipeline_id, coalesce(any_value(pipeline_name), pipeline_id) FROM core.pipeline_stages
        GROUP BY source, pipeline_id ORDER BY source, pipeline_id
        """
    ).fetchall()
    return {(str(source), str(pipeline)): str(name) for source, pipeline, name in rows}
