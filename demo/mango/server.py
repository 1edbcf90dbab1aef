"""The simulated server: signature, wrong-request lock, budgets, and reports that take their time."""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from itertools import groupby
from typing import Any

from base.clock import Clock
from base.times import to_micros
from demo.http import FaultSource, HttpRequest, HttpResponse, SimulatedServer, json_response
from demo.mango.world import MangoCall, MangoWorld

MOSCOW = timezone(timedelta(hours=3))
PREFIX = "/vpbx/"
LIMITS_TAKEN = frozenset({1, 5, 10, 20, 50, 100, 500, 1000, 2000, 5000})
LOCK_SECONDS = 120.0
DEAR_INTERVAL = 2.0
REQUESTS_PER_SECOND = 10
# Clocks of two machines differ; the vendor's counter is not sharper than this.
TOLERANCE = 1e-6
LONGEST_PERIOD = timedelta(days=30)
KEPT_SECONDS = 60.0
BASIC_FIELDS = (
    "records,start,finish,answer,from_extension,from_number,to_extension,to_number,disconnect_reason,"
    "line_number,location"
)

_DATE = re.compile(r"(\d{2})\.(\d{2})\.(\d{4})(?: (\d{2}):(\d{2}):(\d{2}))?")


class _WrongRequest(Exception):  # noqa: N818 - an answer of the protocol, not a failure
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class _Report:
    ready_at: float
    kind: str
    content: Callable[[], HttpResponse]
    partial: Callable[[], HttpResponse]
    polls: int = 0


class MangoServer(SimulatedServer):
    """Serves a world as Mango Office does; `url` includes `/vpbx`.

    A report is ready `preparation` seconds after its start on `clock`; before that a look at it gives 204 and `work`
    with a part of the data in turn. `extended=False` is a tariff that knows only the basic report (4001).
    `limits=False` takes requests as fast as they come. `starts` holds when each accepted report was ordered.
    """

    def __init__(
        self,
        world: MangoWorld,
        *,
        api_key: str,
        api_salt: str,
        clock: Clock | None = None,
        preparation: float = 0.0,
        extended: bool = True,
        limits: bool = True,
        latency: float = 0.0,
        faults: FaultSource | None = None,
    ) -> None:
        super().__init__(self._serve, clock=clock, latency=latency, faults=faults)
        self.world = world
        self.starts: list[float] = []
        self.wrong_requests: list[int] = []
        self._key = api_key
        self._salt = api_salt
        self._preparation = preparation
        self._extended = extended
        self._limits = limits
        self._state = threading.Lock()
        self._recent: deque[float] = deque()
        self._last_dear: dict[str, float] = {}
        self._first_wrong_at: float | None = None
        self._locked_until = 0.0
        self._reports: dict[str, _Report] = {}
        self._ordered = 0
        self._methods: dict[str, Callable[[dict[str, Any]], HttpResponse]] = {
            "account/balance": lambda asked: json_response({"result": 1000, "balance": 1234.5, "currency": "RUB"}),
            "config/users/request": self._users,
            "incominglines": lambda asked: json_response({"result": 1000, "lines": self.world.lines}),
            "groups": lambda asked: json_response({"result": 1000, "groups": self.world.groups}),
            "stats/calls/request": self._order_extended,
            "stats/calls/result": lambda asked: self._look("extended", asked),
            "stats/request": self._order_basic,
            "stats/result": lambda asked: self._look("basic", asked),
        }

    @property
    def url(self) -> str:
        return super().url + PREFIX.rstrip("/")

    def now(self) -> float:
        return to_micros(self.clock.now()) / 1e6

    # ── protocol ────────────────────────────────────────────────────────────────────────────────────────────────

    def _serve(self, request: HttpRequest) -> HttpResponse:
        with self._state:
            if self.now() < self._locked_until:
                return json_response({"name": "Unauthorized", "code": 0, "status": 401}, status=401)
            try:
                path, asked = self._authenticate(request)
                return self._refuse_haste(path) or self._methods[path](asked)
            except _WrongRequest as wrong:
                return self._refuse(wrong)

    def _refuse(self, wrong: _WrongRequest) -> HttpResponse:
        """The first wrong request is answered; the next within two minutes locks the key until two after the first."""
        now = self.now()
        self.wrong_requests.append(wrong.code)
        if self._first_wrong_at is not None and now < self._first_wrong_at + LOCK_SECONDS:
            self._locked_until = self._first_wrong_at + LOCK_SECONDS
            return json_response({"name": "Unauthorized", "code": 0, "status": 401}, status=401)
        self._first_wrong_at = now
        return json_response({"result": wrong.code, "message": str(wrong)})

    def _authenticate(self, request: HttpRequest) -> tuple[str, dict[str, Any]]:
        if request.method != "POST":
            raise _WrongRequest(3101, "POST only")
        form = request.form()
        missing = {"vpbx_api_key", "sign", "json"} - form.keys()
        if missing:
            raise _WrongRequest(3103, f"missing: {', '.join(sorted(missing))}")
        if form["vpbx_api_key"] != self._key:
            raise _WrongRequest(3105, "unknown key")
        if form["sign"] != sha256(f"{self._key}{form['json']}{self._salt}".encode()).hexdigest():
            raise _WrongRequest(3102, "wrong signature")
        try:
            asked = json.loads(form["json"])
        except ValueError:
            raise _WrongRequest(3400, "invalid JSON") from None
        path = request.path.removeprefix(PREFIX).strip("/")
        if not isinstance(asked, dict) or path not in self._methods:
            raise _WrongRequest(3100, "no such method")
        return path, asked

    def _refuse_haste(self, path: str) -> HttpResponse | None:
        if not self._limits:
            return None
        now = self.now()
        while self._recent and self._recent[0] <= now - 1.0 + TOLERANCE:
            self._recent.popleft()
        purpose = "users" if path == "config/users/request" else "starts" if path.endswith("/request") else ""
        hasty = bool(purpose) and now - self._last_dear.get(purpose, -DEAR_INTERVAL) < DEAR_INTERVAL - TOLERANCE
        if hasty or len(self._recent) >= REQUESTS_PER_SECOND:
            content = {"name": "Service Unavailable", "message": "Rate limit exceeded.", "code": 0, "status": 429}
            return json_response(content, status=429)
        self._recent.append(now)
        if purpose:
            self._last_dear[purpose] = now
        return None

    # ── dictionaries ────────────────────────────────────────────────────────────────────────────────────────────

    def _users(self, asked: dict[str, Any]) -> HttpResponse:
        wanted = set(asked.get("ext_fields") or ())
        hidden = {"user_id", "sips", "mobile", "login"} - {name.removeprefix("general.") for name in wanted}
        shown = []
        for user in self.world.users:
            card = dict(user)
            card["general"] = {name: value for name, value in user["general"].items() if name not in hidden}
            if "groups" not in wanted:
                card.pop("groups", None)
            shown.append(card)
        return json_response({"users": shown})

    # ── reports ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _order_extended(self, asked: dict[str, Any]) -> HttpResponse:
        if not self._extended:
            return json_response({"result": 4001, "message": "command is not supported"})
        start, end = (_moscow_time(asked, name) for name in ("start_date", "end_date"))
        limit, offset = _whole(asked, "limit"), _whole(asked, "offset")
        if limit not in LIMITS_TAKEN:
            raise _WrongRequest(3109 if limit > max(LIMITS_TAKEN) else 3108 if limit < 1 else 3100, "limit")
        if offset < 0:
            raise _WrongRequest(3108, "offset")
        if end < start or end - start >= LONGEST_PERIOD:
            raise _WrongRequest(3111, "dates")
        calls = self._calls(start.timestamp(), end.timestamp())[offset : offset + limit]
        return self._order(
            "extended",
            lambda: json_response({"result": 1000, "status": "complete", "data": _by_day(calls)}),
            lambda: json_response({"result": 1000, "status": "work", "data": _by_day(calls[: len(calls) // 2])}),
        )

    def _order_basic(self, asked: dict[str, Any]) -> HttpResponse:
        start, end = _whole(asked, "date_from"), _whole(asked, "date_to")
        if end < start or end - start > 31 * 86_400:
            raise _WrongRequest(3111, "dates")
        fields = [name.strip() for name in str(asked.get("fields") or BASIC_FIELDS).split(",")]
        lines = [
            ";".join(row.get(name, "") for name in fields)
            for call in self._calls(0, self.now())
            for row in call.rows
            if start <= int(row["start"]) <= end
        ]
        body = "".join(f"{line}\r\n" for line in lines).encode()
        headers = {"Content-Type": "text/csv;charset=UTF-8"}
        return self._order(
            "basic",
            lambda: HttpResponse(body=body, headers=headers),
            lambda: HttpResponse(status=204),
        )

    def _calls(self, start: float, end: float) -> list[MangoCall]:
        """Calls that began in a period and have ended, oldest first."""
        now = self.now()
        return [call for call in self.world.calls if start <= call.started_at <= end and call.ended_at <= now]

    def _order(
        self, kind: str, content: Callable[[], HttpResponse], partial: Callable[[], HttpResponse]
    ) -> HttpResponse:
        self.starts.append(self.now())
        self._ordered += 1
        # A plus, a slash and an equals sign: a body that doesn't escape them breaks its own signature.
        key = f"B+Dv/{self._ordered:06d}=="
        self._reports[key] = _Report(self.now() + self._preparation, kind, content, partial)
        return json_response({"key": key})

    def _look(self, kind: str, asked: dict[str, Any]) -> HttpResponse:
        key = asked.get("key")
        if not isinstance(key, str):
            raise _WrongRequest(3103, "key")
        report = self._reports.get(key)
        now = self.now()
        if report is None or report.kind != kind or now > report.ready_at + KEPT_SECONDS:
            self._reports.pop(key, None)
            return json_response({"name": "Not Found", "code": 0, "status": 404}, status=404)
        report.polls += 1
        if now < report.ready_at:
            return HttpResponse(status=204) if report.polls % 2 else report.partial()
        del self._reports[key]  # a report is read once
        return report.content()


def _by_day(calls: list[MangoCall]) -> list[dict[str, Any]]:
    blocks = []
    for day, group in groupby(calls, key=lambda call: datetime.fromtimestamp(call.started_at, MOSCOW).date()):
        cards = [call.card for call in group]
        blocks.append(
            {
                "period": day.isoformat(),
                "total_talks_duration": sum(int(card.get("talk_duration") or 0) for card in cards),
                "total_calls_duration": sum(int(card.get("duration") or 0) for card in cards),
                "total_calls_count": len(cards),
                "list": cards,
            }
        )
    return blocks


def _moscow_time(asked: dict[str, Any], name: str) -> datetime:
    if name not in asked:
        raise _WrongRequest(3103, name)
    found = _DATE.fullmatch(str(asked[name]))
    if found is None:
        raise _WrongRequest(3104, name)
    day, month, year, hour, minute, second = (int(part or 0) for part in found.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=MOSCOW).astimezone(UTC)
    except ValueError:
        raise _WrongRequest(3104, name) from None


def _whole(asked: dict[str, Any], name: str) -> int:
    if name not in asked:
        raise _WrongRequest(3103, name)
    try:
        return int(asked[name])
    except (TypeError, ValueError):
        raise _WrongRequest(3104, name) from None
