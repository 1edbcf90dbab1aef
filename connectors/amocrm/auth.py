"""Tokens of amoCRM. A long-lived one is used as it is; its expiry is read from the token itself (a JWT)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Generator
from datetime import datetime

import httpx
import msgspec

from base.clock import Clock
from base.errors import CredentialsError
from base.secrets import Secret
from base.text import Text, say
from base.times import from_unix
from connectors.tokens import Tokens

NEW_TOKEN: Text = say(
    "Администратор создаёт новый долгосрочный токен: amoМаркет → своя интеграция → «Ключи и доступы»; "
    "впишите его в .env.",
    "An administrator makes a new long-lived token: amoMarket → your own integration → “Keys and scopes”; "
    "put it into .env.",
)


class Claims(msgspec.Struct):
    """What a token says of itself: its end (Unix seconds), the host all accounts share, what it may be used for."""

    exp: int | float | None = None
    api_domain: str | None = None
    scopes: list[str] | None = None


def read_claims(token: Secret) -> Claims:
    """The claims of a JWT, empty when it is no readable one. Nothing is verified: no key."""
    parts = token.reveal().split(".")
    if len(parts) != 3:
        return Claims()
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), type=Claims)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return Claims()


def read_expiry(token: Secret) -> datetime | None:
    """When a token ends, by its own `exp` claim; None when it does not say."""
    stated = read_claims(token).exp
    try:
        return None if stated is None else from_unix(int(stated))
    except OverflowError:
        # Beyond the year 9999: it says nothing.
        return None


class LongLivedToken:
    """The token of a private integration: one day to five years, shown once, nothing to refresh."""

    def __init__(self, source: str, token: Secret, clock: Clock) -> None:
        self._source = source
        self._token = token
        self._clock = clock
        self._expires_at = read_expiry(token)

    def current(self) -> Secret:
        if self._expires_at is not None and self._expires_at <= self._clock.now():
            what = say(
                "{source}: срок долгосрочного токена истёк {day:%d.%m.%Y}.",
                "{source}: the long-lived token expired on {day:%Y-%m-%d}.",
                source=self._source,
                day=self._expires_at,
            )
            raise CredentialsError(what, NEW_TOKEN)
        return self._token

    def replace(self, refused: Secret) -> Secret | None:
        return None

    def expires_at(self) -> datetime | None:
        return self._expires_at

    def close(self) -> None:
        return None


class BearerAuth(httpx.Auth):
    """Puts the current token on each request; one refused token is replaced and the request repeated once.

    `address` says where an account that was renamed is reached now, '' while it is where it was.
    """

    def __init__(self, tokens: Tokens, address: Callable[[], str] = lambda: "") -> None:
        self._tokens = tokens
        self._address = address

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self._tokens.current()
        response = yield self._dress(request, token)
        if response.status_code == 401:
            newer = self._tokens.replace(token)
            if newer is not None:
                yield self._dress(request, newer)

    def _dress(self, request: httpx.Request, token: Secret) -> httpx.Request:
        request.headers["Authorization"] = f"Bearer {token.reveal()}"
        address = self._address()
        if address:
            moved = httpx.URL(address)
            request.url = request.url.copy_with(scheme=moved.scheme, host=moved.host, port=moved.port)
            request.headers["Host"] = moved.netloc.decode()
        return request
