"""A second sync of a CRM in which nothing has changed: requests and rows, stream by stream.

`python -m benchmarks unchanged`. Every stream is read as `voronka sync` reads it, from the simulated servers of
`benchmarks/crm.py` (200 ms of latency, the vendors' limits), at the vendor's pace for amoCRM.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.certificate import make_certificate
from benchmarks.crm import CONFIG, CONFIGS, ROOT, Round, served
from benchmarks.measure import Cost, run
from benchmarks.summary import US, Line

SETTINGS = {"amocrm": "requests_per_second = 7", "bitrix24": ""}


@dataclass(frozen=True)
class Synced:
    cost: Cost
    streams: list[dict[str, Any]]

    def total(self, name: str) -> int:
        return sum(int(stream[name]) for stream in self.streams)


def sync(folder: Path) -> Synced:
    log = folder / "sync.json"
    cost = run(
        [str(Path(sys.executable).parent / "voronka"), "sync", "--json"], cwd=folder, environment=_path(), log=log
    )
    # Progress and log lines come first.
    _, brace, rest = log.read_text(encoding="utf-8").partition("\n{\n")
    return Synced(cost, json.loads(brace + rest)["streams"])


def _path() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT)}


def measure(vendor: str, deals: int, folder: Path) -> tuple[Synced, Synced]:
    """The first sync of so many deals and the one after it."""
    with served(Round(vendor=vendor, deals=deals), make_certificate(folder / "loopback.pem")) as server:
        source = CONFIGS[vendor].format(url=server.addresses["http"])
        config = CONFIG.format(source=source, extra=SETTINGS[vendor])
        (folder / "voronka.toml").write_text(config, encoding="utf-8")
        server.ask("start")
        return sync(folder), sync(folder)


def report(vendor: str, first: Synced, second: Synced) -> str:
    lines: list[tuple[str, ...]] = [
        ("source", "run", "requests", "most of one stream", "raw rows", "core rows", "CPU s", "wall s")
    ]
    lines.append(tuple("---" for _ in lines[0]))
    for name, one in (("first", first), ("second", second)):
        most = max(one.streams, key=lambda stream: int(stream["requests"]))
        lines.append(
            (
                vendor,
                name,
                f"{one.total('requests'):,}",
                f"{most['requests']:,} ({most['stream']})",
                f"{one.total('rows'):,}",
                f"{one.total('core_rows'):,}",
                f"{one.cost.cpu_seconds:.1f}",
                f"{one.cost.wall_seconds:.1f}",
            )
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _lines(vendor: str, first: Synced, second: Synced) -> list[Line]:
    return [
        Line(
            what=f"{vendor}, every stream: {name} sync",
            who=US,
            count=first.total("rows"),
            cpu_seconds=one.cost.cpu_seconds,
            wall_seconds=one.cost.wall_seconds,
            peak_rss=one.cost.peak_tree_rss,
        )
        for name, one in (("first", first), ("unchanged", second))
    ]


def main(arguments: Sequence[str] | None = None) -> list[Line]:
    parser = argparse.ArgumentParser(description="An unchanged second sync of amoCRM and Bitrix24.")
    parser.add_argument("--deals", type=int, default=100_000)
    chosen = parser.parse_args(arguments)
    lines: list[Line] = []
    for vendor in CONFIGS:
        with tempfile.TemporaryDirectory(prefix="voronka-benchmark-") as folder:
            first, second = measure(vendor, chosen.deals, Path(folder))
        print(report(vendor, first, second), end="\n\n", flush=True)
        lines += _lines(vendor, first, second)
    return lines


if __name__ == "__main__":
    main()
