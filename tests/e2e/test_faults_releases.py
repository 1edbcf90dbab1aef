"""A warehouse of every earlier release: migrated, replayed and synced, it says what a fresh one says."""

from __future__ import annotations

import lzma
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from base.clock import FakeClock
from demo.company import build_company
from demo.statements import write_statements
from flows.steps.nightly import nightly
from flows.steps.publish import publish
from flows.steps.recompute import recompute
from flows.steps.replay import replay
from tests.campaign.checks import broken_rules, check_evidence
from tests.e2e.company import confirm_inputs, served
from tests.e2e.state import read_state
from tests.engine import only_files
from voronka.config import load_project

pytestmark = [pytest.mark.e2e, only_files("releases left files")]

RELEASES = sorted((Path(__file__).parent / "releases").glob("*/"))
STORY = build_company(deals=4, seed=5)


@pytest.mark.parametrize("release", RELEASES, ids=lambda folder: folder.name)
def test_an_earlier_releases_files_go_on_as_if_made_today(release: Path, tmp_path: Path) -> None:
    """A migration that loses rows, a column that replay forgets to fill, a watermark the new code reads otherwise."""
    old, fresh = tmp_path / "old", tmp_path / "fresh"
    unpack(release, old / "var")
    clock = FakeClock(STORY.told_at + timedelta(hours=1))
    for folder in (old, fresh):
        confirm_inputs(STORY, folder)
        write_statements(STORY, folder / "exports")
    with served(STORY, fresh, clock) as project:
        assert nightly(project, clock=clock).is_ok
        # The same servers: their addresses stand in the records.
        shutil.copy(project.config_path, old)
        migrated = load_project(old / project.config_path.name)
        assert nightly(migrated, clock=clock).is_ok
        replay(migrated, clock=clock)
        recompute(migrated, None, clock=clock)
        publish(migrated, clock=clock)

    found, expected = (read_state(folder / "var" / "warehouse.duckdb") for folder in (old, fresh))
    assert {name for name in expected if found[name] != expected[name]} == set()
    assert read_state(old / "analytics.duckdb") == found
    assert broken_rules(old / "var") == []
    check_evidence(old / "var" / "warehouse.duckdb")
    assert list((old / "var").glob("warehouse.*.backup.duckdb")), "migrated without a copy"


def unpack(release: Path, var: Path) -> None:
    var.mkdir(parents=True)
    for packed in release.glob("*.xz"):
        (var / packed.stem).write_bytes(lzma.decompress(packed.read_bytes()))
