"""Adding lines to a user's input file: what stands in it stays byte for byte."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from base.errors import InputError
from base.shown import guard_cell
from base.text import say
from metrics.inputs.declared import InputFile
from metrics.inputs.reader import decode, read_table


def append_lines(path: Path, declared: InputFile, lines: Sequence[Mapping[str, Any]]) -> None:
    """Add lines (values by the names of the file's columns) in the file's own encoding, separator, order of columns and
    line ends; a missing file is made. Whole or not at all: the file is replaced in one step.

    The file must have been read without a problem.

    Raises:
        InputError: the file's encoding lacks a character of the lines; nothing was written.
    """
    content = path.read_bytes() if path.exists() else b""
    if not content.strip(b"\xef\xbb\xbf \t\r\n"):
        content = (",".join(field.name for field in declared.fields) + "\n").encode()
    text = decode(content) or ""
    _, header = read_table(text)[0]
    columns = [cell.strip().lower() for cell in header]
    line_end = "\r\n" if "\r\n" in text else "\n"
    first = text.lstrip().partition("\n")[0]
    separator = ";" if first.count(";") > first.count(",") else ","
    added = io.StringIO(newline="")
    writer = csv.writer(added, delimiter=separator, lineterminator=line_end)
    writer.writerows([_cell(line.get(column), separator) for column in columns] for line in lines)
    before = b"" if text.endswith(("\n", "\r")) else line_end.encode()
    _replace(path, content + before + _encoded(added.getvalue(), content, path))


def _cell(value: Any, separator: str) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        # Where `;` separates, the file is Excel's with Russian settings: decimals have a comma there.
        return f"{value:f}".replace(".", "," if separator == ";" else ".")
    return value.isoformat() if isinstance(value, date) else guard_cell(str(value))


def _encoded(text: str, content: bytes, path: Path) -> bytes:
    try:
        content.decode("utf-8-sig")
        encoding = "utf-8"
    except UnicodeDecodeError:
        encoding = "cp1251"
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        raise InputError(
            say(
                "{file} в кодировке cp1251, в ней нет знака «{sign}».",
                "{file} is in cp1251, which lacks the character {sign!r}.",
                file=path.name,
                sign=error.object[error.start],
            ),
            remedy=say("Сохраните файл в UTF-8.", "Save the file as UTF-8."),
        ) from error


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
