"""Transport to one amoCRM account: its budget, its token, its pages."""

from __future__ import annotations

import logging
from datetime import datetime
from urllib.parse import urlsplit

import httpx
import msgspec

from base.errors import ConfigError
from base.secrets import Redactor
from base.text import say
from connectors.amocrm.answers import Answer, TimeField, read_answer, strip_link_queries
from connectors.amocrm.auth import BearerAuth, LongLivedToken
from connectors.amocrm.oauth import open_rotating_tokens
from connectors.amocrm.refusals import Refusals
from connectors.amocrm.settings import AmocrmSettings
from connectors.api import Api, Dialect, Params
from connectors.limiter import Limiter
from connectors.stream import Client, Runtime
from connectors.tokens import RotatingTokens, Tokens

logger = logging.getLogger("voronka.amocrm")

API = "/api/v4"
# The vendor allows 7 a second for an integration and answers a repeated overrun with a block that only its support
# lifts; operators were blocked near the limit.
DEFAULT_RATE = 5.0
HIGHEST_RATE = 7.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class AmocrmClient(Client):
    """Reads one account. Safe to share between the threads of its streams."""

    def __init__(self, settings: AmocrmSettings, runtime: Runtime) -> None:
        self.settings = settings
        self.source = runtime.source
        self.rate = allowed_rate(settings)
        redact = Redactor(secret for secret in (settings.token, settings.client_secret, settings.code) if secret)
        limiter = Limiter(
            _budget_name(settings),
            rate=self.rate,
            clock=runtime.clock,
            states=runtime.states,
            # A server on this machine may be given a budget beyond the vendor's limit.
            ceiling=int(HIGHEST_RATE) if self.rate <= HIGHEST_RATE else None,
        )
        self.tokens = open_tokens(settings, runtime, limiter=limiter, redact=redact)
        self.api = Api(
            settings.base_url.rstrip("/"),
            runtime=runtime,
            limiter=limiter,
            dialect=Dialect(classify=Refusals(runtime.source, limiter=limiter, redact=redact)),
            redact=redact,
            auth=BearerAuth(self.tokens, self.new_address),
            # Operators who paged with several requests at once were blocked; a second one only by the user's choice.
            in_flight=1 if self.rate <= DEFAULT_RATE else 2,
        )

    def now(self) -> datetime:
        return self.api.now()

    def new_address(self) -> str:
        """Where the account is reached since it was renamed; '' while that is where the configuration says."""
        return self.tokens.address() if isinstance(self.tokens, RotatingTokens) else ""

    def close(self) -> None:
        self.api.close()
        self.tokens.close()

    def page(self, path: str, key: str, params: Params, *, time_field: TimeField = "updated_at") -> Answer:
        """One page of a list; the address is always our own, never one the server gave."""
        self.tokens.current()
        return self.api.fetch("GET", API + path, lambda response: read_answer(response, key, time_field), params=params)

    def record(self, path: str, params: Params = None) -> bytes | None:
        """A single object as the vendor wrote it; None when there is none (204)."""
        self.tokens.current()
        return self.api.fetch("GET", API + path, _read_record, params=params)


def _read_record(response: httpx.Response) -> bytes | None:
    if response.status_code == 204 or not response.content:
        return None
    # Read as JSON here, inside the retry: a damaged answer is asked for again.
    msgspec.json.decode(response.content, type=dict[str, msgspec.Raw])
    return strip_link_queries(response.content)


def open_tokens(settings: AmocrmSettings, runtime: Runtime, *, limiter: Limiter, redact: Redactor) -> Tokens:
    """The source of tokens the settings describe.

    Raises:
        ConfigError: neither a token nor all of the OAuth keys.
    """
    if settings.token:
        return LongLivedToken(runtime.source, settings.token, runtime.clock)
    missing = [name for name in ("client_id", "client_secret", "redirect_uri") if not getattr(settings, name)]
    if not missing:
        return open_rotating_tokens(
            runtime.source,
            settings,
            clock=runtime.clock,
            state_dir=runtime.state_dir,
            vault=runtime.vault,
            redact=redact,
            wait_turn=limiter.wait_turn,
            transport=runtime.transport,
        )
    problem = say(
        "sources.{source}: нет ни token, ни {missing}",
        "sources.{source}: neither token nor {missing}",
        source=runtime.source,
        missing=", ".join(missing),
    )
    raise ConfigError(
        say("Нечем войти в amoCRM.", "No way into amoCRM."),
        (problem,),
        say(
            "Впишите token (долгосрочный токен интеграции) или client_id, client_secret, redirect_uri и code.",
            "Put in token (the integration's long-lived token), or client_id, client_secret, redirect_uri and code.",
        ),
    )


def allowed_rate(settings: AmocrmSettings) -> float:
    """Requests a second: the configured ones, at most the vendor's limit (a server on this machine has none)."""
    wanted = settings.requests_per_second or DEFAULT_RATE
    if urlsplit(settings.base_url).hostname in LOOPBACK:
        return wanted
    if wanted > HIGHEST_RATE:
        logger.warning("event=rate_capped asked=%s allowed=%s", wanted, HIGHEST_RATE)
    return min(wanted, HIGHEST_RATE)


def _budget_name(settings: AmocrmSettings) -> str:
    """The budget belongs to the account: two sources of one account share it."""
    return "amocrm-" + urlsplit(settings.base_url).netloc.rpartition("@")[2].lower().replace(":", "_")
