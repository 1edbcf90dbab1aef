"""The simulated OData interface of one database: basic authentication, published sets, 1C's three shapes of errors."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal
from urllib.parse import unquote
from xml.sax.saxutils import escape, quoteattr

from base.clock import Clock
from demo.http import FaultSource, HttpRequest, HttpResponse, SimulatedServer, html_response, json_response
from demo.onec.query import BadQuery, order_key, parse_filter
from demo.onec.world import Json, OnecWorld

ROOT = "/base/odata/standard.odata/"
USER = "voronka"
# Where IIS stands in front of 1C.
LONGEST_QUERY = 2048
_ENTITY = re.compile(r"(?P<set>[^(]+)(?:\(guid'(?P<key>[0-9a-f-]{36})'\))?")


@dataclass
class Quirks:
    """How this database differs from another one."""

    error_shape: Literal["json", "plain", "xml", "html"] = "json"
    # Money as text, as some releases send it.
    money_is_text: bool = False
    # Sets whose reading the user has no right to.
    forbidden: set[str] = field(default_factory=set)
    # Sets that aren't published.
    hidden: set[str] = field(default_factory=set)


class OnecServer(SimulatedServer):
    """Serves a world; `url` is the address of the publication. Called before a page is made: `before_page`."""

    def __init__(
        self,
        world: OnecWorld,
        *,
        password: str,
        user: str = USER,
        quirks: Quirks | None = None,
        clock: Clock | None = None,
        latency: float = 0.0,
        faults: FaultSource | None = None,
    ) -> None:
        super().__init__(self._serve, clock=clock, latency=latency, faults=faults)
        self.world = world
        self.quirks = quirks or Quirks()
        self.before_page: Callable[[HttpRequest], None] = lambda request: None
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._authorization = f"Basic {token}"

    @property
    def url(self) -> str:
        return super().url + "/base"

    def _serve(self, request: HttpRequest) -> HttpResponse:
        if request.headers.get("authorization") != self._authorization:
            return html_response(401, "401 Unauthorized")
        path = unquote(request.path)
        if not path.startswith(ROOT):
            return html_response(200, "1С:Предприятие")
        found = _ENTITY.fullmatch(path.removeprefix(ROOT))
        if found is None:
            return self._refuse(404, "8", "Ресурс не найден")
        if found["set"] == "$metadata":
            return self._metadata()
        if found["set"] not in self.world.tables or found["set"] in self.quirks.hidden:
            return self._refuse(404, "8", f"Сущность {found['set']} не найдена")
        if found["set"] in self.quirks.forbidden:
            return self._refuse(403, "20", f"Нарушение прав доступа! {found['set']}")
        if len(request.raw_query) > LONGEST_QUERY:
            return html_response(404, "404.15 Query String Too Long")
        if "+" in request.raw_query:
            return self._refuse(400, "6", "Синтаксическая ошибка в запросе")
        with self.world.lock:
            self.before_page(request)
            try:
                return self._page(found["set"], request)
            except BadQuery as error:
                return self._refuse(400, "6", str(error))

    def _page(self, entity_set: str, request: HttpRequest) -> HttpResponse:
        fields = frozenset(self._fields(entity_set))
        chosen = [name for name in (request.get("$select") or "").split(",") if name]
        if unknown := [name for name in chosen if name not in fields]:
            raise BadQuery(f"Поле {unknown[0]} не найдено")
        rows = list(self.world.tables[entity_set])
        if text := request.get("$filter"):
            rows = list(filter(parse_filter(text, fields), rows))
        ordered = request.get("$orderby")
        # Without an order a database gives rows as it likes, and otherwise the next time.
        key = order_key(ordered.split(","), fields) if ordered else self._whim(len(self.requests))
        first = int(request.get("$skip") or 0)
        page = sorted(rows, key=key)[first:][: int(request.get("$top") or len(rows))]
        return json_response(
            {
                "odata.metadata": f"http://server{ROOT}$metadata#{entity_set}",
                "value": [self._shown(row, chosen) for row in page],
            },
            media_type="application/json;charset=utf-8",
        )

    def _shown(self, row: Json, chosen: list[str]) -> Json:
        shown = {name: row[name] for name in (chosen or row) if name in row}
        if self.quirks.money_is_text:
            shown = {name: str(value) if _is_money(value) else value for name, value in shown.items()}
        return shown

    @staticmethod
    def _whim(seed: int) -> Callable[[Json], tuple[Any, ...]]:
        return lambda row: (sha256(f"{seed}{row['Ref_Key']}".encode()).digest(),)

    def _fields(self, entity_set: str) -> list[str]:
        rows = self.world.tables[entity_set]
        common = ["Ref_Key", "DataVersion", "DeletionMark"]
        common += ["Number", "Date", "Posted"] if entity_set.startswith("Document_") else ["Description"]
        of_rows = [name for row in rows for name in row]
        return list(dict.fromkeys([*common, *of_rows, *self.world.fields.get(entity_set, [])]))

    def _metadata(self) -> HttpResponse:
        types = "".join(
            f'<EntityType Name={quoteattr(name)}><Key><PropertyRef Name="Ref_Key"/></Key>'
            + "".join(f'<Property Name={quoteattr(each)} Type="Edm.String"/>' for each in self._fields(name))
            + "</EntityType>"
            for name in self.world.tables
            if name not in self.quirks.hidden
        )
        body = (
            '<?xml version="1.0" encoding="utf-8"?>'
            '<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx"><edmx:DataServices>'
            '<Schema Namespace="StandardODATA" xmlns="http://schemas.microsoft.com/ado/2009/11/edm">'
            f"{types}</Schema></edmx:DataServices></edmx:Edmx>"
        )
        return HttpResponse(body=body.encode(), headers={"Content-Type": "application/xml;charset=utf-8"})

    def _refuse(self, status: int, code: str, message: str) -> HttpResponse:
        shape = self.quirks.error_shape
        if shape == "html":
            return html_response(status, message)
        if shape == "xml":
            body = (
                '<?xml version="1.0" encoding="UTF-8"?><m:error xmlns:m="http://schemas.microsoft.com/ado/2007/08/'
                f'dataservices/metadata"><m:code>{code}</m:code><m:message xml:lang="ru">{escape(message)}</m:message>'
                "</m:error>"
            )
            return HttpResponse(status=status, body=body.encode(), headers={"Content-Type": "application/xml"})
        told: Any = message if shape == "plain" else {"lang": "ru", "value": message}
        return json_response({"odata.error": {"code": code, "message": told}}, status=status)


def _is_money(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
