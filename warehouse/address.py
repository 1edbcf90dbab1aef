"""Where a lake is. Apart from what opens it: reading a configuration must not import DuckDB."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from base.secrets import Secret

PREFIX = "ducklake:postgres:"
# What the documentation calls the role that may only read.
ANALYST = "analyst"


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
    def attach_statement(self) -> str:
        """What an analyst types into DuckDB to look at the records and numbers, without the log."""
        # With a role of the analyst's own; docs/lake.md says what it needs.
        words = re.sub(r"\buser\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)+)\s*", "", self.address).strip()
        address = f"{PREFIX}{words} user={ANALYST}".replace("'", "''")
        return f"ATTACH '{address}' AS voronka (METADATA_SCHEMA 'voronka_warehouse', READ_ONLY)"

    def place(self, name: str) -> str:
        """Where the files of one of the two lakes are."""
        return f"{self.data_path}/{name}/"

    @property
    def shown(self) -> str:
        return f"{PREFIX}{self.address}"
