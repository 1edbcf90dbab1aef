"""The two ways into a portal: an inbound webhook (a password in an address), or an application's tokens.

What each puts into a request, and what can be done when the portal refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from base.errors import ConfigError
from base.secrets import Redactor, Secret
from base.text import Text, say
from connectors.bitrix24.oauth import open_rotating_tokens
from connectors.bitrix24.settings import Bitrix24Settings
from connectors.stream import Runtime
from connectors.tokens import RotatingTokens

Way = Literal["webhook", "application"]
_WEBHOOK = re.compile(r"(?:.*/rest/)?(?P<user>\d+)/(?P<secret>[^/\s]+)/?(?:[\w.]+)?")


class Access(Protocol):
    """How requests are let in."""

    way: Way

    def prepare(self, method: str, body: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """Path and body of a request.

        Raises:
            CredentialsError: there is no way in, and what a person should do.
        """

    def renew(self, body: Mapping[str, Any]) -> bool:
        """After a refusal of what `prepare` gave: True, another attempt has a newer token."""

    def address(self) -> str:
        """Where the portal is reached now, '' = where the configuration says."""

    def expires_at(self) -> datetime | None:
        """When a person must act, None when unknown."""

    def close(self) -> None:
        """Release what is held."""


def open_access(settings: Bitrix24Settings, runtime: Runtime, redact: Redactor) -> Access:
    """The way the settings give.

    Raises:
        ConfigError: none, or two.
    """
    application = (settings.client_id, settings.client_secret)
    if settings.webhook_url and not any(application):
        return WebhookAccess(settings, runtime.source, redact)
    if not settings.webhook_url and all(application) and settings.portal:
        return ApplicationAccess(settings, runtime, redact)
    problem = say(
        "sources.{source}: нужен либо webhook_url, либо base_url, client_id и client_secret с code или refresh_token",
        "sources.{source}: either webhook_url is needed, or base_url, client_id and client_secret with code or"
        " refresh_token",
        source=runtime.source,
    )
    raise ConfigError(_NO_WAY_IN, (problem,))


class WebhookAccess:
    """The secret is part of the path; nothing to renew, and its expiry nobody tells."""

    way: Way = "webhook"

    def __init__(self, settings: Bitrix24Settings, source: str, redact: Redactor) -> None:
        user, secret = read_webhook(settings, source)
        self._place = f"/rest/{user}/{secret.reveal()}"
        redact.learn(settings.webhook_url or secret, secret, Secret(f"{user}/{secret.reveal()}"))

    def prepare(self, method: str, body: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        return f"{self._place}/{method}.json", body

    def renew(self, body: Mapping[str, Any]) -> bool:
        return False

    def address(self) -> str:
        return ""

    def expires_at(self) -> datetime | None:
        return None

    def close(self) -> None:
        return None


class ApplicationAccess:
    """The token travels in the body, where no log of addresses sees it."""

    way: Way = "application"

    def __init__(self, settings: Bitrix24Settings, runtime: Runtime, redact: Redactor) -> None:
        given = (settings.client_secret, settings.code, settings.refresh_token)
        redact.learn(*(secret for secret in given if secret))
        self.tokens: RotatingTokens = open_rotating_tokens(
            runtime.source,
            settings,
            clock=runtime.clock,
            state_dir=runtime.state_dir,
            vault=runtime.vault,
            redact=redact,
            transport=runtime.transport,
        )

    def prepare(self, method: str, body: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        return f"/rest/{method}.json", {**body, "auth": self.tokens.current().reveal()}

    def renew(self, body: Mapping[str, Any]) -> bool:
        return self.tokens.replace(Secret(body["auth"])) is not None

    def address(self) -> str:
        return self.tokens.address()

    def expires_at(self) -> datetime | None:
        return self.tokens.expires_at()

    def close(self) -> None:
        self.tokens.close()


def read_webhook(settings: Bitrix24Settings, source: str) -> tuple[str, Secret]:
    """The webhook's user id and secret.

    Raises:
        ConfigError: it is no webhook, or one of another portal.
    """
    value = settings.webhook_url.reveal().strip() if settings.webhook_url else ""
    found = _WEBHOOK.fullmatch(value)
    if found is None or not settings.portal:
        problem = say(
            "sources.{source}.webhook_url: ожидается https://портал/rest/номер/код/",
            "sources.{source}.webhook_url: expected https://portal/rest/number/code/",
            source=source,
        )
    elif "://" in value and urlsplit(value).hostname != urlsplit(settings.portal).hostname:
        problem = say(
            "sources.{source}.webhook_url: вебхук другого портала, не {host}",
            "sources.{source}.webhook_url: a webhook of another portal, not {host}",
            source=source,
            host=urlsplit(settings.portal).hostname,
        )
    else:
        return found["user"], Secret(found["secret"])
    raise ConfigError(_NO_WAY_IN, (problem,))


_NO_WAY_IN: Text = say("Нечем войти в Битрикс24.", "No way into Bitrix24.")
