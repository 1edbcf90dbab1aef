"""Where a lake is. Apart from what opens it: reading a configuration must not import DuckDB."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from base.secrets import Secret

PREFIX = "ducklake:postgres:"
# What the documentation calls the role that may only read.
ANALYST = "analyst"
# One of libpq's words: a name, `=`, a value; spaces and quotes in it stand in quotes, behind a backslash.
_WORD = re.compile(r"\s*(?P<name>\w+)\s*=\s*(?P<value>'(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)+)(?=\s|$)\s*")


def libpq_words(text: str) -> dict[str, str] | None:
    """The words of an address in PostgreSQL's own way, values as they are written. None: it is not one."""
    found = list(_WORD.finditer(text))
    if "".join(match.group() for match in found) != text:
        return None
    return {match["name"]: match["value"] for match in found}


@dataclass(frozen=True, kw_only=True)
class ObjectStore:
    """How an S3-compatible store is reached. Without an endpoint it is Amazon's; without keys, one open to all."""

    key_id: Secret | None = None
    secret: Secret | None = None
    region: str | None = None
    endpoint: str | None = None  # host, or host:port
    is_encrypted: bool = True  # https


@dataclass(frozen=True, kw_only=True)
class Lake:
    """DuckLake's catalog in PostgreSQL, and the place of its data, which every machine sees: a folder or `s3://…`.

    `address` is in libpq's words (`dbname=… host=…`) and holds no password.
    """

    address: str
    data_path: Path | str
    store: ObjectStore | None = None
    password: Secret | None = None
    # How long `voronka maintain` keeps earlier pictures, and with them the files of what was changed since.
    snapshot_days: int = 7

    @property
    def words(self) -> dict[str, str]:
        return libpq_words(self.address) or {}

    @property
    def attach_statement(self) -> str:
        """What an analyst types into DuckDB to look at the records and numbers, without the log."""
        # With a role of the analyst's own; docs/lake.md says what it needs.
        words = {name: value for name, value in self.words.items() if name != "user"} | {"user": ANALYST}
        address = (PREFIX + " ".join(f"{name}={value}" for name, value in words.items())).replace("'", "''")
        return f"ATTACH '{address}' AS voronka (METADATA_SCHEMA 'voronka_warehouse', READ_ONLY)"

    def place(self, name: str) -> str:
        """Where the files of one of the two lakes are."""
        return f"{self.data_path}/{name}/"

    @property
    def shown(self) -> str:
        return f"{PREFIX}{self.address}"
