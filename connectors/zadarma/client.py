"""Talking to Zadarma: signed GETs, two budgets, and pages whose period is checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import httpx
import msgspec

from base.errors import BudgetError, CredentialsError, ProtocolError, SourceError
from base.secrets import Redactor
from base.text import Text, say
from base.times import from_unix, to_unix
from connectors.api import Api, Dialect, retry_after
from connectors.inner_limiter import InnerLimiter
from connectors.limiter import Limiter
from connectors.stream import Client, Runtime
from connectors.zadarma.settings import ZadarmaSettings
from connectors.zadarma.signing import ZadarmaAuth, encode_query

BodyT = TypeVar("BodyT")

REQUESTS_PER_MINUTE = 100.0
# One bucket for all statistics methods and for every program that uses the key.
STATISTICS_PER_MINUTE = 3.0
# The vendor counts arrivals, and the network moves them.
RESERVE = 0.98
PAGE_ROWS = 1000
# A refusal names the end of its minute; a stated time far away is a wrong clock.
LONGEST_REFUSAL = 120.0
USUAL_REFUSAL = 60.0
# No clock on Earth is further from UTC than 14 hours.
FARTHEST_QUARTERS = 56
# Digits of Unix seconds that a calendar still knows.
LONGEST_TIME = 11


class _Status(msgspec.Struct):
    status: str = ""
    message: str = ""


class _Page(msgspec.Struct):
    stats: list[msgspec.Raw]
    start: str = ""
    end: str = ""


class _Internal(msgspec.Struct):
    numbers: list[int | str]


class _Info(msgspec.Struct):
    info: list[msgspec.Raw]


class _Balance(msgspec.Struct):
    balance: float | str | None = None
    currency: str | None = None


class _Time(msgspec.Struct):
    unixtime: int
    datetime: str


class ZadarmaClient(Client):
    """One key. Safe to share between the threads of its streams."""

    def __init__(self, settings: ZadarmaSettings, runtime: Runtime) -> None:
        self.settings = settings
        self.source = runtime.source
        self.zone = ZoneInfo(settings.timezone) if settings.timezone else runtime.zone
        name = f"zadarma-{sha256(settings.key.reveal().encode()).hexdigest()[:16]}"
        rate = min(settings.requests_per_second or REQUESTS_PER_MINUTE / 60, REQUESTS_PER_MINUTE / 60)
        general = Limiter(name, rate=rate * RESERVE, clock=runtime.clock, states=runtime.states)
        self._statistics = InnerLimiter(
            f"{name}-statistics",
            general=general,
            rate=min(rate, STATISTICS_PER_MINUTE / 60) * RESERVE,
            clock=runtime.clock,
            states=runtime.states,
        )
        self._api = Api(
            settings.base_url,
            runtime=runtime,
            limiter=general,
            dialect=Dialect(
                classify=self._classify,
                ok=frozenset({200}),
                first_wait=2.0,
                first_budget_wait=USUAL_REFUSAL,
                longest_wait=LONGEST_REFUSAL,
            ),
            redact=Redactor([settings.key, settings.secret]),
            auth=ZadarmaAuth(settings.key, settings.secret),
        )

    def now(self) -> datetime:
        return self._api.now()

    @property
    def skew(self) -> timedelta | None:
        """How far the vendor's clock is ahead of ours; None before the first answer."""
        return self._api.skew

    def close(self) -> None:
        self._api.close()

    def fetch_page(self, path: str, parameters: Mapping[str, str], skip: int) -> list[bytes]:
        """Up to a thousand rows of a statistics method; fewer mean that it was the last page.

        Raises:
            ProtocolError: the answer is of another period. A longer one than the vendor gives is cut to 30 days
                without a word: rows would be missing in silence.
        """
        asked: dict[str, str | int] = {**parameters, "skip": skip, "limit": PAGE_ROWS}
        page = self._ask(path, asked, _Page, limiter=self._statistics)
        if (page.start, page.end) != (parameters["start"], parameters["end"]):
            raise ProtocolError(
                say(
                    "{source}: запрошены звонки с {start} по {end}, а пришли с {other_start} по {other_end}",
                    "{source}: calls from {start} to {end} were asked for, {other_start} to {other_end} came",
                    source=self.source,
                    start=parameters["start"],
                    end=parameters["end"],
                    other_start=page.start or "?",
                    other_end=page.end or "?",
                ),
                say("Сообщите разработчикам voronka.", "Tell voronka's developers."),
            )
        return [bytes(row) for row in page.stats]

    def fetch_extensions(self) -> list[str]:
        """Extensions of the PBX, as text."""
        return [str(number) for number in self._ask("pbx/internal/", {}, _Internal).numbers]

    def fetch_extension_card(self, extension: str) -> dict[str, Any]:
        """What the PBX knows of an extension; `name` is its owner's."""
        return self._ask(f"pbx/internal/{extension}/info/", {}, dict[str, Any])

    def fetch_own_numbers(self) -> list[bytes]:
        """The account's own numbers, one JSON object each."""
        return [bytes(number) for number in self._ask("direct_numbers/", {}, _Info).info]

    def fetch_balance(self) -> str:
        """The account's balance as text: the cheapest question that needs a good key."""
        answer = self._ask("info/balance/", {}, _Balance)
        return f"{answer.balance} {answer.currency or ''}".strip()

    def fetch_offset(self) -> timedelta:
        """The account's present distance from UTC, in quarters of an hour; the vendor names no zone."""
        answer = self._ask("info/timezone/", {}, _Time)
        try:
            wall = datetime.strptime(answer.datetime, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            raise ProtocolError(
                say("Непонятное время счёта: {text}", "An unreadable account time: {text}", text=answer.datetime)
            ) from None
        quarters = (to_unix(wall) - answer.unixtime + 450) // 900
        if abs(quarters) > FARTHEST_QUARTERS:
            raise ProtocolError(
                say(
                    "Часы счёта и время Unix расходятся на {hours} ч",
                    "The account's clock and its Unix time are {hours} h apart",
                    hours=quarters // 4,
                )
            )
        return timedelta(minutes=15 * quarters)

    def _ask(
        self,
        method: str,
        parameters: Mapping[str, str | int],
        shape: type[BodyT],
        *,
        limiter: Limiter | None = None,
    ) -> BodyT:
        query = encode_query(parameters)
        path = f"/v1/{method}?{query}" if query else f"/v1/{method}"

        def decode(response: httpx.Response) -> BodyT:
            return msgspec.json.decode(response.content, type=shape)

        return self._api.fetch("GET", path, decode, limiter=limiter)

    def _classify(self, response: httpx.Response) -> SourceError | None:
        """Decide by status; the message's wording varies. A 200 may hold an error as well."""
        try:
            verdict = msgspec.json.decode(response.content, type=_Status)
        except msgspec.DecodeError:
            verdict = _Status()
        status = response.status_code
        if status == 429:
            return BudgetError(self._say(response, verdict), _SLOWER, retry_after=self._refused_for(response))
        if status in (401, 403) and verdict.status == "error":
            return CredentialsError(self._say(response, verdict), _CHECK_KEY)
        if verdict.status == "error" and status < 500:
            return ProtocolError(self._say(response, verdict), _CHECK_METHOD if status == 404 else None)
        return None

    def _refused_for(self, response: httpx.Response) -> float:
        reset = response.headers.get("x-ratelimit-reset", "")
        if reset.isdecimal() and len(reset) <= LONGEST_TIME:
            seconds = (from_unix(int(reset)) - self._api.now()).total_seconds()
        else:
            stated = retry_after(response, self._api.clock)
            seconds = USUAL_REFUSAL if stated is None else stated
        return min(max(seconds, 1.0), LONGEST_REFUSAL)

    def _say(self, response: httpx.Response, verdict: _Status) -> Text:
        return say(
            "{source}: {host} отказал ({status}): {message}",
            "{source}: {host} refused ({status}): {message}",
            source=self.source,
            host=self._api.host,
            status=response.status_code,
            message=verdict.message or self._api.excerpt(response),
        )


@contextmanager
def open_client(settings: ZadarmaSettings, runtime: Runtime) -> Iterator[ZadarmaClient]:
    client = ZadarmaClient(settings, runtime)
    try:
        yield client
    finally:
        client.close()


_CHECK_KEY = say(
    "Возьмите ключ и секрет в личном кабинете (Настройки → API) и проверьте key и secret.",
    "Copy the key and the secret from the account (Settings → API) and check key and secret.",
)
_CHECK_METHOD = say(
    "Проверьте base_url: российские аккаунты живут на https://api.novofon.com.",
    "Check base_url: Russian accounts live at https://api.novofon.com.",
)
_SLOWER = say(
    "Статистику отдают три раза в минуту на ключ: не держите вторую интеграцию на том же ключе.",
    "Statistics are given three times a minute per key: don't run a second integration on the same key.",
)
