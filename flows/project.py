"""What one installation is: its company, its files and its sources. Read once, at the edge (voronka/config.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal

from base.secrets import Secret
from connectors.stream import Settings
from connectors.vault import Vault
from metrics.settings import Company
from warehouse.address import Lake


@dataclass(frozen=True, kw_only=True)
class Source:
    """A `[sources.NAME]` table, already converted to its connector's own settings."""

    name: str
    type: str
    settings: Settings
    # How far back a first load goes, at the company's midnight; None = as far as the source reaches.
    start: date | None = None

    @property
    def is_enabled(self) -> bool:
        return self.settings.enabled


@dataclass(frozen=True, kw_only=True)
class Project:
    """A configuration that has been read and found good. All paths are absolute.

    `sources` holds every source of the configuration, disabled ones too (their records stay in the warehouse);
    it is empty when only reading was asked for (`load_project(..., read_sources=False)`).
    """

    root: Path  # the folder of voronka.toml
    config_path: Path
    company: Company
    warehouse_path: Path
    raw_path: Path
    # Where everything is instead; beside `warehouse_path` then only this machine's locks stand.
    lake: Lake | None = None
    publish_path: Path
    personal_data: Literal["full", "masked", "none"] = "full"
    sources: Mapping[str, Source] = field(default_factory=dict)
    # Tokens, limiters and logs of this installation, outside the databases.
    state_dir: Path
    # How the token files there are closed.
    vault: Vault = field(default_factory=Vault)
    # Every secret of the configuration, for redacting what is shown or logged.
    secrets: tuple[Secret, ...] = ()

    @property
    def enabled_sources(self) -> dict[str, Source]:
        return {name: source for name, source in self.sources.items() if source.is_enabled}
