"""`voronka onec`: look at a file of accounting before it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from base.errors import ConfigError, UsageError
from base.text import say
from voronka.app import App
from voronka.command import argument, command, group, json_option, option

if TYPE_CHECKING:
    from connectors.onec.inspect import Inspection
    from connectors.onec.settings import OnecSettings
    from connectors.stream import MapContext
    from flows.project import Project

DEFAULT_SOURCE = "accounting"

onec_command = group(
    "onec",
    details=say(
        "Выписки банка, таблицы из 1С и Excel, обмен CommerceML, архивы ZIP.",
        "Bank statements, tables of 1C and Excel, CommerceML exchanges, ZIP archives.",
    ),
    example="voronka onec inspect exports/оплаты.xlsx",
)


@command(
    "inspect",
    summary=say("что это за файл и что из него загрузится", "what a file is and what of it would load"),
    details=say(
        "Ничего не загружает. Для незнакомой таблицы предлагает описание столбцов, которое нужно вставить в "
        "voronka.toml. Статус 1, если что-то из файла не загрузится.",
        "Loads nothing. For an unknown table it proposes a mapping of columns to paste into voronka.toml. "
        "Status 1 when something of the file would not load.",
    ),
    example="voronka onec inspect exports/оплаты.xlsx\nvoronka onec inspect kl_to_1c.txt --json",
)
@argument("path", metavar="FILE", about=say("файл", "the file"))
@option(
    "--source",
    metavar="SOURCE",
    about=say(
        "источник из voronka.toml, как которого читать (по умолчанию — тот, в чьей папке файл)",
        "the source of voronka.toml to read it as (the one whose folder holds it by default)",
    ),
)
@json_option
def inspect_command(app: App, path: str, source: str | None, as_json: bool) -> int:
    from voronka.reports.onec import inspection_document, show_inspection

    file = Path(path)
    project = _project(app, required=source is not None)
    name, settings = _choose(project, source, file)
    found = _inspect(app, project, name, settings, file)
    if as_json:
        app.emit(inspection_document(found, name))
    else:
        show_inspection(app.page(), found, name)
    return 0 if found.is_good else 1


def _project(app: App, *, required: bool) -> Project | None:
    """The configuration; a file can be looked at before there is one."""
    try:
        return app.project()
    except ConfigError:
        if required or app.config_path.exists():
            raise
        return None


def _choose(project: Project | None, name: str | None, file: Path) -> tuple[str, OnecSettings]:
    """The source to read the file as: the one named, the one whose folder holds it, the first of its type.

    Raises:
        UsageError: no 1C source of this name.
    """
    from connectors.onec.settings import OnecSettings

    found: dict[str, OnecSettings] = {}
    for source in project.sources.values() if project else ():
        if isinstance(source.settings, OnecSettings):
            found[source.name] = source.settings
    if name is not None:
        if name not in found:
            raise UsageError(
                say("Нет источника 1С «{name}».", "No 1C source {name!r}.", name=name),
                say("Есть: {known}.", "There are: {known}.", known=", ".join(found) or "–"),
            )
        return name, found[name]
    place = file.resolve()
    holding = [known for known, settings in found.items() if place.is_relative_to(Path(settings.path or ".").resolve())]
    chosen = next(iter([*holding, *found]), None)
    if chosen is not None:
        return chosen, found[chosen]
    return DEFAULT_SOURCE, OnecSettings(type="onec", path=str(place.parent))


def _inspect(app: App, project: Project | None, name: str, settings: OnecSettings, file: Path) -> Inspection:
    """Raises:
    UsageError: the file isn't there or can't be read.
    """
    from tempfile import gettempdir

    from connectors.onec.client import OnecClient
    from connectors.onec.inspect import Inspector
    from connectors.onec.streams import CONNECTOR
    from connectors.stream import Runtime

    context = _context(project, name, settings)
    # Nothing is to be left in the project by just looking.
    runtime = Runtime(source=name, clock=app.clock, zone=context.zone, state_dir=Path(gettempdir()))
    client = OnecClient(settings, runtime)
    inspector = Inspector(client, {stream.name: stream for stream in CONNECTOR.streams}, context)
    try:
        if file.is_dir():
            raise IsADirectoryError(21, "")
        return inspector.inspect(file)
    except OSError as error:
        reason = {2: say("файла нет", "no such file"), 21: say("это папка", "it is a folder")}.get(
            error.errno or 0, say("{why}", "{why}", why=error.strerror or type(error).__name__)
        )
        raise UsageError(
            say("{path}: {reason}.", "{path}: {reason}.", path=file, reason=reason),
            say("Укажите файл: voronka onec inspect ФАЙЛ.", "Name a file: voronka onec inspect FILE."),
        ) from None


def _context(project: Project | None, name: str, settings: OnecSettings) -> MapContext:
    from zoneinfo import ZoneInfo

    from connectors.stream import MapContext
    from flows.project import Source
    from flows.steps.sources import map_context

    if project is not None:
        return map_context(project, Source(name=name, type="onec", settings=settings))
    return MapContext(source=name, settings=settings, zone=ZoneInfo("Europe/Moscow"), country="RU", currency="RUB")


onec_command.add_command(inspect_command)
