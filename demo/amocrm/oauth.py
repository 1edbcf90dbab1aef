"""The token server of a simulated account: codes used once, refresh tokens that rotate and die on use."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

from base.clock import Clock
from base.times import to_unix
from demo.http import HttpRequest, HttpResponse, json_response

CODE_LIFE = timedelta(minutes=20)
ACCESS_LIFE = timedelta(days=1)
REFRESH_LIFE = timedelta(days=90)
# The host all accounts share; it is named in every access token and knows where an account went.
API_DOMAIN = "api-b.amocrm.ru"
ADDRESS_PATH = "/oauth2/account/current/subdomain"


class TokenOffice:
    """Issues tokens for one integration. `is_live` says whether an access token is good now."""

    def __init__(self, clock: Clock, *, client_id: str, client_secret: str, redirect_uri: str) -> None:
        self._clock = clock
        self._client = {"client_id": client_id, "client_secret": client_secret, "redirect_uri": redirect_uri}
        self._codes: dict[str, int] = {}
        self._refresh: dict[str, int] = {}
        self._access: dict[str, int] = {}
        self._count = 0
        self.refresh_count = 0
        # The account's domain since it was renamed; on any other it is unknown. "" = any host will do.
        self.domain = ""

    def issue_code(self) -> str:
        """A new authorisation code, as the integration's card shows it."""
        self._count += 1
        code = f"def50200code{self._count:08d}"
        self._codes[code] = self._now() + int(CODE_LIFE.total_seconds())
        return code

    def is_live(self, authorization: str) -> bool:
        token = authorization.removeprefix("Bearer ")
        return self._access.get(token, 0) > self._now()

    def revoke_access(self) -> None:
        """All access tokens die before their time; refresh tokens stay."""
        self._access.clear()

    def is_elsewhere(self, request: HttpRequest) -> bool:
        """The account was renamed, and this request went to its old domain."""
        return bool(self.domain) and request.headers.get("host") != self.domain

    def answer_address(self, request: HttpRequest) -> HttpResponse:
        """Where the account of a refresh token is reached now."""
        if self._refresh.get(request.headers.get("x-refresh-token", ""), 0) <= self._now():
            return _refusal("Token has been revoked")
        subdomain, _, top_level_domain = self.domain.partition(".")
        place = {"id": 1, "subdomain": subdomain, "domain": self.domain, "top_level_domain": top_level_domain}
        return json_response(place)

    def answer(self, request: HttpRequest) -> HttpResponse:
        if self.is_elsewhere(request):
            return _refusal(None)
        body = json.loads(request.body or b"{}")
        if any(body.get(name) != value for name, value in self._client.items()):
            return _refusal(None)
        if body.get("grant_type") == "authorization_code":
            return self._grant(self._codes, body.get("code", ""), "Authorization code has expired")
        if body.get("grant_type") == "refresh_token":
            self.refresh_count += 1
            return self._grant(self._refresh, body.get("refresh_token", ""), "Token has been revoked")
        return _refusal("grant_type")

    def _grant(self, issued: dict[str, int], used: str, hint: str) -> HttpResponse:
        if issued.pop(used, 0) <= self._now():
            return _refusal(hint)
        # The old pair dies as a whole.
        self._access.clear()
        self._refresh.clear()
        self._count += 1
        access, refresh = self._jwt(), f"def50200refresh{self._count:08d}"
        self._access[access] = self._now() + int(ACCESS_LIFE.total_seconds())
        self._refresh[refresh] = self._now() + int(REFRESH_LIFE.total_seconds())
        content = {
            "token_type": "Bearer",
            "expires_in": int(ACCESS_LIFE.total_seconds()),
            "access_token": access,
            "refresh_token": refresh,
            "server_time": self._now(),
        }
        return json_response(content)

    def _jwt(self) -> str:
        expires_at = self._now() + int(ACCESS_LIFE.total_seconds())
        claims = {"jti": str(self._count), "exp": expires_at, "api_domain": API_DOMAIN}
        coded = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        return f"eyJ0eXAiOiJKV1QifQ.{coded}.c2lnbmF0dXJl"

    def _now(self) -> int:
        return to_unix(self._clock.now())


def _refusal(hint: str | None) -> HttpResponse:
    content = {
        "title": "Bad request",
        "type": "https://developers.amocrm.ru/v3/errors/OAuthProblemJson",
        "status": 401,
        "detail": "Некорректный запрос",
    }
    if hint:
        content["hint"] = hint
    return json_response(content, status=401, media_type="application/problem+json")
