"""`inputs draft`: stages.csv, people.csv and identities.csv from what the sources say."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from base.errors import InputError
from base.shown import guard_cell
from base.text import say
from metrics.inputs.declared import IDENTITIES, PEOPLE, STAGES, InputFile
from metrics.inputs.guess import guess_stage
from metrics.inputs.matching import Account, KnownPerson, match_people
from metrics.inputs.reader import ReadFile, read_inputs
from metrics.inputs.slug import make_slug
from metrics.settings import Company

# Sources of these types are telephony: their calls name extensions.
TELEPHONY_TYPES = ("mango", "zadarma")

Line = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class DraftFile:
    """A file that was written; `path` ends in `.new.csv` when its rows are to be merged by a person."""

    path: Path
    rows: int
    guesses: int = 0


@dataclass(frozen=True, kw_only=True)
class DraftReport:
    files: list[DraftFile] = field(default_factory=list)


def draft_inputs(connection: duckdb.DuckDBPyConnection, company: Company, folder: Path) -> DraftReport:
    """Write what the inputs lack: whole files where there are none, only the missing rows to `*.new.csv` beside
    those a person has already made. No existing input is ever touched.

    Raises:
        InputError: an existing file can't be read, so what it lacks is unknown; nothing was written.
    """
    inputs = read_inputs(folder, company.calendar)
    drafted = (STAGES, PEOPLE, IDENTITIES)
    problems = [problem for declared in drafted for problem in inputs[declared.name].problems]
    if problems:
        raise InputError(
            say("В файлах ошибки; черновик не записан.", "The files hold mistakes; no draft was written."),
            tuple(problems),
        )
    people, identities = _draft_people(connection, company, inputs)
    stages = _draft_stages(connection, inputs[STAGES.name])
    folder.mkdir(parents=True, exist_ok=True)
    written = [
        _write(folder, declared, lines, is_new=not inputs[declared.name].digest)
        for declared, lines in zip(drafted, (stages, people, identities), strict=True)
    ]
    return DraftReport(files=[file for file in written if file is not None])


def _draft_stages(connection: duckdb.DuckDBPyConnection, existing: ReadFile) -> list[Line]:
    known = {(row.values["source"], row.values["pipeline_id"], row.values["stage_id"]) for row in existing.rows}
    rows = connection.execute(
        """
        SELECT
            source, pipeline_id, stage_id, stage_name, system_kind,
            coalesce(position, row_number() OVER pipeline) AS position,
            row_number() OVER (
                PARTITION BY source, pipeline_id, coalesce(system_kind, '') ORDER BY position, stage_id
            ) = 1 AS is_first
        FROM core.pipeline_stages
        WINDOW pipeline AS (PARTITION BY source, pipeline_id ORDER BY position, stage_id)
        ORDER BY source, pipeline_id, position, stage_id
        """
    ).fetchall()
    lines = []
    for source, pipeline_id, stage_id, name, system_kind, position, is_first in rows:
        if (source, pipeline_id, stage_id) in known:
            continue
        guess = guess_stage(name, system_kind, is_first=is_first)
        line = _line(STAGES, source=source, pipeline_id=pipeline_id, stage_id=stage_id, name=name)
        line |= {"position": str(position), "kind": guess.kind, "guess": "guess" if guess.is_guess else ""}
        lines.append(line)
    return lines


def _draft_people(
    connection: duckdb.DuckDBPyConnection, company: Company, inputs: dict[str, ReadFile]
) -> tuple[list[Line], list[Line]]:
    known = _known_people(inputs)
    accounts = _read_accounts(connection, company)
    taken = {person.person_id for person in known}
    people, identities = [], []
    for person in match_people(accounts, known):
        person_id = person.person_id
        if person_id is None:
            person_id = _free_id(make_slug(person.name) or "person", taken)
            taken.add(person_id)
            people.append(_line(PEOPLE, person_id=person_id, name=person.name))
        identities += [
            _line(IDENTITIES, person_id=person_id, source=source, external_id=external_id)
            for source, external_id in person.identities
        ]
    return people, identities


def _known_people(inputs: dict[str, ReadFile]) -> list[KnownPerson]:
    names: dict[str, set[str]] = {}
    for row in inputs[PEOPLE.name].rows:
        names.setdefault(row.values["person_id"], set()).add(row.values["name"])
    identities: dict[str, set[tuple[str, str]]] = {person_id: set() for person_id in names}
    for row in inputs[IDENTITIES.name].rows:
        place = (row.values["source"], row.values["external_id"])
        identities.setdefault(row.values["person_id"], set()).add(place)
    return [
        KnownPerson(person_id, frozenset(names.get(person_id, ())), frozenset(places))
        for person_id, places in identities.items()
    ]


def _read_accounts(connection: duckdb.DuckDBPyConnection, company: Company) -> list[Account]:
    telephony = {name for name, kind in company.source_types.items() if kind in TELEPHONY_TYPES}
    telephony |= {row[0] for row in connection.execute("SELECT DISTINCT source FROM core.calls").fetchall()}
    crm = {row[0] for row in connection.execute("SELECT DISTINCT source FROM core.pipeline_stages").fetchall()}
    rows = connection.execute(
        """
        SELECT source, external_id, name, email, extension FROM core.users
        -- CRMs first: their names are the fuller ones.
        ORDER BY source NOT IN (SELECT source FROM core.pipeline_stages), source, length(external_id), external_id
        """
    ).fetchall()
    accounts = []
    for source, external_id, name, email, extension in rows:
        places = []
        if source in crm or source not in telephony or not extension:
            places.append((source, external_id))
        if extension and source in telephony:
            places.append((source, extension))
        accounts.append(
            Account(
                identities=tuple(dict.fromkeys(places)), name=name or "", email=email or "", extension=extension or ""
            )
        )
    return accounts


def _free_id(slug: str, taken: set[str]) -> str:
    number, candidate = 1, slug
    while candidate in taken:
        number += 1
        candidate = f"{slug}_{number}"
    return candidate


def _line(declared: InputFile, **values: Any) -> Line:
    return {field.name: "" for field in declared.fields} | {
        name: "" if value is None else str(value) for name, value in values.items()
    }


def _write(folder: Path, declared: InputFile, lines: list[Line], *, is_new: bool) -> DraftFile | None:
    """Write the lines, whole or not at all; a stale `.new.csv` whose rows have been merged goes away."""
    path = folder / declared.name
    if not is_new:
        path = path.with_suffix(".new.csv")
    if not lines:
        if not is_new:
            path.unlink(missing_ok=True)
        return None
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in declared.fields], lineterminator="\n")
    writer.writeheader()
    # Names are the sources' own, and people open the file in a spreadsheet.
    writer.writerows({name: guard_cell(value) for name, value in line.items()} for line in lines)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text.getvalue(), encoding="utf-8")
    os.replace(temporary, path)
    return DraftFile(path=path, rows=len(lines), guesses=sum(1 for line in lines if line.get("guess")))
