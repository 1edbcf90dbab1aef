"""voronka and published clients side by side: the same deals, the same simulated server, the vendor's real limits.

`python -m benchmarks crm`. Each client is a process of its own and each run has a server of its own in another
process. voronka lands the deals and conforms them into the warehouse; the others hold their records in memory. In
the last round people edit, create and delete deals meanwhile.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.certificate import make_certificate
from benchmarks.measure import Cost, RunFailedError, run
from benchmarks.portal import SECRET
from benchmarks.summary import Line, line_of

ROOT = Path(__file__).parent.parent
CHANGES_PER_SECOND = 20

CONFIGS = {
    "bitrix24": 'type = "bitrix24"\nwebhook_url = "{url}/rest/1/' + SECRET + '/"',
    "amocrm": 'type = "amocrm"\nbase_url = "{url}"\ntoken = "' + SECRET + '"',
}
CONFIG = '[company]\ntimezone = "Europe/Moscow"\n\n[sources.crm]\n{source}\n{extra}\n'


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A client under measurement. `settings` are lines of voronka's configuration; empty for others."""

    label: str
    vendor: str
    peer: str = ""  # a name of benchmarks.peers; "" is voronka
    settings: str = ""
    scheme: str = "http"
    # One page after the other, each of them counted: minutes where there are many.
    is_slow: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    reader: Reader
    deals: int
    # None: the client gave up; `said` is how.
    cost: Cost | None
    requests: int
    refused: int
    records: int = 0
    missed: int = 0
    doubled: int = 0
    said: str = ""


READERS = [
    Reader(label="voronka", vendor="bitrix24"),
    Reader(label="fast-bitrix24 1.8", vendor="bitrix24", peer="fast_bitrix24"),
    Reader(label="b24pysdk 1.3, keyset", vendor="bitrix24", peer="b24pysdk_fast", scheme="https"),
    Reader(label="b24pysdk 1.3, offsets", vendor="bitrix24", peer="b24pysdk_list", scheme="https", is_slow=True),
    Reader(label="voronka, 7 a second", vendor="amocrm", settings="requests_per_second = 7"),
    Reader(label="voronka, default (5)", vendor="amocrm"),
    Reader(label="amocrm-api-wrapper 1.0", vendor="amocrm", peer="amocrm_api"),
]


class Server:
    """The simulated CRM in its process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.addresses = self._answer()

    def ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@dataclass(frozen=True, kw_only=True)
class Round:
    """What is read: how many deals, and whether people change them meanwhile."""

    vendor: str
    deals: int
    changes: int = 0  # a second
    free_counting: bool = False

    def suits(self, reader: Reader) -> bool:
        return bool(self.changes) or self.free_counting or not reader.is_slow

    @property
    def title(self) -> str:
        told = f"{self.vendor}: {self.deals:,} deals"
        told += f", {self.changes} changes a second" if self.changes else ""
        return told + (", counting free" if self.free_counting else "")


@contextmanager
def served(asked: Round, certificate: Path) -> Iterator[Server]:
    command = [sys.executable, "-m", "benchmarks.portal", asked.vendor, "--deals", str(asked.deals)]
    command += ["--changes", str(asked.changes), *(["--free-counting"] if asked.free_counting else [])]
    process = subprocess.Popen(
        [*command, "--certificate", str(certificate)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Server(process)
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()


def measure(reader: Reader, asked: Round, folder: Path) -> Outcome:
    """One client's whole reading, from the start of its process to its end."""
    ids = folder / "ids.txt"
    certificate = make_certificate(folder / "loopback.pem")
    with served(asked, certificate) as server:
        url = server.addresses[reader.scheme]
        command = _peer_command(reader, url, ids) if reader.peer else _voronka_command(reader, url, folder)
        environment = {"PYTHONPATH": str(ROOT), "REQUESTS_CA_BUNDLE": str(certificate)}
        server.ask("start")
        said = ""
        cost: Cost | None = None
        try:
            cost = run(command, cwd=ROOT, environment=environment, log=folder / "run.log")
        except RunFailedError as error:
            said = str(error).strip().splitlines()[-1]
        counted = server.ask("stop")
        if cost is None:
            return Outcome(reader=reader, deals=asked.deals, cost=None, said=said, **counted)
        if not reader.peer:
            _write_ids(folder / "var" / "warehouse.duckdb", ids)
        return Outcome(reader=reader, deals=asked.deals, cost=cost, **counted, **server.ask(f"check {ids}"))


def _peer_command(reader: Reader, url: str, ids: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.peers", reader.peer, url, str(ids)]


def _voronka_command(reader: Reader, url: str, folder: Path) -> list[str]:
    source = CONFIGS[reader.vendor].format(url=url)
    path = folder / "voronka.toml"
    path.write_text(CONFIG.format(source=source, extra=reader.settings), encoding="utf-8")
    return [sys.executable, "-m", "benchmarks.deals_only", str(path)]


def _write_ids(warehouse: Path, ids: Path) -> None:
    """What is in the core, deletions seen meanwhile included: they were read."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        rows = connection.execute("SELECT deal_id FROM core.deals").fetchall()
    ids.write_text("\n".join(row[0] for row in rows))


def report(outcomes: Sequence[Outcome]) -> str:
    """One table in Markdown."""
    head = ("client", "deals", "wall s", "deals a second", "requests", "refused", "CPU s", "missed", "doubled")
    lines = [head, tuple("---" for _ in head)]
    for one in outcomes:
        if one.cost is None:
            told = (one.reader.label, f"{one.deals:,}", "gave up", one.said[:60], str(one.requests), str(one.refused))
            lines.append((*told, "", "", ""))
            continue
        lines.append(
            (
                one.reader.label,
                f"{one.records:,}",
                f"{one.cost.wall_seconds:.1f}",
                f"{one.records / one.cost.wall_seconds:,.0f}",
                f"{one.requests:,}",
                f"{one.refused:,}",
                f"{one.cost.cpu_seconds:.1f}",
                f"{one.missed:,}",
                f"{one.doubled:,}",
            )
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def rounds(vendor: str, deals: int, changing: int) -> list[Round]:
    told = [Round(vendor=vendor, deals=deals)]
    if vendor == "bitrix24":
        told.append(Round(vendor=vendor, deals=deals, free_counting=True))
    return [*told, Round(vendor=vendor, deals=changing, changes=CHANGES_PER_SECOND)]


def main(arguments: Sequence[str] | None = None) -> list[Line]:
    parser = argparse.ArgumentParser(description="voronka and published clients side by side.")
    parser.add_argument("--deals", type=int, default=30_000)
    parser.add_argument("--changing-deals", type=int, default=10_000, help="deals of the round in which they change")
    parser.add_argument("--vendor", choices=sorted(CONFIGS), default=None)
    parser.add_argument("--quick", action="store_true", help="a tenth of the deals")
    chosen = parser.parse_args(arguments)
    part = 10 if chosen.quick else 1
    lines = []
    for vendor in [chosen.vendor] if chosen.vendor else ["bitrix24", "amocrm"]:
        readers = [reader for reader in READERS if reader.vendor == vendor]
        for asked in rounds(vendor, chosen.deals // part, chosen.changing_deals // part):
            outcomes = [_in_folder(reader, asked) for reader in readers if asked.suits(reader)]
            print(f"\n### {asked.title}\n\n{report(outcomes)}", flush=True)
            lines += [
                line_of(asked.title, one.reader.label, one.records, one.cost)
                for one in outcomes
                if one.cost is not None
            ]
    return lines


def _in_folder(reader: Reader, asked: Round) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="voronka-benchmark-"))
    try:
        outcome = measure(reader, asked, folder)
    finally:
        shutil.rmtree(folder)
    wall = f"{outcome.cost.wall_seconds:.1f} s" if outcome.cost else f"gave up: {outcome.said}"
    print(f"{asked.title}: {reader.label}: {wall}, {outcome.requests} requests", file=sys.stderr, flush=True)
    return outcome


if __name__ == "__main__":
    main()
