"""A large company loaded and computed by real processes: a million deals, three million events, three million calls.

`python -m benchmarks.whole --deals 1000000 --calls 3000000`. The vendors are servers in other processes, not counted,
and their limits are off; every deal has a contact too. Steps: a first sync, the same again, a month computed (which
resolves everything before), and again. Each is a process of its own, and what is in the files at the end is compared
with what was served. The budget is 1 GB of memory for every step.

With `--limits` the vendors' limits are kept, and the first sync's time stands beside the least they allow: the requests
of either account divided by its limit. A company that needs both about equally: `--deals 150000 --calls 30000`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from benchmarks.leads import FIRST_USER, LOST, PIPELINE, STAGES, USER_COUNT, WON
from benchmarks.measure import CLI, Cost, reference_seconds, run
from benchmarks.summary import US, Line, line_of
from benchmarks.whole_servers import FIRST_EXTENSION

ROOT = Path(__file__).parent.parent
MEBIBYTE = 1024 * 1024
MONTH = "2026-10"
CONFIG = """
[company]
timezone = "Europe/Moscow"

[sources.amo]
type = "amocrm"
base_url = "{amocrm}"
token = "benchmark"
requests_per_second = {rate}

[sources.phone]
type = "zadarma"
base_url = "{zadarma}"
key = "benchmark"
secret = "benchmark"
timezone = "Europe/Moscow"
start = 2023-11-01
"""
# The settings take no more than Zadarma's own limit: for a server of ours it is lifted where it is kept.
START = """
import sys
from connectors.zadarma import client
client.REQUESTS_PER_MINUTE = client.STATISTICS_PER_MINUTE = 60_000_000.0
from voronka.cli import main
sys.exit(main())
"""
NO_LIMIT = 1_000_000
# Requests a second: an amoCRM account's, and those of Zadarma's statistics (shared/sources).
AMOCRM_LIMIT, ZADARMA_LIMIT = 7, 3 / 60
# What of Zadarma is statistics; its other methods have a limit of their own, thirty times that.
STATISTICS = "calls"
STEPS = {
    "sync, first": ["sync"],
    "sync, unchanged": ["sync"],
    f"recompute {MONTH}, first": ["recompute", MONTH],
    f"recompute {MONTH}, again": ["recompute", MONTH],
}
KINDS = ("base", "qualified", "meeting", "offer", "won", "lost")
COUNTS = {
    "deals": "SELECT count(*) FROM core.deals WHERE NOT is_deleted",
    "contacts": "SELECT count(*) FROM core.contacts",
    "events": "SELECT count(DISTINCT event_id) FROM core.deal_events",
    "amount": "SELECT sum(amount)::BIGINT FROM core.deals",
    "calls": "SELECT count(DISTINCT call_id) FROM core.calls",
    "talk_seconds": "SELECT sum(talk_seconds) FROM core.calls",
}


@contextmanager
def served(vendor: str, deals: int, calls: int) -> Iterator[tuple[str, dict[str, int]]]:
    """A vendor's address, and the truth of what it serves."""
    command = [sys.executable, "-m", "benchmarks.whole_servers", vendor, "--deals", str(deals), "--calls", str(calls)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
        yield told["url"], told["truth"]
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()


def configure(folder: Path, addresses: dict[str, str], rate: int) -> None:
    """A project with the people and stages of the company, so that its metrics have something to count by."""
    (folder / "voronka.toml").write_text(CONFIG.format(**addresses, rate=rate), encoding="utf-8")
    inputs = folder / "inputs"
    inputs.mkdir()
    people = [f"p{n},Менеджер {n},Отдел {n % 4},manager,,," for n in range(USER_COUNT)]
    _write(inputs / "people.csv", "person_id,name,team,role,grade,valid_from,valid_to", people)
    users = [f"p{n},amo,{FIRST_USER + n},," for n in range(USER_COUNT)]
    extensions = [f"p{n},phone,{FIRST_EXTENSION + n},," for n in range(USER_COUNT)]
    _write(inputs / "identities.csv", "person_id,source,external_id,valid_from,valid_to", users + extensions)
    assert STAGES[-2:] == (WON, LOST)
    stages = [
        f"amo,{PIPELINE},{stage},Этап {n},{n},{kind},"
        for n, (stage, kind) in enumerate(zip(STAGES, KINDS, strict=True))
    ]
    _write(inputs / "stages.csv", "source,pipeline_id,stage_id,name,position,kind,valid_from", stages)


def _write(path: Path, head: str, lines: Sequence[str]) -> None:
    path.write_text("\n".join([head, *lines, ""]), encoding="utf-8")


def step(folder: Path, arguments: Sequence[str], place: int, start: str) -> Cost:
    """One command to its end.

    Raises:
        RunFailedError: its status is not 0.
    """
    command = [sys.executable, "-c", start, "--config", str(folder / "voronka.toml"), *arguments]
    return run(command, cwd=folder, environment={"PYTHONPATH": str(ROOT)}, log=folder / f"{place}.log")


def count(folder: Path) -> dict[str, int]:
    """What the warehouse holds, by the names of the truth."""
    with duckdb.connect(str(folder / "var" / "warehouse.duckdb"), read_only=True) as connection:
        found = {name: connection.execute(query).fetchone() for name, query in COUNTS.items()}
        resolved = connection.execute("SELECT count(*) FROM calc.leads").fetchone()
        facts = connection.execute("SELECT count(*) FROM facts.kpi WHERE period = $1", [MONTH]).fetchone()
    for made in (resolved, facts):
        assert made is not None
        assert made[0] > 0, "nothing was computed"
    return {name: int(row[0] or 0) if row else 0 for name, row in found.items()}


def allowed_seconds(folder: Path) -> float:
    """The least time that the vendors' limits leave to the syncs so far, read side by side."""
    with duckdb.connect(str(folder / "var" / "warehouse.duckdb"), read_only=True) as connection:
        made = connection.execute(
            "SELECT source, sum(requests) FROM meta.sync_runs WHERE source = 'amo' OR stream = $1 GROUP BY source",
            [STATISTICS],
        ).fetchall()
    requests = dict(made)
    print(f"Requests: {requests['amo']} to amoCRM, {requests['phone']} for Zadarma's statistics.")
    return max(requests["amo"] / AMOCRM_LIMIT, requests["phone"] / ZADARMA_LIMIT)


def main(arguments: Sequence[str] | None = None) -> list[Line]:
    parser = argparse.ArgumentParser(description="A large company loaded and computed by real processes.")
    parser.add_argument("--deals", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=3_000_000)
    parser.add_argument("--limits", action="store_true", help="keep the vendors' limits, and compare with them")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where the project is made and stays")
    chosen = parser.parse_args(arguments)
    folder = chosen.keep.absolute() if chosen.keep else Path(tempfile.mkdtemp(prefix="voronka-benchmark-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return _tell(folder, chosen.deals, chosen.calls, chosen.limits)
    finally:
        if not chosen.keep:
            shutil.rmtree(folder)


def _tell(folder: Path, deals: int, calls: int, limits: bool) -> list[Line]:
    """Run the steps, a line of the table each, then the comparison.

    Raises:
        AssertionError: the warehouse holds something else than was served.
    """
    with served("amocrm", deals, calls) as (amocrm, told), served("zadarma", deals, calls) as (zadarma, rest):
        truth = told | rest
        lines = []
        configure(folder, {"amocrm": amocrm, "zadarma": zadarma}, AMOCRM_LIMIT if limits else NO_LIMIT)
        print(f"{deals:,} deals, {truth['events']:,} events, {truth['contacts']:,} contacts, {calls:,} calls\n")
        print(
            "| step | CPU s | wall s | peak RSS, MB | ten million additions, CPU s |\n|---|---|---|---|---|", flush=True
        )
        for place, (name, arguments) in enumerate(STEPS.items()):
            reference = reference_seconds()
            cost = step(folder, arguments, place, CLI if limits else START)
            told_cost = f"{cost.cpu_seconds:.1f} | {cost.wall_seconds:.1f} | {cost.peak_tree_rss / MEBIBYTE:.0f}"
            print(f"| {name} | {told_cost} | {reference:.2f} |", flush=True)
            if limits and place == 0:
                allowed = allowed_seconds(folder)
                print(f"The limits allow {allowed:.0f} s: it took {cost.wall_seconds / allowed:.3f} of that.")
            lines.append(line_of(f"{deals:,} deals and {calls:,} calls: {name}", US, deals + calls, cost))
    found = count(folder)
    size = sum(path.stat().st_size for path in (folder / "var").glob("*.duckdb")) / MEBIBYTE
    print(
        f"\nFiles: {size:,.0f} MB. Counts agree with what was served: {'yes' if found == truth else 'no'}.", flush=True
    )
    if found != truth:
        raise AssertionError(f"{found} instead of {truth}")
    return lines


if __name__ == "__main__":
    main()
