"""The whole way: a portal that changes while it fails, through landing and conforming, to the core."""

from __future__ import annotations

import random
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

from bitrix24_office import BASE_URL, MOSCOW, SECRET

from base.clock import FakeClock
from base.secrets import Secret
from connectors.bitrix24.settings import Bitrix24Settings
from demo.bitrix24 import Bitrix24Server, Limits, world_from_story
from demo.company import build_company
from demo.http import SeededFaults
from flows.project import Project, Source
from flows.steps.sync import sync
from metrics.settings import Company
from tests.engine import lake_at, look


class Portal:
    """A portal told from the demo company, and a project that reads it."""

    def __init__(self, folder: Path, seed: int, deals: int = 25) -> None:
        self.story = build_company(deals=deals, seed=seed)
        self.clock = FakeClock(self.story.told_at + timedelta(minutes=1))
        self.world = world_from_story(self.story)
        self.server = Bitrix24Server(
            self.world,
            secret=SECRET,
            clock=self.clock,
            faults=SeededFaults(seed, 0.1),
            limits=Limits(page_seconds=0.2),
        )
        settings = Bitrix24Settings(type="bitrix24", base_url=BASE_URL, webhook_url=Secret(f"1/{SECRET}"))
        self.project = Project(
            root=folder,
            config_path=folder / "voronka.toml",
            company=Company(zone=MOSCOW),
            warehouse_path=folder / "var" / "warehouse.duckdb",
            raw_path=folder / "var" / "raw.duckdb",
            lake=lake_at(folder),
            publish_path=folder / "analytics.duckdb",
            sources={"b24": Source(name="b24", type="bitrix24", settings=settings)},
            state_dir=folder / "var" / "state",
        )

    def sync(self, **options: Any) -> None:
        report = sync(self.project, clock=self.clock, transport=self.server.transport, **options)
        assert [str(error) for error in report.errors] == []

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with look(self.project.warehouse_path) as connection:
            return connection.execute(query).fetchall()

    def living(self) -> dict[str, str]:
        found = self.rows("SELECT deal_id, owner_id || ' ' || amount FROM core.deals WHERE NOT is_deleted")
        return dict(found)

    def truth(self) -> dict[str, str]:
        return {d["ID"]: f"{d['ASSIGNED_BY_ID']} {d['OPPORTUNITY']}" for d in self.world.tables["deals"]}


def test_core_equals_the_portal_and_unlogged_changes_become_events(tmp_path: Path, empty_files: Path) -> None:
    shutil.copytree(empty_files, tmp_path / "var")
    portal = Portal(tmp_path, seed=1)
    dice = random.Random(1)
    portal.sync()
    assert portal.living() == portal.truth()
    [(history,)] = portal.rows("SELECT count(*) FROM core.deal_events WHERE precision = 'log'")
    assert history == len(portal.world.tables["stage_history"])

    portal.clock.advance(3600)
    changed, sold, gone = dice.sample(sorted(int(deal_id) for deal_id in portal.truth()), 3)
    portal.world.edit("deals", changed, portal.clock.now(), ASSIGNED_BY_ID="1", OPPORTUNITY="777.00")
    portal.world.move(sold, portal.world.tables["deals"][sold]["STAGE_ID"], "S", portal.clock.now())
    portal.sync()
    assert portal.living() == portal.truth()
    events = portal.rows(
        "SELECT deal_id, event_type, to_value FROM core.deal_events WHERE precision = 'load_interval' ORDER BY ALL"
    )
    assert events == [(str(changed), "amount", "777.00"), (str(changed), "owner", "1")]

    portal.world.delete("deals", gone)
    portal.clock.advance(3600)
    portal.sync()
    # Nothing tells of a deletion: only a whole reading can.
    assert str(gone) in portal.living()
    portal.sync(full=True)
    assert portal.living() == portal.truth()
    portal.clock.advance(60)
    portal.sync()
    assert portal.living() == portal.truth()


def test_a_planned_closing_day_put_off_is_seen_between_loads(tmp_path: Path, empty_files: Path) -> None:
    """I-11 stands on these. Closing a deal overwrites its planned day, which is no move of anybody's."""
    shutil.copytree(empty_files, tmp_path / "var")
    portal = Portal(tmp_path, seed=2)
    put_off, won = sorted(int(d["ID"]) for d in portal.world.tables["deals"] if d["STAGE_SEMANTIC_ID"] == "P")[:2]
    portal.world.edit("deals", put_off, portal.clock.now(), CLOSEDATE="2026-11-10T03:00:00+03:00")
    portal.world.edit("deals", won, portal.clock.now(), CLOSEDATE="2026-11-10T03:00:00+03:00")
    portal.sync()
    portal.clock.advance(3600)
    portal.world.edit("deals", put_off, portal.clock.now(), CLOSEDATE="2026-11-20T03:00:00+03:00")
    over = {"CLOSED": "Y", "STAGE_SEMANTIC_ID": "S", "CLOSEDATE": "2026-11-24T03:00:00+03:00"}
    portal.world.edit("deals", won, portal.clock.now(), **over)
    portal.sync()
    days = dict(portal.rows("SELECT deal_id, planned_close_on::VARCHAR FROM core.deals"))
    assert (days[str(put_off)], days[str(won)]) == ("2026-11-20", None)
    events = portal.rows(
        "SELECT deal_id, from_value, to_value, precision FROM core.deal_events WHERE event_type = 'close_date'"
    )
    assert events == [(str(put_off), "2026-11-10", "2026-11-20", "load_interval")]


def test_calls_and_people_of_the_company_arrive(tmp_path: Path, empty_files: Path) -> None:
    shutil.copytree(empty_files, tmp_path / "var")
    portal = Portal(tmp_path, seed=3)
    portal.sync()
    outside = [call for call in portal.story.calls if call.direction != "internal"]
    [(calls, with_person)] = portal.rows(
        "SELECT count(*), count(*) FILTER (is_answered AND extension IS NOT NULL) FROM core.calls"
    )
    assert calls == len(outside)
    assert with_person > 0
    for relation in ("users", "pipeline_stages", "contacts", "companies", "activities", "contact_phones"):
        assert portal.rows(f"SELECT count(*) FROM core.{relation}") != [(0,)], relation
