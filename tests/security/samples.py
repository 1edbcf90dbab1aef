"""Real samples of every vendor, as its simulated server tells them: what the fuzzing tests make wrong.

The servers answer in this process, without sockets; a vendor's records are fetched once for a session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast
from zoneinfo import ZoneInfo

import httpx

from base.clock import FakeClock
from connectors.registry import load_connector
from connectors.stream import Connector, MapContext, Page, RawRecord, Request, Runtime, Settings
from demo.company import build_company
from demo.http import HttpRequest, HttpResponse
from demo.story import Story
from tests.connectors.contract import VENDORS, HttpVendor

ZONE = ZoneInfo("Europe/Moscow")
HOST = "https://vendor.test"
OVER_HTTP = sorted(name for name, vendor in VENDORS.items() if cast(Any, vendor).speaks_http)
# More than any load of the sample company needs: who asks more often goes round in circles.
MOST_REQUESTS = 200


class EndlessError(AssertionError):
    """A client that asks for ever: what a vendor's wrong answer must not make of it."""


@dataclass
class Sampled:
    """A vendor in this process. `spoil` changes an answer on its way, given its number in this load."""

    name: str
    story: Story
    settings: Settings
    server: Any
    connector: Connector[Any]
    records: dict[str, list[RawRecord]] = field(default_factory=dict)

    def runtime(self, spoil: Callable[[int, HttpResponse], HttpResponse] | None = None) -> Runtime:
        clock = FakeClock(self.story.told_at)
        self.server.clock = clock
        asked = 0

        def handle(request: httpx.Request) -> httpx.Response:
            nonlocal asked
            asked += 1
            if asked > MOST_REQUESTS:
                raise EndlessError(f"{self.name}: {MOST_REQUESTS} requests and no end")
            answer = cast(HttpResponse, self.server.answer(_as_heard(request)))
            if spoil is not None:
                answer = spoil(asked - 1, answer)
            return httpx.Response(answer.status, headers=_as_sent(answer.headers), content=answer.body)

        return Runtime(
            source="vendor",
            clock=clock,
            zone=ZONE,
            state_dir=Path(mkdtemp(prefix="voronka-fuzz-")),
            transport=httpx.MockTransport(handle),
        )

    def fetch(self, runtime: Runtime, stream: str) -> Iterator[Page]:
        """Every page of a first load of a stream."""
        declared = self.connector.stream(stream)
        with self.connector.open(self.settings, runtime) as client:
            request = Request(position=None, start=self.story.opened_at, end=self.story.told_at)
            yield from declared.fetch(client, request)

    def context(self, stream: str, dictionaries: Mapping[str, Mapping[str, bytes]] | None = None) -> MapContext:
        known = {
            name: {record.record_id: record.payload for record in self.records[name]}
            for name in self.connector.stream(stream).needs
        }
        return MapContext(
            source="vendor",
            settings=self.settings,
            zone=ZONE,
            country="RU",
            currency="RUB",
            own_tax_ids=frozenset({self.story.tax_id}),
            dictionaries={**known, **(dictionaries or {})},
        )


@cache
def sample(name: str) -> Sampled:
    """A vendor and one load of everything it has."""
    story = build_company(deals=6, seed=3)
    clock = FakeClock(story.told_at)
    vendor = cast(HttpVendor, VENDORS[name](Path(mkdtemp(prefix="voronka-fuzz-")), clock))
    vendor.server = vendor.build(story)
    vendor.server.latency = 0.0
    settings = _settings(vendor)
    connector: Connector[Any] = load_connector(settings.type).serving(settings)
    found = Sampled(name, story, settings, vendor.server, connector)
    for stream in connector.streams:
        pages = list(found.fetch(found.runtime(), stream.name))
        found.records[stream.name] = [
            RawRecord(record_id, payload, version or 1, 1)
            for page in pages
            for record_id, payload, version in zip(page.ids, page.payloads, page.versions, strict=True)
        ]
    return found


def _as_sent(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """As bytes: what a server sends need not be ASCII."""
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _settings(vendor: HttpVendor) -> Settings:
    """The vendor's own settings, for an address that only this process knows."""

    class Addressed:
        url = f"{HOST}/base" if vendor.source_type == "onec" else HOST

    server, vendor.server = vendor.server, Addressed()
    try:
        return vendor.settings()
    finally:
        vendor.server = server


def _as_heard(request: httpx.Request) -> HttpRequest:
    from demo.http import _read

    return _read(request.method, request.url.raw_path.decode("ascii"), request.headers, request)
