"""A simulated amoCRM: the REST API v4 over an `AmocrmWorld`, with the limits and oddities of the real one.

Pages are offsets into the live list, 204 says "nothing", a `limit` above the maximum is clamped in silence, a
record's own link repeats the list's query, a repeated overrun of the rate ends in a block by the edge.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from base.clock import Clock
from demo.amocrm.oauth import ADDRESS_PATH, API_DOMAIN, TokenOffice
from demo.amocrm.query import BadQueryError, Query, read_query
from demo.amocrm.tables import Record, Table
from demo.amocrm.world import AmocrmWorld
from demo.http import FaultSource, HttpRequest, HttpResponse, SimulatedServer, html_response, json_response

API = "/api/v4/"
NO_CONTENT = HttpResponse(status=204)
# Records that are embedded only when `with` asks for them.
OPTIONAL_PARTS = frozenset({"contacts", "loss_reason", "catalog_elements", "source", "leads", "customers"})
ALWAYS_EMBEDDED = {"leads": {"companies", "tags"}, "contacts": {"companies", "tags"}}
ORDERS = {
    "leads": {"created_at", "updated_at", "id"},
    "contacts": {"updated_at", "id"},
    "companies": {"updated_at", "id"},
    "tasks": {"created_at", "complete_till", "id", "updated_at"},
    "events": set[str](),
}
NOTE_ORDERS = {"updated_at", "id"}
ELEMENT_ORDERS = {"updated_at", "id"}
ACCOUNT_PARTS = {"is_api_filter_enabled", "version", "invoices_settings", "drive_url"}
UNPAGED = {"leads/pipelines", "sources"}
# Refusals in a row after which the edge blocks the client for good.
OVERRUNS_BEFORE_BLOCK = 20
_RECORD = re.compile(r"(?P<path>users|leads|contacts|companies|tasks|events)/(?P<id>\w+)")


@dataclass(frozen=True, kw_only=True)
class Quirks:
    """How this account differs from the documentation; every one was seen on real accounts."""

    filters_work: bool = True
    bounds_are_inclusive: bool = True
    orders_tasks_by_update: bool = True
    knows_only_deleted: bool = True
    next_after_full_page: bool = False  # a `next` on the last page when it is full
    next_host: str | None = None  # "http://shard152.amocrm.ru"
    clamps_to: int | None = None  # a smaller page than asked for, in silence
    is_admin: bool = True
    is_paid: bool = True
    # Answered to every address of lists: 402 the plan lacks them, 403 the user may not, 404 the account has none.
    catalogs_status: int = 200
    filters_elements: bool = False  # no filter or order of a catalogue's elements is documented


class AmocrmServer(SimulatedServer):
    """Serves a world. `limit_per_second=None` switches the rate limit off; `blocked` is the edge's block."""

    def __init__(
        self,
        world: AmocrmWorld,
        *,
        token: str,
        clock: Clock | None = None,
        limit_per_second: int | None = 7,
        latency: float = 0.0,
        faults: FaultSource | None = None,
        quirks: Quirks | None = None,
        oauth: TokenOffice | None = None,
    ) -> None:
        super().__init__(self._handle, clock=clock, latency=latency, faults=faults)
        self.world = world
        self.token = token
        self.quirks = quirks or Quirks()
        self.oauth = oauth
        self.blocked = False
        # Called after each answered list page: tests change the world between two pages here.
        self.after_page: Callable[[HttpRequest], None] = lambda request: None
        self._limit = limit_per_second
        self._recent: deque[float] = deque()
        self._overruns = 0
        self._rate_lock = threading.Lock()

    def _handle(self, request: HttpRequest) -> HttpResponse:
        if self.blocked:
            return html_response(403, "403 Forbidden")
        if self._is_overrun():
            return html_response(429, "429 Too Many Requests")
        if self.oauth is not None and request.path == "/oauth2/access_token" and request.method == "POST":
            return self.oauth.answer(request)
        if self.oauth is not None and request.headers.get("host") == API_DOMAIN and request.path == ADDRESS_PATH:
            return self.oauth.answer_address(request)
        if not request.path.startswith(API):
            return html_response(404, "404 Not Found")
        is_elsewhere = self.oauth is not None and self.oauth.is_elsewhere(request)
        if is_elsewhere or not self._knows(request.headers.get("authorization", "")):
            return _problem(401, "Unauthorized", "Необходима авторизация")
        if not self.quirks.is_paid:
            return _problem(402, "Payment Required", "Аккаунт не оплачен")
        if request.method != "GET":
            return _problem(405, "Method Not Allowed", "")
        with self.world.lock:
            response = self._get(request, request.path.removeprefix(API))
        self.after_page(request)
        return response

    def _knows(self, authorization: str) -> bool:
        if self.oauth is not None and self.oauth.is_live(authorization):
            return True
        return authorization == f"Bearer {self.token}"

    def _is_overrun(self) -> bool:
        """More requests within a second than allowed; a stubborn client is blocked."""
        if self._limit is None:
            return False
        with self._rate_lock:
            now = self.clock.monotonic()
            while self._recent and self._recent[0] <= now - 1.0:
                self._recent.popleft()
            self._recent.append(now)
            is_over = len(self._recent) > self._limit
            self._overruns = self._overruns + 1 if is_over else 0
            self.blocked = self._overruns >= OVERRUNS_BEFORE_BLOCK
            return is_over

    def _get(self, request: HttpRequest, path: str) -> HttpResponse:
        if path == "account":
            return self._account(request)
        if path.startswith("catalogs") and self.quirks.catalogs_status != 200:
            return _problem(self.quirks.catalogs_status, "Refused", "Недоступно")
        if path == "users" or path.startswith("users/"):
            return self._users(request, path)
        if path in self.world.dictionaries:
            return self._dictionary(request, path)
        if path in self.world.tables:
            return self._list(request, path)
        match = _RECORD.fullmatch(path)
        if match:
            return self._record(request, match["path"], match["id"])
        return _problem(404, "Not Found", f"Cannot GET {request.path}")

    # ── single answers ──────────────────────────────────────────────────────────────────────────────────────────

    def _account(self, request: HttpRequest) -> HttpResponse:
        wanted = set((request.get("with") or "").split(","))
        account = {
            name: value
            for name, value in self.world.account.items()
            if name != "_embedded" and (name not in ACCOUNT_PARTS or name in wanted)
        }
        embedded = {name: value for name, value in self.world.account["_embedded"].items() if name in wanted}
        account["_links"] = {"self": {"href": f"{_base(request)}{request.path}{_query_text(request)}"}}
        return _hal({**account, "_embedded": embedded} if embedded else account)

    def _users(self, request: HttpRequest, path: str) -> HttpResponse:
        if not self.quirks.is_admin:
            return _problem(403, "Forbidden", "Недостаточно прав")
        if path == "users":
            return self._dictionary(request, path)
        user_id = path.removeprefix("users/")
        found = next((user for user in self.world.users if str(user["id"]) == user_id), None)
        return NO_CONTENT if found is None else _hal(found)

    def _record(self, request: HttpRequest, path: str, record_id: str) -> HttpResponse:
        table = self.world.tables[path]
        record = table.get(record_id if path == "events" else int(record_id))
        if record is None:
            return NO_CONTENT
        return _hal(_dress(path)(record, read_query(request, path).with_, f"{_base(request)}{request.path}"))

    def _dictionary(self, request: HttpRequest, path: str) -> HttpResponse:
        """A list with totals; pipelines and sources come whole, whatever page is asked for."""
        key, records = self.world.dictionaries[path]
        page, limit = 1, max(len(records), 1)
        if path not in UNPAGED:
            page, limit = int(request.get("page") or 1), min(int(request.get("limit") or 50), 250)
        rows = records[(page - 1) * limit : page * limit]
        if not rows:
            return NO_CONTENT
        link = f"{_base(request)}{API}{path}"
        links = {"self": {"href": link + _query_text(request)}}
        if len(records) > page * limit:
            links["next"] = {"href": link + _query_text(request, page=page + 1)}
        own = f"?limit={limit}&page={page}"
        listed = [{**record, "_links": {"self": {"href": f"{link}/{record['id']}{own}"}}} for record in rows]
        totals = {"_total_items": len(records), "_page": page, "_page_count": -(-len(records) // limit)}
        return _hal({**totals, "_links": links, "_embedded": {key: listed}})

    # ── lists ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _list(self, request: HttpRequest, path: str) -> HttpResponse:
        try:
            query = read_query(request, path)
        except (BadQueryError, ValueError) as error:
            return _bad_request(str(error))
        if self.quirks.clamps_to:
            query.limit = min(query.limit, self.quirks.clamps_to)
        table = self.world.tables[path]
        if "only_deleted" in query.with_ and path in self.world.trash and self.quirks.knows_only_deleted:
            table = self.world.trash[path]
        chosen = self._choose(table, path, query)
        first = (query.page - 1) * query.limit
        rows = chosen[first : first + query.limit]
        if not rows:
            return NO_CONTENT
        has_next = len(chosen) > first + query.limit
        if self.quirks.next_after_full_page and len(rows) == query.limit:
            has_next = True
        return self._page(request, path, query, table, rows, has_next)

    def _choose(self, table: Table, path: str, query: Query) -> list[Record]:
        filters_work = self.quirks.filters_work and (self.quirks.filters_elements or not path.endswith("/elements"))
        bounds = query.bounds if filters_work else {}
        if not self.quirks.bounds_are_inclusive:
            bounds = {
                name: (None if low is None else low + 1, None if high is None else high - 1)
                for name, (low, high) in bounds.items()
            }
        order, is_descending = self._order(path, query)
        chosen = table.select(order, bounds=bounds, wanted=query.predicate() if filters_work else None)
        return chosen[::-1] if is_descending else chosen

    def _order(self, path: str, query: Query) -> tuple[str, bool]:
        """An order the endpoint does not know is ignored. The log's own order is newest first."""
        if path == "events":
            return "created_at", True
        allowed = NOTE_ORDERS if path.endswith("/notes") else ORDERS.get(path, ELEMENT_ORDERS)
        if path == "tasks" and not self.quirks.orders_tasks_by_update:
            allowed = allowed - {"updated_at"}
        if query.order is None or query.order[0] not in allowed:
            return "id", False
        return query.order

    def _page(
        self, request: HttpRequest, path: str, query: Query, table: Table, rows: list[Record], has_next: bool
    ) -> HttpResponse:
        base = _base(request)
        own_query = f"?limit={query.limit}&page={query.page}"
        link = f"{base}{API}{path}"
        links: Record = {"self": {"href": f"{link}?page={query.page}&limit={query.limit}"}}
        if has_next:
            next_base = self.quirks.next_host or base
            links["next"] = {"href": f"{next_base}{API}{path}{_query_text(request, page=query.page + 1)}"}
        parts = query.with_ & OPTIONAL_PARTS
        shape = _dress(path)
        rendered = [table.render(row, parts, f"{link}/{row['id']}", own_query, shape) for row in rows]
        head = json_response({"_page": query.page, "_links": links}).body[:-1]
        key = path.rpartition("/")[2].encode()
        body = head + b',"_embedded":{"' + key + b'":[' + b",".join(rendered) + b"]}}"
        return HttpResponse(status=200, body=body, headers={"Content-Type": "application/hal+json"})


def _dress(path: str) -> Callable[[Record, frozenset[str], str], Record]:
    always = ALWAYS_EMBEDDED.get(path, {"tags", "entity"})

    def dress(record: Record, parts: frozenset[str], link: str) -> Record:
        dressed = {name: value for name, value in record.items() if name != "_embedded"}
        dressed["_links"] = {"self": {"href": link}}
        # Tasks and notes have no such part at all.
        if "_embedded" in record:
            embedded: dict[str, Any] = record["_embedded"] or {}
            dressed["_embedded"] = {name: value for name, value in embedded.items() if name in always or name in parts}
        return dressed

    return dress


def _base(request: HttpRequest) -> str:
    return f"http://{request.headers.get('host', 'localhost')}"


def _query_text(request: HttpRequest, *, page: int | None = None) -> str:
    pairs = [(name, value) for name, value in request.query if page is None or name != "page"]
    if page is not None:
        pairs.append(("page", str(page)))
    return "?" + "&".join(f"{name}={value}" for name, value in pairs) if pairs else ""


def _hal(content: Record) -> HttpResponse:
    return json_response(content, media_type="application/hal+json")


def _problem(status: int, title: str, detail: str) -> HttpResponse:
    content = {"title": title, "type": f"https://httpstatus.es/{status}", "status": status, "detail": detail}
    return json_response(content, status=status, media_type="application/problem+json")


def _bad_request(path: str) -> HttpResponse:
    error = {"code": "InvalidType", "path": path, "detail": "This value should be of type array."}
    content = {
        "title": "Bad Request",
        "type": "https://httpstatus.es/400",
        "status": 400,
        "detail": "Request validation failed",
        "validation-errors": [{"request_id": "0", "errors": [error]}],
    }
    return json_response(content, status=400, media_type="application/problem+json")
