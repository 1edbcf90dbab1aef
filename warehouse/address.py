"""Where a lake is. Apart from what opens it: reading a configuration must not import DuckDB."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from base.secrets import Secret

PREFIX = "ducklake:postgres:"


@dataclass(frozen=True, kw_only=True)
class Lake:
    """DuckLake's catalog in PostgreSQL, and the folder of its data, which every machine sees.

    `address` is in libpq's words (`dbname=… host=…`) and holds no password.
    """

    address: str
    data_path: Path
    password: Secret | None = None

    @property
    def attach_statement(self) -> str:
        """What an analyst types into DuckDB to look at the records and numbers, without the log."""
        address = self.shown.replace("'", "''")
        return f"ATTACH '{address}' AS voronka (METADATA_SCHEMA 'voronka_warehouse', READ_ONLY)"

    @property
    def shown(self) -> str:
        return f"{PREFIX}{self.address}"
