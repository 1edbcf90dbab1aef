"""A simulated CRM in a process of its own, so that its CPU is not counted.

`python -m benchmarks.portal bitrix24 --deals 20000` prints one line of JSON with its addresses, then answers
commands, one a line: `start` (people begin to change deals), `stop` (they end; gives what was asked of the server),
`check FILE` (the ids in the file, one a line, against the deals that were there all the time). It ends with its
standard input.
"""

from __future__ import annotations

import argparse
import json
import ssl
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.worlds import BUILDERS, Changes
from demo.amocrm import AmocrmServer, AmocrmWorld
from demo.bitrix24 import Bitrix24Server, Bitrix24World, Limits
from demo.http import HttpRequest, HttpResponse, SimulatedServer

SECRET = "benchmark"
LATENCY_SECONDS = 0.2
# Server time of a page of 50 with a narrow select and `start=-1`: 0.02 to 0.1 s.
PAGE_SECONDS = 0.05
# The vendor's own example of what `total` costs: 2.4 million rows in 49.9 s, 0.1 s without.
COUNT_SECONDS = (49.9 - 0.1) / 2_400_000


class Counting:
    """A server's handler that counts its answers by status."""

    def __init__(self, server: Bitrix24Server | AmocrmServer) -> None:
        self._server = server
        self.statuses: Counter[int] = Counter()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._server.answer(request)
        self.statuses[response.status] += 1
        return response


def open_server(world: Bitrix24World | AmocrmWorld, *, charges_counting: bool) -> Bitrix24Server | AmocrmServer:
    """With the vendor's real limits and a latency of 200 ms."""
    if isinstance(world, AmocrmWorld):
        return AmocrmServer(world, token=SECRET, latency=LATENCY_SECONDS)
    limits = Limits(page_seconds=PAGE_SECONDS, count_seconds=COUNT_SECONDS if charges_counting else 0.0)
    return Bitrix24Server(world, secret=SECRET, limits=limits, latency=LATENCY_SECONDS)


def check(changes: Changes, path: Path) -> dict[str, int]:
    read = Counter(int(line) for line in path.read_text().split())
    return {
        "records": len(read),
        "missed": len(changes.stayed - read.keys()),
        "doubled": sum(count - 1 for count in read.values()),
    }


def serve(chosen: argparse.Namespace) -> None:
    world = BUILDERS[chosen.vendor](chosen.deals)
    changes = Changes(world, per_second=chosen.changes, seed=7)
    counting = Counting(open_server(world, charges_counting=not chosen.free_counting))
    certificate: Path | None = chosen.certificate
    with ExitStack() as running:
        addresses = {"http": running.enter_context(SimulatedServer(counting)).url}
        if certificate is not None:
            secure = SimulatedServer(counting)
            secure.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            secure.tls.load_cert_chain(certificate)
            addresses["https"] = running.enter_context(secure).url
        _say(addresses)
        for line in sys.stdin:
            command, _, argument = line.strip().partition(" ")
            if command == "start":
                changes.start()
                _say({})
            elif command == "stop":
                changes.stop()
                statuses = counting.statuses
                _say({"requests": statuses.total(), "refused": statuses[429] + statuses[503] + statuses[403]})
            elif command == "check":
                _say(check(changes, Path(argument)))


def _say(content: dict[str, Any]) -> None:
    print(json.dumps(content), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("vendor", choices=sorted(BUILDERS))
    parser.add_argument("--deals", type=int, required=True)
    parser.add_argument("--changes", type=int, default=0, help="changes a second")
    parser.add_argument("--certificate", type=Path, default=None, help="key and certificate for an HTTPS address")
    parser.add_argument("--free-counting", action="store_true", help="`total` costs nothing")
    serve(parser.parse_args())
