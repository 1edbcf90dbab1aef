"""Talking to Mango: signed forms, budgets, the lock after a wrong request, and the report cycle."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeVar

import httpx
import msgspec

from base.errors import ProtocolError, ServerFaultError, SourceError
from base.secrets import Redactor
from base.text import say
from connectors.api import Api, Dialect
from connectors.limiter import Limiter
from connectors.mango.budget import open_budget
from connectors.mango.refusals import LOCK_SECONDS, locks_the_key, refusal
from connectors.mango.settings import MangoSettings
from connectors.mango.signing import build_form
from connectors.stream import Client, Runtime

logger = logging.getLogger("voronka.mango")

BodyT = TypeVar("BodyT")

# The manual: a result is asked for no more often than once in five seconds, and given up after some minutes.
POLL_SECONDS = 5.0
# The first look: the next report may not be started for two seconds anyway, and one that needs a second to prepare
# would cost a whole poll if it were looked at straight away.
FIRST_LOOK_SECONDS = 1.9
REPORT_PATIENCE_SECONDS = 600.0
# A report may get lost (its key expires a minute after it is ready, a read is its last); then it is started again.
REPORT_STARTS = 3
# `general.user_id` and the groups come only when asked for.
USER_FIELDS = (
    "general.user_id",
    "general.sips",
    "groups",
    "general.mobile",
    "general.login",
    "general.access_role_id",
    "telephony.line_id",
)


@dataclass(frozen=True)
class ReportAnswer(Generic[BodyT]):
    """One look at a report: `lost` means that it must be started again."""

    state: Literal["ready", "waiting", "lost"]
    body: BodyT | None = None


@dataclass(frozen=True)
class ReportKind(Generic[BodyT]):
    """A kind of report: where it is started and fetched, and how an answer is read."""

    start_path: str
    result_path: str
    read: Callable[[httpx.Response], ReportAnswer[BodyT]]


class _Started(msgspec.Struct):
    key: str = ""


class _Users(msgspec.Struct):
    users: list[msgspec.Raw]


class _Lines(msgspec.Struct):
    lines: list[msgspec.Raw]


class _Groups(msgspec.Struct):
    groups: list[msgspec.Raw]


class _Balance(msgspec.Struct):
    balance: float | str | None = None
    currency: str | None = None


class MangoClient(Client):
    """One key of one PBX. Safe to share between the threads of its streams."""

    def __init__(self, settings: MangoSettings, runtime: Runtime) -> None:
        self.settings = settings
        self.source = runtime.source
        self._budget = open_budget(settings.api_key, settings.requests_per_second, runtime.clock, runtime.states)
        self._api = Api(
            settings.base_url,
            runtime=runtime,
            limiter=self._budget.general,
            # 404 is how the vendor says that a report's key is unknown; elsewhere `_decoder` refuses it.
            dialect=Dialect(
                classify=self._classify, ok=frozenset({200, 202, 204, 404}), first_wait=2.0, first_budget_wait=5.0
            ),
            redact=Redactor([settings.api_key, settings.api_salt]),
        )

    def now(self) -> datetime:
        return self._api.now()

    @property
    def skew(self) -> timedelta | None:
        """How far Mango's clock is ahead of ours; None before the first answer."""
        return self._api.skew

    def close(self) -> None:
        self._api.close()

    def fetch_users(self) -> list[bytes]:
        """Employees as Mango describes them, one JSON object each."""
        answer = self._ask(
            "config/users/request", {"ext_fields": USER_FIELDS}, _decoder(_Users), limiter=self._budget.users
        )
        return [bytes(user) for user in answer.users]

    def fetch_lines(self) -> list[bytes]:
        """Numbers of the PBX, one JSON object each."""
        return [bytes(line) for line in self._ask("incominglines", {}, _decoder(_Lines)).lines]

    def fetch_groups(self) -> list[bytes]:
        """Groups of employees, one JSON object each."""
        answer = self._ask("groups", {"show_users": 1}, _decoder(_Groups))
        return [bytes(group) for group in answer.groups]

    def fetch_balance(self) -> str:
        """The account's balance as text, `12.3 RUB`: the cheapest question that needs a good key."""
        answer = self._ask("account/balance", {}, _decoder(_Balance))
        return f"{answer.balance} {answer.currency or ''}".strip()

    def start_report(self, path: str, parameters: Mapping[str, Any]) -> str:
        """Order a report; gives its key. At most one start in two seconds, over all processes."""
        key = self._ask(path, parameters, _decoder(_Started), limiter=self._budget.starts).key
        if not key:
            raise ProtocolError(
                say("{source}: Mango не дал ключа отчёта", "{source}: Mango gave no report key", source=self.source)
            )
        return key

    def run_report(self, kind: ReportKind[BodyT], parameters: Mapping[str, Any]) -> BodyT:
        """Order a report and wait until it is complete.

        Raises:
            ServerFaultError: it was lost or cancelled again and again, or not ready in ten minutes.
        """
        for _ in range(REPORT_STARTS):
            key = self.start_report(kind.start_path, parameters)
            body = self._await(kind, key)
            if body is not None:
                return body
            logger.warning("source=%s report=%s lost, starting again", self.source, kind.start_path)
        raise ServerFaultError(
            say(
                "{source}: Mango теряет отчёты: {count} попытки без результата",
                "{source}: Mango loses its reports: {count} attempts without a result",
                source=self.source,
                count=REPORT_STARTS,
            ),
            _TRY_LATER,
        )

    def _await(self, kind: ReportKind[BodyT], key: str) -> BodyT | None:
        clock = self._api.clock
        deadline = clock.monotonic() + REPORT_PATIENCE_SECONDS
        clock.sleep(FIRST_LOOK_SECONDS)
        while True:
            answer = self._ask(kind.result_path, {"key": key}, kind.read)
            if answer.state != "waiting":
                return answer.body
            if clock.monotonic() + POLL_SECONDS > deadline:
                raise ServerFaultError(
                    say(
                        "{source}: отчёт Mango не готов за {minutes} минут",
                        "{source}: Mango's report is not ready after {minutes} minutes",
                        source=self.source,
                        minutes=int(REPORT_PATIENCE_SECONDS // 60),
                    ),
                    _TRY_LATER,
                )
            clock.sleep(POLL_SECONDS)

    def _ask(
        self,
        path: str,
        parameters: Mapping[str, Any],
        decode: Callable[[httpx.Response], BodyT],
        *,
        limiter: Limiter | None = None,
    ) -> BodyT:
        form = build_form(self.settings.api_key, self.settings.api_salt, parameters)
        return self._api.fetch("POST", path, decode, data=form, limiter=limiter)

    def _classify(self, response: httpx.Response) -> SourceError | None:
        error = refusal(self.source, response)
        if error is not None and locks_the_key(response):
            # Nothing more is asked with this key until the vendor has forgotten the wrong request.
            self._budget.general.block(LOCK_SECONDS, str(error))
        return error


def _decoder(shape: type[BodyT]) -> Callable[[httpx.Response], BodyT]:
    def decode(response: httpx.Response) -> BodyT:
        if response.status_code != 200:
            raise ProtocolError(
                say(
                    "Mango не знает метода {path} ({status})",
                    "Mango doesn't know the method {path} ({status})",
                    path=response.request.url.path,
                    status=response.status_code,
                ),
                say("Проверьте base_url в voronka.toml.", "Check base_url in voronka.toml."),
            )
        return msgspec.json.decode(response.content, type=shape)

    return decode


@contextmanager
def open_client(settings: MangoSettings, runtime: Runtime) -> Iterator[MangoClient]:
    client = MangoClient(settings, runtime)
    try:
        yield client
    finally:
        client.close()


_TRY_LATER = say(
    "Повторите позже: загруженное сохранено, работа продолжится с этого места.",
    "Repeat later: what was loaded is kept, and the work goes on from here.",
)
