"""A simulated portal: the REST API of an inbound webhook over a `Bitrix24World`, with the limits of the real one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from base.clock import Clock
from demo.bitrix24.limits import Limits, Meter
from demo.bitrix24.lists import METHODS, RefusedError, answer_list
from demo.bitrix24.oauth import TOKEN_PATH, TokenOffice
from demo.bitrix24.php import parse_query
from demo.bitrix24.world import Bitrix24World
from demo.http import FaultSource, HttpRequest, HttpResponse, SimulatedServer, html_response, json_response

_PATH = re.compile(r"/rest/(?:(?P<user>\d+)/(?P<secret>[^/]+)/)?(?P<method>[\w.]+?)(?:\.json)?/?")
MOST_COMMANDS = 50
NOT_IN_BATCH = ("batch", "download", "upload")
ALL_SCOPES = frozenset({"crm", "user", "department", "telephony", "sale"})


@dataclass(frozen=True, kw_only=True)
class Quirks:
    """How this portal differs."""

    is_admin: bool = True
    scopes: frozenset[str] = ALL_SCOPES
    missing_methods: frozenset[str] = frozenset()
    moved_to: str | None = None  # the portal's new address, once it was renamed
    bills_batch: bool = False  # operating time goes to `batch` instead of its commands
    tells_operating: bool = True
    # Records by method whose texts the server can't encode: any page with them fails, except of ids alone.
    damaged: Mapping[str, frozenset[int]] = field(default_factory=dict)


class Bitrix24Server(SimulatedServer):
    """Serves a world to the webhook `user/secret`."""

    def __init__(
        self,
        world: Bitrix24World,
        *,
        secret: str,
        user_id: int = 1,
        clock: Clock | None = None,
        limits: Limits | None = None,
        latency: float = 0.0,
        faults: FaultSource | None = None,
        quirks: Quirks | None = None,
    ) -> None:
        super().__init__(self._handle, clock=clock, latency=latency, faults=faults)
        self.world = world
        self.secret = secret
        self.user_id = user_id
        self.limits = limits or Limits()
        self.meter = Meter(self.limits, self.clock)
        # With an application installed its tokens are good beside the webhook.
        self.application: TokenOffice | None = None
        self.quirks = quirks or Quirks()
        # Commands carried out, by method, also within batches.
        self.commands: list[str] = []
        # Asked before each command: (code, description) fails it; None lets it pass.
        self.fail_command: Callable[[str], tuple[str, str] | None] = lambda method: None
        # Called after each request: tests change the world between two requests here.
        self.after_request: Callable[[str], None] = lambda method: None

    def install(self, *, client_id: str, client_secret: str, endpoint: str = "") -> TokenOffice:
        """An application with tokens; its token server answers at `TOKEN_PATH` of this address."""
        self.application = TokenOffice(self.clock, client_id, client_secret, endpoint or self.url)
        return self.application

    def _refusal(self, user: str | None, secret: str | None, token: object) -> tuple[str, str] | None:
        if secret is not None:
            known = secret == self.secret and user is not None and int(user) == self.user_id
            return None if known else ("INVALID_CREDENTIALS", "Invalid request credentials")
        if self.application is None or token is None:
            return "NO_AUTH_FOUND", "Wrong authorization data"
        return self.application.problem_with(token)

    def _handle(self, request: HttpRequest) -> HttpResponse:
        if request.path == TOKEN_PATH and self.application is not None:
            return self.application.answer(request)
        found = _PATH.fullmatch(request.path)
        if found is None:
            return html_response(404, "404 Not Found")
        if self.quirks.moved_to is not None and not request.headers.get("host", "").startswith(
            self.quirks.moved_to.partition("://")[2]
        ):
            return HttpResponse(status=302, headers={"Location": self.quirks.moved_to + request.path})
        if not self.meter.takes_request():
            return _problem(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")
        params = _body(request)
        refusal = self._refusal(found["user"], found["secret"], params.pop("auth", None))
        if refusal is not None:
            return _problem(401, *refusal)
        method = found["method"].lower()
        if self.meter.is_banned(method):
            return _problem(429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.")
        try:
            response = self._batch(params) if method == "batch" else self._single(method, params)
        except RefusedError as error:
            response = _problem(error.status, error.code, error.description)
        self.after_request(method)
        return response

    def _single(self, method: str, params: dict[str, Any]) -> HttpResponse:
        with self.world.lock:
            result, extra = self._run(method, params)
        seconds = self.limits.cost(extra.get("total"))
        self.clock.sleep(seconds)
        self.meter.spend(method, seconds)
        return json_response({"result": result, **extra, "time": self._time(method, seconds)})

    def _batch(self, params: dict[str, Any]) -> HttpResponse:
        """Commands one after the other in one request; every part is `[]` when it is empty."""
        commands = params.get("cmd")
        listed = commands.items() if isinstance(commands, dict) else enumerate(commands or [])
        halt = bool(int(params.get("halt") or 0))
        parts: dict[str, dict[str, Any]] = {"result": {}, "error": {}, "total": {}, "next": {}, "time": {}}
        spent: dict[str, float] = {}
        for place, (key, text) in enumerate(listed):
            if not isinstance(text, str):
                continue
            method, _, query = text.partition("?")
            try:
                if place >= MOST_COMMANDS:
                    raise RefusedError("ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")
                with self.world.lock:
                    result, extra = self._command(method.lower(), query, parts)
            except RefusedError as error:
                parts["error"][str(key)] = {"error": error.code, "error_description": error.description}
                if halt:
                    break
                continue
            parts["result"][str(key)] = result
            parts["total"] |= {str(key): extra["total"]} if "total" in extra else {}
            parts["next"] |= {str(key): extra["next"]} if "next" in extra else {}
            cost = self.limits.cost(extra.get("total"))
            spent[method] = spent.get(method, 0.0) + cost
            parts["time"][str(key)] = self._time(method, cost)
        seconds = sum(spent.values())
        self.clock.sleep(seconds)
        for method, used in {"batch": seconds}.items() if self.quirks.bills_batch else spent.items():
            self.meter.spend(method, used)
        for key, timing in parts["time"].items():
            name = dict(listed)[key].partition("?")[0] if isinstance(commands, dict) else ""
            timing |= self._operating(name)
        answer: dict[str, Any] = {
            ("result" if name == "result" else f"result_{name}"): part or [] for name, part in parts.items()
        }
        return json_response({"result": answer, "time": self._time("batch", seconds)})

    def _command(self, method: str, query: str, parts: dict[str, dict[str, Any]]) -> tuple[Any, dict[str, Any]]:
        if method in NOT_IN_BATCH:
            raise RefusedError("ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage", 405)
        if self.meter.is_banned(method):
            raise RefusedError("OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", 429)
        known = {name: parts[name] for name in ("result", "total", "next")}
        return self._run(method, parse_query(query, known))

    def _run(self, method: str, params: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        self.commands.append(method)
        failure = self.fail_command(method)
        if failure is not None:
            raise RefusedError(*failure)
        if method in self.quirks.missing_methods:
            raise RefusedError("ERROR_METHOD_NOT_FOUND", "Method not found!", 404)
        plain = self._plain(method)
        if plain is not None:
            return plain, {}
        listing = METHODS.get(method)
        if listing is None:
            raise RefusedError("ERROR_METHOD_NOT_FOUND", "Method not found!", 404)
        if self.quirks.scopes.isdisjoint(listing.scope):
            description = "The request requires higher privileges than provided by the webhook token"
            raise RefusedError("insufficient_scope", description, 403)
        listed = answer_list(self.world, listing, params)
        damaged = self.quirks.damaged.get(method, frozenset())
        if any(int(row.get("ID") or row.get("id") or 0) in damaged and len(row) > 1 for row in listed.rows):
            raise RefusedError("WRONG_ENCODING", "Malformed UTF-8 characters", 500)
        extra = {} if listed.total is None else {"total": listed.total}
        return listed.result(), extra if listed.next is None else {**extra, "next": listed.next}

    def _plain(self, method: str) -> Any:
        if method == "profile":
            user = next((user for user in self.world.tables["users"] if int(user["ID"]) == self.user_id), {})
            names = {"NAME": user.get("NAME", ""), "LAST_NAME": user.get("LAST_NAME", "")}
            return {"ID": str(self.user_id), "ADMIN": self.quirks.is_admin, **names, "TIME_ZONE": ""}
        if method == "scope":
            return sorted(self.quirks.scopes)
        if method == "server.time":
            return self.world.stamp(self.clock.now())
        if method == "crm.deal.fields":
            return self.world.deal_fields or []
        if method in ("crm.contact.fields", "crm.company.fields", "crm.lead.fields", "crm.quote.fields"):
            return self.world.other_fields.get(method.split(".")[1]) or []
        return None

    def _time(self, method: str, seconds: float) -> dict[str, Any]:
        finish = self.clock.now()
        start = finish - timedelta(seconds=seconds)
        told = {
            "start": start.timestamp(),
            "finish": finish.timestamp(),
            "duration": seconds,
            "processing": seconds,
            "date_start": self.world.stamp(start),
            "date_finish": self.world.stamp(finish),
        }
        return told | self._operating(method)

    def _operating(self, method: str) -> dict[str, Any]:
        return self.meter.state(method) if self.quirks.tells_operating else {}


def _body(request: HttpRequest) -> dict[str, Any]:
    """JSON only with its exact media type; a damaged body is no parameters at all."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return parse_query(request.body.decode("utf-8", "replace"))
    try:
        read = json.loads(request.body or b"{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _problem(status: int, code: str, description: str) -> HttpResponse:
    return json_response({"error": code, "error_description": description}, status=status)
