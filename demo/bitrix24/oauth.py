"""The vendor's token server as a portal's application meets it: codes for half a minute, tokens for an hour, refresh
tokens that rotate."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from base.clock import Clock
from base.times import to_unix
from demo.http import HttpRequest, HttpResponse, json_response

TOKEN_PATH = "/oauth/token/"
CODE_LIFE = timedelta(seconds=30)
ACCESS_LIFE = timedelta(hours=1)
REFRESH_LIFE = timedelta(days=180)
MEMBER_ID = "0f3c000000000000example"


@dataclass
class TokenOffice:
    """Issues tokens for one application on one portal. `endpoint` is the portal's address as the answers tell it."""

    clock: Clock
    client_id: str
    client_secret: str
    endpoint: str
    refresh_count: int = 0
    _count: int = 0
    _codes: dict[str, int] = field(default_factory=dict)
    _refresh: dict[str, int] = field(default_factory=dict)
    # Access tokens with their ends; a token that has ended is known as expired, an unknown one is invalid.
    _access: dict[str, int] = field(default_factory=dict)

    def issue_code(self) -> str:
        """What an administrator sees in the address after agreeing to the application."""
        return self._issue(self._codes, "code", CODE_LIFE)

    def issue_refresh_token(self) -> str:
        """What an installed application is told."""
        return self._issue(self._refresh, "refresh", REFRESH_LIFE)

    def problem_with(self, access_token: object) -> tuple[str, str] | None:
        """Error and description of a token that is not good now."""
        ends_at = self._access.get(str(access_token))
        if ends_at is None:
            return "invalid_token", "Unable to get application by token"
        if ends_at <= self._now():
            return "expired_token", "The access token provided has expired."
        return None

    def expire_access(self) -> None:
        """Every access token's hour is over."""
        self._access = dict.fromkeys(self._access, 0)

    def remove_application(self) -> None:
        """An administrator removed it: nothing of it is known any more."""
        self._access.clear()
        self._refresh.clear()

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Parameters may come in the query or as a form."""
        asked = {**dict(request.query), **request.form()}
        if (asked.get("client_id"), asked.get("client_secret")) != (self.client_id, self.client_secret):
            return _refusal("invalid_client", "Invalid client id or secret")
        if asked.get("grant_type") == "authorization_code":
            return self._grant(self._codes, asked.get("code", ""))
        if asked.get("grant_type") == "refresh_token":
            self.refresh_count += 1
            return self._grant(self._refresh, asked.get("refresh_token", ""))
        return _refusal("invalid_request", "Invalid grant_type parameter")

    def _grant(self, issued: dict[str, int], used: str) -> HttpResponse:
        if issued.pop(used, 0) <= self._now():
            return _refusal("invalid_grant", "Invalid or expired credential")
        access = self._issue(self._access, "access", ACCESS_LIFE)
        content = {
            "access_token": access,
            "refresh_token": self._issue(self._refresh, "refresh", REFRESH_LIFE),
            "expires_in": int(ACCESS_LIFE.total_seconds()),
            "expires": self._access[access],
            "scope": "crm,user,telephony",
            # The token server itself: the portal is told by `client_endpoint`.
            "domain": "oauth.bitrix24.tech",
            "server_endpoint": "https://oauth.bitrix24.tech/rest/",
            "client_endpoint": f"{self.endpoint}/rest/",
            "member_id": MEMBER_ID,
            "user_id": 1,
            "status": "L",
        }
        return json_response(content)

    def _issue(self, into: dict[str, int], kind: str, life: timedelta) -> str:
        self._count += 1
        token = f"{kind}{self._count:08d}0000a1b2c3d4"
        into[token] = self._now() + int(life.total_seconds())
        return token

    def _now(self) -> int:
        return to_unix(self.clock.now())


def _refusal(code: str, description: str) -> HttpResponse:
    return json_response({"error": code, "error_description": description}, status=400)
