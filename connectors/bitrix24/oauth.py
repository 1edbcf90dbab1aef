"""OAuth 2.0 of Bitrix24: how its token server is asked and what its refusals mean.

The token server is the vendor's own, also for boxes, and apart from the portal. An access token lives an hour, a
refresh token half a year, and each refresh gives a new one: the pairs live in `connectors/tokens.py`. An access token
is renewed only when the portal has refused it: applications that refresh by the clock get blocked.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec

from base.clock import Clock
from base.errors import CredentialsError, RightsError, ServerFaultError, SourceError, UnreachableError
from base.secrets import Redactor, Secret
from base.text import Text, say
from connectors.api import USER_AGENT
from connectors.bitrix24.settings import Bitrix24Settings, is_same_vendor
from connectors.exchange import Ask, Exchange, Heard
from connectors.tokens import Grant, RotatingTokens, TokenPair
from connectors.vault import Vault

TIMEOUT = 30.0
ACCESS_TOKEN_SECONDS = 3600
REFRESH_TOKEN_LIFE = timedelta(days=180)
# Never before its end: only upon the portal's refusal.
REFRESH_AHEAD = -REFRESH_TOKEN_LIFE


def open_rotating_tokens(
    source: str,
    settings: Bitrix24Settings,
    *,
    clock: Clock,
    state_dir: Path,
    vault: Vault,
    redact: Redactor,
    transport: httpx.BaseTransport | None = None,
) -> RotatingTokens:
    """The chain of tokens of an application on a portal: two sources of one share it."""
    host = urlsplit(settings.portal).netloc.rpartition("@")[2].lower()
    return RotatingTokens(
        source,
        Bitrix24TokenServer(source, settings, redact=redact),
        lambda path: Exchange(path, clock=clock, vault=vault, transport=transport),
        name=re.sub(r"[^\w.-]", "_", f"bitrix24-{host}-{settings.client_id}"),
        # Whichever was given begins the chain.
        code=settings.code or settings.refresh_token,
        clock=clock,
        state_dir=state_dir,
        vault=vault,
        redact=redact,
        wait_turn=lambda: None,
        ahead=REFRESH_AHEAD,
        refresh_life=REFRESH_TOKEN_LIFE,
    )


class _Granted(msgspec.Struct):
    access_token: str
    refresh_token: str
    expires_in: int | str = ACCESS_TOKEN_SECONDS
    client_endpoint: str = ""
    member_id: str = ""


class _Problem(msgspec.Struct):
    error: str = ""
    error_description: str = ""


class Bitrix24TokenServer:
    """What `RotatingTokens` asks of a vendor, in Bitrix24's words."""

    def __init__(self, source: str, settings: Bitrix24Settings, *, redact: Redactor) -> None:
        self._source = source
        self._settings = settings
        self._redact = redact

    @property
    def new_code(self) -> Text:
        return say(
            NEW_CODE.ru, NEW_CODE.en, portal=self._settings.portal, client_id=self._settings.client_id or "client_id"
        )

    def ask_with_code(self, code: Secret) -> Ask:
        if self._settings.code:
            return self._ask({"grant_type": "authorization_code", "code": code.reveal()}, code.reveal())
        return self._ask({"grant_type": "refresh_token", "refresh_token": code.reveal()}, code.reveal())

    def ask_with_pair(self, pair: TokenPair) -> Ask:
        return self._ask({"grant_type": "refresh_token", "refresh_token": pair.refresh_token}, pair.refresh_token)

    def _ask(self, grant: dict[str, str], credential: str) -> Ask:
        settings = self._settings
        secret = settings.client_secret.reveal() if settings.client_secret else ""
        return Ask(
            url=settings.oauth_url,
            # As a form: the documented query would leave secrets in the logs of every proxy.
            encoding="form",
            body={"client_id": settings.client_id or "", "client_secret": secret, **grant},
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
            expires_in = int(granted.expires_in)
        except (msgspec.DecodeError, ValueError):
            # An error may come with status 200 here too.
            raise self._refusal(heard) from None
        self._assert_ours(granted)
        return Grant(
            access_token=granted.access_token,
            refresh_token=granted.refresh_token,
            expires_in=expires_in,
            address=_origin(granted.client_endpoint),
        )

    def _assert_ours(self, granted: _Granted) -> None:
        """`domain` in the answer is the token server: whose tokens they are is told by `client_endpoint`."""
        host = urlsplit(granted.client_endpoint).hostname or ""
        own = urlsplit(self._settings.portal).hostname or ""
        is_ours = not host or host == own or is_same_vendor(self._settings.portal, host)
        is_member = self._settings.member_id in ("", granted.member_id)
        if not (is_ours and is_member):
            raise CredentialsError(self._say(_OTHER_PORTAL, host=host or "?", own=own), self.new_code)

    def find_new_address(self, pair: TokenPair) -> str | None:
        """A renamed portal keeps its tokens, and every refresh tells its address."""
        return None

    def _refusal(self, heard: Heard) -> SourceError:
        try:
            problem = msgspec.json.decode(heard.content, type=_Problem)
        except msgspec.DecodeError:
            problem = _Problem()
        reason = self._redact(f"{problem.error} {problem.error_description}".strip())[:200]
        code = problem.error.strip().lower()
        if not code or heard.status >= 500 or heard.status == 429:
            return ServerFaultError(self._say(_NO_ANSWER, detail=reason or f"HTTP {heard.status}"))
        if code == "invalid_grant":
            return CredentialsError(self._say(_LOST_CHAIN, reason=reason), self.new_code)
        if code in ("invalid_client", "wrong_client"):
            return CredentialsError(self._say(_WRONG_KEYS, reason=reason), _CHECK_KEYS)
        if code in ("invalid_scope", "insufficient_scope"):
            return RightsError(self._say(_WRONG_KEYS, reason=reason), _ADD_SCOPE)
        if code == "payment_required":
            return RightsError(self._say(_UNPAID, reason=reason), _PAY)
        return CredentialsError(self._say(_WRONG_KEYS, reason=reason), _CHECK_KEYS)

    def _say(self, text: Text, **values: object) -> Text:
        return say(text.ru, text.en, source=self._source, **values)


def _origin(endpoint: str) -> str:
    address = urlsplit(endpoint)
    return f"{address.scheme}://{address.netloc}" if address.scheme and address.netloc else ""


_NO_ANSWER = say(
    "{source}: сервер токенов Битрикс24 не ответил как должно: {detail}",
    "{source}: Bitrix24's token server did not answer as it should: {detail}",
)
_LOST_CHAIN = say(
    "{source}: Битрикс24 отверг код или токен обновления ({reason}): он истёк, уже использован, или приложение"
    " удалено с портала.",
    "{source}: Bitrix24 refused the code or refresh token ({reason}): it is expired, already used, or the application"
    " was removed from the portal.",
)
_WRONG_KEYS = say(
    "{source}: Битрикс24 не признал приложение: {reason}",
    "{source}: Bitrix24 did not recognise the application: {reason}",
)
_UNPAID = say(
    "{source}: подписка портала закончилась: {reason}", "{source}: the portal's subscription has ended: {reason}"
)
_PAY = say(
    "Продлите тариф или подписку Маркета: REST есть только на коммерческих тарифах.",
    "Renew the plan or the Market subscription: REST exists on commercial plans only.",
)
_OTHER_PORTAL = say(
    "{source}: токены выданы порталу {host}, а настроен {own}.",
    "{source}: the tokens are of the portal {host}, the configuration names {own}.",
)
NEW_CODE = say(
    "Администратор портала открывает {portal}/oauth/authorize/?client_id={client_id} и из адреса, на который его"
    " перенаправит, копирует code в .env. Код живёт 30 секунд и годится один раз: сразу запустите voronka check."
    " Или впишите refresh_token из события установки приложения.",
    "An administrator of the portal opens {portal}/oauth/authorize/?client_id={client_id} and copies code from the"
    " address he is sent to into .env. It lives 30 seconds and works once: run voronka check at once. Or put in the"
    " refresh_token of the application's installation event.",
)
_CHECK_KEYS = say(
    "Сверьте client_id и client_secret с карточкой приложения: Разработчикам → Интеграции.",
    "Compare client_id and client_secret with the application's card: Developer resources → Integrations.",
)
_ADD_SCOPE = say(
    "Дайте приложению права crm, user, department, telephony, sale в его карточке и установите его заново.",
    "Give the application the scopes crm, user, department, telephony, sale in its card and install it again.",
)
