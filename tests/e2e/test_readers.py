"""An analyst at work while a night runs: the one reader DuckDB's locks would let stop everything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from base.clock import FakeClock
from flows.steps.nightly import nightly
from tests.e2e.company import confirm_inputs, served
from tests.e2e.reference import BEFORE_THE_DELETION, NEXT_MORNING, as_of, reference_story

pytestmark = pytest.mark.e2e

# Opens the published file, says what it sees, and goes on asking until a line comes; then says all it has seen.
ANALYST = """
import json, sys, threading, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
queries = [
    "SELECT count(*) FROM core.deals",
    "SELECT sum(amount)::TEXT FROM core.payments",
    "SELECT count(*) FROM core.calls",
    "SELECT max(value)::TEXT FROM facts.kpi WHERE metric = 'revenue_cash'",
]
look = lambda: json.dumps([connection.execute(query).fetchone()[0] for query in queries])
print(look(), flush=True)
told = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), told.set()), daemon=True).start()
seen, times = set(), 0
while not told.wait(0.02):
    seen.add(look())
    times += 1
seen.add(look())
print(json.dumps([sorted(seen), times]), flush=True)
"""


def test_an_open_reader_neither_stops_a_night_nor_loses_its_picture(tmp_path: Path) -> None:
    """A night that copies into the open file, or that waits for its readers to go home."""
    story, clock = reference_story(), FakeClock(BEFORE_THE_DELETION)
    confirm_inputs(story, tmp_path)
    with served(as_of(story, BEFORE_THE_DELETION), tmp_path, clock) as project:
        assert nightly(project, clock=clock).is_ok
    clock.advance((NEXT_MORNING - clock.now()).total_seconds())
    with subprocess.Popen(
        [sys.executable, "-c", ANALYST, project.publish_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as analyst:
        assert analyst.stdin is not None
        assert analyst.stdout is not None
        before = analyst.stdout.readline().strip()
        with served(story, tmp_path, clock) as project:
            assert nightly(project, clock=clock).is_ok
        analyst.stdin.write("enough\n")
        analyst.stdin.flush()
        seen, times = json.loads(analyst.stdout.readline())
    assert seen == [before]
    assert times > 5
    fresh = subprocess.run(
        [sys.executable, "-c", ANALYST, project.publish_path], input="\n", capture_output=True, text=True, check=True
    )
    after = fresh.stdout.splitlines()[0]
    assert json.loads(before)[1:3] == ["290000.00", 14]
    assert json.loads(after)[1:3] == ["430000.00", 14]
