"""Several companies in one installation: a folder each, with its own voronka.toml, .env, files or lake, and state.

A company's command runs as a process of its own, so nothing of one is in the memory of another; before any is started
their places are compared, so nothing of one is on the disk of another either.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from base.errors import ConfigError, UsageError, VoronkaError
from base.text import Text, say
from flows.project import Project
from voronka.config import load_project

CONFIG = "voronka.toml"
# A process of ours without the console script, which need not be in the path.
START = "from voronka.cli import main; main()"
# Who may connect, and how, is no part of where a lake is.
_PLACE_WORDS = ("dbname", "host", "hostaddr", "port", "service")


@dataclass(frozen=True)
class Ended:
    """A company's command that was run, and what it said."""

    name: str
    status: int
    output: str
    remarks: str

    @property
    def document(self) -> Any:
        """What a command with `--json` printed; None where it ended before that."""
        return json.loads(self.output) if self.output.strip() else None


def find_tenants(folder: Path) -> dict[str, Path]:
    """The configurations of a folder's companies, by the name of their own folder.

    Raises:
        UsageError: there is none.
    """
    found = {path.parent.name: path for path in sorted(folder.glob(f"*/{CONFIG}"))}
    if not found:
        raise UsageError(
            say("В {folder} нет ни одной папки с {config}.", "No folder in {folder} has a {config}.", **_at(folder)),
            say(
                "Каждой компании — своя папка: voronka init {folder}/КОМПАНИЯ",
                "Each company has a folder of its own: voronka init {folder}/COMPANY",
                folder=folder,
            ),
        )
    return found


def require_apart(tenants: Mapping[str, Path]) -> None:
    """That no two companies write to one place. A configuration that can't be read is its own command's to tell.

    Raises:
        ConfigError: all the places that two of them share.
    """
    places = {name: dict(_places(project)) for name, project in _readable(tenants)}
    shared = [
        say("{one}, {other}: {place}", "{one}, {other}: {place}", one=one, other=other, place=places[one][key])
        for one, other in combinations(places, 2)
        for key in places[one].keys() & places[other].keys()
    ]
    if shared:
        raise ConfigError(
            say("У двух компаний одно место для данных.", "Two companies keep their data in one place."),
            problems=tuple(shared),
            remedy=say(
                "Каждой компании — своя база PostgreSQL и своя папка данных, свои файлы. Ничего не запущено.",
                "Each company needs a PostgreSQL database and a data folder, or files, of its own. Nothing was run.",
            ),
        )


def run_all(tenants: Mapping[str, Path], arguments: Sequence[str], *, jobs: int) -> Iterator[Ended]:
    """Run a command for every company, so many at a time; each is given when it and those before it have ended."""
    run: Callable[[str], Ended] = lambda name: _run(name, tenants[name], arguments)  # noqa: E731
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(run, tenants)


def _run(name: str, config: Path, arguments: Sequence[str]) -> Ended:
    # From the company's folder: a path in the arguments is its own.
    done = subprocess.run(
        [sys.executable, "-c", START, "--config", str(config), *arguments],
        cwd=config.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return Ended(name, done.returncode, done.stdout, done.stderr)


def _readable(tenants: Mapping[str, Path]) -> Iterator[tuple[str, Project]]:
    for name, config in tenants.items():
        try:
            yield name, load_project(config, read_sources=False)
        except VoronkaError:
            continue


def _places(project: Project) -> Iterator[tuple[str, str]]:
    """Where a company writes: what tells two places apart, and how it is shown."""
    files = [project.publish_path, project.state_dir, project.company.inputs_dir]
    if project.lake is None:
        files += [project.warehouse_path, project.raw_path]
    else:
        words = project.lake.words
        place = " ".join(f"{word}={words[word]}" for word in _PLACE_WORDS if word in words)
        yield f"lake {place}", place
        data_path = str(project.lake.data_path)
        yield data_path, data_path
    for path in files:
        yield str(path.resolve()), str(path)


def _at(folder: Path) -> dict[str, object]:
    return {"folder": folder, "config": CONFIG}


def summary(ended: Sequence[Ended]) -> Text:
    """How it went, in one line."""
    failed = ", ".join(f"{one.name} ({one.status})" for one in ended if one.status)
    if not failed:
        return say("Компании: {n}, все без ошибок.", "Companies: {n}, all without errors.", n=len(ended))
    return say(
        "Компании: {n}. С ошибкой (статус): {failed}.",
        "Companies: {n}. With an error (status): {failed}.",
        n=len(ended),
        failed=failed,
    )
