"""One campaign: loads, readers and maintenance side by side on a lake, kills and restarts among them, and the end."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import duckdb

from tests.lake_campaign import comparing
from tests.lake_campaign.company import SOURCES, Company, let_analysts_in, open_company, open_server
from tests.lake_campaign.comparing import Compared
from tests.lake_campaign.reader import STATEMENTS
from tests.lake_campaign.story_clock import StoryClock
from tests.lake_campaign.workers import ROOT, Restarts, Worker
from tests.postgres import Server
from warehouse.address import Lake

Mode = Literal["fast", "immediate"]
WORKER = "tests.lake_campaign.worker"
READERS = 2
TELL_SECONDS = 2.0
PERIODS = ("2026-09..2026-10",)
# How long a first load may take until there is something to read.
FIRST_SECONDS = 240.0
COMMAND_SECONDS = 900.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long, how much, and which dice."""

    seconds: float
    seed: int = 1
    deals: int = 200
    kill_share: float = 0.4
    restarts: Sequence[Mode] = ("immediate", "fast")
    maintain_seconds: float = 45.0  # between two runs of `voronka maintain`; 0: none


@dataclass
class Outcome:
    """What a campaign has seen."""

    loads: dict[str, int] = field(default_factory=dict)
    kills: dict[str, int] = field(default_factory=dict)
    gave_up: dict[str, int] = field(default_factory=dict)
    restarts: list[str] = field(default_factory=list)
    pictures: int = 0
    queries: int = 0
    away: int = 0
    replayed: Compared = field(default_factory=Compared)
    loaded: Compared = field(default_factory=Compared)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        def listed(counts: dict[str, int]) -> str:
            return f"{sum(counts.values())} (" + ", ".join(f"{name} {n}" for name, n in counts.items()) + ")"

        return "\n".join(
            (
                f"commands ended well: {listed(self.loads)}",
                f"killed: {listed(self.kills)}; gave up while PostgreSQL was away: {listed(self.gave_up)}",
                f"restarts of PostgreSQL: {', '.join(self.restarts) or 'none'}",
                f"readers: {self.pictures} pictures, {self.queries} queries, {self.away} times PostgreSQL was away",
                f"compared with its log replayed into files: {self.replayed}",
                f"compared with one calm load into files: {self.loaded}",
                f"wrong: {len(self.wrong)}",
            )
        )


def run_campaign(folder: Path, plan: Plan) -> Outcome:
    """All of it, in `folder`, which stays."""
    outcome = Outcome()
    with (
        open_server() as server,
        open_company(folder, deals=plan.deals, seconds=plan.seconds, origin=time.time()) as company,
    ):
        database = server.create_database()
        lake = Lake(address=server.address(database), data_path=folder / "data")
        _load_for_a_while(folder, plan, server, database, company, lake, outcome)
        company.tell()
        outcome.wrong += [f"the sources lagged behind the clock at {moment}" for moment in company.late]
        if not outcome.wrong:
            _end(folder, company, lake, outcome)
    return outcome


def _load_for_a_while(
    folder: Path, plan: Plan, server: Server, database: str, company: Company, lake: Lake, outcome: Outcome
) -> None:
    dice, restarts, env = random.Random(plan.seed), Restarts(), company.clock.env()

    def voronka(name: str, *arguments: str, pause: float = 0.0) -> Worker:
        # A machine of its own: nothing but the lake is shared.
        machine = folder / name
        machine.mkdir()
        config = company.write_project(machine, lake)
        command = (WORKER, "--config", str(config), "--lang", "en", *arguments)
        own = random.Random(dice.random())
        return Worker(name, command, machine, restarts, own, kill_share=plan.kill_share, pause=pause, env=env)

    loaders = [voronka(source, "sync", source, "--wait", "120") for source in SOURCES]
    if plan.maintain_seconds:
        loaders.append(voronka("maintain", "maintain", "--wait", "120", pause=plan.maintain_seconds))
    readers: list[Worker] = []
    began = time.monotonic()
    moments = sorted(
        (began + plan.seconds * (place + dice.uniform(0.6, 1.4)) / (len(plan.restarts) + 1), mode)
        for place, mode in enumerate(plan.restarts)
    )
    for worker in loaders:
        worker.start()
    try:
        while time.monotonic() < began + plan.seconds:
            company.tell()
            if not readers and _can_be_read(lake):
                let_analysts_in(server, database)
                readers = [_reader(folder, lake, number, restarts, dice, plan) for number in range(READERS)]
            if moments and time.monotonic() >= moments[0][0]:
                mode = moments.pop(0)[1]
                _restart(server, mode, restarts, outcome, time.monotonic() - began)
            time.sleep(TELL_SECONDS)
    finally:
        for worker in (*loaders, *readers):
            worker.stop()
        for reader in readers:
            reader.kill()
        for worker in (*loaders, *readers):
            worker.join()
    _count(outcome, loaders, readers, folder)


def _can_be_read(lake: Lake) -> bool:
    with suppress(duckdb.Error), comparing.opened(lake) as connection:
        return connection.execute("SELECT count(*) FROM meta.watermarks").fetchone() is not None
    return False


def _reader(folder: Path, lake: Lake, number: int, restarts: Restarts, dice: random.Random, plan: Plan) -> Worker:
    place = folder / f"reader-{number}"
    log = f"ATTACH '{lake.shown}' AS landing (METADATA_SCHEMA 'voronka_raw', READ_ONLY)"
    command = ("tests.lake_campaign.reader", str(place / "seen.jsonl"))
    reader = Worker(
        place.name,
        command,
        place,
        restarts,
        random.Random(dice.random()),
        # A reader never ends by itself: each is killed, and the next one goes on.
        kill_share=1.0,
        typical_seconds=max(30.0, plan.seconds / 6),
        env={STATEMENTS: json.dumps([lake.attach_statement, log])},
    )
    reader.start()
    return reader


def _restart(server: Server, mode: Mode, restarts: Restarts, outcome: Outcome, at: float) -> None:
    restarts.begin()
    server.restart(mode)
    restarts.end()
    outcome.restarts.append(f"{mode} at {at:.0f} s")


def _count(outcome: Outcome, loaders: Sequence[Worker], readers: Sequence[Worker], folder: Path) -> None:
    for worker in (*loaders, *readers):
        outcome.loads[worker.name] = worker.ends.done
        outcome.kills[worker.name] = worker.ends.killed
        outcome.gave_up[worker.name] = worker.ends.gave_up
        outcome.wrong += worker.ends.wrong
    for path in folder.glob("reader-*/seen.jsonl"):
        for text in path.read_text("utf-8").splitlines(keepends=True):
            if text.endswith("\n"):
                line = json.loads(text)
                outcome.pictures += not line["away"]
                outcome.away += line["away"]
                outcome.queries += line["queries"]
                outcome.wrong += [f"{path.parent.name}: {what}" for what in line["wrong"]]


# ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _end(folder: Path, company: Company, lake: Lake, outcome: Outcome) -> None:
    """The vendors stand still: a calm load, the numbers, and both comparisons."""
    on_lake = _machine(folder / "calm", company, lake)
    _voronka(company, on_lake, "sync")
    _voronka(company, on_lake, "recompute", *PERIODS)
    moved = folder / "moved" / "var"
    _voronka(company, on_lake, "move", "--to", str(moved / "warehouse.duckdb"))
    replayed = _machine(moved.parent, company, None)
    # Read again at the very microsecond of its loading, a record would not look changed.
    later = replace(company.clock, last=company.clock.last + timedelta(hours=1))
    _voronka(company, replayed, "replay", clock=later)
    _voronka(company, replayed, "recompute", *PERIODS, clock=later)
    fresh = _machine(folder / "fresh", company, None)
    _voronka(company, fresh, "sync")
    _voronka(company, fresh, "recompute", *PERIODS)
    with comparing.opened(lake) as found:
        with comparing.opened(moved) as files:
            outcome.replayed = comparing.compare(found, files)
        with comparing.opened(fresh.parent / "var") as files:
            outcome.loaded = comparing.compare(found, files)
            outcome.loaded.wrong += comparing.compare_logs(found, files)
    outcome.wrong += [f"replayed: {what}" for what in outcome.replayed.wrong]
    outcome.wrong += [f"loaded at once: {what}" for what in outcome.loaded.wrong]


def _machine(folder: Path, company: Company, lake: Lake | None) -> Path:
    folder.mkdir(exist_ok=True)
    return company.write_project(folder, lake)


def _voronka(company: Company, config: Path, *arguments: str, clock: StoryClock | None = None) -> None:
    done = subprocess.run(
        [sys.executable, "-m", WORKER, "--config", str(config), "--lang", "en", *arguments],
        cwd=ROOT,
        env=(clock or company.clock).full_env(),
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    if done.returncode != 0:
        raise RuntimeError(f"voronka {' '.join(arguments)}: {done.stdout}{done.stderr}")
