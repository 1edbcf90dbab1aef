"""An account on the simulated server, read by the real `sync` into files, without a socket."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
from amocrm_office import MOSCOW, NOW, TOKEN

from base.clock import FakeClock
from base.secrets import Secret
from connectors.amocrm.settings import AmocrmSettings
from connectors.amocrm.streams import CONNECTOR
from demo.amocrm import AmocrmServer, AmocrmWorld
from flows.project import Project, Source
from flows.steps.progress import StreamReport
from flows.steps.sync import SyncReport, sync
from metrics.settings import Company


class SyncedAccount:
    """A project whose only source is `amo`. `folder` must hold the empty files (`empty_files`) as `var`.

    `streams` leaves only these of the connector's: each costs some commits to disk a run. `options` go to the server.
    """

    def __init__(
        self,
        world: AmocrmWorld,
        folder: Path,
        *,
        keys: dict[str, Any] | None = None,
        streams: Collection[str] = (),
        **options: Any,
    ) -> None:
        chosen = [stream for stream in CONNECTOR.streams if not streams or stream.name in streams]
        self._connector = replace(CONNECTOR, streams=chosen)
        self.world = world
        self.clock = FakeClock(NOW)
        self.server = AmocrmServer(world, token=TOKEN, clock=self.clock, **options)
        settings = AmocrmSettings(
            type="amocrm", base_url="https://example.amocrm.ru", **(keys or {"token": Secret(TOKEN)})
        )
        self.project = Project(
            root=folder,
            config_path=folder / "voronka.toml",
            company=Company(zone=MOSCOW),
            warehouse_path=folder / "var" / "warehouse.duckdb",
            raw_path=folder / "var" / "raw.duckdb",
            publish_path=folder / "analytics.duckdb",
            sources={"amo": Source(name="amo", type="amocrm", settings=settings)},
            state_dir=folder / "var" / "state",
        )

    def try_sync(self, **options: Any) -> SyncReport:
        found = {"find_connector": lambda name: self._connector, "transport": self.server.transport, **options}
        return sync(self.project, clock=self.clock, **found)

    def sync(self, **options: Any) -> dict[str, StreamReport]:
        """A run that must go well; its reports by stream."""
        report = self.try_sync(**options)
        assert [str(error) for error in report.errors] == []
        return {stream.stream: stream for stream in report.streams}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """From the warehouse; the raw file is `log`."""
        with duckdb.connect(config={"threads": 1}) as connection:
            connection.execute(f"ATTACH '{self.project.raw_path}' AS log (READ_ONLY)")
            connection.execute(f"ATTACH '{self.project.warehouse_path}' AS stored (READ_ONLY); USE stored")
            return connection.execute(query).fetchall()
