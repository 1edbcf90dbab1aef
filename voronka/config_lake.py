"""`[warehouse]` when it is a lake:

[warehouse]
path = "ducklake:postgres:dbname=voronka host=db.local user=voronka password=${LAKE_PASSWORD}"
data_path = "/srv/voronka"      # or "s3://bucket/lake", then:
s3_endpoint = "storage.example.com"     # none for Amazon's
s3_region = "ru-central1"
s3_key_id = "${S3_KEY_ID}"
s3_secret = "${S3_SECRET}"
snapshot_days = 7               # how long `voronka maintain` keeps earlier pictures
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
from warehouse.address import PREFIX, Lake, ObjectStore, libpq_words

_BUCKET = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9._-]*(/[^\s?#*\[]*)?")
_ENDPOINT = re.compile(r"(?P<scheme>https?://)?(?P<host>[A-Za-z0-9._-]+(:\d+)?)/?")
_PATH = ("warehouse", "path")
_DATA_PATH = ("warehouse", "data_path")
_SNAPSHOT_DAYS = ("warehouse", "snapshot_days")
# What only a lake has.
STORE_KEYS = ("s3_key_id", "s3_secret", "s3_region", "s3_endpoint")
LAKE_KEYS = ("data_path", "snapshot_days", *STORE_KEYS)


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
    return Lake(
        address=address,
        data_path=data_path,
        store=_read_store(table, values, is_store=isinstance(data_path, str)),
        password=secret,
        snapshot_days=_read_snapshot_days(table, values),
    )


def _read_snapshot_days(table: Mapping[str, Any], values: Values) -> int:
    default = Lake.snapshot_days
    found = values.convert(table.get("snapshot_days", default), int, _SNAPSHOT_DAYS)
    if found is msgspec.UNSET:
        return default
    if found < 1:
        values.bad(_SNAPSHOT_DAYS, table, say("нужен хотя бы один день", "at least one day is needed"))
    return int(found)


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
    words = libpq_words(text)
    if words is None or "dbname" not in words:
        written = say(
            "адрес PostgreSQL пишется словами libpq, и dbname среди них: dbname=voronka host=db.local user=voronka",
            "PostgreSQL's address is written in libpq's words, dbname among them: dbname=voronka host=db.local "
            "user=voronka",
        )
        values.problem(_PATH, written)
        return None
    return words


def _read_data_path(table: Mapping[str, Any], root: Path, values: Values) -> Path | str | None:
    if "data_path" not in table:
        values.problem(_DATA_PATH, say("не указано: где лежат данные озера", "is missing: where the lake's data lies"))
        return None
    found = values.convert(table["data_path"], str, _DATA_PATH)
    if found is msgspec.UNSET:
        return None
    if _BUCKET.fullmatch(found):
        return str(found).rstrip("/")
    if "://" in found:
        known = say("папка, общая для всех машин, или s3://…", "a folder that every machine sees, or s3://…")
        values.bad(_DATA_PATH, table, known)
        return None
    if not found.strip():
        values.problem(_DATA_PATH, say("пустой путь", "an empty path"))
        return None
    return absolute(root, Path(found))


def _read_store(table: Mapping[str, Any], values: Values, *, is_store: bool) -> ObjectStore | None:
    """How the store of an `s3://` path is reached; None for a folder, which needs none of it."""
    given = [key for key in STORE_KEYS if key in table]
    if not is_store:
        for key in given:
            only = say("нужен только для data_path = s3://…", "is only for data_path = s3://…")
            values.problem(("warehouse", key), only)
        return None
    kinds = {"s3_key_id": Secret, "s3_secret": Secret, "s3_region": str, "s3_endpoint": str}
    found = {key: values.convert(table[key], kinds[key], ("warehouse", key)) for key in given}
    if msgspec.UNSET in found.values():
        return None
    if ("s3_key_id" in found) != ("s3_secret" in found):
        both = say("нужны оба: s3_key_id и s3_secret", "both are needed: s3_key_id and s3_secret")
        values.problem(("warehouse", "s3_key_id" if "s3_secret" in found else "s3_secret"), both)
    endpoint = _ENDPOINT.fullmatch(found.get("s3_endpoint", ""))
    if "s3_endpoint" in found and endpoint is None:
        wanted = say("нужен адрес: storage.example.ru", "an address is needed: storage.example.com")
        values.bad(("warehouse", "s3_endpoint"), table, wanted)
    return ObjectStore(
        key_id=found.get("s3_key_id"),
        secret=found.get("s3_secret"),
        region=found.get("s3_region"),
        endpoint=endpoint["host"] if endpoint else None,
        is_encrypted=endpoint is None or endpoint["scheme"] != "http://",
    )


def _unquoted(value: str) -> str:
    """A libpq value without its quotes and backslashes."""
    inner = value[1:-1] if value.startswith("'") else value
    return re.sub(r"\\(.)", r"\1", inner)
