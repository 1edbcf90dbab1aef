"""The simulated server: signature, two rate buckets, pages, and periods that are cut without a word."""

from __future__ import annotations

import base64
import hmac
import re
import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import md5, sha1
from typing import Any
from urllib.parse import quote_plus

from base.clock import Clock
from base.times import to_micros
from demo.http import FaultSource, HttpRequest, HttpResponse, SimulatedServer, json_response
from demo.zadarma.world import Entry, ZadarmaWorld

REQUESTS_PER_MINUTE = 100
STATISTICS_PER_MINUTE = 3
LONGEST_PAGE = 1000
LONGEST_PERIOD = timedelta(days=31)
CUT_PERIOD = timedelta(days=30)
DAY = timedelta(days=1)
TOLERANCE = 1e-6
WALL = "%Y-%m-%d %H:%M:%S"


class _Refused(Exception):  # noqa: N818 - an answer of the protocol, not a failure
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ZadarmaServer(SimulatedServer):
    """Serves a world as Zadarma does. `limits=False` takes requests as fast as they come.

    `statistics_at` holds the moments of accepted statistics requests on `clock`, `refused` the number of 429s.
    """

    def __init__(
        self,
        world: ZadarmaWorld,
        *,
        key: str,
        secret: str,
        clock: Clock | None = None,
        limits: bool = True,
        latency: float = 0.0,
        faults: FaultSource | None = None,
    ) -> None:
        super().__init__(self._serve, clock=clock, latency=latency, faults=faults)
        self.world = world
        self.statistics_at: list[float] = []
        self.refused = 0
        self._key = key
        self._secret = secret
        self._limits = limits
        self._state = threading.Lock()
        self._recent: dict[str, deque[float]] = {"general": deque(), "statistics": deque()}
        self._methods: dict[str, Callable[[HttpRequest], Any]] = {
            "info/balance/": lambda request: {"balance": 10.34, "currency": "USD"},
            "info/timezone/": self._timezone,
            "pbx/internal/": self._internal,
            "direct_numbers/": lambda request: {"info": self.world.numbers},
            "statistics/pbx/": lambda request: self._statistics(request, self.world.legs),
            "statistics/": lambda request: self._statistics(request, self.world.billed_out),
            "statistics/incoming-calls/": lambda request: self._statistics(request, self.world.billed_in),
        }

    def now(self) -> float:
        return to_micros(self.clock.now()) / 1e6

    def _serve(self, request: HttpRequest) -> HttpResponse:
        with self._state:
            try:
                method = self._find_method(request)
                self._authenticate(request)
                self._count(method)
                answer = {"status": "success", **self._methods[method](request)}
                return self._with_limits(json_response(answer))
            except _Refused as refused:
                content = {"status": "error", "message": str(refused)}
                return self._with_limits(json_response(content, status=refused.status))

    def _find_method(self, request: HttpRequest) -> str:
        method = request.path.removeprefix("/v1/")
        found = re.fullmatch(r"pbx/internal/(\d+)/info/", method)
        if found:
            self._methods[method] = lambda asked: self._card(found[1])
        if request.method != "GET" or method not in self._methods:
            raise _Refused(404, "Wrong method name")
        return method

    def _authenticate(self, request: HttpRequest) -> None:
        """The query is encoded anew from its pairs, as the vendor does: unsorted or wrongly escaped ones don't fit."""
        pairs = sorted(request.query)
        query = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs).replace("~", "%7E")
        text = f"{request.path}{query}{md5(query.encode(), usedforsecurity=False).hexdigest()}"
        signature = base64.b64encode(hmac.new(self._secret.encode(), text.encode(), sha1).hexdigest().encode()).decode()
        if request.headers.get("authorization") != f"{self._key}:{signature}":
            raise _Refused(401, "Not authorized")

    def _count(self, method: str) -> None:
        if not self._limits:
            return
        now = self.now()
        buckets = {"general": REQUESTS_PER_MINUTE}
        if method.startswith("statistics/"):
            buckets["statistics"] = STATISTICS_PER_MINUTE
        for name, largest in buckets.items():
            recent = self._recent[name]
            while recent and recent[0] <= now - 60.0 + TOLERANCE:
                recent.popleft()
            if len(recent) >= largest:
                self.refused += 1
                raise _Refused(429, "You exceeded the rate limit")
        for name in buckets:
            self._recent[name].append(now)
        if "statistics" in buckets:
            self.statistics_at.append(now)

    def _with_limits(self, response: HttpResponse) -> HttpResponse:
        oldest = min((recent[0] for recent in self._recent.values() if recent), default=self.now())
        if response.status == 429:
            full = self._recent["statistics"]
            oldest = full[0] if len(full) >= STATISTICS_PER_MINUTE else self._recent["general"][0]
        headers = {"X-RateLimit-Limit": str(REQUESTS_PER_MINUTE), "X-RateLimit-Reset": str(int(oldest + 60.999))}
        return replace(response, headers={**response.headers, **headers})

    # ── methods ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _timezone(self, request: HttpRequest) -> dict[str, Any]:
        wall = self.clock.now().astimezone(self.world.zone)
        offset = (wall.utcoffset() or timedelta()) / timedelta(hours=1)
        return {"unixtime": int(self.now()), "datetime": wall.strftime(WALL), "timezone": f"UTC{offset:+g}"}

    def _internal(self, request: HttpRequest) -> dict[str, Any]:
        return {"pbx_id": 1234, "numbers": [card["number"] for card in self.world.extensions]}

    def _card(self, extension: str) -> dict[str, Any]:
        for card in self.world.extensions:
            if str(card["number"]) == extension:
                return {"pbx_id": 1234, **card}
        raise _Refused(400, "Wrong extension")

    def _statistics(self, request: HttpRequest, entries: list[Entry]) -> dict[str, Any]:
        start, end = _wall(request, "start"), _wall(request, "end")
        if end - start > LONGEST_PERIOD:
            end = start + CUT_PERIOD  # no error: the answer only says what it is of
        skip, limit = _whole(request, "skip", 0), _whole(request, "limit", LONGEST_PAGE)
        if limit > LONGEST_PAGE:
            raise _Refused(400, "Limit is too big")
        now = self.clock.now()
        first, last = start.strftime(WALL), end.strftime(WALL)
        # No zone is a day from UTC: what can't be in the period is left out before its wall time is looked at.
        low = bisect_left(entries, start.replace(tzinfo=UTC) - DAY, key=_moment)
        high = bisect_left(entries, end.replace(tzinfo=UTC) + DAY, key=_moment)
        near = entries[low:high]
        rows = [entry.row for entry in near if first <= entry.row["callstart"] <= last and entry.listed_at <= now]
        answer = {"start": first, "end": last, "stats": rows[skip : skip + limit]}
        return answer | ({"version": 2} if "pbx" in request.path else {})


def _moment(entry: Entry) -> datetime:
    return entry.started_at


def _wall(request: HttpRequest, name: str) -> datetime:
    try:
        return datetime.strptime(request.get(name) or "", WALL)  # noqa: DTZ007 - the account's wall time has no zone
    except ValueError:
        raise _Refused(400, f"Wrong parameter {name}") from None


def _whole(request: HttpRequest, name: str, default: int) -> int:
    text = request.get(name) or str(default)
    if not text.isdigit():
        raise _Refused(400, f"Wrong parameter {name}")
    return int(text)
