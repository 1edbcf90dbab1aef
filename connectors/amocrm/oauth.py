"""OAuth 2.0 of amoCRM: a code becomes a pair of tokens, and each refresh returns a new pair and kills the old one.

So a new pair is on the disk before it is used; one refresher at a time holds the account's lock, across threads and
processes, and looks first whether another has refreshed already. A second use of a refresh token is what amoCRM
answers with "revoked".
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import msgspec
from filelock import FileLock

from base.clock import Clock
from base.errors import BlockedError, CredentialsError, ServerFaultError, SourceError, UnreachableError
from base.points import reached
from base.secrets import Redactor, Secret
from base.text import Text, say
from base.times import from_unix, to_unix
from connectors.amocrm.refusals import BLOCKED, UNBLOCK
from connectors.amocrm.settings import AmocrmSettings

TOKEN_PATH = "/oauth2/access_token"
# The official library waits this long for the token server.
TIMEOUT = 15.0
REFRESH_AHEAD = timedelta(minutes=5)
# A refresh token lives three months from its issue; every refresh starts them anew.
REFRESH_TOKEN_LIFE = timedelta(days=90)
# One repetition after a lost answer: it may or may not have been heard, and a third try would only hammer.
ATTEMPTS = 2


class TokenPair(msgspec.Struct, frozen=True):
    """What the token file holds. `code_digest` tells which authorisation code the chain began with."""

    access_token: str
    refresh_token: str
    expires_at: int  # Unix seconds
    issued_at: int
    code_digest: str = ""


class _Granted(msgspec.Struct):
    access_token: str
    refresh_token: str
    expires_in: int = 86_400


class _Problem(msgspec.Struct):
    hint: str | None = None
    detail: str | None = None


class RotatingTokens:
    """Access tokens of an integration, refreshed before they end; the pair lives in one file of mode 0600."""

    def __init__(
        self,
        source: str,
        settings: AmocrmSettings,
        *,
        clock: Clock,
        state_dir: Path,
        redact: Redactor,
        wait_turn: Callable[[], None],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._source = source
        self._settings = settings
        self._clock = clock
        self._redact = redact
        self._wait_turn = wait_turn
        self._path = state_dir / "tokens" / f"{_file_name(settings)}.json"
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._threads = threading.Lock()
        self._processes = FileLock(str(self._path) + ".lock")
        self._known: TokenPair | None = None
        self._http = httpx.Client(
            base_url=settings.base_url.rstrip("/"), transport=transport, timeout=TIMEOUT, follow_redirects=False
        )

    def current(self) -> Secret:
        pair = self._known
        if pair is None or self._is_ending(pair):
            pair = self._renew(refused=None)
        return Secret(pair.access_token)

    def replace(self, refused: Secret) -> Secret | None:
        return Secret(self._renew(refused=refused).access_token)

    def expires_at(self) -> datetime | None:
        """When the refresh token ends, should nothing be loaded until then."""
        pair = self._known or self._read()
        return None if pair is None else from_unix(pair.issued_at) + REFRESH_TOKEN_LIFE

    def close(self) -> None:
        self._http.close()

    def _renew(self, refused: Secret | None) -> TokenPair:
        """A pair that is not ending and not the refused one: another's, a refreshed one, or a code's first."""
        with self._threads, self._processes:
            stored = self._read()
            digest = _digest(self._settings.code)
            if stored is None:
                pair = self._grant(self._code_request(), digest)
            elif self._is_usable(stored, refused):
                pair = stored
            else:
                pair = self._refresh(stored, digest)
            self._known = pair
            return pair

    def _is_usable(self, pair: TokenPair, refused: Secret | None) -> bool:
        return not self._is_ending(pair) and (refused is None or pair.access_token != refused.reveal())

    def _refresh(self, stored: TokenPair, digest: str) -> TokenPair:
        request = {"grant_type": "refresh_token", "refresh_token": stored.refresh_token}
        try:
            return self._grant(request, stored.code_digest)
        except CredentialsError:
            # The chain is lost; a code entered since is the person's answer to exactly that.
            if not digest or digest == stored.code_digest:
                raise
            return self._grant(self._code_request(), digest)

    def _code_request(self) -> dict[str, str]:
        if not self._settings.code:
            what = say(
                "{source}: ещё нет токенов и нет code.", "{source}: no tokens yet, and no code.", source=self._source
            )
            raise CredentialsError(what, _NEW_CODE)
        return {"grant_type": "authorization_code", "code": self._settings.code.reveal()}

    def _grant(self, request: dict[str, str], code_digest: str) -> TokenPair:
        settings = self._settings
        body = {
            "client_id": settings.client_id or "",
            "client_secret": settings.client_secret.reveal() if settings.client_secret else "",
            # Required with a refresh too, and byte for byte the registered one.
            "redirect_uri": settings.redirect_uri or "",
            **request,
        }
        reached("tokens.before_refresh")
        granted = self._ask(body)
        now = to_unix(self._clock.now())
        pair = TokenPair(granted.access_token, granted.refresh_token, now + granted.expires_in, now, code_digest)
        self._write(pair)
        reached("tokens.after_write")
        return pair

    def _ask(self, body: dict[str, str]) -> _Granted:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._ask_once(body)
            except (UnreachableError, ServerFaultError):
                if attempt == ATTEMPTS:
                    raise
                self._clock.sleep(2.0)
        raise AssertionError("unreachable")

    def _ask_once(self, body: dict[str, str]) -> _Granted:
        self._wait_turn()
        try:
            response = self._http.post(TOKEN_PATH, json=body)
        except httpx.HTTPError as error:
            detail = self._redact(f"{type(error).__name__}: {error}")
            raise UnreachableError(self._say(_NO_ANSWER, detail=detail)) from None
        self._http.cookies.clear()
        if response.status_code != 200:
            raise self._refusal(response)
        try:
            return msgspec.json.decode(response.content, type=_Granted)
        except msgspec.DecodeError:
            raise ServerFaultError(self._say(_NO_ANSWER, detail="no tokens in the answer")) from None

    def _refusal(self, response: httpx.Response) -> SourceError:
        if response.status_code >= 500 or response.status_code == 429:
            return ServerFaultError(self._say(_NO_ANSWER, detail=f"HTTP {response.status_code}"))
        try:
            problem = msgspec.json.decode(response.content, type=_Problem)
        except msgspec.DecodeError:
            if response.status_code == 403:
                return BlockedError(self._say(BLOCKED), UNBLOCK)
            problem = _Problem(detail=f"HTTP {response.status_code}")
        # `hint` is the stable part, `detail` is localized.
        reason = self._redact(problem.hint or problem.detail or "")[:200]
        if problem.hint:
            return CredentialsError(self._say(_LOST_CHAIN, reason=reason), _NEW_CODE)
        return CredentialsError(self._say(_WRONG_KEYS, reason=reason), _CHECK_KEYS)

    # ── the file ────────────────────────────────────────────────────────────────────────────────────────────────

    def _read(self) -> TokenPair | None:
        try:
            pair = msgspec.json.decode(self._path.read_bytes(), type=TokenPair)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError:
            what = say(
                "{source}: файл токенов {path} повреждён.",
                "{source}: the token file {path} is damaged.",
                source=self._source,
                path=self._path,
            )
            raise CredentialsError(what, _NEW_CODE) from None
        self._redact.learn(Secret(pair.access_token), Secret(pair.refresh_token))
        return pair

    def _write(self, pair: TokenPair) -> None:
        """On the disk for certain before anyone uses it: a pair lost now needs a person to authorise anew."""
        self._redact.learn(Secret(pair.access_token), Secret(pair.refresh_token))
        temporary = self._path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(pair))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _is_ending(self, pair: TokenPair) -> bool:
        return from_unix(pair.expires_at) - self._clock.now() < REFRESH_AHEAD

    def _say(self, text: Text, **values: object) -> Text:
        return say(text.ru, text.en, source=self._source, **values)


def _digest(code: Secret | None) -> str:
    return hashlib.sha256(code.reveal().encode()).hexdigest()[:16] if code else ""


def _file_name(settings: AmocrmSettings) -> str:
    """The chain belongs to an integration in an account: two sources of one share it."""
    host = httpx.URL(settings.base_url).netloc.decode()
    return re.sub(r"[^\w.-]", "_", f"amocrm-{host}-{settings.client_id}")


_NO_ANSWER = say(
    "{source}: сервер токенов amoCRM не ответил как должно: {detail}",
    "{source}: amoCRM's token server did not answer as it should: {detail}",
)
_NO_CODE = say("{source}: ещё нет токенов и нет code.", "{source}: no tokens yet, and no code.")
_LOST_CHAIN = say(
    "{source}: amoCRM отверг код или токен обновления: {reason}. Он истёк, отозван или уже использован.",
    "{source}: amoCRM refused the code or refresh token: {reason}. It is expired, revoked or already used.",
)
_WRONG_KEYS = say(
    "{source}: amoCRM не признал интеграцию: {reason}",
    "{source}: amoCRM did not recognise the integration: {reason}",
)
_NEW_CODE = say(
    "Администратор открывает amoМаркет → интеграция → «Ключи и доступы» и копирует новый код авторизации в .env "
    "(code). Код живёт 20 минут и годится один раз: сразу запустите voronka check.",
    "An administrator opens amoMarket → the integration → “Keys and scopes” and copies a new authorisation code "
    "into .env (code). It lives 20 minutes and works once: run voronka check at once.",
)
_CHECK_KEYS = say(
    "Сверьте client_id, client_secret и redirect_uri с карточкой интеграции, посимвольно.",
    "Compare client_id, client_secret and redirect_uri with the integration's card, letter by letter.",
)
