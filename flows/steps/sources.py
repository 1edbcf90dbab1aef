"""What a command works on: the files, the sources it names, and what their mappings may know."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from base.errors import ConfigError, UsageError
from base.memory import whole_memory
from base.text import say
from connectors.registry import load_connector
from connectors.stream import MapContext, Stream
from flows.project import Project, Source
from warehouse.database import Files

MEGABYTE, GIGABYTE = 10**6, 10**9  # as the engine has them
LOAD_MEMORY = "96MB"
# Of one period at a time; a gigabyte where that is too little, then half of what there is.
COMPUTE_MEGABYTES = 512
# Who has a lake has the machine for it, and a month of a large one done twice is a third of its time.
LAKE_COMPUTE_MEGABYTES = 2_400
MORE_MEMORY = ("256MB", "512MB", "1GB")


def files_of(project: Project) -> Files:
    return Files(warehouse=project.warehouse_path, raw=project.raw_path, lake=project.lake)


def require_files(project: Project, command: str) -> None:
    """Raises UsageError where a command that works on files is given a lake."""
    if project.lake is not None:
        raise UsageError(
            say(
                "voronka {command} работает с файлами, а здесь озеро.",
                "voronka {command} works on files, and this is a lake.",
                command=command,
            ),
            say(
                "Копия озера — это pg_dump его базы и после него копия папки data_path; возврат — pg_restore и папка.",
                "A lake is backed up by pg_dump of its database and, after it, a copy of the folder data_path; to put "
                "it back: pg_restore and the folder.",
            ),
        )


def files_to_load(project: Project) -> Files:
    """The files as a load opens them. Records come by the thousand: more memory would only be kept, and threads cost
    more than they give."""
    return replace(files_of(project), memory_limit=LOAD_MEMORY, more_memory=MORE_MEMORY, threads=1)


def files_to_compute(project: Project, jobs: int, memory: Callable[[], int] = whole_memory) -> Files:
    """The files as periods are computed in them: so many at a time, each with the memory of one. `memory`: bytes of
    all there is."""
    megabytes, gigabytes = (COMPUTE_MEGABYTES, 1) if project.lake is None else (LAKE_COMPUTE_MEGABYTES, 3)
    more: tuple[str, ...] = (f"{jobs * gigabytes}GB",)
    # Millions of deals resolved at once, as after a first load of them: rare, and better slow for others than never.
    half = memory() // 2
    if half > jobs * gigabytes * GIGABYTE:
        more += (f"{half // MEGABYTE}MB",)
    return replace(files_of(project), memory_limit=f"{jobs * megabytes}MB", more_memory=more)


def choose_sources(project: Project, names: Sequence[str]) -> list[Source]:
    """The named sources, or every enabled one.

    Raises:
        ConfigError: a name the configuration doesn't have.
    """
    if not names:
        return list(project.enabled_sources.values())
    unknown = [name for name in names if name not in project.sources]
    if unknown:
        raise ConfigError(
            say("Нет источника: {names}.", "No such source: {names}.", names=", ".join(unknown)),
            remedy=say("В voronka.toml есть: {known}.", "voronka.toml has: {known}.", known=", ".join(project.sources)),
        )
    return [project.sources[name] for name in names]


def sources_of(project: Project, facets: Collection[str]) -> list[str]:
    """Names of the enabled sources with a stream of one of these facets."""
    return _sources_with(project, lambda stream: stream.facet in facets)


def sweeping_sources(project: Project) -> list[str]:
    """Names of the enabled sources where a full reading finds what ordinary loads can't: the CRMs."""
    return _sources_with(project, lambda stream: stream.sweeps)


def _sources_with(project: Project, is_wanted: Callable[[Stream[Any]], bool]) -> list[str]:
    return [
        name
        for name, source in project.enabled_sources.items()
        if any(map(is_wanted, load_connector(source.type).serving(source.settings).streams))
    ]


def map_context(project: Project, source: Source) -> MapContext:
    """What the mappings of a source may know."""
    company = project.company
    return MapContext(
        source=source.name,
        settings=source.settings,
        zone=company.zone,
        country=company.calendar,
        currency=company.currency,
        own_tax_ids=company.own_tax_ids,
    )
