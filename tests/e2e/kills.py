"""What the kill tests share: a small company whose servers outlive the nights, and what must hold after a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from demo import amocrm, mango
from demo.company import build_company
from demo.inputs import write_inputs
from demo.statements import write_statements
from tests.e2e.company import CONFIG, KEY, SALT, TOKEN
from tests.e2e.night import HurriedClock
from tests.e2e.state import State, duplicate_keys, read_log, read_state
from tests.engine import IS_LAKE, lake_table, look

ROOT = Path(__file__).parents[2]
NIGHT_SECONDS = 600 if IS_LAKE else 120


# By source and stream: records that carry the second of their last change, and that second.
Dated = dict[tuple[str, str], set[tuple[str, int]]]


@dataclass
class Served:
    """A small company whose servers outlive the processes that read them."""

    folder: Path
    amo: str
    mango: str
    start: str
    state: State
    log: object
    dated: Dated
    seconds: float  # an undisturbed night

    def project(self, folder: Path) -> Path:
        return _write_project(folder, self.amo, self.mango)

    def night(self, config: Path, **env: str) -> subprocess.Popen[bytes]:
        return _night(config, self.start, **env)


STORY = build_company(deals=24, seed=3)


def _write_project(folder: Path, amo: str, tel: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_statements(STORY, folder / "exports")
    write_inputs(STORY, folder / "inputs", crm="amo", telephony="mango")
    config = folder / "voronka.toml"
    config.write_text(
        CONFIG.format(
            zone=STORY.timezone,
            tax_id=STORY.tax_id,
            amo=amo,
            mango=tel,
            token=TOKEN,
            key=KEY,
            salt=SALT,
            start="2026-08-30",
        )
        + lake_table(folder),
        encoding="utf-8",
    )
    return config


def _night(config: Path, start: str, **env: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.e2e.night", str(config), start]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env}, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("kills")
    start = STORY.told_at.isoformat()
    clock = HurriedClock(STORY.told_at)
    with (
        amocrm.AmocrmServer(
            amocrm.world_from_story(STORY), token=TOKEN, clock=clock, limit_per_second=None
        ) as amo_server,
        mango.MangoServer(
            mango.world_from_story(STORY), api_key=KEY, api_salt=SALT, clock=clock, limits=False
        ) as mango_server,
    ):
        config = _write_project(folder / "undisturbed", amo_server.url, mango_server.url)
        began = time.monotonic()
        process = _night(config, start)
        _, errors = process.communicate(timeout=NIGHT_SECONDS)
        assert process.returncode == 0, errors.decode()
        var = config.parent / "var"
        state, log = read_state(var / "warehouse.duckdb"), read_log(var / "raw.duckdb")
        seconds = time.monotonic() - began
        with look(var / "raw.duckdb") as connection:
            dated = _dated(connection)
        assert sum(map(len, dated.values())) > 24
        yield Served(folder, amo_server.url, mango_server.url, start, state, log, dated, seconds)


def assert_whole(served: Served, config: Path) -> None:
    """After a kill a night runs as if nothing had been."""
    process = served.night(config)
    _, errors = process.communicate(timeout=NIGHT_SECONDS)
    assert process.returncode == 0, errors.decode()
    var = config.parent / "var"
    assert read_log(var / "raw.duckdb") == served.log
    state = read_state(var / "warehouse.duckdb")
    assert {name for name, rows in state.items() if rows != served.state[name]} == set()
    assert duplicate_keys(var / "warehouse.duckdb") == {}
    assert read_state(config.parent / "analytics.duckdb") == state


def assert_no_torn_batch(served: Served, config: Path) -> None:
    """The position of a stream never stands ahead of its records: what it claims to have read is in the log."""
    raw = config.parent / "var" / "raw.duckdb"
    if not IS_LAKE and not raw.exists():
        return
    # A killed writer leaves a write-ahead log, which only a writer may replay.
    with look(raw, writes=True) as connection:
        try:
            positions = connection.execute(
                "SELECT source, stream, position FROM raw.positions WHERE stream IN ('leads', 'contacts')"
            ).fetchall()
        except duckdb.CatalogException:
            # Killed before the file had its tables.
            return
        found = _dated(connection)
    torn = {
        (source, stream, record_id)
        for source, stream, position in positions
        for record_id, second in served.dated[source, stream] - found[source, stream]
        if _claims(json.loads(position), second)
    }
    assert torn == set()


def _claims(position: dict[str, int], second: int) -> bool:
    """What changed in this second has been read, the position says (connectors/amocrm/paging.py, two_ends.py)."""
    return second < position["updated_at"] or position.get("above", second + 1) <= second < position.get("began", 0)


def _dated(connection: duckdb.DuckDBPyConnection) -> Dated:
    rows = connection.execute(
        "SELECT source, stream, record_id, version // 1000000 FROM raw.records WHERE stream IN ('leads', 'contacts')"
    ).fetchall()
    dated: Dated = defaultdict(set)
    for source, stream, record_id, second in rows:
        dated[source, stream].add((record_id, second))
    return dated
