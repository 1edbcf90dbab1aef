"""What the simulated source servers share: real HTTP/1.1 on loopback, latency, faults, a clock of their own.

A simulator is one function from `HttpRequest` to `HttpResponse`. `SimulatedServer` serves it over a socket (`url`),
or hands it to a client without one (`transport`), with the same faults: tests in milliseconds, demos on real HTTP.
"""

from __future__ import annotations

import json
import random
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import format_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

import httpx

from base.clock import Clock, SystemClock

Fault = Literal[
    "server_error",
    "bad_gateway",
    "gateway_timeout",
    "too_many",
    "too_many_stated",
    "unavailable_stated",
    "forbidden_html",
    "reset",
    "truncated",
    "damaged",
    "slow",
]
FAULTS_OF_A_BAD_DAY: tuple[Fault, ...] = (
    "server_error",
    "bad_gateway",
    "too_many",
    "too_many_stated",
    "reset",
    "truncated",
    "damaged",
    "slow",
)
SLOW_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """A request as it came: header names in lower case, the query decoded, pairs in order."""

    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    # As it came, for vendors that mind how a query is encoded.
    raw_query: str = ""

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first query value of a name."""
        return next((value for key, value in self.query if key == name), default)

    def form(self) -> dict[str, str]:
        """The body as `application/x-www-form-urlencoded`."""
        return dict(parse_qsl(self.body.decode("utf-8"), keep_blank_values=True))

    def __str__(self) -> str:
        query = "&".join(f"{name}={value}" for name, value in self.query)
        return f"{self.method} {self.path}" + (f"?{query}" if query else "")


@dataclass(frozen=True, kw_only=True)
class HttpResponse:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    # How the connection misbehaves: `reset` before any byte, `truncated` in the middle of the body.
    broken: Literal["", "reset", "truncated"] = ""


def json_response(content: Any, *, status: int = 200, media_type: str = "application/json") -> HttpResponse:
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return HttpResponse(status=status, body=body, headers={"Content-Type": media_type})


def html_response(status: int, title: str) -> HttpResponse:
    """An answer of the vendor's edge, not of its API."""
    body = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center><hr>nginx</body></html>"
    return HttpResponse(status=status, body=body.encode(), headers={"Content-Type": "text/html"})


Handler = Callable[[HttpRequest], HttpResponse]
# Asked once a request: which fault strikes it, if any.
FaultSource = Callable[[HttpRequest], Fault | None]


class SeededFaults:
    """A share of requests fails, the kind drawn from `kinds`; the same seed gives the same row of faults."""

    def __init__(self, seed: int, rate: float, kinds: Iterable[Fault] = FAULTS_OF_A_BAD_DAY) -> None:
        self._random = random.Random(seed)
        self._rate = rate
        self._kinds = tuple(kinds)
        self._lock = threading.Lock()

    def __call__(self, request: HttpRequest) -> Fault | None:
        with self._lock:
            return self._random.choice(self._kinds) if self._random.random() < self._rate else None


class ScriptedFaults:
    """The faults of the first requests, in order; later requests are good. `None` lets a request pass."""

    def __init__(self, *faults: Fault | None) -> None:
        self._faults = list(faults)
        self._lock = threading.Lock()

    def __call__(self, request: HttpRequest) -> Fault | None:
        with self._lock:
            return self._faults.pop(0) if self._faults else None


class SimulatedServer:
    """Serves a handler on a free loopback port while the context is open; one thread a connection, keep-alive.

    `requests` holds every request in order as `METHOD path?query` (decoded). `clock` gives the `Date` header and
    takes the latency; share a `FakeClock` with the client and hours pass in milliseconds.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        clock: Clock | None = None,
        latency: float = 0.0,
        faults: FaultSource | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.requests: list[str] = []
        # Set before the context is entered: HTTPS, for clients that know nothing else.
        self.tls: ssl.SSLContext | None = None
        self._handler = handler
        self._latency = latency
        self._faults = faults
        self._socket_server: _SocketServer | None = None
        self._thread: threading.Thread | None = None

    def answer(self, request: HttpRequest) -> HttpResponse:
        """One request through latency, faults and the handler, with the `Date` header put on."""
        self.requests.append(str(request))
        fault = self._faults(request) if self._faults else None
        response = _faulty(fault) if fault else None
        if response is None:
            response = self._handler(request)
        # After the handler: a rate limit counts arrivals, and a slow answer is made from what was there on arrival.
        self.clock.sleep(self._latency + (SLOW_SECONDS if fault == "slow" else 0.0))
        if fault == "truncated":
            response = replace(response, broken="truncated")
        if fault == "damaged":
            response = replace(response, body=response.body[: len(response.body) // 2])
        date = format_datetime(self.clock.now().replace(microsecond=0), usegmt=True)
        return replace(response, headers={"Date": date, **response.headers})

    @property
    def transport(self) -> httpx.MockTransport:
        """The same server for an httpx client in this process, without a socket."""
        return httpx.MockTransport(self._serve_httpx)

    @property
    def url(self) -> str:
        if self._socket_server is None:
            raise RuntimeError("the server is not running: use it as a context manager")
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._socket_server.server_address[1]}"

    def __enter__(self) -> Self:
        self._socket_server = _SocketServer(("127.0.0.1", 0), _SocketHandler)
        self._socket_server.owner = self
        if self.tls is not None:
            # The handshake is left to the connection's own thread: in the accepting one a slow client stops all.
            self._socket_server.socket = self.tls.wrap_socket(
                self._socket_server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._socket_server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server, self._socket_server = self._socket_server, None
        if server is not None and self._thread is not None:
            server.shutdown()
            server.server_close()
            self._thread.join()

    def _serve_httpx(self, request: httpx.Request) -> httpx.Response:
        response = self.answer(_read(request.method, request.url.raw_path.decode("ascii"), request.headers, request))
        if response.broken == "reset":
            raise httpx.ReadError("Connection reset by peer", request=request)
        if response.broken == "truncated":
            raise httpx.RemoteProtocolError("peer closed connection without sending complete body", request=request)
        return httpx.Response(response.status, headers=dict(response.headers), content=response.body)


def _faulty(fault: Fault) -> HttpResponse | None:
    if fault == "server_error":
        content = {"title": "ErrInternalServer", "status": 500, "detail": "internal", "trace_id": "0"}
        return json_response(content, status=500, media_type="application/problem+json")
    if fault == "bad_gateway":
        return html_response(502, "502 Bad Gateway")
    if fault == "gateway_timeout":
        return html_response(504, "504 Gateway Time-out")
    if fault == "forbidden_html":
        return html_response(403, "403 Forbidden")
    if fault == "too_many":
        return html_response(429, "429 Too Many Requests")
    if fault == "too_many_stated":
        return replace(html_response(429, "429 Too Many Requests"), headers={"Retry-After": "2"})
    if fault == "unavailable_stated":
        return replace(html_response(503, "503 Service Temporarily Unavailable"), headers={"Retry-After": "2"})
    if fault == "reset":
        return HttpResponse(broken="reset")
    return None


def _read(method: str, target: str, headers: Mapping[str, str], request: httpx.Request | bytes) -> HttpRequest:
    parts = urlsplit(target)
    return HttpRequest(
        method=method,
        path=parts.path,
        query=parse_qsl(parts.query, keep_blank_values=True),
        headers={name.lower(): value for name, value in headers.items()},
        body=request if isinstance(request, bytes) else request.read(),
        raw_query=parts.query,
    )


class _SocketServer(ThreadingHTTPServer):
    daemon_threads = True
    # A client that keeps its connection open must not hold up the end of a test.
    block_on_close = False
    request_queue_size = 64
    owner: SimulatedServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news; anything else is a fault of the simulator and must be seen."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _SocketHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _SocketServer

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        response = self.server.owner.answer(_read(self.command, self.path, dict(self.headers.items()), body))
        if response.broken == "reset":
            # Zero linger turns the close into a TCP reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        if response.status != 204:
            lines.append(f"Content-Length: {len(response.body)}")
        sent = response.body
        if response.broken == "truncated":
            sent = sent[: len(sent) // 2]
            self.close_connection = True
        # One write: headers and body apart would meet Nagle and delayed acknowledgement, 40 ms an answer.
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + sent)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names http.server looks for

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: `requests` keeps the log."""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
