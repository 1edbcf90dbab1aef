"""A lean amoCRM on loopback for the benchmark: pages joined from rendered leads, nothing else computed.

Run as its own process (`python -m benchmarks.server --rows N`), so that its CPU is not counted. It prints its
address on one line and serves until its standard input closes. `GET /count` says how many requests of the API came
since it was last asked. Leads are listed in the order of `updated_at`, by `page`, `limit` and
`filter[updated_at][from]`; the account, users and pipelines are short; every other list is empty (204).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from bisect import bisect_left
from email.utils import formatdate
from typing import Protocol
from urllib.parse import parse_qs, quote, urlsplit

import msgspec

from benchmarks.leads import ACCOUNT_ID, FIRST_USER, LOST, PIPELINE, STAGES, USER_COUNT, WON, Leads, render_leads

API = "/api/v4/"
MOST = 250


class Answering(Protocol):
    """Who answers for `Connection`: a body by path and query, None for 204. `base` is the address as it was asked."""

    def answer(self, path: str, query: dict[str, list[str]], base: str) -> bytes | None: ...


class Account:
    """Answers of one account, by path and query."""

    def __init__(self, leads: Leads) -> None:
        self._leads = leads
        self._fixed = {"account": _account(), "users": _users(), "leads/pipelines": _pipelines()}

    def answer(self, path: str, query: dict[str, list[str]], base: str) -> bytes | None:
        """A body, or None for 204."""
        if path == "leads" and "only_deleted" not in query.get("with", []):
            return self._page(query, base)
        return self._fixed.get(path)

    def _page(self, query: dict[str, list[str]], base: str) -> bytes | None:
        page = int(query.get("page", ["1"])[0])
        limit = min(int(query.get("limit", ["50"])[0]), MOST)
        since = int(query.get("filter[updated_at][from]", ["0"])[0])
        first = bisect_left(self._leads.seconds, since) + (page - 1) * limit
        rows = self._leads.bodies[first : first + limit]
        if not rows:
            return None
        link = f"{base}{API}leads?limit={limit}&page="
        links = f'"self":{{"href":"{link}{page}"}}'
        if first + limit < len(self._leads.bodies):
            # As the vendor does: the list's own query goes on in the link.
            rest = "".join(
                f"&{quote(name)}={quote(value)}"
                for name, values in query.items()
                if name not in ("page", "limit")
                for value in values
            )
            links += f',"next":{{"href":"{link}{page + 1}{rest}"}}'
        head = f'{{"_page":{page},"_links":{{{links}}},"_embedded":{{"leads":['
        return head.encode() + b",".join(rows) + b"]}}"


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, GET only."""

    def __init__(self, account: Answering, counts: list[int]) -> None:
        self._account = account
        self._counts = counts
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            self._transport.write(self._respond(head.decode("latin-1")))

    def _respond(self, head: str) -> bytes:
        target = head.split(" ", 2)[1]
        parts = urlsplit(target)
        if parts.path == "/count":
            body: bytes | None = str(self._counts.pop()).encode()
            self._counts.append(0)
        else:
            self._counts[0] += 1
            body = self._account.answer(parts.path.removeprefix(API), parse_qs(parts.query), _base(head))
        date = formatdate(time.time(), usegmt=True)
        if body is None:
            return f"HTTP/1.1 204 No Content\r\nDate: {date}\r\n\r\n".encode()
        head = f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Type: application/hal+json\r\nContent-Length: {len(body)}"
        return f"{head}\r\n\r\n".encode() + body


def _base(head: str) -> str:
    hosts = (line[5:].strip() for line in head.split("\r\n") if line[:5].lower() == "host:")
    return f"http://{next(hosts, 'localhost')}"


def _account() -> bytes:
    return msgspec.json.encode(
        {
            "id": ACCOUNT_ID,
            "name": "Benchmark",
            "subdomain": "example",
            "country": "RU",
            "currency": "RUB",
            "_embedded": {"datetime_settings": {"timezone": "Europe/Moscow"}},
        }
    )


def _users() -> bytes:
    rights = {"is_admin": False, "is_active": True}
    users = [
        {"id": FIRST_USER + n, "name": f"Менеджер {n}", "email": f"m{n}@example.com", "rights": rights}
        for n in range(USER_COUNT)
    ]
    return msgspec.json.encode({"_page": 1, "_links": {}, "_embedded": {"users": users}})


def _pipelines() -> bytes:
    names = {WON: "Успешно реализовано", LOST: "Закрыто и не реализовано"}
    statuses = [
        {"id": stage, "name": names.get(stage, f"Этап {n}"), "sort": n, "type": 0} for n, stage in enumerate(STAGES)
    ]
    pipeline = {"id": PIPELINE, "name": "Продажи", "_embedded": {"statuses": statuses}}
    return msgspec.json.encode({"_links": {}, "_embedded": {"pipelines": [pipeline]}})


async def serve(rows: int) -> None:
    account = Account(render_leads(rows))
    counts = [0]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(account, counts), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    async with server:
        # The parent's end of the pipe closes when it ends, however it ends.
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, required=True)
    asyncio.run(serve(parser.parse_args().rows))
