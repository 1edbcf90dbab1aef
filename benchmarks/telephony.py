"""A year of a busy telephony against the vendors' limits: the real clients, limiters and simulated servers, no socket.

`python -m benchmarks.telephony --legs 3000000`: 200 extensions of Zadarma, and the calls of as many legs at Mango. All
waiting is on the injected clock, so 17 hours of limits pass in minutes. The budget is 1.05 of the time that the
smallest number of requests takes at the vendor's limit.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from base.clock import FakeClock
from base.secrets import Secret
from base.times import to_unix
from benchmarks.summary import US, Line
from connectors.mango import fetch as mango_fetch
from connectors.mango.client import open_client as open_mango
from connectors.mango.reports import PAGE_CALLS
from connectors.mango.settings import MangoSettings
from connectors.mango.windows import split_windows
from connectors.stream import Page, Request, Runtime
from connectors.zadarma import fetch as zadarma_fetch
from connectors.zadarma.client import open_client as open_zadarma
from connectors.zadarma.settings import ZadarmaSettings
from demo.mango import MangoServer, MangoWorld
from demo.mango.world import MangoCall
from demo.zadarma import ZadarmaServer, ZadarmaWorld
from demo.zadarma.world import Entry

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
FIRST = NOW - timedelta(days=360)
ZONE = ZoneInfo("Europe/Moscow")
LEGS_A_CALL = 2.5
# Zadarma: three statistics requests a minute, of 1,000 legs. Mango: a report of 5,000 calls every two seconds.
ZADARMA_SECONDS, ZADARMA_ROWS = 20.0, 1_000
MANGO_SECONDS = 2.0


@dataclass(frozen=True)
class Measured:
    vendor: str
    records: int
    requests: int
    least_requests: int
    seconds: float  # on the injected clock
    limit_seconds: float
    cpu_seconds: float

    def render(self) -> str:
        return (
            f"| {self.vendor} | {self.records:,} | {self.requests:,} | {self.least_requests:,}"
            f" | {self.seconds / 3600:.2f} | {self.seconds / self.limit_seconds:.3f} | {self.cpu_seconds:.0f} |"
        )


def _runtime(transport: Any, clock: FakeClock, folder: Path) -> Runtime:
    return Runtime(source="telephony", clock=clock, zone=ZONE, state_dir=folder, transport=transport)


def _read(pages: Iterable[Page], clock: FakeClock) -> tuple[int, float, float]:
    """Records read, seconds on the injected clock, CPU seconds (the server's included)."""
    began, cpu = clock.monotonic(), time.process_time()
    count = sum(len(page.ids) for page in pages)
    return count, clock.monotonic() - began, time.process_time() - cpu


def measure_zadarma(legs: int, folder: Path) -> Measured:
    """Every leg a call of its own: what costs requests is the number of legs."""
    clock = FakeClock(NOW)
    step = timedelta(days=359) / legs
    world = ZadarmaWorld(zone=ZONE, legs=[_leg(place, FIRST + place * step) for place in range(legs)])
    server = ZadarmaServer(world, key="benchmark", secret="benchmark", clock=clock)
    settings = ZadarmaSettings(
        type="zadarma", key=Secret("benchmark"), secret=Secret("benchmark"), base_url="http://zadarma.test"
    )
    with open_zadarma(settings, _runtime(server.transport, clock, folder)) as client:
        asked = Request(position=None, start=FIRST, end=NOW)
        count, seconds, cpu = _read(zadarma_fetch.fetch_calls(client, asked), clock)
    least = math.ceil(legs / ZADARMA_ROWS)
    return Measured("Zadarma", count, len(server.requests), least, seconds, least * ZADARMA_SECONDS, cpu)


def _leg(place: int, started: datetime) -> Entry:
    row = {
        "call_id": f"{to_unix(started)}.{place}",
        "sip": str(100 + place % 200),
        "callstart": started.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S"),
        "clid": "79161234567",
        "destination": "74951234567",
        "disposition": "answered",
        "seconds": 60,
        "is_recorded": "true",
        "pbx_call_id": f"in_{place:040x}",
    }
    return Entry(started_at=started, listed_at=started, row=row)


def measure_mango(legs: int, folder: Path) -> Measured:
    """A report holds whole calls with their legs; it is ready a second after its start."""
    clock = FakeClock(NOW)
    calls = int(legs / LEGS_A_CALL)
    step = timedelta(days=359) / calls
    world = MangoWorld(calls=[_call(place, to_unix(FIRST + place * step)) for place in range(calls)])
    server = MangoServer(world, api_key="benchmark", api_salt="benchmark", clock=clock, preparation=1.0)
    settings = MangoSettings(
        type="mango", api_key=Secret("benchmark"), api_salt=Secret("benchmark"), base_url="http://mango.test/vpbx"
    )
    with open_mango(settings, _runtime(server.transport, clock, folder)) as client:
        asked = Request(position=None, start=FIRST, end=NOW)
        count, seconds, cpu = _read(mango_fetch.fetch_calls(client, asked), clock)
    # The vendor takes no period of a month, so a window of 29 days begins a page of its own.
    starts = [call.started_at for call in world.calls]
    windows = [(to_unix(window.start), to_unix(window.end)) for window in split_windows(FIRST, NOW)]
    least = sum(
        math.ceil((bisect_right(starts, last) - bisect_left(starts, first)) / PAGE_CALLS) for first, last in windows
    )
    return Measured("Mango", count, len(server.starts), least, seconds, least * MANGO_SECONDS, cpu)


def _call(place: int, started: int) -> MangoCall:
    card = {"entry_id": f"E{place}", "context_type": 1, "context_start_time": started}
    return MangoCall(ended_at=started + 60, card=card, rows=[])


def main(arguments: Sequence[str] | None = None) -> list[Line]:
    parser = argparse.ArgumentParser(description="A year of calls within the vendors' limits.")
    parser.add_argument("--legs", type=int, default=300_000, help="3000000 is a year of 200 extensions")
    parser.add_argument("--vendor", choices=("zadarma", "mango"), help="default: both")
    chosen = parser.parse_args(arguments)
    print("| vendor | calls | requests | least possible | hours on the clock | of the limit's time | CPU s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    lines = []
    for name, measure in (("mango", measure_mango), ("zadarma", measure_zadarma)):
        if chosen.vendor in (None, name):
            with tempfile.TemporaryDirectory(prefix="voronka-benchmark-") as folder:
                one = measure(chosen.legs, Path(folder))
            print(one.render(), flush=True)
            what = f"a year of calls of {one.vendor} read, its server included"
            lines.append(Line(what=what, who=US, count=one.records, cpu_seconds=one.cpu_seconds))
    return lines


if __name__ == "__main__":
    main()
