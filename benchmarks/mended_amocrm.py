"""amocrm-api-wrapper 1.0.1 made to work: it hands `json` to `httpx.Client.get`, which takes none, so every GET fails.

Its one extension point, the session, gets a `get` that leaves the empty body out; nothing else is changed.
"""

from __future__ import annotations

from typing import Any

import httpx
from amocrm_api import AmoOAuthClient


class _Session(httpx.Client):
    def get(self, url: Any, *, json: Any = None, **options: Any) -> httpx.Response:
        return super().get(url, **options)


class MendedAmoClient(AmoOAuthClient):
    """The published client, able to read."""

    def _init_session(self, params: dict[str, str] | None = None) -> httpx.Client:
        return _Session(headers={**self._auth_headers(), **(params or {})}, timeout=self.timeout)
