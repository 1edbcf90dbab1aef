"""OAuth 2.0 of amoCRM: how its token server is asked, what it answers, and where an account went that was renamed.

A code becomes the first pair; each refresh returns a new pair and kills the old one at once, so the pairs live in
`connectors/tokens.py`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import msgspec

from base.clock import Clock
from base.errors import BlockedError, CredentialsError, ServerFaultError, SourceError, UnreachableError
from base.secrets import Redactor, Secret
from base.text import Text, say
from connectors.amocrm.auth import read_claims
from connectors.amocrm.refusals import BLOCKED, UNBLOCK
from connectors.amocrm.settings import AmocrmSettings
from connectors.api import USER_AGENT
from connectors.exchange import Ask, Exchange, Heard
from connectors.tokens import Grant, RotatingTokens, TokenPair
from connectors.vault import Vault

logger = logging.getLogger("voronka.amocrm")

TOKEN_PATH = "/oauth2/access_token"
ADDRESS_PATH = "/oauth2/account/current/subdomain"
# The official library waits this long for the token server.
TIMEOUT = 15.0
REFRESH_AHEAD = timedelta(minutes=5)
# A refresh token lives three months from its issue; every refresh starts them anew.
REFRESH_TOKEN_LIFE = timedelta(days=90)
# The refresh token is shown to no host but the vendor's.
VENDOR_DOMAINS = (".amocrm.ru", ".amocrm.com", ".kommo.com")


def open_rotating_tokens(
    source: str,
    settings: AmocrmSettings,
    *,
    clock: Clock,
    state_dir: Path,
    vault: Vault,
    redact: Redactor,
    wait_turn: Callable[[], None],
    transport: httpx.BaseTransport | None = None,
) -> RotatingTokens:
    """The chain of tokens of an integration in an account: two sources of one share it."""
    host = httpx.URL(settings.base_url).netloc.decode()
    return RotatingTokens(
        source,
        AmocrmTokenServer(source, settings, redact=redact, transport=transport),
        lambda path: Exchange(path, clock=clock, vault=vault, transport=transport),
        name=re.sub(r"[^\w.-]", "_", f"amocrm-{host}-{settings.client_id}"),
        code=settings.code,
        clock=clock,
        state_dir=state_dir,
        vault=vault,
        redact=redact,
        wait_turn=wait_turn,
        ahead=REFRESH_AHEAD,
        refresh_life=REFRESH_TOKEN_LIFE,
    )


class _Granted(msgspec.Struct):
    access_token: str
    refresh_token: str
    expires_in: int = 86_400


class _Problem(msgspec.Struct):
    hint: str | None = None
    detail: str | None = None


class _Place(msgspec.Struct):
    domain: str | None = None


class AmocrmTokenServer:
    """What `RotatingTokens` asks of a vendor, in amoCRM's words."""

    def __init__(
        self,
        source: str,
        settings: AmocrmSettings,
        *,
        redact: Redactor,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._source = source
        self._settings = settings
        self._redact = redact
        self._transport = transport

    @property
    def new_code(self) -> Text:
        return NEW_CODE

    def ask_with_code(self, code: Secret) -> Ask:
        body = {"grant_type": "authorization_code", "code": code.reveal()}
        return self._ask(self._settings.base_url, body, code.reveal())

    def ask_with_pair(self, pair: TokenPair) -> Ask:
        body = {"grant_type": "refresh_token", "refresh_token": pair.refresh_token}
        return self._ask(pair.address or self._settings.base_url, body, pair.refresh_token)

    def _ask(self, address: str, grant: dict[str, str], credential: str) -> Ask:
        settings = self._settings
        body = {
            "client_id": settings.client_id or "",
            "client_secret": settings.client_secret.reveal() if settings.client_secret else "",
            # Required with a refresh too, and byte for byte the registered one.
            "redirect_uri": settings.redirect_uri or "",
            **grant,
        }
        return Ask(
            url=address.rstrip("/") + TOKEN_PATH,
            body=body,
            credential=credential,
            headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
            timeout=TIMEOUT,
        )

    def read(self, heard: Heard) -> Grant:
        if not heard.status:
            raise UnreachableError(self._say(_NO_ANSWER, detail=self._redact(heard.error)))
        if heard.status != 200:
            raise self._refusal(heard)
        try:
            granted = msgspec.json.decode(heard.content, type=_Granted)
        except msgspec.DecodeError:
            raise ServerFaultError(self._say(_NO_ANSWER, detail="no tokens in the answer")) from None
        return Grant(
            access_token=granted.access_token, refresh_token=granted.refresh_token, expires_in=granted.expires_in
        )

    def find_new_address(self, pair: TokenPair) -> str | None:
        """A renamed account refuses a refresh on its old domain; the shared API host, named in the token, knows the
        new one (so the vendor's own library does)."""
        host = (read_claims(Secret(pair.access_token)).api_domain or "").lower()
        if not host.endswith(VENDOR_DOMAINS):
            return None
        headers = {"X-Refresh-Token": pair.refresh_token, "User-Agent": USER_AGENT}
        try:
            with httpx.Client(transport=self._transport, timeout=TIMEOUT, follow_redirects=False) as client:
                response = client.get(f"https://{host}{ADDRESS_PATH}", headers=headers)
            domain = msgspec.json.decode(response.content, type=_Place).domain if response.status_code == 200 else None
        except (httpx.HTTPError, msgspec.DecodeError):
            return None
        if not domain or not domain.lower().endswith(VENDOR_DOMAINS):
            return None
        address = f"https://{domain.lower()}"
        if address == (pair.address or self._settings.base_url).rstrip("/"):
            return None
        logger.warning("source=%s event=account_moved to=%s", self._source, domain)
        return address

    def _refusal(self, heard: Heard) -> SourceError:
        if heard.status >= 500 or heard.status == 429:
            return ServerFaultError(self._say(_NO_ANSWER, detail=f"HTTP {heard.status}"))
        try:
            problem = msgspec.json.decode(heard.content, type=_Problem)
        except msgspec.DecodeError:
            if heard.status == 403:
                return BlockedError(self._say(BLOCKED), UNBLOCK)
            problem = _Problem(detail=f"HTTP {heard.status}")
        # `hint` is the stable part, `detail` is localized.
        reason = self._redact(problem.hint or problem.detail or "")[:200]
        if problem.hint:
            return CredentialsError(self._say(_LOST_CHAIN, reason=reason), NEW_CODE)
        return CredentialsError(self._say(_WRONG_KEYS, reason=reason), _CHECK_KEYS)

    def _say(self, text: Text, **values: object) -> Text:
        return say(text.ru, text.en, source=self._source, **values)


_NO_ANSWER = say(
    "{source}: сервер токенов amoCRM не ответил как должно: {detail}",
    "{source}: amoCRM's token server did not answer as it should: {detail}",
)
_LOST_CHAIN = say(
    "{source}: amoCRM отверг код или токен обновления: {reason}. Он истёк, отозван или уже использован.",
    "{source}: amoCRM refused the code or refresh token: {reason}. It is expired, revoked or already used.",
)
_WRONG_KEYS = say(
    "{source}: amoCRM не признал интеграцию: {reason}",
    "{source}: amoCRM did not recognise the integration: {reason}",
)
NEW_CODE = say(
    "Администратор открывает amoМаркет → интеграция → «Ключи и доступы» и копирует новый код авторизации в .env "
    "(code). Код живёт 20 минут и годится один раз: сразу запустите voronka check.",
    "An administrator opens amoMarket → the integration → “Keys and scopes” and copies a new authorisation code "
    "into .env (code). It lives 20 minutes and works once: run voronka check at once.",
)
_CHECK_KEYS = say(
    "Сверьте client_id, client_secret и redirect_uri с карточкой интеграции, посимвольно.",
    "Compare client_id, client_secret and redirect_uri with the integration's card, letter by letter.",
)
