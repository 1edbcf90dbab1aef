"""What amoCRM's refusals mean. A block by its edge looks like a rights error and must not be treated as one."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from base.errors import (
    BlockedError,
    CredentialsError,
    ProtocolError,
    RightsError,
    ServerFaultError,
    SourceError,
)
from base.secrets import Redactor
from base.text import Text, say
from connectors.amocrm.auth import NEW_TOKEN
from connectors.decode import text_of
from connectors.limiter import Limiter

# After this many 403 pages of the edge in a row nothing more is asked: hammering prolongs the block.
BLOCKS_IN_A_ROW = 3
BLOCK_SECONDS = 15 * 60


class TooHeavyError(ServerFaultError):
    """504: the page asked for was too large; the same request with a smaller `limit` may pass."""

    retryable = False


class MissingError(ProtocolError):
    """404: no such address in this account, e.g. a feature that its plan lacks."""


class UnpaidError(RightsError):
    """402: the account is unpaid, or its plan lacks what was asked for."""


class Refusals:
    """Turns an answer into an error, or None when it is good; counts blocks of this account."""

    def __init__(self, source: str, *, limiter: Limiter, redact: Redactor) -> None:
        self._source = source
        self._limiter = limiter
        self._redact = redact
        self._blocks = 0
        self._lock = threading.Lock()

    def __call__(self, response: httpx.Response) -> SourceError | None:
        is_block = response.status_code == 403 and not _is_json(response)
        with self._lock:
            self._blocks = self._blocks + 1 if is_block else 0
            blocks = self._blocks
        if is_block:
            return self._blocked(blocks)
        return self._refused(response)

    def _refused(self, response: httpx.Response) -> SourceError | None:
        status = response.status_code
        path = response.request.url.path
        if status == 401:
            return CredentialsError(self._say(_REFUSED_TOKEN), NEW_TOKEN)
        if status == 402:
            return UnpaidError(self._say(_UNPAID, path=path), _PAY)
        if status == 403:
            return RightsError(self._say(_NO_RIGHT, path=path, detail=self._detail(response)), _GIVE_RIGHTS)
        if status in (400, 404, 405, 422):
            kind = MissingError if status == 404 else ProtocolError
            return kind(self._say(_BAD_REQUEST, status=status, path=path, detail=self._detail(response)))
        if status == 504:
            return TooHeavyError(self._say(_TOO_HEAVY, path=path))
        if 300 <= status < 400:
            target = urlsplit(response.headers.get("location", "")).hostname or "?"
            return ProtocolError(self._say(_MOVED, host=response.request.url.host, target=target), _NEW_ADDRESS)
        return None

    def _blocked(self, blocks: int) -> BlockedError:
        if blocks >= BLOCKS_IN_A_ROW:
            self._limiter.block(BLOCK_SECONDS, "amoCRM: 403 (IP or account block)")
        return BlockedError(self._say(BLOCKED), UNBLOCK)

    def _detail(self, response: httpx.Response) -> str:
        """The vendor's words: `detail`, and for a rejected request each path with its reason."""
        try:
            problem = msgspec.json.decode(response.content, type=dict[str, Any])
        except msgspec.DecodeError:
            # Redacted before it is cut: half of a secret would not be known for one.
            return " ".join(self._redact(text_of(response)).split())[:300]
        reasons = [
            f"{error.get('path')}: {error.get('detail')}"
            for group in _objects(problem.get("validation-errors"))
            for error in _objects(group.get("errors"))
        ]
        return self._redact("; ".join([str(problem.get("detail", "")), *reasons]).strip("; "))[:300]

    def _say(self, text: Text, **values: Any) -> Text:
        return say(text.ru, text.en, source=self._source, **values)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _is_json(response: httpx.Response) -> bool:
    """By content: the edge sends HTML, the API a problem object, whatever the header says."""
    return response.content.lstrip()[:1] == b"{"


_REFUSED_TOKEN = say(
    "{source}: amoCRM не принял токен (401): он отозван или истёк, интеграция выключена или пользователь отключён.",
    "{source}: amoCRM refused the token (401): revoked or expired, the integration is off, or its user deactivated.",
)
_UNPAID = say(
    "{source}: amoCRM закрыл чтение {path} (402): аккаунт не оплачен или тариф этого не включает.",
    "{source}: amoCRM stopped reading of {path} (402): the account is unpaid, or its plan lacks this.",
)
_PAY = say(
    "Оплатите аккаунт и повторите; загруженное сохранено.", "Pay for the account and repeat; what was loaded is kept."
)
_NO_RIGHT = say(
    "{source}: нет права читать {path} (403): {detail}",
    "{source}: no right to read {path} (403): {detail}",
)
_GIVE_RIGHTS = say(
    "Нужен токен администратора аккаунта; проверьте и доступы интеграции (amoМаркет → интеграция → «Ключи и доступы»).",
    "An account administrator's token is needed; check the integration's scopes too (amoMarket → integration → "
    "“Keys and scopes”).",
)
_BAD_REQUEST = say(
    "{source}: amoCRM отклонил запрос {path} ({status}): {detail}",
    "{source}: amoCRM refused the request {path} ({status}): {detail}",
)
_TOO_HEAVY = say(
    "{source}: amoCRM не успел собрать страницу {path} (504).",
    "{source}: amoCRM could not gather a page of {path} in time (504).",
)
_MOVED = say(
    "{source}: адрес аккаунта {host} изменился: сервер отсылает на {target}.",
    "{source}: the account's domain {host} changed: the server points to {target}.",
)
_NEW_ADDRESS = say(
    "Впишите новый адрес аккаунта в base_url; токен на чужой адрес не отправлялся.",
    "Put the account's new address into base_url; the token was not sent there.",
)
BLOCKED = say(
    "{source}: amoCRM заблокировал IP-адрес или аккаунт за частые запросы (403).",
    "{source}: amoCRM blocked this IP address or account for too many requests (403).",
)
UNBLOCK = say(
    "Не повторяйте запуск: блокировку снимает только поддержка amoCRM. Назовите ей свой IP-адрес и домен аккаунта, "
    "потом уменьшите requests_per_second.",
    "Don't run it again: only amoCRM's support lifts the block. Give them your IP address and account domain, then "
    "lower requests_per_second.",
)
