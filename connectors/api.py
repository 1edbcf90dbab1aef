"""The API client all HTTP connectors stand on: budget, retries, errors, redaction, the vendor's clock.

A connector says what is its own (`Dialect`: what a refusal means, how long to wait) and asks `Api.fetch`. One
place decides whether an answer is fatal or worth a repetition: the error's `retryable`.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
import msgspec
import tenacity

from base.clock import Clock
from base.errors import (
    BudgetError,
    CredentialsError,
    ProtocolError,
    RightsError,
    ServerFaultError,
    SourceError,
    UnreachableError,
)
from base.secrets import Redactor
from base.text import Text, say
from connectors.decode import check_utf8, text_of
from connectors.limiter import Limiter
from connectors.stream import Runtime

logger = logging.getLogger("voronka.http")
# httpx logs whole URLs, and some vendors put the secret into the path.
logging.getLogger("httpx").setLevel(logging.WARNING)

AnswerT = TypeVar("AnswerT")
Scalar = str | int | float | bool | None
Params = Sequence[tuple[str, Scalar]] | Mapping[str, Scalar] | None

EXCERPT = 300
# The largest answers, of tens of megabytes, take seconds.
LONGEST_ANSWER_SECONDS = 600.0
USER_AGENT = "voronka/0.1 (+sales pipeline ETL)"


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What is a vendor's own in HTTP.

    `classify` turns an answer into an error, or None when it is good; it is asked first, then the common reading
    of status codes. Waits are seconds: the first repetition waits about `first_wait`, each next twice as long.
    """

    classify: Callable[[httpx.Response], SourceError | None] = lambda response: None
    ok: frozenset[int] = frozenset({200, 204})
    attempts: int = 6
    first_wait: float = 1.0
    first_budget_wait: float = 10.0
    longest_wait: float = 300.0
    connect_timeout: float = 15.0
    read_timeout: float = 90.0


class _Bounded(httpx.SyncByteStream):
    """The body of an answer that must have come within a time, however many pieces it comes in."""

    def __init__(self, stream: httpx.SyncByteStream, clock: Clock, request: httpx.Request) -> None:
        self._stream = stream
        self._clock = clock
        self._request = request
        self._deadline = clock.monotonic() + LONGEST_ANSWER_SECONDS

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            yield piece
            if self._clock.monotonic() > self._deadline:
                took = f"the answer is not over after {LONGEST_ANSWER_SECONDS:.0f} s"
                raise httpx.ReadTimeout(took, request=self._request)

    def close(self) -> None:
        self._stream.close()


class Api:
    """Sends requests of one account within its budget. Safe to share between the threads of its streams."""

    def __init__(
        self,
        base_url: str,
        *,
        runtime: Runtime,
        limiter: Limiter,
        dialect: Dialect,
        redact: Redactor | None = None,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
        in_flight: int = 1,
    ) -> None:
        self.runtime = runtime
        self.limiter = limiter
        self.host = httpx.URL(base_url).host
        self._dialect = dialect
        self._redact = redact or Redactor()
        self._skew: timedelta | None = None
        self._gate = threading.BoundedSemaphore(in_flight)
        self._client = httpx.Client(
            base_url=base_url,
            headers={"User-Agent": USER_AGENT, "Accept": "application/json", **(headers or {})},
            auth=auth,
            transport=runtime.transport,
            timeout=httpx.Timeout(dialect.read_timeout, connect=dialect.connect_timeout),
            follow_redirects=False,
            event_hooks={"response": [self._bound_reading]},
        )

    @property
    def clock(self) -> Clock:
        return self.runtime.clock

    def now(self) -> datetime:
        """The vendor's clock by the `Date` header of its answers; ours until the first answer."""
        return self.clock.now() + (self._skew or timedelta())

    @property
    def skew(self) -> timedelta | None:
        """How far the vendor's clock is ahead of ours; None before the first answer."""
        return self._skew

    def close(self) -> None:
        self._client.close()

    def fetch(
        self,
        method: str,
        path: str,
        decode: Callable[[httpx.Response], AnswerT],
        *,
        params: Params = None,
        data: Mapping[str, str] | None = None,
        json: Any = None,
        limiter: Limiter | None = None,
        attempts: int | None = None,
    ) -> AnswerT:
        """Ask until a good answer is decoded, or the error can't be healed by asking again.

        `decode` runs inside the retry: a truncated body is asked for again. All our requests only read, so any may
        be repeated; pass `attempts=1` where one may not.

        Raises:
            SourceError: a leaf of the tree, with the vendor's own words redacted.
        """

        def attempt() -> AnswerT:
            return self._decode(self._send(method, path, params, data, json, limiter or self.limiter), decode)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, SourceError) and error.retryable),
            stop=tenacity.stop_after_attempt(attempts or self._dialect.attempts),
            wait=self._wait,
            sleep=self.clock.sleep,
            reraise=True,
        )
        return retrying(attempt)

    def _send(
        self, method: str, path: str, params: Params, data: Mapping[str, str] | None, json: Any, limiter: Limiter
    ) -> httpx.Response:
        with self._gate:
            limiter.wait_turn()
            started = self.clock.monotonic()
            self.runtime.on_request(1)
            try:
                response = self._client.request(method, path, params=_as_pairs(params), data=data, json=json)
            except httpx.HTTPError as error:
                raise self._unreachable(error) from None
            finally:
                limiter.answered(path)
            refusal = self._refusal(response)
            if isinstance(refusal, BudgetError) and refusal.retryable:
                # Before the gate opens: a sibling thread would still send the request it is waiting with.
                self.limiter.pause(self._budget_wait(refusal, 1))
        # The server's cookies must not travel to the next request: they pin it to a shard.
        self._client.cookies.clear()
        self._note_clock(response)
        logger.debug(
            "source=%s method=%s path=%s status=%d bytes=%d seconds=%.3f",
            self.runtime.source,
            method,
            self._redact(path),
            response.status_code,
            len(response.content),
            self.clock.monotonic() - started,
        )
        if refusal is not None:
            raise refusal
        return response

    def _bound_reading(self, response: httpx.Response) -> None:
        """Time-outs of the transport are for each piece of an answer: one that comes byte by byte would never end."""
        if isinstance(response.stream, httpx.SyncByteStream):
            response.stream = _Bounded(response.stream, self.clock, response.request)

    def _decode(self, response: httpx.Response, decode: Callable[[httpx.Response], AnswerT]) -> AnswerT:
        try:
            # A record kept as it came is not looked into, and bytes that are no text would fail when it is stored.
            if "csv" not in response.headers.get("content-type", ""):
                check_utf8(response.content)
            return decode(response)
        except msgspec.ValidationError as error:
            raise ProtocolError(
                say(
                    "{source}: ответ {path} не такой, как в документации: {detail}",
                    "{source}: the answer of {path} is not as documented: {detail}",
                    source=self.runtime.source,
                    path=self._redact(response.request.url.path),
                    detail=str(error),
                ),
                say("Сообщите разработчикам voronka.", "Tell voronka's developers."),
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._damaged(response, str(error)) from None

    def _damaged(self, response: httpx.Response, detail: str) -> ServerFaultError:
        return ServerFaultError(
            say(
                "{source}: повреждённый ответ {path} ({detail}): {excerpt}",
                "{source}: a damaged answer of {path} ({detail}): {excerpt}",
                source=self.runtime.source,
                path=self._redact(response.request.url.path),
                detail=detail,
                excerpt=self.excerpt(response),
            )
        )

    def _refusal(self, response: httpx.Response) -> SourceError | None:
        """What the answer refuses; a vendor's own reading of it may find no text in it at all."""
        try:
            return self._dialect.classify(response) or self._classify_status(response)
        except (UnicodeDecodeError, RecursionError) as error:
            return self._classify_status(response) or self._damaged(response, str(error))

    def _classify_status(self, response: httpx.Response) -> SourceError | None:
        status = response.status_code
        if status in self._dialect.ok:
            return None
        what = say(
            "{source}: {host} ответил {status}: {excerpt}",
            "{source}: {host} answered {status}: {excerpt}",
            source=self.runtime.source,
            host=self.host,
            status=status,
            excerpt=self.excerpt(response),
        )
        if status == 401:
            return CredentialsError(what, _CHECK_CREDENTIALS)
        if status in (402, 403):
            return RightsError(what, _CHECK_RIGHTS)
        if status == 429 or (status == 503 and "retry-after" in response.headers):
            return BudgetError(what, _SLOW_DOWN, retry_after=retry_after(response, self.clock))
        if status >= 500:
            return ServerFaultError(what, _TRY_LATER, retry_after=retry_after(response, self.clock))
        if 300 <= status < 400:
            return ProtocolError(what, _CHECK_ADDRESS)
        return ProtocolError(what)

    def excerpt(self, response: httpx.Response) -> str:
        """The start of an answer, on one line, without secrets: for messages."""
        # Redacted before it is cut: half of a secret would not be known for one.
        return " ".join(self._redact(text_of(response)).split())[:EXCERPT]

    def _unreachable(self, error: httpx.HTTPError) -> UnreachableError:
        return UnreachableError(
            say(
                "{source}: {host} недоступен: {detail}",
                "{source}: {host} can't be reached: {detail}",
                source=self.runtime.source,
                host=self.host,
                detail=self._redact(f"{type(error).__name__}: {error}".strip(": ")),
            ),
            _CHECK_ADDRESS,
        )

    def _note_clock(self, response: httpx.Response) -> None:
        try:
            stated = parsedate_to_datetime(response.headers["date"])
        except (KeyError, ValueError):
            return
        if stated.tzinfo is not None:
            self._skew = stated.astimezone(UTC) - self.clock.now().replace(microsecond=0)

    def _wait(self, retry_state: tenacity.RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        if isinstance(error, BudgetError):
            seconds = self._budget_wait(error, retry_state.attempt_number)
            # The whole account was refused, not this thread alone.
            self.limiter.pause(seconds)
            return seconds
        stated = error.retry_after if isinstance(error, SourceError) else None
        return self._backoff(self._dialect.first_wait, retry_state.attempt_number, stated)

    def _budget_wait(self, error: BudgetError, attempt: int) -> float:
        return self._backoff(self._dialect.first_budget_wait, attempt, error.retry_after)

    def _backoff(self, first: float, attempt: int, stated: float | None) -> float:
        """Seconds: as the vendor states, else twice as long each time, with jitter."""
        longest = self._dialect.longest_wait
        if stated is not None:
            return min(max(stated, 0.0), longest)
        # By hand, for tenacity renamed its parameter between 9.1 and 9.2.
        return float(min(first * 2 ** (attempt - 1) + random.uniform(0, first), longest))


def retry_after(response: httpx.Response, clock: Clock) -> float | None:
    """Seconds the vendor asks to wait: the header (seconds or a date), else `retry_after` in a JSON body."""
    header = response.headers.get("retry-after", "").strip()
    if header.isascii() and header.isdigit():
        return float(header)
    if header:
        try:
            return max(0.0, (parsedate_to_datetime(header) - clock.now()).total_seconds())
        except (ValueError, TypeError):
            return None
    try:
        stated = msgspec.json.decode(response.content, type=dict[str, Any]).get("retry_after")
        return float(stated) if isinstance(stated, int | float) else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        return None


def _as_pairs(params: Params) -> list[tuple[str, Scalar]] | None:
    if params is None:
        return None
    return list(params.items()) if isinstance(params, Mapping) else list(params)


_CHECK_CREDENTIALS: Text = say(
    "Проверьте токен или ключ этого источника в voronka.toml и .env (voronka check).",
    "Check this source's token or key in voronka.toml and .env (voronka check).",
)
_CHECK_RIGHTS: Text = say(
    "Проверьте права пользователя и области доступа интеграции (voronka check).",
    "Check the user's rights and the integration's scopes (voronka check).",
)
_SLOW_DOWN: Text = say(
    "Источник просит реже: уменьшите requests_per_second или запустите позже.",
    "The source asks to slow down: lower requests_per_second or run later.",
)
_TRY_LATER: Text = say(
    "Сбой на стороне источника: повторите позже, загруженное сохранено.",
    "The source's server fails: repeat later, what was loaded is kept.",
)
_CHECK_ADDRESS: Text = say(
    "Проверьте адрес источника в voronka.toml и сеть.",
    "Check the source's address in voronka.toml and the network.",
)
