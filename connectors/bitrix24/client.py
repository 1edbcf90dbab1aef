"""Transport to one portal: the way in, its two budgets, single calls and batches."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from base.errors import BudgetError
from base.secrets import Redactor
from connectors.api import Api, Dialect
from connectors.bitrix24.access import open_access
from connectors.bitrix24.answers import BatchAnswer, Envelope, read_batch, read_envelope
from connectors.bitrix24.budget import SHARE_OF_BUCKET, BucketLimiter, OperatingBudget
from connectors.bitrix24.php import Params, encode_params
from connectors.bitrix24.refusals import ExpiredTokenError, MovedError, OperatingLimitError, Refusals
from connectors.bitrix24.settings import Bitrix24Settings, is_same_vendor
from connectors.stream import Client, Runtime

logger = logging.getLogger("voronka.bitrix24")
AnswerT = TypeVar("AnswerT")

# Requests a second and the bucket's size, by plan.
PLANS = {"standard": (2.0, 50), "enterprise": (5.0, 250)}
# The leak is counted by arrivals: a little below it nothing overflows.
PACE = 0.97
MOST_COMMANDS = 50
# Batches of one stream under way at once.
LANES = 8
ATTEMPTS = 6
MOST_MOVES = 3
# A new token that is refused as expired too is no matter of its age.
MOST_RENEWALS = 2


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of a batch. Keys are names: PHP would make a list of numbers and lose them."""

    key: str
    method: str
    params: Params

    def __str__(self) -> str:
        query = encode_params(self.params)
        return f"{self.method}?{query}" if query else self.method


class Bitrix24Client(Client):
    """Reads one portal. Safe to share between threads."""

    def __init__(self, settings: Bitrix24Settings, runtime: Runtime) -> None:
        self.settings = settings
        self.source = runtime.source
        self.clock = runtime.clock
        self.rate, stock = allowed_rate(settings)
        redact = Redactor()
        self.access = open_access(settings, runtime, redact)
        self._base = self.access.address() or settings.portal
        self.refusals = Refusals(runtime.source, redact, self.access.way)
        self.operating = OperatingBudget(settings.operating_seconds, runtime.clock)
        self._runtime = runtime
        self._count_lock = threading.Lock()
        self._uncounted = 0
        self._server_zone: tzinfo | None = None
        self._lane = threading.local()
        self.limiter = BucketLimiter(
            _budget_name(settings),
            rate=self.rate * PACE,
            stock=int(stock * SHARE_OF_BUCKET),
            clock=runtime.clock,
            states=runtime.states,
        )
        self.api = Api(
            self._base,
            runtime=replace(runtime, on_request=self._count),
            limiter=self.limiter,
            dialect=Dialect(classify=self.refusals, first_budget_wait=5.0, longest_wait=60.0),
            redact=redact,
            in_flight=LANES,
        )

    def now(self) -> datetime:
        return self.api.now()

    @property
    def server_zone(self) -> tzinfo | None:
        """The offset of the portal's clock, None until an answer tells it."""
        return self._server_zone

    def close(self) -> None:
        self.access.close()
        self.api.close()

    def call(self, method: str, params: Params | None = None, *, attempts: int = ATTEMPTS) -> Envelope:
        """One method.

        Raises:
            SourceError: a leaf of the tree; `MissingMethodError`, `MissingScopeError` where these are the reason.
        """

        def decode(response: httpx.Response) -> Envelope:
            return self._read(response, method)

        return self._ask(method, params or {}, [method], decode, lambda envelope: (envelope, {}), attempts)

    def batch(self, commands: Iterable[Command], *, halt: bool, attempts: int = ATTEMPTS) -> BatchAnswer:
        """Up to 50 commands in one request. Failures of commands are in the answer, not raised."""
        listed = list(commands)
        assert 0 < len(listed) <= MOST_COMMANDS
        methods = {command.key: command.method for command in listed}
        body = {"halt": int(halt), "cmd": {command.key: str(command) for command in listed}}

        def decode(response: httpx.Response) -> tuple[Envelope, BatchAnswer]:
            envelope = self._read(response, "batch")
            return envelope, read_batch(envelope)

        def split(answer: tuple[Envelope, BatchAnswer]) -> tuple[Envelope, dict[str, Any]]:
            return answer[0], {methods[key]: timing for key, timing in answer[1].timings.items() if key in methods}

        # Portals differ in whom they bill, the batch or its commands: the larger number holds.
        return self._ask("batch", body, ["batch", *dict.fromkeys(methods.values())], decode, split, attempts)[1]

    def in_lane(self) -> None:
        """Called in a lane's thread: its requests are counted by the thread that reads the stream."""
        self._lane.is_lane = True

    def count_lanes(self) -> None:
        """Report the lanes' requests, from the thread that reads the stream."""
        with self._count_lock:
            count, self._uncounted = self._uncounted, 0
        if count:
            self._runtime.on_request(count)

    def _ask(
        self,
        method: str,
        body: Mapping[str, Any],
        billed: list[str],
        decode: Callable[[httpx.Response], AnswerT],
        split: Callable[[AnswerT], tuple[Envelope, dict[str, Any]]],
        attempts: int,
    ) -> AnswerT:
        moves, renewals = 0, 0
        while True:
            self.operating.wait(billed)
            path, prepared = self.access.prepare(method, body)
            try:
                answer = self.api.fetch("POST", f"{self._base}{path}", decode, json=prepared, attempts=attempts)
            except ExpiredTokenError:
                renewals += 1
                if renewals > MOST_RENEWALS or not self.access.renew(prepared):
                    raise
                continue
            except OperatingLimitError as error:
                self.park(method, error)
                continue
            except MovedError as error:
                moves += 1
                if moves > MOST_MOVES or not is_same_vendor(self._base, error.host):
                    raise
                # By hand: a redirected POST would arrive as a GET without its parameters.
                self._base = f"{urlsplit(self._base).scheme}://{error.host}"
                logger.warning("source=%s event=portal_moved host=%s", self.source, error.host)
                continue
            envelope, nested = split(answer)
            self.operating.note(method, envelope.timing)
            for name, timing in nested.items():
                self.operating.note(name, timing)
            return answer

    def park(self, method: str, error: OperatingLimitError) -> None:
        """Leave a method alone until its budget is released.

        Raises:
            BudgetError: it has been refused for too long.
        """
        logger.warning("source=%s method=%s event=operating_limit", self.source, method)
        if not self.operating.park(method):
            raise BudgetError(error.what, error.remedy)

    def _read(self, response: httpx.Response, method: str) -> Envelope:
        envelope = read_envelope(response.content)
        if envelope.failure is not None:
            raise self.refusals.of(envelope.failure, method, status=response.status_code)
        started = envelope.timing.started_at
        if started is not None:
            self._server_zone = started.tzinfo
        return envelope

    def _count(self, count: int) -> None:
        if getattr(self._lane, "is_lane", False):
            with self._count_lock:
                self._uncounted += count
        else:
            self._runtime.on_request(count)


def allowed_rate(settings: Bitrix24Settings) -> tuple[float, int]:
    """Requests a second (the configured ones, at most the plan's) and the bucket's size."""
    highest, stock = PLANS[settings.plan]
    wanted = settings.requests_per_second or highest
    if wanted > highest:
        logger.warning("event=rate_capped asked=%s allowed=%s", wanted, highest)
    return min(wanted, highest), stock


def _budget_name(settings: Bitrix24Settings) -> str:
    """The vendor counts by portal and address: two sources of one portal share it."""
    return "bitrix24-" + urlsplit(settings.portal).netloc.rpartition("@")[2].lower().replace(":", "_")
