"""Reading the input files: text to typed rows, every problem with its file and line."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from base.shown import unguard_cell
from base.text import Text, say
from metrics.inputs.declared import FILES, Field, InputFile
from metrics.inputs.values import BadValue, parse_value
from models.arrow import find_relation, key_columns

# More problems than this in one file say nothing new: the wrong file, or a wrong column.
LONGEST_LIST = 50


@dataclass(frozen=True)
class Row:
    """A line of a file, its values by the relation's columns."""

    line: int
    values: dict[str, Any]


@dataclass
class ReadFile:
    """A file as read. A row with a problem is left out of `rows`; `digest` is '' for a missing file."""

    declared: InputFile
    digest: str = ""
    rows: list[Row] = field(default_factory=list)
    problems: list[Text] = field(default_factory=list)

    def report(self, line: int, problem: Text) -> None:
        self.problems.append(
            say(
                "{file}:{line}: {problem}",
                "{file}:{line}: {problem}",
                file=self.declared.name,
                line=line,
                problem=problem,
            )
        )


def read_inputs(folder: Path, country: str) -> dict[str, ReadFile]:
    """All declared files by name, missing ones empty. Nothing is raised for what is wrong inside a file."""
    return {declared.name: read_file(folder / declared.name, declared, country) for declared in FILES}


def list_strangers(folder: Path) -> list[Text]:
    """CSV files nobody reads: a misspelt name."""
    known = {declared.name for declared in FILES}
    strangers = []
    for path in sorted(folder.glob("*.csv")) if folder.is_dir() else ():
        if path.name not in known and not path.name.endswith(".new.csv"):
            strangers.append(
                say(
                    "{file}: такого файла voronka не знает; известные: {known}",
                    "{file}: voronka knows no such file; known ones: {known}",
                    file=path.name,
                    known=", ".join(sorted(known)),
                )
            )
    return strangers


def read_file(path: Path, declared: InputFile, country: str) -> ReadFile:
    """One file: UTF-8 with or without a byte order mark, or cp1251; comma or semicolon."""
    result = ReadFile(declared)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return result
    except OSError as error:
        result.report(
            1, say("файл не читается: {error}", "the file can't be read: {error}", error=error.strerror or "")
        )
        return result
    result.digest = hashlib.sha256(content).hexdigest()
    text = decode(content)
    if text is None:
        result.report(1, say("это не текстовый файл", "this is not a text file"))
        return result
    _read_rows(result, text, country)
    return result


def decode(content: bytes) -> str | None:
    """The text of a file, or None when it is no text at all."""
    if b"\x00" in content:
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        return content.decode("cp1251")
    except UnicodeDecodeError:
        return None


def read_table(text: str) -> list[tuple[int, list[str]]]:
    """Lines with their numbers, blank ones left out. The header's separator is every line's."""
    header = text.lstrip().partition("\n")[0]
    separator = ";" if header.count(";") > header.count(",") else ","
    # strict: a quote that never closes must not swallow the rest of the file in silence.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    table, line = [], 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            table.append((line, cells))
        line = reader.line_num + 1
    return table


def _read_rows(result: ReadFile, text: str, country: str) -> None:
    try:
        table = read_table(text)
    except csv.Error:
        result.report(1, say("незакрытая кавычка", "a quote is never closed"))
        return
    if not table:
        result.report(1, say("нет строки заголовков", "there is no header line"))
        return
    places = _read_header(result, *table[0])
    if places is None:
        return
    keys = key_columns(find_relation(result.declared.relation))
    seen: dict[tuple[Any, ...], int] = {}
    for line, cells in table[1:]:
        values = _read_line(result, line, cells, places, country)
        if values is None:
            continue
        key = tuple(values[name] for name in keys)
        if key in seen:
            result.report(line, say("повторяет строку {first}", "repeats line {first}", first=seen[key]))
        else:
            seen[key] = line
            result.rows.append(Row(line, values))
    hidden = len(result.problems) - LONGEST_LIST
    if hidden > 0:
        del result.problems[LONGEST_LIST:]
        result.report(1, say("и ещё {hidden} таких строк", "and {hidden} more lines like these", hidden=hidden))


def _read_header(result: ReadFile, line: int, cells: list[str]) -> dict[str, int] | None:
    """Where each column stands, or None when names are unknown, missing or repeated: then no line can be read."""
    names = [cell.strip().lower() for cell in cells]
    # A trailing separator makes an empty last name; Excel does that.
    while names and not names[-1]:
        names.pop()
    fields = {declared.name: declared for declared in result.declared.fields}
    unknown = [name for name in names if name not in fields]
    missing = [name for name, declared in fields.items() if name not in names and not declared.absent]
    repeated = sorted({name for name in names if names.count(name) > 1})
    for text_ru, text_en, wrong in (
        ("лишние столбцы: {names}", "unknown columns: {names}", unknown),
        ("не хватает столбцов: {names}", "missing columns: {names}", missing),
        ("столбцы повторяются: {names}", "repeated columns: {names}", repeated),
    ):
        if wrong:
            result.report(line, say(text_ru, text_en, names=", ".join(wrong)))
    if unknown or missing or repeated:
        return None
    return {name: place for place, name in enumerate(names)}


def _read_line(
    result: ReadFile, line: int, cells: list[str], places: dict[str, int], country: str
) -> dict[str, Any] | None:
    if any(cell.strip() for cell in cells[len(places) :]):
        result.report(line, say("значений больше, чем столбцов", "more values than columns"))
        return None
    values: dict[str, Any] = {}
    is_good = True
    for declared in result.declared.fields:
        text = _cell(cells, places, declared)
        try:
            values[declared.column] = parse_value(declared, text, country=country)
        except BadValue as bad:
            is_good = False
            result.report(
                line,
                say(
                    "{column}: нужно {expected}, а стоит «{got}»",
                    "{column}: expected {expected}, got {got!r}",
                    column=declared.name,
                    expected=bad.expected,
                    got=text,
                ),
            )
    return values if is_good else None


def _cell(cells: list[str], places: dict[str, int], declared: Field) -> str:
    place = places.get(declared.name, -1)
    return unguard_cell(cells[place].strip()) if 0 <= place < len(cells) else ""
