"""Tokens of amoCRM. A long-lived one is used as it is; its expiry is read from the token itself (a JWT)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Generator
from datetime import datetime
from typing import Protocol

import httpx
import msgspec

from base.clock import Clock
from base.errors import CredentialsError
from base.secrets import Secret
from base.text import Text, say
from base.times import from_unix

NEW_TOKEN: Text = say(
    "Администратор создаёт новый долгосрочный токен: amoМаркет → своя интеграция → «Ключи и доступы»; "
    "впишите его в .env.",
    "An administrator makes a new long-lived token: amoMarket → your own integration → “Keys and scopes”; "
    "put it into .env.",
)


class _Claims(msgspec.Struct):
    exp: int | float | None = None
    api_domain: str | None = None


def read_expiry(token: Secret) -> datetime | None:
    """When a token ends, by its own `exp` claim; None when it is no readable JWT. Nothing is verified: no key."""
    parts = token.reveal().split(".")
    if len(parts) != 3:
        return None
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), type=_Claims)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None
    return None if claims.exp is None else from_unix(int(claims.exp))


class Tokens(Protocol):
    """Where access tokens come from."""

    def current(self) -> Secret:
        """A token good for the next request.

        Raises:
            CredentialsError: there is none, and what a person should do.
        """

    def replace(self, refused: Secret) -> Secret | None:
        """A newer token than the one the server has refused; None when none can be had."""

    def expires_at(self) -> datetime | None:
        """When a person must act, None when unknown."""

    def close(self) -> None:
        """Release connections."""


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
    """Puts the current token on each request; one refused token is replaced and the request repeated once."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self._tokens.current()
        request.headers["Authorization"] = f"Bearer {token.reveal()}"
        response = yield request
        if response.status_code == 401:
            newer = self._tokens.replace(token)
            if newer is not None:
                request.headers["Authorization"] = f"Bearer {newer.reveal()}"
                yield request
