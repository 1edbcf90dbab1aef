"""`voronka check`: try each source, load nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from base.errors import SourceError
from base.text import say
from voronka.app import App
from voronka.command import argument, command, json_option

if TYPE_CHECKING:
    from connectors.stream import CheckLine
    from flows.project import Project, Source


@command(
    "check",
    details=say(
        "Адрес, ключи, права на каждый вид записей, часы и пределы — по строке на проверку, "
        "с советом, что сделать. Ничего не загружает.",
        "Address, credentials, rights for each kind of records, clock and quota: a line for each, "
        "with what to do about it. Loads nothing.",
    ),
    example="voronka check\nvoronka check amo",
)
@argument(
    "sources", nargs=-1, metavar="[SOURCE…]", about=say("имена источников; без них — все", "sources; all if none")
)
@json_option
def check_command(app: App, sources: tuple[str, ...], as_json: bool) -> int:
    from flows.steps.sources import choose_sources
    from voronka.reports.check import lines_document, show_lines

    project = app.project()
    chosen = choose_sources(project, sources)
    found: dict[str, list[CheckLine]] = {}
    page = None if as_json else app.page()
    for source in chosen:
        found[source.name] = []
        for line in _check(app, project, source):
            found[source.name].append(line)
        if page is not None:
            show_lines(page, source, found[source.name], app.redact)
    if as_json:
        app.emit({"sources": lines_document(found)})
    elif not chosen:
        app.note(say("В конфигурации нет источников.", "The configuration has no sources."))
    return 1 if any(line.verdict == "failed" for lines in found.values() for line in lines) else 0


def _check(app: App, project: Project, source: Source) -> Iterator[CheckLine]:
    """The connector's findings; what stops it is one more."""
    from connectors.registry import load_connector
    from connectors.stream import CheckLine, Runtime
    from flows.steps.sharing import shared_states

    yield from _open_addresses(source)
    connector: Any = load_connector(source.type)
    try:
        with shared_states(project, app.clock) as shared:
            runtime = Runtime(
                source=source.name,
                clock=app.clock,
                zone=project.company.zone,
                state_dir=project.state_dir,
                shared=shared,
                vault=project.vault,
            )
            with connector.open(source.settings, runtime) as client:
                yield from connector.check(client)
    except SourceError as error:
        yield CheckLine(subject=say("доступ", "access"), verdict="failed", detail=error.what, remedy=error.remedy)


def _open_addresses(source: Source) -> Iterator[CheckLine]:
    """Addresses at which the keys and everybody's data go over the network unencrypted."""
    import msgspec

    from base.secrets import Secret
    from connectors.stream import CheckLine

    for field in msgspec.structs.fields(source.settings):
        value = getattr(source.settings, field.name)
        text = value.reveal() if isinstance(value, Secret) else value
        if not field.name.endswith("_url") or not isinstance(text, str) or not is_open_address(text):
            continue
        yield CheckLine(
            subject=say("шифрование", "encryption"),
            verdict="warning",
            detail=say(
                "{key} начинается с http://: ключи и данные клиентов идут по сети открыто",
                "{key} begins with http://: keys and customers' data go over the network in the open",
                key=field.name,
            ),
            remedy=say("Если у источника есть https, впишите его.", "If the source has https, put that in."),
        )


def is_open_address(url: str) -> bool:
    """Plain HTTP to another machine; on this one (tests, a proxy) nobody listens in between."""
    parts = urlsplit(url.strip())
    host = (parts.hostname or "").lower()
    is_here = host in ("localhost", "::1") or host.startswith("127.")
    return parts.scheme == "http" and not is_here
