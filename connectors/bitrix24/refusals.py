"""What Bitrix24's refusals mean: by code first, by status second, for the two do not always agree."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import msgspec

from base.errors import (
    BlockedError,
    BudgetError,
    CredentialsError,
    ProtocolError,
    RightsError,
    ServerFaultError,
    SourceError,
)
from base.secrets import Redactor
from base.text import Text, say
from connectors.bitrix24.answers import Failure

LONGEST_DETAIL = 300
_METHOD = re.compile(r"/(?P<method>[\w.]+?)(?:\.json)?/?$")

NO_CREDENTIALS = frozenset(
    {
        "INVALID_TOKEN",
        "NO_AUTH_FOUND",
        "AUTHORIZATION_ERROR",
        "APPLICATION_NOT_FOUND",
        "ERROR_OAUTH",
        "INVALID_CREDENTIALS",
        "INVALID_CLIENT",
        "METHOD_CONFIRM_WAITING",
    }
)
NO_RIGHTS = frozenset(
    {
        "ACCESS_DENIED",
        "USER_ACCESS_ERROR",
        "ALLOWED_ONLY_INTRANET_USER",
        "ACCESS_ERROR",
        "PAYMENT_REQUIRED",
        "200040300010",  # sale
    }
)
# A method, or a kind of records (`entityTypeId`), that this portal does not have.
NO_SUCH_THING = frozenset({"ERROR_METHOD_NOT_FOUND", "ENTITY_TYPE_NOT_SUPPORTED", "NOT_FOUND"})
PASSING_FAULTS = frozenset({"INTERNAL_SERVER_ERROR", "ERROR_UNEXPECTED_ANSWER"})


class OperatingLimitError(SourceError):
    """429 `OPERATION_TIME_LIMIT`: one method has used up its server time. Not repeated by the transport: the method
    is parked, and others go on."""


class MissingMethodError(ProtocolError):
    """The portal has no such method: a module is off, or the box is old."""


class UnreadableError(ProtocolError):
    """The server can't encode a record of a page: the others can still be had."""


class MissingScopeError(RightsError):
    """The webhook lacks a scope."""


class ExpiredTokenError(CredentialsError):
    """An application's access token has lived its hour: a newer one may be had."""


class MovedError(SourceError):
    """The portal answers from another host."""

    def __init__(self, what: Text, remedy: Text, host: str) -> None:
        super().__init__(what, remedy)
        self.host = host


class Refusals:
    """Turns an answer, or an error inside one, into an error of ours."""

    def __init__(self, source: str, redact: Redactor, way: Literal["webhook", "application"] = "webhook") -> None:
        self._source = source
        self._redact = redact
        self._words = WORDS[way]

    def __call__(self, response: httpx.Response) -> SourceError | None:
        if response.status_code == 200:
            return None
        if 300 <= response.status_code < 400:
            return self._moved(response)
        try:
            failure = msgspec.json.decode(response.content, type=Failure)
        except msgspec.DecodeError:
            return None
        if failure.error is None and response.status_code >= 500:
            return None
        return self.of(failure, method_of(response), status=response.status_code)

    def of(self, failure: Failure, method: str, *, status: int = 200) -> SourceError:
        """The error an answer or a command of a batch names."""
        code = failure.code.strip().upper()
        told: dict[str, Any] = {
            "method": method,
            "code": self._clean(failure.code) or str(status),
            "detail": self._clean(failure.detail),
        }
        if code == "OPERATION_TIME_LIMIT":
            return OperatingLimitError(self._say(_SPENT, **told), _WAIT)
        if code == "QUERY_LIMIT_EXCEEDED":
            return BudgetError(self._say(_TOO_MANY, **told), _SLOWER)
        if code == "OVERLOAD_LIMIT":
            return BlockedError(self._say(_BLOCKED, **told), _ASK_SUPPORT)
        if code == "WRONG_ENCODING":
            return UnreadableError(self._say(_FAULT, **told))
        if code == "INSUFFICIENT_SCOPE":
            return MissingScopeError(self._say(_NO_SCOPE, **told), self._words.add_scope)
        if code in NO_SUCH_THING:
            return MissingMethodError(self._say(_NO_METHOD, **told))
        if code == "PORTAL_DELETED":
            return CredentialsError(self._say(_NO_PORTAL, **told), self._words.new_way_in)
        # An empty code with "Access denied." at status 400 is a matter of rights, not a malformed request.
        if code in NO_RIGHTS or "access denied" in failure.detail.lower():
            return RightsError(self._say(_NO_RIGHT, **told), _GIVE_RIGHTS)
        if code == "EXPIRED_TOKEN":
            return ExpiredTokenError(self._say(self._words.refused, **told), self._words.new_way_in)
        if code in NO_CREDENTIALS or status == 401:
            return CredentialsError(self._say(self._words.refused, **told), self._words.new_way_in)
        if status == 403:
            return RightsError(self._say(_NO_RIGHT, **told), _GIVE_RIGHTS)
        if status == 429:
            return BudgetError(self._say(_TOO_MANY, **told), _SLOWER)
        if code in PASSING_FAULTS or status >= 500:
            return ServerFaultError(self._say(_FAULT, **told), _TRY_LATER)
        return ProtocolError(self._say(_BAD_REQUEST, **told))

    def _moved(self, response: httpx.Response) -> SourceError:
        target = httpx.URL(response.headers.get("location", "")).host
        told = {"host": response.request.url.host, "target": self._clean(target) or "?"}
        return MovedError(self._say(_MOVED, **told), _NEW_ADDRESS, target)

    def _clean(self, text: str) -> str:
        # Redacted whole and cut afterwards: a cut secret would not be recognised.
        return self._redact(" ".join(text.split()))[:LONGEST_DETAIL]

    def _say(self, text: Text, **values: Any) -> Text:
        return say(text.ru, text.en, source=self._source, **values)


def method_of(response: httpx.Response) -> str:
    """The method a request asked, without the secret before it in the address."""
    found = _METHOD.search(response.request.url.path)
    return found["method"] if found else "?"


_SPENT = say(
    "{source}: метод {method} исчерпал время сервера за 10 минут ({code}).",
    "{source}: method {method} has used up its server time of 10 minutes ({code}).",
)
_WAIT = say(
    "Повторите через 10 минут; загруженное сохранено. Проверьте, не читает ли портал этим вебхуком кто-то ещё.",
    "Repeat in 10 minutes; what was loaded is kept. See whether somebody else reads the portal by this webhook.",
)
_TOO_MANY = say(
    "{source}: портал просит реже ({code}): {detail}", "{source}: the portal asks to slow down ({code}): {detail}"
)
_SLOWER = say(
    "Уменьшите requests_per_second или запустите, когда другие приложения молчат: лимит у портала общий.",
    "Lower requests_per_second, or run when other applications are quiet: the portal's limit is shared.",
)
_BLOCKED = say(
    "{source}: Битрикс24 заблокировал REST портала за нагрузку ({code}).",
    "{source}: Bitrix24 blocked the portal's REST for overload ({code}).",
)
_ASK_SUPPORT = say(
    "Не повторяйте запуск: блокировку снимает поддержка Битрикс24.",
    "Don't run it again: Bitrix24's support lifts the block.",
)
_NO_SCOPE = say(
    "{source}: нет доступа (scope) для {method}: {detail}",
    "{source}: the scope of {method} is missing: {detail}",
)
_ADD_SCOPE = say(
    "Добавьте вебхуку права crm, user, department, telephony, sale: Разработчикам → Другое → Входящий вебхук.",
    "Give the webhook the scopes crm, user, department, telephony, sale: Developer resources → Other → Inbound"
    " webhook.",
)
_NO_METHOD = say("{source}: на портале нет метода {method}.", "{source}: the portal has no method {method}.")
_NO_PORTAL = say("{source}: портал закрыт ({code}).", "{source}: the portal is closed ({code}).")
_REFUSED = say(
    "{source}: Битрикс24 не принял вебхук ({code}): он удалён, изменён, истёк, или его владелец уволен. {detail}",
    "{source}: Bitrix24 refused the webhook ({code}): removed, changed, expired, or its owner dismissed. {detail}",
)
_NEW_WEBHOOK = say(
    "Администратор создаёт входящий вебхук (Разработчикам → Другое → Входящий вебхук); впишите его в .env.",
    "An administrator makes an inbound webhook (Developer resources → Other → Inbound webhook); put it into .env.",
)
_NO_RIGHT = say(
    "{source}: нет права на {method} ({code}): {detail}", "{source}: no right to {method} ({code}): {detail}"
)
_GIVE_RIGHTS = say(
    "Владелец вебхука должен быть администратором портала, REST есть только на коммерческих тарифах.",
    "The webhook's owner should be an administrator of the portal; REST exists on commercial plans only.",
)
_FAULT = say(
    "{source}: сбой портала на {method} ({code}): {detail}",
    "{source}: the portal failed at {method} ({code}): {detail}",
)
_TRY_LATER = say(
    "Сбой на стороне портала: повторите позже, загруженное сохранено.",
    "The portal's server fails: repeat later, what was loaded is kept.",
)
_BAD_REQUEST = say(
    "{source}: портал отклонил {method} ({code}): {detail}", "{source}: the portal refused {method} ({code}): {detail}"
)
_MOVED = say(
    "{source}: адрес портала {host} изменился: сервер отсылает на {target}.",
    "{source}: the portal's address {host} changed: the server points to {target}.",
)
_NEW_ADDRESS = say(
    "Впишите новый адрес портала в webhook_url; вебхук на чужой адрес не отправлялся.",
    "Put the portal's new address into webhook_url; the webhook was not sent to a foreign one.",
)


@dataclass(frozen=True)
class Words:
    """What differs between the two ways in: what was refused, and what a person does about it."""

    refused: Text
    new_way_in: Text
    add_scope: Text


WORDS = {
    "webhook": Words(_REFUSED, _NEW_WEBHOOK, _ADD_SCOPE),
    "application": Words(
        say(
            "{source}: Битрикс24 не принял токен приложения ({code}): приложение удалено с портала, или сотрудник,"
            " который его установил, уволен. {detail}",
            "{source}: Bitrix24 refused the application's token ({code}): the application was removed, or the employee"
            " who installed it dismissed. {detail}",
        ),
        say(
            "Администратор устанавливает приложение заново и даёт новый code или refresh_token (voronka check скажет"
            " как).",
            "An administrator installs the application again and gives a new code or refresh_token (voronka check says"
            " how).",
        ),
        say(
            "Добавьте приложению права crm, user, department, telephony, sale в его карточке (Разработчикам →"
            " Интеграции) и установите его заново.",
            "Give the application the scopes crm, user, department, telephony, sale in its card (Developer resources →"
            " Integrations) and install it again.",
        ),
    ),
}
