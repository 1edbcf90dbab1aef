"""`[warehouse]` when it is a lake:

[warehouse]
path = "ducklake:postgres:dbname=voronka host=db.local user=voronka password=${LAKE_PASSWORD}"
data_path = "/srv/voronka"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from base.secrets import Secret
from base.text import say
from voronka.config_values import Values, absolute
from warehouse.address import PREFIX, Lake

# One of libpq's words: a name, `=`, a value; spaces and quotes in it stand in quotes, behind a backslash.
_WORD = re.compile(r"\s*(?P<name>\w+)\s*=\s*(?P<value>'(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)+)(?=\s|$)\s*")
_PATH = ("warehouse", "path")
_DATA_PATH = ("warehouse", "data_path")


def is_lake(table: Mapping[str, Any]) -> bool:
    return str(table.get("path", "")).startswith("ducklake:")


def read_lake(table: Mapping[str, Any], root: Path, values: Values) -> Lake | None:
    """The lake of the section; None after noting why there is none. No message shows the address."""
    data_path = _read_data_path(table, root, values)
    if "raw_path" in table:
        only = say("нужен только для файлов: у озера журнал свой", "is only for files: a lake has a log of its own")
        values.problem(("warehouse", "raw_path"), only)
    words = _read_words(str(table["path"]), values)
    if words is None or data_path is None:
        return None
    password = words.pop("password", None)
    secret = Secret(_unquoted(password)) if password is not None else None
    if secret is not None:
        values.secrets.append(secret)
    address = " ".join(f"{name}={value}" for name, value in words.items())
    return Lake(address=address, data_path=data_path, password=secret)


def _read_words(path: str, values: Values) -> dict[str, str] | None:
    if values.is_unresolved(path):
        return None
    if not path.startswith(PREFIX):
        known = say(
            'каталогом озера может быть только PostgreSQL: "ducklake:postgres:dbname=… host=…"',
            'a lake\'s catalog can only be PostgreSQL: "ducklake:postgres:dbname=… host=…"',
        )
        values.problem(_PATH, known)
        return None
    text = path.removeprefix(PREFIX)
    found = list(_WORD.finditer(text))
    words = {match["name"]: match["value"] for match in found}
    if "".join(match.group() for match in found) != text or "dbname" not in words:
        written = say(
            "адрес PostgreSQL пишется словами libpq, и dbname среди них: dbname=voronka host=db.local user=voronka",
            "PostgreSQL's address is written in libpq's words, dbname among them: dbname=voronka host=db.local "
            "user=voronka",
        )
        values.problem(_PATH, written)
        return None
    return words


def _read_data_path(table: Mapping[str, Any], root: Path, values: Values) -> Path | None:
    if "data_path" not in table:
        values.problem(_DATA_PATH, say("не указано: где лежат данные озера", "is missing: where the lake's data lies"))
        return None
    found = values.convert(table["data_path"], str, _DATA_PATH)
    if found is msgspec.UNSET:
        return None
    if "://" in found:
        local = say(
            "объектное хранилище этой версией ещё не поддерживается; укажите папку, общую для всех машин",
            "object storage is not supported by this version yet; name a folder that every machine sees",
        )
        values.problem(_DATA_PATH, local)
        return None
    if not found.strip():
        values.problem(_DATA_PATH, say("пустой путь", "an empty path"))
        return None
    return absolute(root, Path(found))


def _unquoted(value: str) -> str:
    """A libpq value without its quotes and backslashes."""
    inner = value[1:-1] if value.startswith("'") else value
    return re.sub(r"\\(.)", r"\1", inner)
